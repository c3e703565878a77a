"""view: what the policies see and what is learned of it, as two images for RViz.

RViz shows images and no numbers of ours: `view/observation` holds the cameras' images side by
side, `view/status` who acts in which segment, the learned reward, and the success probability.
"""

from __future__ import annotations

import cv2
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import Image

from medal_ros.bounded import plain
from medal_ros.msg import Observation, Reward, State
from medal_ros.nodes.images import arrays_from_images, image_from_array
from medal_ros.nodes.qos import RAW, STREAM
from medal_ros.nodes.run import run

WIDTH, LINE = 640, 36  # pixels of the status, and of one line of it
ENLARGED = 3
DARK, LIGHT, GREEN = (30, 30, 34), (235, 235, 235), (80, 190, 90)


class View(Node):
    """Draws at each observation, and only for somebody who looks."""

    def __init__(self) -> None:
        super().__init__('view')
        self.state: State | None = None
        self.reward: Reward | None = None
        self.seen = self.create_publisher(Image, 'view/observation', RAW)
        self.status = self.create_publisher(Image, 'view/status', RAW)
        self.create_subscription(Observation, 'observation', self.on_observation, STREAM)
        self.create_subscription(State, 'state', self.on_state, STREAM)
        self.create_subscription(Reward, 'reward', self.on_reward, STREAM)

    def on_state(self, message: State) -> None:
        self.state = message

    def on_reward(self, message: Reward) -> None:
        self.reward = message

    def on_observation(self, message: Observation) -> None:
        stamp = message.header.stamp
        if self.seen.get_subscription_count() and message.images:
            try:
                arrays = arrays_from_images(message.images)
                images = np.concatenate(arrays, axis=1)
            except ValueError as error:
                self.get_logger().warning(str(error), throttle_duration_sec=5.0)
                return
            large = images.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
            self.seen.publish(image_from_array(large, stamp))
        if self.status.get_subscription_count():
            self.status.publish(image_from_array(draw(self.state, self.reward), stamp))


def lines(state: State | None, reward: Reward | None) -> list[str]:
    """Return what is known, in words."""
    words = ['no state yet']
    if state is not None:
        words = [
            f'{state.mode}: {state.agent}' if state.mode == 'practice' else state.mode,
            f'segment {state.segment}, step {state.index}',
            f'{state.steps} of {state.total_steps} steps, {state.interventions} interventions',
            state.reason,
        ]
    if reward is not None:
        words.append(f'reward: forward {reward.forward:.2f}, backward {reward.backward:.2f}')
        words.append(f'success probability {reward.success_probability:.2f}')
    return [plain(text) for text in words if text]


def draw(state: State | None, reward: Reward | None) -> np.ndarray:
    """Return the status as a `(height, 640, 3)` uint8 image, a bar for the probability below."""
    words = lines(state, reward)
    picture = np.full((LINE * (len(words) + 1), WIDTH, 3), DARK, np.uint8)
    for number, text in enumerate(words, 1):
        place = (12, LINE * number - 10)
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, LIGHT, 1, cv2.LINE_AA)
    if reward is not None and np.isfinite(reward.success_probability):
        share = float(np.clip(reward.success_probability, 0.0, 1.0))
        picture[-LINE + 6 : -10, 12 : 12 + round((WIDTH - 24) * share)] = GREEN
    return picture


def main() -> None:
    run(View)


if __name__ == '__main__':
    main()
