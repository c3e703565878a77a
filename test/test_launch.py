"""The launch files under the real `launch`, which apt's ROS 2 has and PyPI has not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

launch = pytest.importorskip('launch')
pytest.importorskip('launch_ros')

import ros  # noqa: E402, F401  a domain of its own
import yaml  # noqa: E402
from launch import LaunchContext, LaunchDescription, LaunchService  # noqa: E402
from launch.actions import ExecuteProcess, OpaqueFunction  # noqa: E402
from launch.launch_description_sources import (  # noqa: E402
    get_launch_description_from_python_launch_file,
)
from launch.utilities import perform_substitutions  # noqa: E402
from launch_ros.actions import Node  # noqa: E402

from medal_ros import bringup, launching, train  # noqa: E402
from medal_ros.bringup import ARGUMENTS, configure  # noqa: E402
from medal_ros.config import load_config, save_config  # noqa: E402
from medal_ros.errors import UserError  # noqa: E402
from medal_ros.options import unnest  # noqa: E402
from medal_ros.run_folder import RunFolder  # noqa: E402

FOLDER = Path(__file__).parent.parent / 'launch'
FILES = sorted(path.name for path in FOLDER.glob('*.launch.py'))


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Work in an empty folder; nobody else is in this domain, so look for others only briefly."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, 'LOOK_FOR_OTHERS', 0.0)
    monkeypatch.setenv('AMENT_PREFIX_PATH', sys.prefix, prepend=':')


class Launched:
    """A launch file with its arguments, up to the point where processes would start."""

    def __init__(self, file: str, *given: str) -> None:
        self.description = get_launch_description_from_python_launch_file(str(FOLDER / file))
        self.context = LaunchContext(argv=given)
        self.context.extend_locals({'current_launch_file_path': str(FOLDER / file)})
        self.context.launch_configurations.update(text.split(':=', 1) for text in given)

    def nodes(self) -> dict[str, list[str]]:
        """Return the command of each node by its executable's name."""
        (bring_up,) = (e for e in self.description.entities if isinstance(e, OpaqueFunction))
        for argument in self.description.get_launch_arguments():
            argument.execute(self.context)
        actions = bring_up.execute(self.context)
        return {a.node_executable: self.command(a) for a in actions if isinstance(a, Node)}

    def command(self, node: Node) -> list[str]:
        assert node.node_package == 'medal_ros'
        node._perform_substitutions(self.context)
        node.process_description.prepare(self.context, node)
        return node.process_description.final_cmd


def parameters(command: list[str]) -> dict:
    """Return what a node's command gives it as parameters."""
    assert command.count('--params-file') <= 1
    if '--params-file' not in command:
        return {}
    path = Path(command[command.index('--params-file') + 1])
    return unnest(yaml.safe_load(path.read_text())['/**']['ros__parameters'])


def told(specs) -> dict[str, dict]:
    return {s.name: {k: v for k, v in s.parameters.items() if v != []} for s in specs}


# -- arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize('file', FILES)
def test_every_argument_is_declared_with_its_description_and_default(file):
    for argument in Launched(file).description.get_launch_arguments():
        default, text = ARGUMENTS[argument.name]
        assert argument.description.startswith(text)
        if argument.name == 'run':
            assert argument.default_value is None  # there is no launch without it
        else:
            assert perform_substitutions(LaunchContext(), argument.default_value) == default


def test_descriptions_tell_which_tasks_and_presets_there_are():
    arguments = Launched('train.launch.py').description.get_launch_arguments()
    texts = {argument.name: argument.description for argument in arguments}
    assert texts['task'].endswith('(tabletop_quick, tabletop, cube_grasp)')
    assert 'paper' in texts['preset'] and 'quickstart' in texts['preset']


