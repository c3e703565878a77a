"""The stand-in alone, without a learner: ros2 launch medal_ros sim.launch.py rate:=10."""

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import OpaqueFunction

from medal_ros.bringup import configure_from_texts, simulation
from medal_ros.launching import declare, scratch, start, values
from medal_ros.train import alone

ARGUMENTS = ('task', 'preset', 'seed', 'steps', 'rate', 'set', 'namespace')


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=bring_up)])


def bring_up(context: LaunchContext) -> list[Action]:
    given = values(context, ARGUMENTS)
    specs = simulation(configure_from_texts(given))
    with alone(given['namespace']):
        return start(specs, scratch(), given['namespace'])
