"""Which nodes a system is made of, with which parameters: described once.

`medal` starts these as processes; `launch/*.launch.py` turn them into launch_ros actions.
"""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from medal_ros.config import (
    NodeConfig,
    RunConfig,
    load_config,
    make_config,
    presets,
    save_config,
)
from medal_ros.evaluation import best_steps, check_sets, choose, open_run
from medal_ros.learning.classifier import Classifier
from medal_ros.learning.demonstrations import load_demonstrations, save_demonstration
from medal_ros.learning.device import choose_device
from medal_ros.learning.policy import Policy
from medal_ros.options import OptionError, flatten, nest, parse_assignment
from medal_ros.robot.supervisor import SupervisorConfig
from medal_ros.run_folder import RunFolder
from medal_ros.sim import make, spaces_of, task_class
from medal_ros.sim.demonstrations import record
from medal_ros.sim.task import TaskEnv
from medal_ros.spaces import AGENTS, Spaces

# Launch arguments: name, default, description. An empty default leaves the preset's value.
ARGUMENTS = {
    'task': ('', 'what is practised; empty: the preset says'),
    'preset': (
        '',
        "where other values come from; empty: franka on a robot, else the task's own",
    ),
    'seed': ('', 'seeds everything that is drawn'),
    'steps': ('', 'policy steps of the run'),
    'rate': ('', 'control steps per second; 0: lockstep, as fast as it goes'),
    'set': ('', 'other keys, separated by spaces: key=value key=value'),
    'name': ('', 'name of the run; empty: made from task, seed and time'),
    'runs': ('runs', 'where runs are kept'),
    'folder': ('', 'where demonstrations go; empty: demonstrations/TASK'),
    'count': ('10', 'demonstrations of each direction'),
    'teleop': ('joy', 'what drives: joy, a pad; none, whoever publishes teleop'),
    'robot': ('sim', 'whose arm: sim, the stand-in, or franka'),
    'laboratory': ('', 'YAML file about the Franka and its cameras; empty: the example'),
    'drivers': ('true', 'whether to start the drivers of arm, gripper, cameras and joystick'),
    'rviz': ('false', 'whether to show it all in RViz'),
    'run': ('', 'folder of the run to evaluate'),
    'checkpoint': ('last', 'last, best, all, or a number of steps'),
    'episodes': ('100', 'episodes of an evaluation'),
    'policy': ('', 'forward, backward or cloning, the baseline; empty: the first two'),
    'starts': ('', "start sets to measure on, as id,ood; empty: the task's first"),
    'namespace': ('medal', 'ROS namespace of all nodes'),
}


