"""Practise a task alone: ros2 launch medal_ros train.launch.py task:=tabletop_quick seed:=1."""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import LogInfo, OpaqueFunction

from medal_ros.bringup import configure_from_texts, default_name, prepare, training
from medal_ros.launching import declare, start, values
from medal_ros.train import alone

ARGUMENTS = ('task', 'preset', 'seed', 'steps', 'set', 'name', 'runs', 'namespace')


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=bring_up)])


def bring_up(context: LaunchContext) -> list[Action]:
    given = values(context, ARGUMENTS)
    config = configure_from_texts(given)
    with alone(given['namespace']):
        folder = prepare(config, Path(given['runs']), given['name'] or default_name(config))
    nodes = start(training(config, folder), folder.path, given['namespace'])
    return [*nodes, LogInfo(msg=f'the run is kept in {folder.path}')]
