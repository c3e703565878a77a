"""Which of our nodes work on a Franka, with which parameters: `bringup` for a real robot.

What differs from one laboratory to the next stands in one YAML file, the laboratory
(`config/franka/laboratory.yaml` is an example with every key):

    drivers: robot_ip, serial numbers, ports: what the launch file gives to the drivers
    arm: parameters of franka_arm
    cameras: the topic of each camera of the task, by its name
    camera_sync: parameters of camera_sync
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medal_ros.bringup import (
    NodeSpec,
    control_loop,
    examined,
    examiner,
    keeping,
    learning,
    supervision,
)
from medal_ros.config import RunConfig, read_yaml
from medal_ros.exam.plan import Plan
from medal_ros.options import OptionError, build, flatten, option
from medal_ros.resources import share
from medal_ros.robot.cameras import CameraSyncConfig
from medal_ros.robot.franka_config import check
from medal_ros.robot.franka_control import FrankaArmConfig
from medal_ros.run_folder import RunFolder
from medal_ros.sim import spaces_of
from medal_ros.spaces import Spaces

TOPIC = re.compile(r'/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*')
PRESET = 'franka'  # where none is named
# Parameters of franka_arm that follow from the run.
OURS = ('action', 'arm_reset_pose', 'rate', 'loop.priority', 'loop.cores', 'folder', 'resume')


@dataclass(frozen=True)
class DriversConfig:
    """What the drivers of arm, gripper and cameras are told."""

    robot_ip: str = option('172.16.0.2', "address of the robot's control unit")
    fake_hardware: bool = option(False, 'arm and gripper of ros2_control that only pretend')
    gripper: str = option(
        'robotiq', 'which gripper is mounted', choices=('robotiq', 'franka_hand', 'none')
    )
    gripper_port: str = option('/dev/ttyUSB0', 'serial port of a Robotiq gripper')
    mount_height: float = option(
        0.011, 'from the flange to the Robotiq gripper, its coupling, m', low=0, high=0.2
    )
    mount_turn: float = option(
        0.785398, 'of a Robotiq gripper about the flange; at 0.785398 it opens along y at home, rad'
    )
    tool_height: float = option(
        0.155, 'from the flange (Robotiq) to the point between the fingertips, m', low=0, high=0.5
    )
    wrist_serial: str = option('', 'serial number of the wrist camera; empty: it is not started')
    third_serial: str = option('', 'serial number of the fixed camera; empty: it is not started')
    camera_profile: str = option('640x480x30', 'of both cameras: width x height x rate')


@dataclass(frozen=True)
class Laboratory:
    """One robot and what stands around it.

    Attributes:
        drivers: For the launch file.
        arm: For franka_arm.
        cameras: Topics of the cameras, by their names.
        sync: For camera_sync: dotted keys and values.
    """

    drivers: DriversConfig = field(default_factory=DriversConfig)
    arm: FrankaArmConfig = field(default_factory=FrankaArmConfig)
    cameras: dict[str, str] = field(default_factory=dict)
    sync: dict[str, Any] = field(default_factory=dict)


def load_laboratory(path: Path | str = '') -> Laboratory:
    """Read a laboratory file; an empty path means the example.

    Raises:
        OptionError: It cannot be read, or holds an unknown key or a value that is not allowed.
    """
    path = Path(path) if path else share('config', 'franka', 'laboratory.yaml')
    parts: dict[str, dict[str, Any]] = {n: {} for n in ('drivers', 'arm', 'cameras', 'camera_sync')}
    for key, value in read_yaml(path).items():
        part, _, rest = key.partition('.')
        if part not in parts or not rest:
            raise OptionError(f'{path} has no part {key!r}; there are {", ".join(parts)}')
        parts[part][rest] = value
    for name, topic in parts['cameras'].items():
        if not isinstance(topic, str) or not TOPIC.fullmatch(topic):
            raise OptionError(f'{path}: cameras.{name} must be a topic, not {topic!r}')
    for key in OURS:
        if key in parts['arm']:
            raise OptionError(f'{path}: arm.{key} follows from the run: leave it out')
    arm = build(FrankaArmConfig, parts['arm'], f'{path}: key arm.')
    check(arm)
    build(CameraSyncConfig, parts['camera_sync'], f'{path}: key camera_sync.')
    drivers = build(DriversConfig, parts['drivers'], f'{path}: key drivers.')
    return Laboratory(drivers, arm, parts['cameras'], parts['camera_sync'])


def for_hardware(config: RunConfig) -> RunConfig:
    """Return a run's configuration as it is on a robot: by the clock, and with no truth to see.

    Raises:
        OptionError: Something that it asks for exists in the stand-in only.
    """
    if config.ask_for_help.privileged:
        raise OptionError('ask_for_help.privileged is for the stand-in: no robot knows the truth')
    if config.repeat != 1:
        raise OptionError('repeat is for the stand-in: a robot executes each action once')
    rate = config.graph.rate or FrankaArmConfig().rate
    return dataclasses.replace(config, graph=dataclasses.replace(config.graph, rate=rate))


def world(
    config: RunConfig, laboratory: Laboratory, kept: Mapping[str, Any] | None = None
) -> list[NodeSpec]:
    """Return the nodes between a Franka and what learns: arm, pad, camera_sync, supervisor.

    `kept` says where the run is kept, and whether it goes on (`bringup.keeping`).

    Raises:
        OptionError: The task is not one for an arm, or a camera of it has no topic.
    """
    config = for_hardware(config)
    spaces = spaces_of(config.task, config.pixels)
    if spaces.action not in (4, 5) or spaces.proprio != spaces.action:
        raise OptionError(
            f'task {config.task} is not for a Franka: its actions must be 4 or 5 numbers and its '
            'proprioception as many'
        )
    arm = dataclasses.replace(
        laboratory.arm,
        action=spaces.action,
        rate=config.graph.rate,
        arm_reset_pose=config.arm_reset.pose,
        loop=config.graph.loop,
    )
    check(arm)
    return [
        NodeSpec('franka_arm', {**flatten(arm), **(kept or {})}),
        NodeSpec('teleop_joy', {'action': spaces.action}),
        camera_sync(spaces, laboratory, {**control_loop(config), **(kept or {})}),
        supervision(config, kept),
    ]


def camera_sync(
    spaces: Spaces, laboratory: Laboratory, kept: Mapping[str, Any] | None = None
) -> NodeSpec:
    """Return camera_sync behind the cameras' drivers.

    `kept` says where it keeps how the run began, and what else it is told.

    Raises:
        OptionError: A camera of the task has no topic.
    """
    for name in spaces.cameras:
        if name not in laboratory.cameras:
            there = ', '.join(laboratory.cameras) or 'none'
            raise OptionError(f'the laboratory has no topic for camera {name!r}: {there}')
    names = {f'camera/{name}/image_raw': laboratory.cameras[name] for name in spaces.cameras}
    shape = {'cameras': list(spaces.cameras), 'height': spaces.height, 'width': spaces.width}
    watched = {'clocked': True, **(kept or {})}
    return NodeSpec('camera_sync', {**watched, **laboratory.sync, **shape}, names)


def practice(
    config: RunConfig, folder: RunFolder, laboratory: Laboratory, resume: bool = False
) -> list[NodeSpec]:
    """Return all nodes of a run on a Franka. No evaluator: it would drive the stand-in.

    Raises:
        OptionError: As `world`.
    """
    nodes = world(config, laboratory, keeping(folder, resume))
    return [*nodes, *learning(for_hardware(config), folder, resume)]


def for_practice(config: RunConfig, laboratory: Laboratory) -> RunConfig:
    """Return the configuration of a run on a Franka, checked before anything is started.

    Raises:
        OptionError: As `world`; or no demonstrations that were recorded on the robot are named.
    """
    if not config.demonstrations.folder:
        raise OptionError(
            'robot:=franka needs demonstrations that were recorded on it: '
            'set:=demonstrations.folder=FOLDER'
        )
    world(config, laboratory)
    return for_hardware(config)


def examination(plan: Plan, folder: Path, laboratory: Laboratory) -> list[NodeSpec]:
    """Return the nodes that put policies to the test on a Franka; a person places and judges.

    Raises:
        OptionError: As `world`; or the stand-in's truth is to judge, which no robot knows.
    """
    if plan.judge != 'person':
        raise OptionError('on a robot a person judges: judge must be person')
    return [*world(examined(plan), laboratory), examiner(folder, stand_in=False, films=True)]
