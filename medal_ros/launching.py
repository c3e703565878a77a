"""Turn the descriptions of `bringup` into launch actions. Imported by launch files only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.event_handlers import OnProcessExit
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext
from medal_ros.bringup import ARGUMENTS, NodeSpec
from medal_ros.processes import environment


def declare(names: Iterable[str]) -> list[Action]:
    """Return the declarations of launch arguments, with defaults and descriptions."""
    return [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
        if name in names
    ]


def values(context: LaunchContext, names: Iterable[str]) -> Mapping[str, str]:
    """Return what the launch arguments were set to."""
    return {name: LaunchConfiguration(name).perform(context) for name in names}


def start(
    specs: Iterable[NodeSpec], folder: Path, namespace: str, until: str | None = None
) -> list[Action]:
    """Return actions that start the nodes; the launch ends with the node named `until`."""
    actions: list[Action] = [
        SetEnvironmentVariable(name, value)
        for name, value in environment().items()
        if name.startswith(('ROS_AUTOMATIC', 'PYTHONUNBUFFERED'))
    ]
    for spec in specs:
        node = Node(
            package='medal_ros',
            executable=spec.name,
            namespace=namespace,
            parameters=[str(spec.parameters_file(folder / 'parameters'))],
            output='screen',
        )
        actions.append(node)
        if spec.name == until:
            ended = OnProcessExit(target_action=node, on_exit=[Shutdown(reason='the run is over')])
            actions.append(RegisterEventHandler(ended))
    return actions