@pytest.mark.parametrize(
    ('file', 'given', 'sentence'),
    [
        ('train.launch.py', 'task:=nonsense', "there is no task 'nonsense'; there are tabletop_q"),
        ('train.launch.py', 'preset:=x', "there is no preset 'x'; there are"),
        ('train.launch.py', 'steps:=abc', "key steps must be a whole number .*, not 'abc'"),
        ('train.launch.py', 'set:=agent.gama=1', "there is no key 'forward.agent.gama'"),
        ('train.launch.py', 'set:=seed', "'seed' is not of the form key=value"),
        ('train.launch.py', 'name:=../x', "'../x' cannot be the name of a run"),
        ('train.launch.py', 'namespace:=a-b', "'a-b' cannot be a ROS namespace"),
        ('sim.launch.py', 'rate:=fast', "graph.rate must be a number .*, not 'fast'"),
        ('evaluate.launch.py', 'run:=nowhere', 'nowhere is not a run: it has no config.yaml'),
        ('evaluate.launch.py', 'run:=x episodes:=ten', "episodes must be a whole number, not 'te"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(file, given, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence) as raised:
        Launched(file, *given.split(' ')).nodes()
    assert '\n' not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_mistyped_argument_is_refused_on_the_command_line_of_the_launch_file(monkeypatch):
    launched = Launched('sim.launch.py', 'sead:=1')
    assert launched.nodes()  # a launch file that includes ours may have arguments of its own
    monkeypatch.setattr(sys, 'argv', ['ros2', 'launch', 'medal_ros', 'sim.launch.py', 'sead:=1'])
    with pytest.raises(UserError, match=r"sim\.launch\.py has no argument 'sead'; .* 'seed'\?"):
        launched.nodes()
    assert Launched('sim.launch.py', 'seed:=1', 'sigterm_timeout:=9').nodes()


# -- nodes -------------------------------------------------------------------------------------


def test_training_is_what_bringup_says(tmp_path):
    given = ('task:=tabletop', 'seed:=3', 'steps:=20', 'name:=first', 'namespace:=/left/')
    nodes = Launched('train.launch.py', *given, 'set:=demonstrations.count=1 graph.lag=5').nodes()
    folder = RunFolder(Path('runs', 'first'))
    changes = {'demonstrations.count': 1, 'graph.lag': 5}
    config = configure('tabletop', seed=3, steps=20, changes=changes)
    assert load_config(folder.config) == config
    assert {name: parameters(c) for name, c in nodes.items()} == told(
        bringup.training(config, folder)
    )
    for name, command in nodes.items():
        assert Path(command[command.index('--') + 1]).parts[-3:] == ('lib', 'medal_ros', name)
        assert command[command.index('-r') + 1] == '__ns:=/left'
    with pytest.raises(UserError, match='there is already a run runs/first'):
        Launched('train.launch.py', *given).nodes()


def test_the_stand_in_is_what_bringup_says():
    nodes = Launched('sim.launch.py', 'rate:=10', 'preset:=workshop').nodes()
    config = configure(preset='workshop', changes={'graph.rate': 10})
    expected = told(bringup.simulation(config))
    assert {name: parameters(command) for name, command in nodes.items()} == expected
    assert expected['sim_arm']['rate'] == 10


def test_an_evaluation_is_what_bringup_says_and_leaves_the_run_alone(tmp_path):
    run = tmp_path / 'run'
    (run / 'checkpoints').mkdir(parents=True)
    (run / 'checkpoints' / 'forward_00000500.safetensors').touch()
    save_config(configure(), run / 'config.yaml')
    before = sorted(run.rglob('*'))
    nodes = Launched('evaluate.launch.py', f'run:={run}', 'episodes:=7').nodes()
    expected = told(bringup.evaluation(run, 'last', 7))
    assert {name: parameters(command) for name, command in nodes.items()} == expected
    assert sorted(run.rglob('*')) == before


# -- how a launch ends -------------------------------------------------------------------------


@pytest.mark.parametrize(('status', 'returned'), [(0, 0), (3, 1)])
def test_the_first_node_that_ends_is_the_end(status, returned, tmp_path):
    """It stops the others, and its failure is the launch's."""
    survivor = tmp_path / 'survivor'
    sleeper = f'import time, pathlib; time.sleep(60); pathlib.Path({str(survivor)!r}).touch()'
    service = LaunchService(noninteractive=True)
    service.include_launch_description(
        LaunchDescription(
            ExecuteProcess(cmd=[sys.executable, '-c', code], on_exit=launching.end)
            for code in (sleeper, f'raise SystemExit({status})')
        )
    )
    assert service.run() == returned
    assert not survivor.exists()


def test_nodes_have_time_to_save_and_do_not_outlive_the_launch(tmp_path):
    context = LaunchContext()
    (node,) = launching.start([bringup.NodeSpec('operator')], tmp_path, 'medal')
    seconds = perform_substitutions(context, list(node.sigterm_timeout))
    assert float(seconds) == train.STOP_SECONDS
    node._perform_substitutions(context)
    node.process_description.prepare(context, node)
    assert node.process_description.final_cmd[:4] == ['setpriv', '--pdeathsig', 'INT', '--']
    assert node.process_description.final_name.startswith('operator-')
    context.launch_configurations['launch-prefix'] = 'nice -n 1'
    node.process_description.prepare(context, node)
    assert node.process_description.final_cmd[4:7] == ['nice', '-n', '1']
