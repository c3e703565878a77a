"""Giving way to the control loop."""

import os
import subprocess
import sys

import pytest

SHOW = """
import os, threading
from medal_ros.learning.performance import be_nice
be_nice({level}, {on_clock})
show = lambda: print(os.nice(0), os.sched_getscheduler(0))
thread = threading.Thread(target=show)
thread.start()
thread.join()
"""


@pytest.mark.parametrize(
    ('on_clock', 'policy'), [(False, os.SCHED_OTHER), (True, os.SCHED_IDLE)], ids=str
)
def test_a_learner_gives_way(on_clock, policy):
    level = min(os.nice(0) + 3, 19)
    code = SHOW.format(level=level, on_clock=on_clock)
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == [str(level), str(policy)], done.stderr  # its threads too


def test_priority_is_never_raised():
    level = os.nice(0)
    code = SHOW.format(level=level - 1, on_clock=False)
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split()[0] == str(level)
