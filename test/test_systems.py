"""Every node, parameter and argument that bringup and the launch files name exists."""

import ast
import dataclasses
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest
import rclpy
import ros  # noqa: F401  a domain of its own
import yaml
from rclpy.node import Node

from medal_ros import bringup, cli, hardware
from medal_ros.bringup import ARGUMENTS, NodeSpec, configure, configure_from_texts
from medal_ros.config import presets, save_config
from medal_ros.exam.plan import make_plan
from medal_ros.nodes.parameters import declare
from medal_ros.options import build, flatten
from medal_ros.robot.recording import RecordingConfig
from medal_ros.run_folder import RunFolder
from medal_ros.sim import TASKS
from medal_ros.teleoperation import controls, stand_in

ROOT = Path(__file__).parent.parent
LAUNCH = {path.name: ast.parse(path.read_text()) for path in (ROOT / 'launch').glob('*.py')}
COMMANDS = {'train.launch.py': 'train', 'sim.launch.py': 'sim', 'evaluate.launch.py': 'evaluate'}
# Only `ros2 launch` can start the drivers of other packages; `medal demos` has words of its own.
LAUNCHED_ONLY = {'franka.launch.py', 'demos.launch.py'}
HARDWARE = {'robot', 'laboratory', 'drivers', 'rviz', 'console'}  # other commands, or none
BY_HAND = {'teleop_keyboard'}  # in the terminal of whoever drives
AS_THEY_ARE = {'demo_view', 'console'}  # nothing of a run concerns them
# Dotted keys of every kind, and a value of every type, that are not what a node has by itself.
CHANGES = {
    'seed': 7,
    'graph.rate': 12.5,
    'agent.learning_rate': 1e-5,
    'agent.encoder.strides': [2, 1],
    'agent.cloning.into_encoder': False,
    'backward.classifier.every': 77,
    'ask_for_help.privileged': True,
}


def systems(folder: Path, task: str, preset: str) -> dict[str, list[NodeSpec]]:
    config = configure(task, preset, changes=CHANGES)
    (folder / 'checkpoints').mkdir()
    (folder / 'checkpoints' / 'forward_00000500.safetensors').touch()
    save_config(config, folder / 'config.yaml')
    plan = make_plan([folder], policies=['forward'], episodes=7)
    return {
        'training': bringup.training(config, RunFolder(folder)),
        'simulation': bringup.simulation(config),
        **(by_people(config, folder) if task == 'peg_insert' and config.repeat == 1 else {}),
        'evaluation': bringup.examination(plan, folder),
    }


def by_people(config, folder: Path) -> dict[str, list[NodeSpec]]:
    """Return the systems that are not for every task: on a robot, and with a person driving."""
    recording = RecordingConfig(task=config.task, folder=str(folder / 'demonstrations'), count=3)
    driven = [*stand_in(config), *controls(config, recording, 'joy')]
    return {
        'hardware': on_hardware(config, folder),
        'demonstrations': driven,
        'watching': [bringup.console('runs'), *looking_back(config, folder)],
    }


def looking_back(config, folder: Path) -> list[NodeSpec]:
    record = dataclasses.replace(config.record, enabled=True, images_every=3)
    recorder = bringup.recording(dataclasses.replace(config, record=record), folder)
    return [*recorder, *bringup.replay(folder, 3, 9, 2.0, True)]


def on_hardware(config, folder: Path) -> list[NodeSpec]:
    stall = dataclasses.replace(config.ask_for_help, privileged=False)
    config = dataclasses.replace(config, ask_for_help=stall)
    nodes = hardware.practice(config, RunFolder(folder), hardware.load_laboratory())
    return [*nodes, bringup.VIEW]


def pairs() -> list[tuple[str, str]]:
    """Return every task with every preset, but one that is like the cube's with its own task."""
    own = TASKS.keys() - {'cube_grasp'}
    return [(task, name) for task in TASKS for name in presets() if name == task or name not in own]


