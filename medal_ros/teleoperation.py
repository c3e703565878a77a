"""`medal demos record --teleop`: a world, a recorder, and a person at the controls."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from std_msgs.msg import String

from medal_ros.bounded import plain
from medal_ros.bringup import NodeSpec, world
from medal_ros.config import RunConfig
from medal_ros.monitor import Monitor
from medal_ros.nodes.qos import LATCHED
from medal_ros.options import OptionError, flatten
from medal_ros.orphans import ENDS_WITH_PARENT
from medal_ros.processes import Processes, ProcessFailed, environment
from medal_ros.robot.recording import Recorder, RecordingConfig
from medal_ros.sim import spaces_of, task_class
from medal_ros.train import STOP_SECONDS, Interruption, alone

DEVICES = ('keyboard', 'joy', 'none')
RATE = 10.0  # steps per second of a person
# Nobody practises: the arm moves where a person drives it, and to a random pose in between.
KEYS = {
    'graph.rate': RATE,
    'steps': 0,
    'arm_reset.pose': 'random',
    'arm_reset.every_steps': 0,
    'ask_for_help.after_steps': 0,
}
GOODBYE = 5.0  # seconds that the keyboard may take to put the terminal back


def check(config: RunConfig, recording: RecordingConfig) -> None:
    """Refuse what cannot be recorded, before anything starts.

    Raises:
        UserError: The task shows goals, the clock stands still, or the folder cannot be used.
    """
    spaces = spaces_of(config.task, config.pixels)
    if 'goal' in spaces.cameras:
        raise OptionError(
            f'{config.task} shows an image of a goal that only its scripted expert is told: '
            'record it without --teleop'
        )
    if not config.graph.rate:
        raise OptionError('a person drives by the clock: graph.rate must be more than 0')
    Recorder(recording, spaces)


def stand_in(config: RunConfig) -> list[NodeSpec]:
    """Return the stand-in's nodes for a person, who answers for the world himself."""
    nodes = {spec.name: spec for spec in world(config, spaces_of(config.task, config.pixels))}
    del nodes['operator']
    nodes['sim_arm'].parameters['publish_snapshots'] = True
    return list(nodes.values())


def controls(config: RunConfig, recording: RecordingConfig, device: str) -> list[NodeSpec]:
    """Return what records, shows the cameras and listens to a pad, whatever the world is."""
    spaces = spaces_of(config.task, config.pixels)
    shapes = {f'spaces.{key}': value for key, value in flatten(spaces).items()}
    before = 'forward' if task_class(config.task).held_when_done else 'either'
    values = {**dataclasses.asdict(recording), **shapes, 'move_before': before}
    nodes = [
        NodeSpec('demo_recorder', values),
        NodeSpec('demo_view'),
    ]
    return [*nodes, pad(config)] if device == 'joy' else nodes


def pad(config: RunConfig) -> NodeSpec:
    return NodeSpec('teleop_joy', {'action': spaces_of(config.task).action})


def demonstrate(config: RunConfig, recording: RecordingConfig, device: str, namespace: str) -> int:
    """Record demonstrations in the stand-in until the person leaves; return the exit status.

    Raises:
        UserError: Something cannot be recorded so; nothing was started.
    """
    check(config, recording)
    if device == 'keyboard' and not sys.stdin.isatty():
        raise OptionError('--teleop keyboard needs a terminal; --teleop joy or none does not')
    with alone(namespace) as monitor, tempfile.TemporaryDirectory(prefix='medal_') as place:
        specs = [*stand_in(config), *controls(config, recording, device)]
        status = _run(specs, Path(place), monitor, config if device == 'keyboard' else None)
    recorder = Recorder(recording, spaces_of(config.task, config.pixels))
    print(f'{recorder.describe()} | in {recorder.folder}')
    return status


def _run(specs: list[NodeSpec], place: Path, monitor: Monitor, config: RunConfig | None) -> int:
    """Run the nodes, and the keyboard if a configuration is given, until one of them ends."""
    interrupted, keyboard = Interruption(), None
    processes = Processes(specs, place, monitor.namespace)
    try:
        if config is not None:
            keyboard = _keyboard(config, place, monitor.namespace)
        else:
            print('Ctrl-C ends it; what is saved stays.')
            monitor.node.create_subscription(String, 'demos', Printer(), LATCHED)
        while not interrupted and not processes.check():
            monitor.spin(0.2)
            if keyboard is not None and keyboard.poll() is not None:
                return keyboard.returncode
    except ProcessFailed as error:
        _end(keyboard)  # first: the terminal is its until then
        print(f'medal: {error}', file=sys.stderr)
        return 1
    finally:
        _end(keyboard)
        processes.stop(STOP_SECONDS)
    return 0


class Printer:
    """Prints each line once."""

    def __init__(self) -> None:
        self.line = ''

    def __call__(self, message: String) -> None:
        if (line := plain(message.data)) != self.line:
            self.line = line
            print(time.strftime('%H:%M:%S'), self.line, flush=True)


def _keyboard(config: RunConfig, place: Path, namespace: str) -> subprocess.Popen:
    """Start the keyboard node in this very terminal."""
    spec = NodeSpec('teleop_keyboard', {'action': spaces_of(config.task).action})
    command = [*ENDS_WITH_PARENT, sys.executable, '-m', 'medal_ros.nodes.start', spec.name]
    command += ['--ros-args', '-r', f'__ns:=/{namespace}']
    command += ['--enclave', f'/{namespace}/{spec.name}']
    command += ['--params-file', str(spec.parameters_file(place / 'parameters'))]
    return subprocess.Popen(command, env=environment())


def _end(keyboard: subprocess.Popen | None) -> None:
    if keyboard is None or keyboard.poll() is not None:
        return
    keyboard.terminate()
    try:
        keyboard.wait(GOODBYE)
    except subprocess.TimeoutExpired:
        keyboard.kill()
        keyboard.wait()