@dataclass(frozen=True)
class NodeSpec:
    """One node: the executable `name` of this package, its parameters, and topics renamed."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    remappings: dict[str, str] = field(default_factory=dict)

    def parameters_file(self, folder: Path) -> Path:
        """Write the parameters as a ROS parameter file and return its path."""
        # rcl cannot tell the type of an empty list; it means the node's own default.
        values = {k: v for k, v in self.parameters.items() if v != []}
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f'{self.name}.yaml'
        path.write_text(yaml.safe_dump({'/**': {'ros__parameters': nest(values)}}))
        return path


def world(config: RunConfig, spaces: Spaces) -> list[NodeSpec]:
    """Return the stand-in's nodes: the arm, its cameras' synchroniser, the supervisor."""
    privileged = config.ask_for_help.privileged
    arm = {
        'task': config.task,
        'seed': config.seed,
        'pixels': config.pixels,
        'repeat': config.repeat,
        'rate': config.graph.rate,
        'arm_reset_pose': config.arm_reset.pose,
        'publish_truth': privileged,
    }
    sync = {'cameras': list(spaces.cameras), 'height': spaces.height, 'width': spaces.width}
    supervisor, c = supervision(config), config.ask_for_help
    if privileged and not (c.workspace_low or c.workspace_high):
        low, high = task_class(config.task).workspace()
        supervisor.parameters['ask_for_help.workspace_low'] = low
        supervisor.parameters['ask_for_help.workspace_high'] = high
    return [
        NodeSpec('sim_arm', arm),
        NodeSpec('camera_sync', sync),
        supervisor,
        NodeSpec('operator'),
    ]


def supervision(config: RunConfig) -> NodeSpec:
    """Return the supervisor, whatever the world is."""
    names = {f.name for f in dataclasses.fields(SupervisorConfig)}
    directed = {k: v for k, v in flatten(config).items() if k.split('.')[0] in names}
    return NodeSpec('supervisor', directed)


def training(config: RunConfig, folder: RunFolder) -> list[NodeSpec]:
    """Return the nodes of a whole training run in the stand-in."""
    nodes = world(config, spaces_of(config.task, config.pixels))
    return [*nodes, *learning(config, folder), NodeSpec('evaluator', told(config, folder))]


def learning(config: RunConfig, folder: RunFolder) -> list[NodeSpec]:
    """Return the nodes that act and learn, whatever the world is."""
    names = ('policy_server', 'reward', 'trainer')
    return [NodeSpec(name, told(config, folder)) for name in names]


def told(config: RunConfig, folder: RunFolder) -> dict[str, Any]:
    """Return the parameters of every learning node."""
    return flatten(node_config(config, folder))


def evaluation(
    run: Path, checkpoint: str, episodes: int, starts: str = '', policy: str = ''
) -> list[NodeSpec]:
    """Return the node that measures a finished run.

    `starts` names start sets of the task, separated by commas; empty: its first. `policy` is
    forward, backward or cloning, the baseline; empty: the first two.

    Raises:
        OptionError: The folder is not a run's, it holds no such checkpoint, or its task has no
            such start set.
    """
    config, folder = open_run(run)
    if episodes < 1:
        raise OptionError(f'episodes must be at least 1, not {episodes}')
    best = best_steps(folder)
    choose(folder, checkpoint, best, policy)
    parameters = {
        **flatten(node_config(config, folder)),
        'evaluation.final_episodes': episodes,
        'checkpoint': checkpoint,
        'best_steps': -1 if best is None else best,
        'starts': check_sets(config.task, starts.split(',') if starts else ()),
        'policy': policy,
    }
    return [NodeSpec('evaluator', parameters)]


def node_config(config: RunConfig, folder: RunFolder) -> NodeConfig:
    """Return what a learning node is told: the run, its folder, its spaces."""
    return NodeConfig(
        **{f.name: getattr(config, f.name) for f in dataclasses.fields(config)},
        folder=str(folder.path.resolve()),
        spaces=spaces_of(config.task, config.pixels),
    )


def simulation(config: RunConfig) -> list[NodeSpec]:
    """Return the stand-in alone, without anything that learns."""
    return world(config, spaces_of(config.task, config.pixels))


def prepare(config: RunConfig, runs: Path, name: str, say: Any = print) -> RunFolder:
    """Make a run's folder: its configuration and its demonstrations.

    Raises:
        OptionError: The name is taken, or cannot be a folder's.
        UserError: The demonstrations cannot be used, or the networks cannot be made.
    """
    if not name or name != Path(name).name or name.startswith('.'):
        raise OptionError(f'{name!r} cannot be the name of a run: use letters, digits, - and _')
    folder = RunFolder(runs / name)
    if folder.path.exists():
        raise OptionError(f'there is already a run {folder.path}: choose another name')
    choose_device(config.graph.device)
    for agent in AGENTS:
        if getattr(config, agent).agent.encoder.form == 'vae':
            raise OptionError(
                f'{agent}.agent.encoder.form vae is for medal bench: no node trains an autoencoder'
            )
    spaces = spaces_of(config.task, config.pixels)
    least = max(getattr(config, a).classifier.goal_states for a in AGENTS)
    for name in AGENTS:
        Policy(getattr(config, name).agent, spaces)
        Classifier(getattr(config, name).classifier, spaces, name)
    given = config.demonstrations.folder
    if given:
        load_demonstrations(Path(given), config.task, spaces, least)
    folder.path.mkdir(parents=True)
    try:
        save_config(config, folder.config)
        if given:
            copy_demonstrations(Path(given), folder.demonstrations)
        else:
            d = config.demonstrations
            counts = demonstration_counts(config.task, d.count, d.times)
            wanted = ' and '.join(f'{count} {direction}' for direction, count in counts.items())
            say(f'recording {wanted} demonstrations of {config.task}')
            environment = make(config.task, None, config.pixels, config.repeat)
            record_demonstrations(
                environment, config.task, counts, config.seed, folder.demonstrations
            )
        load_demonstrations(folder.demonstrations, config.task, spaces, least)
    except BaseException:  # Ctrl-C too: what never began leaves nothing behind
        shutil.rmtree(folder.path)
        raise
    return folder


def copy_demonstrations(source: Path, target: Path) -> None:
    """Copy the demonstrations of a folder, and nothing else that lies there."""
    target.mkdir()
    for path in source.glob('*.safetensors'):
        shutil.copy(path, target)


def demonstration_counts(task: str, count: int, times: int = 1) -> dict[str, int]:
    """Return how many of each direction are recorded: `count`, or the task's own several times."""
    own = task_class(task).demonstration_counts
    return {name: count or times * own[name] for name in AGENTS}


