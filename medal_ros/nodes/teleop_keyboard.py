"""teleop_keyboard: drives the arm by the keys of a terminal, also over ssh, and shows what it sees.

The pictures are those of `observation`, drawn with characters, so that nothing is needed beside
the terminal.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

import rclpy
from rclpy.node import Node
from std_msgs.msg import String

from medal_ros.bounded import plain
from medal_ros.msg import Observation, State
from medal_ros.nodes.controls import Controls
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.images import arrays_from_images
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import LATCHED, STREAM
from medal_ros.nodes.run import run
from medal_ros.options import option
from medal_ros.robot.keyboard import HELP, Keyboard, KeyboardConfig
from medal_ros.terminal import CLEAR, HOME, REST, Terminal, picture, true_colour

READ_EVERY, DRAW_EVERY = 0.02, 0.2  # seconds
INTERRUPT = '\x03'  # what Ctrl-C sends


@dataclass(frozen=True)
class TeleopKeyboardConfig(KeyboardConfig):
    """Parameters of teleop_keyboard: how keys become motion, and the task's action."""

    action: int = option(4, 'numbers of an action of the task', low=2, high=5)
    pictures: bool = option(True, 'draw the camera images in the terminal')


class TeleopKeyboard(Node):
    """Reads the terminal 50 times a second and draws it five times."""

    def __init__(self) -> None:
        super().__init__('teleop_keyboard', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, TeleopKeyboardConfig)
        self.terminal = Terminal()
        self.keyboard = Keyboard(c, c.action)
        self.said = self.demos = self.mode = ''
        self.observation: Observation | None = None
        self.create_timer(READ_EVERY, self.read)
        self.controls = Controls(self, self.keyboard, c.action, self.say)
        self.create_subscription(Observation, 'observation', self.on_observation, STREAM)
        self.create_subscription(State, 'state', self.on_state, STREAM)
        self.create_subscription(String, 'demos', self.on_demos, LATCHED)
        self.create_timer(DRAW_EVERY, self.draw)
        self.terminal.write(CLEAR)
        self.diagnostics = Diagnostics(self, self.describe)

    def say(self, sentence: str) -> None:
        self.said = plain(sentence)

    def on_observation(self, message: Observation) -> None:
        self.observation = message

    def on_state(self, message: State) -> None:
        self.mode = plain(f'{message.mode} {message.reason}').strip()

    def on_demos(self, message: String) -> None:
        self.demos = plain(message.data)

    def read(self) -> None:
        text = self.terminal.read()
        self.keyboard.take(text or '', time.monotonic())
        if text is None or INTERRUPT in text or self.keyboard.ended:
            self.controls.publish(None)
            rclpy.try_shutdown()

    def draw(self) -> None:
        columns, rows = self.terminal.size()
        keys, lines = self.keyboard, self.pictures(columns, rows - 6)
        lines.append('LIVE' if keys.live else 'not live: press the space bar')
        grip = 'closed' if keys.gripper > 0 else 'open'
        lines[-1] += f'   speed {keys.speed:g}   gripper {grip}   {self.mode}'
        lines += [self.demos, self.controls.complaint() or self.said, *HELP.splitlines()]
        ends = '\x1b[K\r\n'  # whatever was there before is gone to the end of the line
        shown = [line if '\x1b' in line else line[:columns] for line in lines]
        self.terminal.write(HOME + ends.join(shown) + '\x1b[K' + REST)

    def pictures(self, columns: int, rows: int) -> list[str]:
        """Return the images of the newest observation as lines of text."""
        if not self.config.pictures or self.observation is None or rows < 4:
            return []
        try:
            images = arrays_from_images(self.observation.images)
            return picture(images, columns, rows, true_colour()) if images else []
        except ValueError as error:
            return [str(error)]

    def describe(self) -> tuple[str, dict[str, object]]:
        return self.controls.complaint(), {'live': self.keyboard.live}

    def close(self) -> None:
        self.terminal.write('\r\n')
        self.terminal.close()


def main() -> None:
    # A terminal that hangs up ends this node as SIGTERM does.
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    run(TeleopKeyboard)


if __name__ == '__main__':
    main()
