"""Practise a task alone: ros2 launch medal_ros train.launch.py task:=tabletop_quick seed:=1.

With robot:=franka on a real arm, behind its drivers (docs/hardware.md).
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import LogInfo, OpaqueFunction

from medal_ros.bringup import configure_from_texts, default_name, training
from medal_ros.hardware import PRESET, for_practice, load_laboratory, practice
from medal_ros.launching import choice, console, declare, scratch, start, values
from medal_ros.launching_franka import beside
from medal_ros.launching_rviz import stand_in
from medal_ros.preparing import prepare
from medal_ros.resuming import hold_for_good, reopen_from_texts
from medal_ros.train import alone

ARGUMENTS = (
    'task', 'preset', 'seed', 'steps', 'set', 'name', 'runs', 'robot', 'laboratory', 'drivers',
    'rviz', 'record', 'console', 'resume', 'namespace', 'network',
)  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=bring_up)])


def bring_up(context: LaunchContext) -> list[Action]:
    given = values(context, ARGUMENTS)
    franka = choice(given, 'robot', ('sim', 'franka')) == 'franka'
    resumed = bool(given['resume'])
    if resumed:
        config, folder = reopen_from_texts(given)
    else:
        config = configure_from_texts(given, PRESET if franka else None)
    if franka:
        laboratory = load_laboratory(given['laboratory'])
        config = for_practice(config, laboratory)
        others = beside(given, laboratory, scratch())
    else:
        others = stand_in(given, config.task, scratch())
    with alone(given['namespace']):
        if not resumed:
            folder = prepare(config, Path(given['runs']), given['name'] or default_name(config))
    hold_for_good(folder)
    if franka:
        specs = practice(config, folder, laboratory, resumed)
    else:
        specs = training(config, folder, resumed)
    others = [*others, *console(given, folder.path)]
    nodes = start(specs, folder.path, given['namespace'], most=config.graph.restarts)
    return [*others, *nodes, LogInfo(msg=f'the run is kept in {folder.path}')]
