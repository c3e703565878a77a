"""Turn the descriptions of `bringup` into launch actions. Imported by launch files only."""

from __future__ import annotations

import atexit
import difflib
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from launch import LaunchContext
from launch.action import Action
from launch.actions import DeclareLaunchArgument, Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from medal_ros.bringup import ARGUMENTS, NodeSpec
from medal_ros.config import presets
from medal_ros.options import OptionError
from medal_ros.processes import ProcessFailed, environment
from medal_ros.sim import TASKS
from medal_ros.train import STOP_SECONDS

REQUIRED = ('run',)
# What `ros2 launch` itself and every process of a launch file understand.
LAUNCH_OWN = ('launch-prefix', 'emulate_tty', 'sigterm_timeout', 'sigkill_timeout')


def declare(names: Iterable[str]) -> list[Action]:
    """Return the declarations of launch arguments, with defaults and descriptions."""
    return [_declare(name, *ARGUMENTS[name]) for name in names]


def _declare(name: str, default: str, text: str) -> Action:
    there_are = {'task': TASKS, 'preset': presets()}.get(name)
    if there_are:
        text += f' ({", ".join(there_are)})'
    return DeclareLaunchArgument(
        name, default_value=None if name in REQUIRED else default, description=text
    )


def values(context: LaunchContext, names: Iterable[str]) -> Mapping[str, str]:
    """Return what the launch arguments were set to.

    Raises:
        OptionError: The command line names an argument that the launch file does not have.
    """
    refuse_unknown(context, names)
    given = {name: LaunchConfiguration(name).perform(context) for name in names}
    return {**given, 'namespace': given['namespace'].strip('/')}


def refuse_unknown(context: LaunchContext, names: Iterable[str]) -> None:
    """Refuse a mistyped argument, which launch would ignore and so train with the default.

    Only on the command line of this very launch file: a file that includes it may have
    arguments of its own.

    Raises:
        OptionError: There is such an argument.
    """
    this = Path(context.locals.current_launch_file_path).name
    if this not in {Path(word).name for word in sys.argv}:
        return
    names = tuple(names)
    for word in context.argv:
        name, assigned, _ = word.partition(':=')
        if assigned and name not in names + LAUNCH_OWN:
            close = difflib.get_close_matches(name, names, 1)
            hint = f'did you mean {close[0]!r}?' if close else f'there are {", ".join(names)}'
            raise OptionError(f'{this} has no argument {name!r}; {hint}')


def choice(given: Mapping[str, str], name: str, allowed: Iterable[str]) -> str:
    """Return a launch argument that must be one of a few words.

    Raises:
        OptionError: It is none of them.
    """
    if given[name] not in allowed:
        raise OptionError(f'{name} must be one of {", ".join(allowed)}, not {given[name]!r}')
    return given[name]


def whole_number(given: Mapping[str, str], name: str) -> int:
    """Return a launch argument that must be a whole number.

    Raises:
        OptionError: It is none.
    """
    try:
        return int(given[name])
    except ValueError:
        raise OptionError(f'{name} must be a whole number, not {given[name]!r}') from None


def scratch() -> Path:
    """Return a folder that is gone when the launch is over."""
    folder = Path(tempfile.mkdtemp(prefix='medal_'))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def start(specs: Iterable[NodeSpec], folder: Path, namespace: str) -> list[Action]:
    """Return actions that start the nodes; the launch ends with the first of them that ends.

    Args:
        specs: The nodes.
        folder: Where their parameter files go.
        namespace: ROS namespace of all of them.
    """
    return [
        Node(
            package='medal_ros',
            executable=spec.name,
            exec_name=spec.name,  # launch would call it by the prefix
            # However the launch ends, its nodes save and end: SIGTERM kills `ros2 launch` at once.
            prefix=[
                'setpriv --pdeathsig INT -- ',
                LaunchConfiguration('launch-prefix', default=''),
            ],
            namespace=namespace,
            parameters=[str(spec.parameters_file(folder / 'parameters'))],
            remappings=list(spec.remappings.items()),
            additional_env=environment(),
            output='screen',
            # Left to itself, launch kills a node that takes ten seconds to save a checkpoint.
            sigterm_timeout=LaunchConfiguration('sigterm_timeout', default=str(STOP_SECONDS)),
            on_exit=end,
        )
        for spec in specs
    ]


def end(event: ProcessExited, context: LaunchContext) -> Action | None:
    """End the launch with a node, and with a status other than 0 where that node failed.

    Raises:
        ProcessFailed: It failed; launch logs the sentence, stops the others and returns 1.
    """
    if context.is_shutdown:
        return None
    if event.returncode != 0:
        raise ProcessFailed(f'the node {event.process_name} ended with status {event.returncode}')
    return Shutdown(reason=f'{event.process_name} is done')
