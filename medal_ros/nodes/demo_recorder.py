"""demo_recorder: records what a person drives as demonstrations, forward and backward in turn.

Services `demos/start`, `demos/save`, `demos/discard` and `demos/redo`; `demos` says in one line
how many are saved and what goes on. After each recording the arm is moved to a start pose, which
`arm_reset.pose: random` makes a random one, unless backward begins with what forward holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future
from safetensors import SafetensorError
from safetensors.numpy import load
from std_msgs.msg import String, UInt8MultiArray
from std_srvs.srv import SetBool, Trigger

from medal_ros.msg import Observation, State, Step
from medal_ros.nodes.backlog import take_backlog
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.messages import frame_of
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import LATCHED, STREAM
from medal_ros.nodes.run import run
from medal_ros.options import group, option
from medal_ros.robot.recording import Answer, Done, Recorder, RecordingConfig, Seen
from medal_ros.spaces import AGENTS, Spaces

TRY_EVERY = 0.5  # seconds between two requests to have the arm moved
MAX_SNAPSHOT = 16 << 20  # bytes of a world
# What numbers of a kind that numpy lacks, or numbers that count nothing, raise.
UNUSABLE = (SafetensorError, KeyError, IndexError, ValueError, TypeError, AttributeError)
UNUSABLE += (OverflowError,)
BACKLOG = 2.0  # seconds, at most, for what arrived before a request
ANSWERED_WITHIN = 2.0  # seconds after which a service is asked again


@dataclass(frozen=True)
class DemoRecorderConfig(RecordingConfig):
    """Parameters of demo_recorder."""

    move_before: str = option(
        'either',
        'before whose turns to move the arm to a start pose, which opens its gripper',
        choices=('either', 'forward', 'neither'),
    )
    patience: float = option(60.0, 'seconds that moving the arm may take', low=1, high=600)
    spaces: Spaces = group(Spaces)


class DemoRecorder(Node):
    """Hands what the graph says to the recorder, and has the arm moved in between."""

    def __init__(self) -> None:
        super().__init__('demo_recorder', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, DemoRecorderConfig)
        self.recorder = Recorder(c, c.spaces)
        self.publisher = self.create_publisher(String, 'demos', LATCHED)
        self.mover = Mover(self, c.patience)
        self.create_subscription(UInt8MultiArray, 'sim/snapshot', self.on_snapshot, STREAM)
        self.create_subscription(Observation, 'observation', self.on_observation, STREAM)
        self.create_subscription(Step, 'step', self.on_step, STREAM)
        r = self.recorder
        for name, request in (('start', self.start), ('save', r.save), ('discard', r.discard)):
            self.offer(name, request, moves=name != 'start')
        self.offer('redo', r.redo, moves=True)
        self.create_timer(TRY_EVERY, self.publish)
        self.diagnostics = Diagnostics(self, self.describe)

    def offer(self, name: str, request: Callable[[], Answer], moves: bool) -> None:
        def answer(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            take_backlog(self, BACKLOG)  # what was driven before this was asked
            try:
                response.success, response.message = request()
            except OSError as error:  # the disk is full, say; what was recorded is still here
                response.success, response.message = False, f'not saved: {error.strerror}'
            before = self.config.move_before
            if response.success and moves and before in ('either', self.recorder.direction):
                self.mover.begin()
            self.get_logger().info(response.message)
            self.publish()
            return response

        self.create_service(Trigger, f'demos/{name}', answer)

    def start(self) -> Answer:
        if self.mover.busy:
            return False, f'the arm is on its way to a start pose: {self.mover.words}'
        return self.recorder.start()

    def on_snapshot(self, message: UInt8MultiArray) -> None:
        try:
            if len(message.data) > MAX_SNAPSHOT:
                raise ValueError('it is too large')
            arrays = load(bytes(message.data))
            sequence = int(arrays.pop('sequence')[0])
        except UNUSABLE:
            self.get_logger().warning('sim/snapshot is not one', throttle_duration_sec=5.0)
            return
        self.recorder.world(sequence, arrays)

    def on_observation(self, message: Observation) -> None:
        try:
            frame, proprio = frame_of(message, self.config.spaces)
        except ValueError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)
            return
        self.recorder.observe(message.sequence, Seen(frame.copy(), proprio))

    def on_step(self, message: Step) -> None:
        self.mover.on_step(message)
        size, rewards = len(message.action), message.task_rewards
        if size != self.config.spaces.action or not np.isfinite(message.action).all():
            self.get_logger().warning(
                f'step {message.sequence} has {size} numbers, not {self.config.spaces.action} '
                'finite ones',
                throttle_duration_sec=5.0,
            )
            return
        judged = np.array(rewards, np.float32) if len(rewards) == len(AGENTS) else None
        action = np.array(message.action, np.float32)
        done = Done(message.source, message.boundary, action, judged)
        self.recorder.step(message.sequence, done)

    def publish(self) -> None:
        moving = f' | moving the arm: {self.mover.words}' if self.mover.words else ''
        self.publisher.publish(String(data=self.recorder.describe() + moving))

    def describe(self) -> tuple[str, dict[str, object]]:
        saved = {d: len(paths) for d, paths in self.recorder.saved.items()}
        return self.mover.words, {**saved, 'recording': self.recorder.recording}


class Mover:
    """Has the arm moved: ends the person's intervention, asks for the start pose, and waits.

    Args:
        node: Asks the supervisor.
        patience: Seconds after which it gives up and says so.

    Attributes:
        busy: Whether the arm is to be moved still.
        words: What it waits for, or why it gave up; empty: nothing.
    """

    def __init__(self, node: Node, patience: float) -> None:
        self.patience = patience
        self.busy, self.words, self.mode = False, '', ''
        self.accepted = self.moved = False  # what was asked for; the arm, since that was asked
        self.deadline = self.asked_at = 0.0
        self.future: Future | None = None
        self.intervene = node.create_client(SetBool, 'intervene')
        self.home = node.create_client(Trigger, 'home')
        node.create_subscription(State, 'state', self.on_state, STREAM)
        node.create_timer(TRY_EVERY, self.tick)

    def begin(self) -> None:
        self.busy, self.accepted, self.future = True, False, None
        self.deadline = time.monotonic() + self.patience
        self.tick()

    def on_state(self, message: State) -> None:
        self.mode = message.mode

    def on_step(self, message: Step) -> None:
        if message.source == 'script':
            self.moved = True
            self.finish()

    def finish(self) -> None:
        """Be done once the arm has moved; its step may come before the answer that it will."""
        if self.busy and self.accepted and self.moved:
            self.busy, self.words = False, ''

    def tick(self) -> None:
        """Ask for what is due in the supervisor's present mode, one thing at a time."""
        asked = self.future is not None and time.monotonic() < self.asked_at + ANSWERED_WITHIN
        if not self.busy or self.accepted or asked:
            self.give_up_late()
            return
        if self.mode == 'intervention':
            self.words = 'waiting for the person to let go'
            self.ask(self.intervene, SetBool.Request(data=False), self.on_freed)
        else:
            self.words = 'waiting for the supervisor'
            self.ask(self.home, Trigger.Request(), self.on_home)
        self.give_up_late()

    def ask(self, client: Client, request: object, then: Callable[[Future], None]) -> None:
        if not client.service_is_ready():
            self.words = f'nobody offers {client.service_name}'
            return
        self.moved, self.asked_at = False, time.monotonic()
        self.future = client.call_async(request)
        self.future.add_done_callback(then)

    def on_freed(self, future: Future) -> None:
        if future is self.future:
            self.future, self.words = None, future.result().message

    def on_home(self, future: Future) -> None:
        if future is self.future:
            self.future = None
            self.accepted, self.words = future.result().success, future.result().message
            self.finish()

    def give_up_late(self) -> None:
        if self.busy and time.monotonic() > self.deadline:
            self.busy = False
            self.words = f'the arm was not moved within {self.patience:.0f} s: {self.words}'


def main() -> None:
    run(DemoRecorder)


if __name__ == '__main__':
    main()
