"""operator: stands in for the person who answers calls for help in the simulator."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from medal_ros.msg import State
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.qos import STREAM
from medal_ros.nodes.run import run

PATIENCE = 2.0  # seconds to wait for an answer before asking again


class Operator(Node):
    """On a call for help: puts the world back, then says so. Every wait has a deadline."""

    def __init__(self) -> None:
        super().__init__('operator')
        self.world = self.create_client(Trigger, 'sim/reset')
        self.supervisor = self.create_client(Trigger, 'reset_done')
        self.answering: int | None = None  # interventions before the call that is being answered
        self.answered = -1
        self.waiting, self.deadline = '', 0.0
        self.future: Future | None = None
        self.create_subscription(State, 'state', self.on_state, STREAM)
        self.create_timer(1.0, self.check_deadline)
        self.diagnostics = Diagnostics(self, self.describe)

    def on_state(self, message: State) -> None:
        call = message.interventions
        if message.mode != 'help' or self.answering is not None or call <= self.answered:
            return
        self.waiting = next((c.service_name for c in self.clients if not c.service_is_ready()), '')
        if self.waiting:
            return  # the call for help is repeated
        self.answering = call
        self.get_logger().info(f'help is asked for: {message.reason}')
        self.ask(self.world, self.on_world_reset)

    def ask(self, client: Client, then: Callable[[Future], None]) -> None:
        self.waiting, self.deadline = client.service_name, time.monotonic() + PATIENCE
        self.future = client.call_async(Trigger.Request())
        self.future.add_done_callback(then)

    def on_world_reset(self, future: Future) -> None:
        if future is self.future:
            self.ask(self.supervisor, self.on_reset_done)

    def on_reset_done(self, future: Future) -> None:
        if future is not self.future:
            return
        answer = future.result()
        self.get_logger().info(f'the world is put back: {answer.message}')
        if answer.success:  # else the call for help is repeated: the arm may still need somebody
            self.answered = self.answering
        self.answering, self.waiting = None, ''

    def check_deadline(self) -> None:
        if self.answering is not None and time.monotonic() > self.deadline:
            self.get_logger().warning(f'{self.waiting} did not answer for {PATIENCE:.0f} s')
            self.future = self.answering = None
            self.waiting = ''

    def describe(self) -> tuple[str, dict[str, object]]:
        waiting = f'waiting for {self.waiting}' if self.waiting else ''
        return waiting, {'answered': self.answered + 1}


def main() -> None:
    run(Operator)


if __name__ == '__main__':
    main()
