"""Memory that was freed is used again, also by a thread."""

import subprocess
import sys

PAGES = 80_000_000 // 4096
CODE = f"""
import resource, threading
import torch
from medal_ros.learning.performance import one_arena, tune

{{0}}
tune(1)
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def work():
    for i in range(30):
        if i == 20:  # glibc takes some rounds to find its places
            before = faults()
        torch.ones({PAGES} * 1024)
    print(faults() - before)

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def faults(first: str) -> int:
    """Return the page faults of ten tensors of 80 MB in a thread, one after the other."""
    code = CODE.format(first)
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_a_thread_keeps_large_buffers_too():
    assert faults('one_arena()') < PAGES
    assert faults('') > 5 * PAGES, 'glibc does so by itself: one_arena has no effect any more'
