"""What the teleoperation nodes share: the topic `teleop` at 50 Hz, and calls of services."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from medal_ros.msg import Step, Teleop
from medal_ros.nodes.qos import STREAM, TELEOP
from medal_ros.robot.teleop import REQUESTS, Output

PERIOD = 0.02  # seconds between two messages of somebody who drives
PATIENCE = 5.0  # seconds that an answer may take


class Device(Protocol):
    """What a person holds: a pad or a keyboard."""

    def action(self, now: float) -> np.ndarray | None: ...

    def executed(self, action: Sequence[float]) -> None: ...

    def requests(self) -> list[str]: ...


class Controls:
    """Publishes what a device asks for, and calls the services that its buttons stand for.

    Args:
        node: Publishes and calls.
        device: Asked 50 times a second.
        action_size: Numbers of an action of the device.
        say: Told, in one sentence, what a service answered.
    """

    def __init__(
        self, node: Node, device: Device, action_size: int, say: Callable[[str], None]
    ) -> None:
        self.node, self.device, self.say = node, device, say
        self.action_size, self.arm_takes = action_size, action_size
        self.output = Output(action_size)
        self.publisher = node.create_publisher(Teleop, 'teleop', TELEOP)
        self.asked = {name: node.create_client(Trigger, at) for name, at in REQUESTS.items()}
        self.awaited: dict[Future, tuple[str, float]] = {}
        node.create_subscription(Step, 'step', self.on_step, STREAM)
        self.timer = node.create_timer(PERIOD, self.tick)

    def complaint(self) -> str:
        """Return in words why the arm will not take these actions; empty: it will."""
        if self.arm_takes == self.action_size:
            return ''
        return f'the arm takes {self.arm_takes} numbers: set parameter action to that'

    def on_step(self, message: Step) -> None:
        self.arm_takes = len(message.action)
        self.device.executed(message.action)

    def tick(self) -> None:
        now = time.monotonic()
        self.publish(self.device.action(now))
        for name in self.device.requests():
            self.ask(name, now)
        for future, (service, since) in list(self.awaited.items()):
            if now - since > PATIENCE:
                del self.awaited[future]
                self.say(f'{service} did not answer for {PATIENCE:.0f} s')

    def publish(self, action: np.ndarray | None) -> None:
        """Publish an action; None: nobody drives, which is said once."""
        said = self.output.next(action)
        if said is None:
            return
        message = Teleop(engaged=said[0], action=array('f', said[1].tobytes()))
        message.header.stamp = self.node.get_clock().now().to_msg()
        self.publisher.publish(message)

    def ask(self, name: str, now: float) -> None:
        client = self.asked[name]
        if not client.service_is_ready():
            self.say(f'nobody offers {client.service_name}')
            return
        future = client.call_async(Trigger.Request())
        self.awaited[future] = REQUESTS[name], now
        future.add_done_callback(self.on_answer)

    def on_answer(self, future: Future) -> None:
        if self.awaited.pop(future, None) is not None:
            self.say(future.result().message)
