"""A Franka without a learner, to try it: ros2 launch medal_ros franka.launch.py laboratory:=x."""

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import OpaqueFunction

from medal_ros.bringup import configure_from_texts, recording
from medal_ros.hardware import PRESET, load_laboratory, world
from medal_ros.launching import console, declare, scratch, start, values
from medal_ros.launching_franka import beside
from medal_ros.train import alone

ARGUMENTS = (
    'laboratory', 'drivers', 'rviz', 'record', 'console', 'task', 'preset', 'seed', 'steps', 'rate',
    'set', 'namespace', 'network',
)  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=bring_up)])


def bring_up(context: LaunchContext) -> list[Action]:
    given = values(context, ARGUMENTS)
    laboratory = load_laboratory(given['laboratory'])
    config = configure_from_texts(given, PRESET)
    specs = [*world(config, laboratory), *recording(config)]
    folder = scratch()
    with alone(given['namespace']):
        others = [*beside(given, laboratory, folder), *console(given, folder)]
        return [*others, *start(specs, folder, given['namespace'])]
