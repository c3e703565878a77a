"""Turn the descriptions of `bringup` into launch actions. Imported by launch files only."""

from __future__ import annotations

import atexit
import difflib
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ament_index_python.packages import get_packages_with_prefixes
from launch import LaunchContext
from launch.action import Action
from launch.actions import DeclareLaunchArgument, Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from medal_ros import bringup
from medal_ros.bringup import ARGUMENTS, NodeSpec
from medal_ros.config import presets
from medal_ros.errors import UserError
from medal_ros.network import NETWORKS
from medal_ros.network import choose as choose_network
from medal_ros.options import OptionError
from medal_ros.orphans import ENDS_WITH_PARENT
from medal_ros.processes import MISTAKE, ProcessFailed, environment
from medal_ros.restarts import RestartLimits, Restarts, TooManyRestarts
from medal_ros.sim import TASKS
from medal_ros.train import STOP_SECONDS

REQUIRED = ('run',)
RESPAWN_DELAY = 1.0  # seconds
ONCE = ('franka_arm',)  # a person looks at a robot before its arm is started again
# What `ros2 launch` itself and every process of a launch file understand.
LAUNCH_OWN = ('launch-prefix', 'emulate_tty', 'sigterm_timeout', 'sigkill_timeout')


class MissingPackage(UserError):
    """A package that a launch argument asks for is not installed."""


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
    """Return what the launch arguments were set to, and obey `network`, which every file has.

    Raises:
        OptionError: The command line names an argument that the launch file does not have, or a
            network that does not exist.
    """
    refuse_unknown(context, names)
    given = {name: LaunchConfiguration(name).perform(context) for name in names}
    choose_network(choice(given, 'network', NETWORKS))
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


def truth(given: Mapping[str, str], name: str) -> bool:
    """Return a launch argument that must be true or false.

    Raises:
        OptionError: It is neither.
    """
    if given[name] not in ('true', 'false'):
        raise OptionError(f'{name} must be true or false, not {given[name]!r}')
    return given[name] == 'true'


def need(why: str, packages: Iterable[str] = (), commands: Iterable[str] = ()) -> None:
    """Refuse to start what other packages are needed for, unless they are installed.

    Args:
        why: The launch argument that asks for them.
        packages: Their names.
        commands: Programs that must be found.

    Raises:
        MissingPackage: One is not there.
    """
    there = get_packages_with_prefixes()
    missing = [name for name in packages if name not in there]
    missing += [name for name in commands if shutil.which(name) is None]
    if missing:
        raise MissingPackage(f'{why} needs what is not installed: {", ".join(missing)}')


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


def console(given: Mapping[str, str], folder: Path) -> list[Action]:
    """Return what the launch argument `console` asks for; the graph goes on without it.

    Raises:
        OptionError: It is neither true nor false.
    """
    if choice(given, 'console', ('true', 'false')) == 'false':
        return []
    spec = bringup.console(given.get('runs', ARGUMENTS['runs'][0]))
    return start([spec], folder, given['namespace'])


def start(specs: Iterable[NodeSpec], folder: Path, namespace: str, most: int = 0) -> list[Action]:
    """Return actions that start the nodes; the launch ends with the first vital one that ends.

    Args:
        specs: The nodes.
        folder: Where their parameter files go.
        namespace: ROS namespace of all of them.
        most: Restarts of each, within ten minutes, after which its end is the end after all. The
            evaluator's regular end is that too, and a robot's arm is never started again.
    """
    return [_node(spec, folder / 'parameters', namespace, most) for spec in specs]


def _node(spec: NodeSpec, folder: Path, namespace: str, most: int) -> Node:
    again = spec.vital and most > 0 and spec.name not in ONCE
    on_exit = Respawn(spec, folder, most) if again else end if spec.vital else None
    return Node(
        package='medal_ros',
        executable=spec.name,
        exec_name=spec.name,  # launch would call it by the prefix
        # However the launch ends, its nodes save and end: SIGTERM kills `ros2 launch` at once.
        prefix=[
            f'{" ".join(ENDS_WITH_PARENT)} ',
            LaunchConfiguration('launch-prefix', default=''),
        ],
        namespace=namespace,
        parameters=[str(spec.parameters_file(folder))],
        remappings=list(spec.remappings.items()),
        ros_arguments=['--enclave', f'/{namespace}/{spec.name}'],
        additional_env=environment(),
        output='screen',
        # Left to itself, launch kills a node that takes ten seconds to save a checkpoint.
        sigterm_timeout=LaunchConfiguration('sigterm_timeout', default=str(STOP_SECONDS)),
        respawn=again,
        respawn_delay=RESPAWN_DELAY,  # in which `on_exit` may end the launch instead
        on_exit=on_exit,
    )


class Respawn:
    """What happens when a node ends: launch starts it again, or the launch ends.

    Args:
        spec: The node.
        folder: Of its parameter file, which from then on says that it goes on.
        most: Restarts within ten minutes.
    """

    def __init__(self, spec: NodeSpec, folder: Path, most: int) -> None:
        self.spec, self.folder = spec, folder
        self.restarts = Restarts(RestartLimits(most=most))
        self.restarts.started(spec.name)

    def __call__(self, event: ProcessExited, context: LaunchContext) -> Action | None:
        """Let it be started again, as one that goes on.

        Raises:
            ProcessFailed: It ended by a person's mistake, or too often.
        """
        finished = event.returncode == 0 and self.spec.name == 'evaluator'
        if context.is_shutdown or finished or event.returncode == MISTAKE:
            return end(event, context)
        try:
            self.restarts.ended(self.spec.name)
        except TooManyRestarts as error:
            status = f'the node {event.process_name} ended with status {event.returncode}'
            raise ProcessFailed(f'{status}; {error}') from None
        self.spec.again().parameters_file(self.folder)
        self.restarts.started(self.spec.name)
        return None


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
