"""recorder: writes what a graph says into a bag of rosbag2, as it comes, without looking into it.

Whoever reads the bag later needs nothing of this package: it carries the definitions.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.duration import Infinite
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from medal_ros.bags.bag import Bag, Topic
from medal_ros.bags.definitions import definition, name_of, type_hash
from medal_ros.bags.record import RecordConfig
from medal_ros.msg import (
    Action,
    ArmState,
    Evaluation,
    Label,
    Learner,
    Observation,
    Reward,
    State,
    Step,
    Stored,
    Teleop,
    Weights,
)
from medal_ros.nodes.backlog import take_backlog
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, LATCHED, RAW, STREAM, TELEOP
from medal_ros.nodes.run import run, say
from medal_ros.options import OptionError, option

OBSERVATION = 'observation'  # the one with images
# Public topics, and what whoever publishes them offers.
TOPICS: dict[str, tuple[type, QoSProfile]] = {
    'robot_state': (ArmState, STREAM),
    OBSERVATION: (Observation, HISTORY),
    'joint_states': (JointState, RAW),
    'state': (State, HISTORY),
    'action': (Action, STREAM),
    'step': (Step, HISTORY),
    'stored': (Stored, HISTORY),
    'weights/policy': (Weights, HISTORY),
    'weights/classifier': (Weights, HISTORY),
    'weights/checkpoint': (Weights, HISTORY),
    'reward': (Reward, STREAM),
    'learner': (Learner, LATCHED),
    'evaluation': (Evaluation, HISTORY),
    'teleop': (Teleop, TELEOP),
    'label': (Label, HISTORY),
    'examination': (String, LATCHED),
    'arm/help': (String, LATCHED),
    'sensors/help': (String, LATCHED),
    '/diagnostics': (DiagnosticArray, STREAM),
}
ROOM = 1000  # messages of a topic that may wait while this process does not get to run
REST = 5.0  # seconds, at most, to write what waits at the end
DURATIONS = ('deadline', 'lifespan', 'liveliness_lease_duration')


@dataclass(frozen=True)
class RecorderConfig(RecordConfig):
    """Parameters of recorder."""

    folder: str = option('', 'of the bag; must not exist')


class Recorder(Node):
    """Subscribes to every public topic as its publisher offers it."""

    def __init__(self) -> None:
        super().__init__('recorder', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, RecorderConfig)
        if not c.folder:
            raise OptionError('recorder: parameter folder must say where the bag goes')
        os.nice(5)  # the control loop goes first
        self.complaint, self.observations = '', 0
        wanted = {k: v for k, v in TOPICS.items() if k != OBSERVATION or c.images_every}
        names = {name: self.resolve_topic_name(name) for name in wanted}
        topics = [topic_of(names[name], *offered) for name, offered in wanted.items()]
        self.bag = Bag(Path(c.folder), topics, c)
        for name, (kind, qos) in wanted.items():
            take = self.take_observation if name == OBSERVATION else self.take
            self.create_subscription(
                kind,
                name,
                lambda data, info, take=take, name=names[name]: take(name, data, info),
                patient(qos),
                raw=True,
            )
        self.create_timer(1.0, self.tend)
        self.diagnostics = Diagnostics(self, self.describe)

    def take_observation(self, name: str, data: bytes, info: dict[str, Any]) -> None:
        self.observations += 1
        if (self.observations - 1) % self.config.images_every == 0:
            self.take(name, data, info)

    def take(self, name: str, data: bytes, info: dict[str, Any]) -> None:
        if self.complaint:
            return
        received = info['received_timestamp'] or time.time_ns()
        try:
            self.bag.write(name, data, received, info['source_timestamp'] or received)
        except OSError as error:
            self.end(f'nothing is recorded any more: {error.strerror}')

    def tend(self) -> None:
        """Once a second: what was written outlives this process, and the disk keeps some room."""
        if self.complaint:
            return
        try:
            self.bag.flush()
            crowded = self.bag.crowded()
        except OSError as error:
            self.end(f'nothing is recorded any more: {error.strerror}')
            return
        if crowded:
            self.end(
                f'nothing is recorded any more: less than {self.config.spare_gib:g} GiB of the '
                'disk are free'
            )

    def end(self, complaint: str) -> None:
        """Record no more; the graph goes on."""
        self.complaint = complaint
        self.get_logger().error(complaint)
        self.save()

    def save(self) -> None:
        try:
            self.bag.close()
        except OSError as error:
            say(f'the end of {self.bag.folder} was not written: {error.strerror}')

    def describe(self) -> tuple[str, dict[str, object]]:
        about = {'messages': self.bag.written, 'MB': self.bag.size() / 1e6, 'files': self.bag.files}
        return self.complaint, {**about, 'folder': self.bag.folder}

    def close(self) -> None:
        """Take what has arrived meanwhile, and make the bag whole."""
        try:
            take_backlog(self, REST)
        finally:
            self.save()


def topic_of(name: str, kind: type, qos: QoSProfile) -> Topic:
    """Return what a bag says of a topic."""
    offered = yaml.safe_dump([as_rosbag2(qos)], sort_keys=False)
    return Topic(name, name_of(kind), definition(kind), type_hash(kind), offered)


def patient(qos: QoSProfile) -> QoSProfile:
    """Return a profile that matches what is offered, with room for what comes at once."""
    return QoSProfile(
        depth=max(qos.depth, ROOM),
        reliability=qos.reliability,
        durability=qos.durability,
    )


def as_rosbag2(qos: QoSProfile) -> dict[str, Any]:
    """Return a profile in the words of rosbag2's metadata."""
    seconds, rest = divmod(Infinite.nanoseconds, 10**9)
    return {
        'history': qos.history.name.lower(),
        'depth': qos.depth,
        'reliability': qos.reliability.name.lower(),
        'durability': qos.durability.name.lower(),
        'liveliness': 'automatic',
        **{name: {'sec': seconds, 'nsec': rest} for name in DURATIONS},
        'avoid_ros_namespace_conventions': False,
    }


def main() -> None:
    run(Recorder)


if __name__ == '__main__':
    main()
