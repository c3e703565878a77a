"""teleop_joy: drives the arm by a pad (`joy`), and asks for what its buttons stand for."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rclpy.node import Node
from sensor_msgs.msg import Joy

from medal_ros.nodes.controls import Controls
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.run import run
from medal_ros.options import option
from medal_ros.robot.teleop import Pad, PadConfig


@dataclass(frozen=True)
class TeleopJoyConfig(PadConfig):
    """Parameters of teleop_joy: the mapping of the pad, and the task's action."""

    action: int = option(4, 'numbers of an action of the task', low=2, high=5)


class TeleopJoy(Node):
    """Hands every message of the pad to the mapping."""

    def __init__(self) -> None:
        super().__init__('teleop_joy', automatically_declare_parameters_from_overrides=True)
        config = declare(self, TeleopJoyConfig)
        self.pad = Pad(config, config.action)
        self.controls = Controls(self, self.pad, config.action, self.get_logger().info)
        self.create_subscription(Joy, 'joy', self.on_joy, 10)
        self.diagnostics = Diagnostics(self, self.describe)

    def on_joy(self, message: Joy) -> None:
        self.pad.take(message.axes, message.buttons, time.monotonic())

    def describe(self) -> tuple[str, dict[str, object]]:
        words = self.controls.complaint() or self.pad.waits_for(time.monotonic())
        return words, {'engaged': self.controls.output.engaged, 'gripper': self.pad.gripper}


def main() -> None:
    run(TeleopJoy)


if __name__ == '__main__':
    main()
