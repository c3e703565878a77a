"""Launch actions for people who look: RViz, and the stand-in's arm in it. For launch files only.

robot_state_publisher, rviz2 and xacro need not be installed unless `rviz:=true` asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from launch.action import Action
from launch.substitutions import Command, FindExecutable
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from medal_ros.bringup import VIEW
from medal_ros.launching import need, start, truth
from medal_ros.resources import rviz_configuration, share
from medal_ros.sim import task_class

DESCRIPTION = '/robot_description'
# Topics of ours that the file of RViz shows, as it names them: in the namespace medal.
SHOWN = (
    '/medal/camera/wrist/image_raw', '/medal/camera/third/image_raw', '/medal/view/observation',
    '/medal/view/status',
)  # fmt: skip


def stand_in(given: Mapping[str, str], task: str, folder: Path) -> list[Action]:
    """Return what the launch argument `rviz` asks for beside the stand-in.

    Args:
        given: The arguments.
        task: Says whether there is an arm to show.
        folder: Where parameter files go.

    Raises:
        OptionError: The argument is neither true nor false.
        MissingPackage: What it asks for is not installed.
    """
    if not truth(given, 'rviz'):
        return []
    namespace = given['namespace']
    if task_class(task).joint_names:
        need('rviz:=true', ['robot_state_publisher'], ['xacro'])
    actions = rviz(namespace, folder, {DESCRIPTION: f'/{namespace}{DESCRIPTION}'})
    if task_class(task).joint_names:
        described = {'robot_description': xacro('medal.urdf.xacro', {'robot': 'sim'})}
        actions.append(
            Node(
                package='robot_state_publisher',
                executable='robot_state_publisher',
                namespace=namespace,
                parameters=[described],
                output='screen',
            )
        )
    return actions


def rviz(namespace: str, folder: Path, topics: Mapping[str, str]) -> list[Action]:
    """Return RViz with the robot, both cameras and what is learned, and the node that draws that.

    Args:
        namespace: Of our nodes.
        folder: Where parameter files go.
        topics: Where something that the file of RViz shows is really found.

    Raises:
        MissingPackage: RViz is not installed.
    """
    need('rviz:=true', ['rviz2'])
    found = {name: name.replace('/medal/', f'/{namespace}/', 1) for name in SHOWN}
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / 'medal.rviz'
    configuration.write_text(rviz_configuration(namespace))
    node = Node(
        package='rviz2',
        executable='rviz2',
        arguments=['-d', str(configuration)],
        remappings=list({**found, **topics}.items()),
        output='log',
    )
    return [node, *start([VIEW], folder, namespace)]


def xacro(name: str, given: Mapping[str, Any]) -> ParameterValue:
    """Return one of our descriptions with these arguments."""
    words: list[Any] = [FindExecutable(name='xacro'), ' ', str(share('urdf', name))]
    for key, value in given.items():
        words += [' ', f'{key}:={value}']
    return ParameterValue(Command(words), value_type=str)
