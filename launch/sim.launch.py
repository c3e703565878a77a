"""The stand-in alone, without a learner: ros2 launch medal_ros sim.launch.py rate:=10."""

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import OpaqueFunction

from medal_ros.bringup import configure_from_texts, simulation
from medal_ros.launching import console, declare, scratch, start, values
from medal_ros.launching_rviz import stand_in
from medal_ros.train import alone

ARGUMENTS = (
    'task', 'preset', 'seed', 'steps', 'rate', 'set', 'record', 'rviz', 'console', 'namespace',
    'network',
)  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=bring_up)])


def bring_up(context: LaunchContext) -> list[Action]:
    given = values(context, ARGUMENTS)
    config, folder = configure_from_texts(given), scratch()
    others = [*stand_in(given, config.task, folder), *console(given, folder)]
    with alone(given['namespace']):
        nodes = start(simulation(config), folder, given['namespace'], most=config.graph.restarts)
        return [*others, *nodes]