@pytest.fixture(params=pairs(), ids='-'.join)
def specs(request, tmp_path):
    named = systems(tmp_path, *request.param)
    return [(f'{name}: {spec.name}', spec) for name, nodes in named.items() for spec in nodes]


def node_module(name: str):
    return import_module(f'medal_ros.nodes.{name}')


def config_class(name: str) -> type | None:
    """Return the configuration class from which a node declares its parameters."""
    module = node_module(name)
    found = re.findall(r'declare\(self, (\w+)\)', inspect.getsource(module))
    return getattr(module, found[0]) if found else None


# -- nodes and their parameters ----------------------------------------------------------------


def test_every_node_exists_and_is_installed(specs):
    cmake = (ROOT / 'CMakeLists.txt').read_text()
    installed = set(re.search(r'foreach\(node ([\w\s]+)\)', cmake)[1].split())
    assert {spec.name for _, spec in specs} <= installed
    for where, spec in specs:
        assert callable(node_module(spec.name).main), where


def test_every_node_that_is_installed_is_part_of_a_system(tmp_path):
    cmake = (ROOT / 'CMakeLists.txt').read_text()
    installed = set(re.search(r'foreach\(node ([\w\s]+)\)', cmake)[1].split())
    named = systems(tmp_path, 'peg_insert', 'quickstart').values()
    assert {spec.name for nodes in named for spec in nodes} == installed - BY_HAND


def test_every_node_starts_where_a_signal_ends_it_quietly_while_it_imports():
    from medal_ros.nodes import start

    cmake = (ROOT / 'CMakeLists.txt').read_text()
    assert 'install_command(${node} medal_ros.nodes.start "start(\'${node}\')"' in cmake
    assert list(inspect.signature(start.start).parameters) == ['name']


def test_no_node_is_started_twice(specs):
    for system in ('training', 'simulation', 'evaluation', 'hardware', 'demonstrations'):
        names = [spec.name for where, spec in specs if where.startswith(system)]
        assert len(names) == len(set(names))


def test_every_parameter_is_its_nodes_own_and_allowed(specs):
    for where, spec in specs:
        cls = config_class(spec.name)
        if cls is None:
            assert spec.parameters == {}, where
            continue
        assert spec.parameters or spec.name in AS_THEY_ARE, where
        flat = flatten(build(cls, spec.parameters, f'{where}: parameter'))
        assert {key: flat[key] for key in spec.parameters} == spec.parameters


@pytest.mark.parametrize('task', TASKS)
def test_ros_reads_the_parameter_files_as_they_are_meant(task, tmp_path):
    for system, nodes in systems(tmp_path, task, 'quickstart').items():
        for spec in nodes:
            cls = config_class(spec.name)
            if cls is not None:
                path = spec.parameters_file(tmp_path / system)
                told = build(cls, spec.parameters)
                assert read_by_ros(path, cls) == told, f'{system}: {spec.name}'
                assert told != cls() or spec.name in AS_THEY_ARE, f'{system}: {spec.name}'


def read_by_ros(path: Path, cls: type):
    """Return the configuration of a node that is started with a parameter file."""
    context = rclpy.Context()
    rclpy.init(args=['--ros-args', '--params-file', str(path)], context=context)
    try:
        node = Node('x', context=context, automatically_declare_parameters_from_overrides=True)
        config = declare(node, cls)
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)
    return config


def test_an_empty_list_is_left_out_of_a_parameter_file(tmp_path):
    values = {'agent.batch': 3, 'agent.strides': [], 'name': ''}
    text = NodeSpec('x', values).parameters_file(tmp_path).read_text()
    expected = {'agent': {'batch': 3}, 'name': ''}
    assert yaml.safe_load(text) == {'/**': {'ros__parameters': expected}}


# -- arguments of the launch files -------------------------------------------------------------


