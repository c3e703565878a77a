"""The control loop goes first, and what learns gives way."""

import ast
import os
import subprocess
import sys

import pytest

from medal_ros.config import make_config
from medal_ros.options import OptionError
from medal_ros.preparing import prepare
from medal_ros.scheduling import LoopConfig, be_first

SHOW = """
import os, threading
from medal_ros.scheduling import be_nice
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


FIRST = """
import os, threading
from medal_ros.scheduling import LoopConfig, be_first, be_ordinary
stop = threading.Event()
here = lambda: (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))
said = []
def before():  # as ROS's threads, which are there before a node knows its parameters
    stop.wait()
    said.append(here())
def after():
    said.append(here())
    be_ordinary()
    said.append(here())
thread = threading.Thread(target=before)
thread.start()
be_first(LoopConfig({priority}))
stop.set()
thread.join()
thread = threading.Thread(target=after)
thread.start()
thread.join()
print(said)
"""


def right_to_go_first():
    """Whether this system lets a program of ours go first."""
    code = 'import os; os.nice(-10); os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))'
    return subprocess.run([sys.executable, '-c', code], capture_output=True).returncode == 0


def first(priority):
    code = FIRST.format(priority=priority)
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert done.stderr == ''
    return ast.literal_eval(done.stdout)


def test_the_control_loop_goes_first_with_all_its_threads():
    before, after, ordinary = first(10)
    assert before == after
    if right_to_go_first():
        assert before == (os.SCHED_FIFO, -10)
    assert ordinary == (os.SCHED_OTHER, max(0, os.getpriority(os.PRIO_PROCESS, 0)))


def test_in_lockstep_nobody_goes_first():
    mine = os.SCHED_OTHER, os.getpriority(os.PRIO_PROCESS, 0)
    assert first(0) == [mine, mine, mine]


def test_the_control_loop_keeps_to_its_cores_and_the_learner_to_its_own():
    core = max(os.sched_getaffinity(0))
    for call in (f'be_first(LoopConfig(0, ({core},)))', f'be_nice(0, cores=({core},))'):
        code = (
            f'import os; from medal_ros.scheduling import *; {call}; print(os.sched_getaffinity(0))'
        )
        done = subprocess.run(
            [sys.executable, '-c', code], capture_output=True, text=True, timeout=60
        )
        assert done.stdout.strip() == f'{{{core}}}', done.stderr


def test_cores_that_are_not_there_are_refused_before_anything_is_started(tmp_path):
    with pytest.raises(OptionError, match=r'loop\.cores: there is no processor 9999 for us here'):
        be_first(LoopConfig(10, (9999,)))
    for key in ('graph.loop.cores', 'graph.learning_cores'):
        config = make_config('quickstart', {key: [0, 9999]})
        with pytest.raises(OptionError, match=f'{key}: there is no processor 9999 for us here'):
            prepare(config, tmp_path, 'run')
    assert list(tmp_path.iterdir()) == []