def record_demonstrations(
    environment: TaskEnv, task: str, counts: Mapping[str, int], seed: int, folder: Path
) -> list[Path]:
    """Record demonstrations by the task's scripted expert and return their files."""
    try:
        demonstrations = record(environment, task, counts, seed)
    finally:
        environment.close()
    numbers = {name: itertools.count() for name in AGENTS}
    return [save_demonstration(d, folder, next(numbers[d.direction])) for d in demonstrations]


def configure(
    task: str | None = None,
    preset: str | None = None,
    seed: int | None = None,
    steps: int | None = None,
    changes: Mapping[str, Any] | None = None,
    file: Path | None = None,
) -> RunConfig:
    """Return the configuration of a run; what is None keeps the value of the preset or the file.

    Raises:
        UserError: An unknown task, preset or key, a value that is not allowed, a file that
            cannot be read, or both a preset and a file.
    """
    if file and preset:
        raise OptionError(f'{file} names its own preset: leave out --preset')
    given = {'task': task, 'seed': seed, 'steps': steps}
    values = {**(changes or {}), **{k: v for k, v in given.items() if v is not None}}
    config = load_config(file, values) if file else make_config(preset or preset_of(task), values)
    task_class(config.task)  # raises where there is none
    return config


def preset_of(task: str | None) -> str:
    """Return the preset to use where none is named: the one of the task's name, if there is one."""
    return task if task in presets() else 'quickstart'


def configure_from_texts(given: Mapping[str, str], otherwise: str | None = None) -> RunConfig:
    """Return the configuration that launch arguments ask for; each value is read as YAML.

    Args:
        given: The arguments.
        otherwise: The preset where none is named; None: the task's own, or quickstart.

    Raises:
        OptionError: An unknown task, preset or key, or a value that is not allowed.
    """
    changes = dict(parse_assignment(text) for text in given.get('set', '').split())
    for name, key in (('seed', 'seed'), ('steps', 'steps'), ('rate', 'graph.rate')):
        if given.get(name):
            changes[key] = parse_assignment(f'{key}={given[name]}')[1]
    preset = given.get('preset') or otherwise
    return configure(given.get('task') or None, preset, changes=changes)


def default_name(config: RunConfig) -> str:
    """Return a name for a run that tells what and when."""
    return f'{config.task}-{config.seed}-{datetime.now():%Y%m%d-%H%M%S}'