def arguments(tree: ast.Module) -> tuple[str, ...]:
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and statement.targets[0].id == 'ARGUMENTS':
            return ast.literal_eval(statement.value)
    raise AssertionError('no ARGUMENTS')


def test_there_is_a_launch_file_for_each_system():
    assert set(LAUNCH) == set(COMMANDS) | LAUNCHED_ONLY


def test_every_launch_argument_is_described():
    used = {name for tree in LAUNCH.values() for name in arguments(tree)}
    assert used == set(ARGUMENTS)
    for default, text in ARGUMENTS.values():
        assert isinstance(default, str) and len(text.split()) > 2


@pytest.mark.parametrize('file', LAUNCH)
def test_a_launch_file_reads_only_what_it_declares(file):
    tree = LAUNCH[file]
    read = {
        node.slice.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and getattr(node.value, 'id', '') == 'given'
    }
    read |= {
        node.args[1].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, 'id', '') in ('whole_number', 'choice')
    }
    assert read and read <= set(arguments(tree))


@pytest.mark.parametrize('file', LAUNCH)
def test_everything_a_launch_file_imports_from_us_exists(file):
    for node in ast.walk(LAUNCH[file]):
        if isinstance(node, ast.ImportFrom) and node.module.startswith('medal_ros'):
            # Read, not imported: medal_ros.launching needs launch.
            source = ROOT.joinpath(*node.module.split('.')).with_suffix('.py').read_text()
            defined = set()
            for s in ast.parse(source).body:
                if isinstance(s, ast.FunctionDef | ast.ClassDef):
                    defined.add(s.name)
                elif isinstance(s, ast.Assign):
                    defined |= {target.id for target in s.targets if isinstance(target, ast.Name)}
            assert {alias.name for alias in node.names} <= defined, node.module


@pytest.mark.parametrize('file', COMMANDS)
def test_command_line_and_launch_file_have_the_same_arguments_and_defaults(file):
    command = COMMANDS[file]
    given = ['run'] if command == 'evaluate' else []
    options = vars(cli.parser().parse_args([command, *given]))
    names = set(arguments(LAUNCH[file]))
    assert set(options) - names <= {'command', 'config', 'no_films'}
    assert names - set(options) <= {'rate'} | HARDWARE  # the command line has --set graph.rate
    for name in names & set(options) - {'run'}:
        default = ARGUMENTS[name][0]
        # The command line leaves it to the configuration which preset nothing means.
        unset = {'', 'quickstart'} if name == 'preset' else {''}
        if options[name] in (None, []):
            assert default in unset, name
        else:
            assert str(options[name]).lower() == default, name


def test_nothing_given_is_the_same_configuration_on_both():
    defaults = {name: default for name, (default, _) in ARGUMENTS.items()}
    assert configure_from_texts(defaults) == configure()


def test_texts_of_launch_arguments_mean_what_options_of_the_command_line_mean():
    given = {
        'task': 'tabletop',
        'preset': 'workshop',
        'seed': '3',
        'steps': '20',
        'rate': '10',
        'set': ' agent.batch=33   graph.lag=5 agent.learning_rate=1e-3',
    }
    changes = {'graph.rate': 10, 'agent.batch': 33, 'graph.lag': 5, 'agent.learning_rate': 1e-3}
    assert configure_from_texts(given) == configure('tabletop', 'workshop', 3, 20, changes)


def test_the_table_of_arguments_in_the_documentation_is_that_of_the_code():
    text = (ROOT / 'docs' / 'launch.md').read_text()
    columns = [
        arguments(LAUNCH[f'{name}.launch.py']) for name in ('train', 'sim', 'evaluate', 'franka')
    ]
    for name, (default, meaning) in ARGUMENTS.items():
        cells = [f'`{name}`', f'`{default}`' if default else '', meaning]
        cells += ['x' if name in column else '' for column in columns]
        assert f'| {" | ".join(cells)} |' in text
