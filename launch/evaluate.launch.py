"""Measure a run's policies on new starts: ros2 launch medal_ros evaluate.launch.py run:=runs/x."""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import OpaqueFunction

from medal_ros.bringup import evaluation
from medal_ros.launching import declare, scratch, start, values, whole_number
from medal_ros.train import alone

ARGUMENTS = ('run', 'checkpoint', 'episodes', 'policy', 'starts', 'namespace')


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=bring_up)])


def bring_up(context: LaunchContext) -> list[Action]:
    given = values(context, ARGUMENTS)
    episodes = whole_number(given, 'episodes')
    asked = given['starts'], given['policy']
    specs = evaluation(Path(given['run']), given['checkpoint'], episodes, *asked)
    with alone(given['namespace']):
        return start(specs, scratch(), given['namespace'])
