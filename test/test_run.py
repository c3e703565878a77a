"""How a node's process ends, whatever the middleware does."""

import signal
import subprocess
import sys
import time

HANGS = """
import time
import ros
import rclpy
from rclpy.node import Node
from medal_ros.nodes import run

class Stuck(Node):
    def __init__(self):
        super().__init__('stuck')
        self.create_timer(0.05, rclpy.try_shutdown)
    def close(self):
        print('closed', flush=True)
    def destroy_node(self):
        time.sleep({seconds})
        super().destroy_node()

run.GOODBYE = 1.0
run.run(Stuck)
print('ended', flush=True)
"""


def end(seconds: float) -> tuple[int, str, float]:
    code = HANGS.format(seconds=seconds)
    began = time.monotonic()
    command = [sys.executable, '-c', f'import sys; sys.path.insert(0, "test")\n{code}']
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout, time.monotonic() - began


def test_a_middleware_that_does_not_let_go_does_not_keep_the_process() -> None:
    status, output, seconds = end(25.0)
    assert status == -signal.SIGALRM and output.split() == ['closed']
    assert seconds < 15.0


def test_otherwise_there_is_no_alarm() -> None:
    status, output, _ = end(0.0)
    assert status == 0 and output.split() == ['closed', 'ended']


WAITS = """
import os
import ros
from rclpy.node import Node
from medal_ros.nodes import run

class Idle(Node):
    def __init__(self):
        super().__init__('idle')
        self.create_timer(0.05, lambda: print('here', flush=True))

run.run(Idle)
os._exit(0)  # as every node does: Python forgets its handlers before it ends
"""


def test_signals_that_come_together_end_it_too() -> None:
    command = [sys.executable, '-c', f'import sys; sys.path.insert(0, "test")\n{WAITS}']
    for _ in range(3):
        node = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert node.stdout.readline() == 'here\n'
            for _ in range(300):  # as when who started it is killed, and somebody ends it, too
                node.send_signal(signal.SIGINT)
                node.send_signal(signal.SIGTERM)
            assert node.wait(20.0) == 0
        finally:
            node.kill()
            node.communicate()
