"""Practise a task alone: ros2 launch medal_ros train.launch.py task:=tabletop_quick seed:=1.

With robot:=franka on a real arm, behind its drivers (docs/hardware.md).
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import LogInfo, OpaqueFunction

from medal_ros.bringup import configure_from_texts, default_name, prepare, training
from medal_ros.hardware import PRESET, for_practice, load_laboratory, practice
from medal_ros.launching import choice, declare, start, values
from medal_ros.train import alone

ARGUMENTS = (
    'task', 'preset', 'seed', 'steps', 'set', 'name', 'runs', 'robot', 'laboratory', 'drivers',
    'rviz', 'namespace',
)  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=bring_up)])


def bring_up(context: LaunchContext) -> list[Action]:
    given = values(context, ARGUMENTS)
    franka = choice(given, 'robot', ('sim', 'franka')) == 'franka'
    config, others = configure_from_texts(given, PRESET if franka else None), []
    if franka:
        from medal_ros.launching_franka import beside  # nobody else needs it

        laboratory = load_laboratory(given['laboratory'])
        config = for_practice(config, laboratory)
    with alone(given['namespace']):
        folder = prepare(config, Path(given['runs']), given['name'] or default_name(config))
    if franka:
        specs = practice(config, folder, laboratory)
        others = beside(given, laboratory, folder.path)
    else:
        specs = training(config, folder)
    nodes = start(specs, folder.path, given['namespace'])
    return [*others, *nodes, LogInfo(msg=f'the run is kept in {folder.path}')]
