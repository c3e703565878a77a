"""Which nodes a system is made of, with which parameters: described once.

`medal` starts these as processes; `launch/*.launch.py` turn them into launch_ros actions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from medal_ros.bags.record import RecordConfig, bag_name
from medal_ros.config import (
    NodeConfig,
    RunConfig,
    load_config,
    make_config,
    presets,
)
from medal_ros.exam.plan import Plan
from medal_ros.network import MEANING, NETWORKS
from medal_ros.options import OptionError, flatten, nest, parse_assignment
from medal_ros.robot.supervisor import SupervisorConfig
from medal_ros.run_folder import RunFolder
from medal_ros.sim import spaces_of, task_class
from medal_ros.spaces import Spaces

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
    'resume': ('', 'folder of a stopped run to go on with'),
    'record': ('false', "whether to record the graph's topics into a bag of rosbag2"),
    'console': ('false', 'whether to show and steer it in a browser, at http://127.0.0.1:8090/'),
    'run': ('', 'folder of the run to evaluate; several with commas'),
    'checkpoints': ('last', 'last, best, all, or a number of steps; several with commas'),
    'episodes': ('50', 'trials on each start set'),
    'policy': ('forward,backward', 'some of forward, backward and cloning, the baseline'),
    'starts': ('', "start sets to measure on, as id,ood; empty: the task's first"),
    'start_list': ('', 'YAML file of starts to use instead of drawn ones'),
    'judge': ('truth', "truth, the stand-in's own, or person"),
    'out': ('', 'folder of the evaluation; empty: RUN/evaluations/...'),
    'namespace': ('medal', 'ROS namespace of all nodes'),
    'network': (NETWORKS[0], MEANING),
}


@dataclass(frozen=True)
class NodeSpec:
    """One node: the executable `name` of this package, its parameters, and topics renamed.

    The others go on without one that is not `vital`.
    """

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    remappings: dict[str, str] = field(default_factory=dict)
    vital: bool = True

    def again(self) -> NodeSpec:
        """Return the node as it is started in the place of one that ended: it goes on."""
        if 'resume' not in self.parameters:
            return self
        return dataclasses.replace(self, parameters={**self.parameters, 'resume': True})

    def parameters_file(self, folder: Path) -> Path:
        """Write the parameters as a ROS parameter file and return its path."""
        # rcl cannot tell the type of an empty list; it means the node's own default.
        values = {k: v for k, v in self.parameters.items() if v != []}
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f'{self.name}.yaml'
        path.write_text(yaml.safe_dump({'/**': {'ros__parameters': nest(values)}}))
        return path


VIEW = NodeSpec('view')  # shows what is learned, in RViz


def world(
    config: RunConfig, spaces: Spaces, kept: Mapping[str, Any] | None = None
) -> list[NodeSpec]:
    """Return the stand-in's nodes: the arm, its cameras' synchroniser, the supervisor.

    `kept` says where those that have a state of their own keep it: see `keeping`.
    """
    kept = kept or {}
    privileged = config.ask_for_help.privileged
    arm = {
        'task': config.task,
        'seed': config.seed,
        'pixels': config.pixels,
        'repeat': config.repeat,
        'rate': config.graph.rate,
        'stale_after': config.graph.stale_after,
        'arm_reset_pose': config.arm_reset.pose,
        'publish_truth': privileged,
        **control_loop(config),
        **kept,
    }
    sync = {'cameras': list(spaces.cameras), 'height': spaces.height, 'width': spaces.width}
    if config.graph.rate > 0:
        sync |= {'clocked': True, **control_loop(config), **kept}
    supervisor, c = supervision(config, kept), config.ask_for_help
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


def supervision(config: RunConfig, kept: Mapping[str, Any] | None = None) -> NodeSpec:
    """Return the supervisor, whatever the world is."""
    names = {f.name for f in dataclasses.fields(SupervisorConfig)}
    directed = {k: v for k, v in flatten(config).items() if k.split('.')[0] in names}
    clocked = {'clocked': config.graph.rate > 0, **control_loop(config)}
    return NodeSpec('supervisor', {**directed, **clocked, **(kept or {})})


def control_loop(config: RunConfig) -> dict[str, Any]:
    """Return what every node of the control loop is told: which priority to take, by the clock."""
    return flatten(config.graph.loop, 'loop.')


def keeping(folder: RunFolder, resume: bool) -> dict[str, Any]:
    """Return what every node with a state is told: where it keeps it, and whether to go on."""
    return {'folder': str(folder.path.resolve()), 'resume': resume}


def training(config: RunConfig, folder: RunFolder, resume: bool = False) -> list[NodeSpec]:
    """Return the nodes of a whole training run in the stand-in, from its start or where it was."""
    nodes = world(config, spaces_of(config.task, config.pixels), keeping(folder, resume))
    evaluator = NodeSpec('evaluator', told(config, folder, resume))
    return [*nodes, *learning(config, folder, resume), evaluator]


def learning(config: RunConfig, folder: RunFolder, resume: bool = False) -> list[NodeSpec]:
    """Return the nodes that act and learn, whatever the world is."""
    names = ('policy_server', 'reward', 'trainer')
    nodes = [NodeSpec(name, told(config, folder, resume)) for name in names]
    return [*nodes, *recording(config, folder.recordings)]


def recording(config: RunConfig, folder: Path = Path('recordings')) -> list[NodeSpec]:
    """Return the node that records the others into a new bag of a folder, if that is asked for."""
    return [recorder(config.record, folder / bag_name())] if config.record.enabled else []


def recorder(config: RecordConfig, bag: Path) -> NodeSpec:
    """Return the node that records what the others say."""
    return NodeSpec('recorder', {**flatten(config), 'folder': str(bag.resolve())}, vital=False)


def told(config: RunConfig, folder: RunFolder, resume: bool = False) -> dict[str, Any]:
    """Return the parameters of every learning node."""
    return {**flatten(node_config(config, folder)), 'resume': resume}


def examination(plan: Plan, folder: Path, films: bool = True) -> list[NodeSpec]:
    """Return the nodes that put policies to the test in the stand-in."""
    config = examined(plan)
    nodes = {spec.name: spec for spec in world(config, spaces_of(plan.task, plan.pixels))}
    del nodes['operator']
    return [*nodes.values(), examiner(folder, True, films)]


def examined(plan: Plan) -> RunConfig:
    """Return a run whose segments are trials: a person is asked for the next start after each."""
    values = {
        'task': plan.task,
        'seed': plan.seed,
        'pixels': plan.pixels,
        'repeat': plan.repeat,
        'steps': 0,
        'segment_steps': plan.horizon,
        'alternate': False,
        'world_reset_every': 1,
        'arm_reset.every_steps': 0,
        'ask_for_help.after_steps': 0,
    }
    return make_config('paper', values)


def examiner(folder: Path, stand_in: bool, films: bool) -> NodeSpec:
    """Return the node that conducts an examination."""
    parameters = {'folder': str(folder.resolve()), 'stand_in': stand_in, 'films': films}
    return NodeSpec('examiner', parameters)


def node_config(config: RunConfig, folder: RunFolder) -> NodeConfig:
    """Return what a learning node is told: the run, its folder, its spaces."""
    return NodeConfig(
        **{f.name: getattr(config, f.name) for f in dataclasses.fields(config)},
        folder=str(folder.path.resolve()),
        spaces=spaces_of(config.task, config.pixels),
    )


def simulation(config: RunConfig) -> list[NodeSpec]:
    """Return the stand-in alone, without anything that learns."""
    return [*world(config, spaces_of(config.task, config.pixels)), *recording(config)]


def replay(run: Path, first: int, end: int, speed: float, loop: bool) -> list[NodeSpec]:
    """Return the nodes that show what a run stored once more, for people who look."""
    values = {'run': str(run.resolve()), 'first': first, 'end': end, 'speed': speed, 'loop': loop}
    return [NodeSpec('replayer', values), VIEW]


def console(runs: str) -> NodeSpec:
    """Return the browser console, which belongs to no system and may stand beside each."""
    return NodeSpec('console', {'runs': str(Path(runs).resolve())}, vital=False)


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
    changes = changes_from_texts(given)
    preset = given.get('preset') or otherwise
    return configure(given.get('task') or None, preset, changes=changes)


def changes_from_texts(given: Mapping[str, str]) -> dict[str, Any]:
    """Return the keys that launch arguments change, and to what.

    Raises:
        OptionError: A text is not of the form key=value.
    """
    changes = dict(parse_assignment(text) for text in given.get('set', '').split())
    for name, key in (('seed', 'seed'), ('steps', 'steps'), ('rate', 'graph.rate')):
        if given.get(name):
            changes[key] = parse_assignment(f'{key}={given[name]}')[1]
    if given.get('record', 'false') != 'false':
        changes['record.enabled'] = parse_assignment(f'record={given["record"]}')[1]
    return changes


def default_name(config: RunConfig) -> str:
    """Return a name for a run that tells what and when."""
    return f'{config.task}-{config.seed}-{datetime.now():%Y%m%d-%H%M%S}'
