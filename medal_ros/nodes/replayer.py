"""replayer: says once more what a run saw and did, for people who look.

It says nothing that an arm obeys: no action, no teleop, and no state but practice, which asks for
an action that never comes.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from medal_ros.learning.performance import tune
from medal_ros.msg import Observation, Reward, State, Step
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.images import image_from_array
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, RAW, STREAM
from medal_ros.nodes.run import run
from medal_ros.options import OptionError, option
from medal_ros.playback.film import rate_of
from medal_ros.playback.judge import newest_judge
from medal_ros.playback.stored import Segment, StoredRun

LOOK = 10.0  # seconds, at most, to wait for somebody who looks
BEFORE = 2.0  # seconds more in which he finds the other topics
AFTER = 5.0  # seconds that the last messages may take to arrive


@dataclass(frozen=True)
class ReplayerConfig:
    """Parameters of replayer."""

    run: str = option('', 'folder of the run')
    first: int = option(0, 'step of the run to begin with', low=0)
    end: int = option(0, 'step of the run before which to end; 0: with the last', low=0)
    speed: float = option(1.0, 'times as fast as it was', low=0.01, high=100.0)
    loop: bool = option(False, 'whether to begin again at the end')


class Replayer(Node):
    """Publishes a stored frame, and the step that was taken there, at each tick."""

    def __init__(self) -> None:
        super().__init__('replayer', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, ReplayerConfig)
        if not c.run:
            raise OptionError('replayer: parameter run must name a folder')
        tune(1)
        self.run = StoredRun(Path(c.run))
        self.parts = self.run.between(c.first, c.end or self.run.steps)
        self.judge = newest_judge(self.run.config, self.run.folder)
        self.cameras = self.run.spaces.cameras
        self.images = {
            name: self.create_publisher(Image, f'camera/{name}/image_raw', RAW)
            for name in self.cameras
        }
        self.observations = self.create_publisher(Observation, 'observation', HISTORY)
        self.states = self.create_publisher(State, 'state', HISTORY)
        self.steps = self.create_publisher(Step, 'step', HISTORY)
        self.rewards = self.create_publisher(Reward, 'reward', STREAM)
        self.told = (self.observations, self.states, self.steps)
        self.shown, self.now = 0, 'waiting for somebody who looks'
        self.moments = self.tell()
        self.begins = time.monotonic() + LOOK
        self.beginning = self.create_timer(0.1, self.begin)
        self.diagnostics = Diagnostics(self, self.describe)

    def begin(self) -> None:
        """Begin soon after somebody has come."""
        now = time.monotonic()
        if any(p.get_subscription_count() for p in self.told):
            self.begins = min(self.begins, now + BEFORE)
        if now < self.begins:
            return
        self.beginning.cancel()
        self.now = ''
        self.ticks = self.create_timer(1 / (rate_of(self.run) * self.config.speed), self.tick)

    def tick(self) -> None:
        """Publish the next moment; behind the last one, end or begin again."""
        if next(self.moments, None) is not None:
            self.shown += 1
        elif self.config.loop:
            self.moments = self.tell()
        else:
            self.ticks.cancel()
            for publisher in self.told:
                publisher.wait_for_all_acked(Duration(seconds=AFTER))
            self.get_logger().info(f'{self.shown} moments were shown')
            rclpy.try_shutdown()

    def tell(self) -> Iterator[int]:
        """Publish moment after moment, and yield the number of each."""
        for part in self.parts:
            for i in range(part.steps + 1):
                self.publish_moment(part, i)
                yield part.first + i

    def publish_moment(self, part: Segment, i: int) -> None:
        row, last = part.row + i, i == part.steps
        header = Header(stamp=self.get_clock().now().to_msg())
        self.publish_seen(header, row)
        state = State(
            header=header,
            sequence=row,
            mode='practice',
            agent=part.agent,
            segment=part.number,
            index=part.index + i,
            steps=part.first + i,
            total_steps=self.run.config.steps,
            reason=f'replay of {self.run.folder.path.name}',
        )
        self.states.publish(state)
        if not last:
            self.publish_done(header, row, state)

    def publish_seen(self, header: Header, row: int) -> None:
        """Publish what was seen at a frame, and what the classifiers say of it today."""
        frame, proprio = self.run.frames[row], self.run.proprio[row]
        images = [
            image_from_array(np.ascontiguousarray(pixels), header.stamp, name)
            for name, pixels in zip(
                self.cameras, np.split(frame, len(self.cameras), axis=2), strict=True
            )
        ]
        for image, publisher in zip(images, self.images.values(), strict=True):
            publisher.publish(image)
        message = Observation(header=header, sequence=row, published=header.stamp, images=images)
        message.names, message.proprio = list(self.cameras), array('f', proprio.tobytes())
        self.observations.publish(message)
        if self.judge is not None:
            scores = self.judge.scores(frame[None], proprio[None])
            words = {name: float(values[0]) for name, values in scores.items()}
            self.rewards.publish(Reward(header=header, sequence=row, **words))

    def publish_done(self, header: Header, row: int, state: State) -> None:
        """Publish the step that was taken at a frame."""
        step = Step(header=header, sequence=row, source='policy', agent=state.agent)
        step.segment, step.index = state.segment, state.index
        step.action = array('f', self.run.actions[row].tobytes())
        rewards = self.run.task_rewards[row]
        if not np.isnan(rewards).any():
            step.task_rewards = array('f', rewards.tobytes())
        self.steps.publish(step)

    def describe(self) -> tuple[str, dict[str, object]]:
        return self.now, {'shown': self.shown, 'run': self.run.folder.path}


def main() -> None:
    run(Replayer)


if __name__ == '__main__':
    main()
