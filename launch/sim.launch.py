"""The stand-in alone, without a learner: ros2 launch medal_ros sim.launch.py rate:=10."""

import tempfile
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import OpaqueFunction

from medal_ros.bringup import configure_from_texts, simulation
from medal_ros.launching import declare, start, values

ARGUMENTS = ('task', 'preset', 'seed', 'steps', 'rate', 'set', 'namespace')


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=bring_up)])


def bring_up(context: LaunchContext) -> list[Action]:
    given = values(context, ARGUMENTS)
    place = Path(tempfile.mkdtemp(prefix='medal_sim_'))
    return start(simulation(configure_from_texts(given)), place, given['namespace'])
