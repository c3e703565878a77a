"""Demonstrations by a person: ros2 launch medal_ros demos.launch.py task:=cube_grasp count:=10.

A pad drives (`teleop:=joy`, with the package joy), or, with teleop:=none, whoever publishes
`teleop`: the keyboard needs a terminal of its own,
ros2 run medal_ros teleop_keyboard --ros-args -r __ns:=/medal.
With robot:=franka on a real arm, behind its drivers (docs/hardware.md).
"""

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import OpaqueFunction

from medal_ros.bringup import configure_from_texts
from medal_ros.hardware import PRESET, load_laboratory, world
from medal_ros.launching import (
    choice,
    console,
    declare,
    scratch,
    start,
    truth,
    values,
    whole_number,
)
from medal_ros.launching_franka import beside, joystick
from medal_ros.launching_rviz import stand_in as shown
from medal_ros.options import build
from medal_ros.robot.recording import RecordingConfig
from medal_ros.teleoperation import KEYS, check, controls, stand_in
from medal_ros.train import alone

ARGUMENTS = (
    'task', 'preset', 'seed', 'rate', 'set', 'folder', 'count', 'teleop', 'robot', 'laboratory',
    'drivers', 'rviz', 'console', 'namespace', 'network',
)  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=bring_up)])


def bring_up(context: LaunchContext) -> list[Action]:
    given = values(context, ARGUMENTS)
    device = choice(given, 'teleop', ('joy', 'none'))
    franka = choice(given, 'robot', ('sim', 'franka')) == 'franka'
    keys = ' '.join(f'{key}={value}' for key, value in KEYS.items())
    asked = {**given, 'set': f'{keys} {given["set"]}'}
    config = configure_from_texts(asked, PRESET if franka else None)
    changes = {
        'task': config.task,
        'folder': given['folder'] or f'demonstrations/{config.task}',
        'count': whole_number(given, 'count'),
    }
    recording = build(RecordingConfig, changes, 'argument')
    check(config, recording)
    folder = scratch()
    if franka:  # whose nodes listen to a pad anyway
        laboratory = load_laboratory(given['laboratory'])
        specs = [*world(config, laboratory), *controls(config, recording, 'none')]
        others = beside(given, laboratory, folder)
    else:
        specs = [*stand_in(config), *controls(config, recording, device)]
        others = shown(given, config.task, folder)
        if truth(given, 'drivers') and device == 'joy':
            others.append(joystick(given['namespace']))
    with alone(given['namespace']):
        others = [*others, *console(given, folder)]
        return [*others, *start(specs, folder, given['namespace'])]
