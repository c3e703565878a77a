"""The launch files under the real `launch`, which apt's ROS 2 has and PyPI has not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytest.importorskip('launch_ros', reason='launch and launch_ros come with ROS 2 from apt')

import yaml
from finished import make_run
from launch import LaunchContext, LaunchDescription, LaunchService
from launch.actions import (
    IncludeLaunchDescription,
    OpaqueFunction,
    SetLaunchConfiguration,
)
from launch.launch_description_sources import (
    PythonLaunchDescriptionSource,
    get_launch_description_from_python_launch_file,
)
from launch.utilities import perform_substitutions
from ros import wait_until

from medal_ros import bringup, launching, teleoperation, train
from medal_ros.bringup import ARGUMENTS, configure
from medal_ros.config import load_config
from medal_ros.errors import UserError
from medal_ros.exam.plan import load_plan, make_plan
from medal_ros.options import unnest
from medal_ros.robot.recording import RecordingConfig
from medal_ros.run_folder import RunFolder
from medal_ros.sim import TASKS

FOLDER = Path(__file__).parent.parent / 'launch'
NODES = [path.stem for path in (FOLDER.parent / 'medal_ros' / 'nodes').glob('*.py')]
FILES = sorted(path.name for path in FOLDER.glob('*.launch.py'))


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Work in an empty folder; nobody else is in this domain, so look for others only briefly."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, 'LOOK_FOR_OTHERS', 0.0)
    monkeypatch.setenv('AMENT_PREFIX_PATH', sys.prefix, prepend=':')


def describe(file: str) -> LaunchDescription:
    return get_launch_description_from_python_launch_file(str(FOLDER / file))


def bring_up(file: str, *given: str) -> list:
    """Return the actions of a launch file for arguments as a person writes them."""
    context = LaunchContext(argv=given)
    context.extend_locals({'current_launch_file_path': str(FOLDER / file)})
    context.launch_configurations.update(text.split(':=', 1) for text in given)
    description = describe(file)
    for argument in description.get_launch_arguments():
        argument.execute(context)
    (function,) = (e for e in description.entities if isinstance(e, OpaqueFunction))
    return function.execute(context)


# Stands before each node's command, notes it, and ends when all of them are noted.
RECORDER = """
import json, pathlib, sys, time
place, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
note = place / pathlib.Path(sys.argv[3]).name
note.with_suffix('.part').write_text(json.dumps(sys.argv[3:]))
note.with_suffix('.part').rename(note)
deadline = time.monotonic() + 20
while sum(not path.suffix for path in place.iterdir()) < count and time.monotonic() < deadline:
    time.sleep(0.02)
"""


def run(service: LaunchService, *entities) -> int:
    service.include_launch_description(LaunchDescription(entities))
    return service.run()


def started(file: str, count: int, *given: str) -> dict[str, list[str]]:
    """Launch a file for real, but for its nodes; return the command of each by its name."""
    place = Path(tempfile.mkdtemp(dir=Path.cwd()))
    (place.parent / 'recorder.py').write_text(RECORDER)
    prefix = f'{sys.executable} {place.parent}/recorder.py {place} {count}'
    arguments = [text.split(':=', 1) for text in (*given, f'launch-prefix:={prefix}')]
    source = PythonLaunchDescriptionSource(str(FOLDER / file))
    included = IncludeLaunchDescription(source, launch_arguments=arguments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launching, 'ONCE', NODES)  # else the recorders would be started again
        assert run(LaunchService(argv=given, noninteractive=True), included) == 0
    return {path.name: json.loads(path.read_text()) for path in place.iterdir()}


def parameters(command: list[str]) -> dict:
    """Return what a node's command gives it as parameters."""
    path = command[command.index('--params-file') + 1]
    return unnest(yaml.safe_load(Path(path).read_text())['/**']['ros__parameters'])


def told(specs) -> dict[str, dict]:
    return {s.name: {k: v for k, v in s.parameters.items() if v != []} for s in specs}


# -- arguments ---------------------------------------------------------------------------------


@pytest.mark.parametrize('file', FILES)
def test_every_argument_is_declared_with_its_description_and_default(file):
    for argument in describe(file).get_launch_arguments():
        default, text = ARGUMENTS[argument.name]
        assert argument.description.startswith(text)
        if argument.name == 'run':
            assert argument.default_value is None  # there is no launch without it
        else:
            assert perform_substitutions(LaunchContext(), argument.default_value) == default


def test_descriptions_tell_which_tasks_and_presets_there_are():
    arguments = describe('train.launch.py').get_launch_arguments()
    texts = {argument.name: argument.description for argument in arguments}
    assert texts['task'].endswith(f'({", ".join(TASKS)})')
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
        ('demos.launch.py', 'count:=0', 'argument count must be a whole number from 1 to 999'),
        ('demos.launch.py', 'teleop:=feet', "teleop must be one of joy, none, not 'feet'"),
        ('demos.launch.py', 'task:=tabletop', 'tabletop shows an image of a goal that only'),
        ('demos.launch.py', 'robot:=spot', "robot must be one of sim, franka, not 'spot'"),
        ('evaluate.launch.py', 'run:=nowhere', 'nowhere is not a run: it has no config.yaml'),
        ('evaluate.launch.py', 'run:=x episodes:=ten', "episodes must be a whole number, not 'te"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(file, given, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence) as raised:
        bring_up(file, *given.split(' '))
    assert '\n' not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_mistyped_argument_is_refused_on_the_command_line_of_the_launch_file(monkeypatch):
    # A launch file that includes ours may have arguments of its own.
    assert bring_up('sim.launch.py', 'sead:=1')
    monkeypatch.setattr(sys, 'argv', ['ros2', 'launch', 'medal_ros', 'sim.launch.py', 'sead:=1'])
    with pytest.raises(UserError, match=r"sim\.launch\.py has no argument 'sead'; .* 'seed'\?"):
        bring_up('sim.launch.py', 'sead:=1')
    assert bring_up('sim.launch.py', 'seed:=1', 'sigterm_timeout:=9')


# -- nodes -------------------------------------------------------------------------------------


def test_training_is_what_bringup_says(tmp_path):
    given = ('task:=tabletop', 'seed:=3', 'steps:=20', 'name:=first', 'namespace:=/left/')
    own = 'set:=demonstrations.count=1 graph.lag=5'
    nodes = started('train.launch.py', 8, *given, own)
    folder = RunFolder(Path('runs', 'first'))
    changes = {'demonstrations.count': 1, 'graph.lag': 5}
    config = configure('tabletop', seed=3, steps=20, changes=changes)
    assert load_config(folder.config) == config
    expected = told(bringup.training(config, folder))
    assert {name: parameters(command) for name, command in nodes.items()} == expected
    for name, command in nodes.items():
        assert Path(command[0]).parts[-3:] == ('lib', 'medal_ros', name)
        assert command[command.index('-r') + 1] == '__ns:=/left'
    with pytest.raises(UserError, match='there is already a run runs/first'):
        bring_up('train.launch.py', *given)


def test_the_stand_in_is_what_bringup_says():
    nodes = started('sim.launch.py', 4, 'rate:=10', 'preset:=workshop')
    config = configure(preset='workshop', changes={'graph.rate': 10})
    expected = told(bringup.simulation(config))
    assert {name: parameters(command) for name, command in nodes.items()} == expected
    assert expected['sim_arm']['rate'] == 10


def test_demonstrations_are_what_teleoperation_says():
    given = ('task:=peg_insert', 'folder:=mine', 'count:=3', 'drivers:=false', 'seed:=4')
    nodes = started('demos.launch.py', 6, *given)
    config = configure('peg_insert', seed=4, changes=teleoperation.KEYS)
    recording = RecordingConfig(task='peg_insert', folder='mine', count=3)
    specs = teleoperation.stand_in(config) + teleoperation.controls(config, recording, 'joy')
    expected = told(specs)
    assert {name: parameters(command) for name, command in nodes.items()} == expected
    assert expected['sim_arm']['arm_reset_pose'] == 'random' and 'operator' not in expected
    assert expected['sim_arm']['rate'] == 10 and expected['teleop_joy']['action'] == 5


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Packages that only seem to be installed: what they would run is noted and never started."""

    def install(*names: str, xacro: bool = True) -> None:
        for name in names:
            index = tmp_path / 'share' / 'ament_index' / 'resource_index' / 'packages'
            for folder in (index, tmp_path / 'lib' / name):
                folder.mkdir(parents=True, exist_ok=True)
            (index / name).touch()
            program = tmp_path / 'lib' / name / name
            program.touch(0o755)
        if xacro:
            program = tmp_path / 'bin' / 'xacro'
            program.parent.mkdir(exist_ok=True)
            program.write_text(f'#!{sys.executable}\nimport xacro\nxacro.main()\n')
            program.chmod(0o755)
        monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path), prepend=':')
        monkeypatch.setenv('PATH', str(tmp_path / 'bin'), prepend=':')

    return install


@pytest.mark.parametrize('file', ['sim.launch.py', 'train.launch.py', 'demos.launch.py'])
def test_rviz_shows_the_arm_of_the_stand_in(file, packages):
    pytest.importorskip('xacro', reason='xacro comes with ROS 2 from apt, or from PyPI')
    packages('rviz2', 'robot_state_publisher')
    given = ['task:=cube_grasp', 'rviz:=true', 'namespace:=left']
    given += {'train.launch.py': ['set:=demonstrations.count=1', 'name:=x'],
              'demos.launch.py': ['teleop:=none']}.get(file, [])  # fmt: skip
    count = {'sim.launch.py': 7, 'train.launch.py': 11, 'demos.launch.py': 8}[file]
    nodes = started(file, count, *given)
    assert {'rviz2', 'robot_state_publisher', 'view', 'sim_arm'} <= set(nodes)
    described = parameters(nodes['robot_state_publisher'])['robot_description']
    assert '<link name="medal_tool"' in described and 'panda_joint7' in described
    remapped = [word for word in nodes['rviz2'] if ':=' in word]
    configuration = Path(nodes['rviz2'][nodes['rviz2'].index('-d') + 1])
    assert 'Namespace: left\n' in configuration.read_text()
    assert '/robot_description:=/left/robot_description' in remapped
    assert '/medal/camera/wrist/image_raw:=/left/camera/wrist/image_raw' in remapped
    assert '__ns:=/left' in nodes['robot_state_publisher']


def test_a_recorder_that_is_asked_for_stands_beside_the_graph_and_does_not_end_it():
    nodes = started('sim.launch.py', 5, 'task:=tabletop_quick', 'record:=true')
    assert parameters(nodes['recorder'])['folder'].startswith(str(Path('recordings').resolve()))
    specs = bringup.recording(configure(changes={'record.enabled': True}))
    (action,) = launching.start(specs, Path.cwd(), 'medal')
    assert action._ExecuteLocal__on_exit is None


def test_rviz_shows_images_where_there_is_no_arm(packages):
    packages('rviz2', xacro=False)
    nodes = started('sim.launch.py', 6, 'task:=tabletop_quick', 'rviz:=true')
    assert {'rviz2', 'view'} < set(nodes) and 'robot_state_publisher' not in nodes


@pytest.mark.parametrize(
    ('file', 'given', 'sentence'),
    [
        ('train.launch.py', 'rviz:=true', 'rviz:=true needs what is not installed: rviz2'),
        ('sim.launch.py', 'rviz:=true task:=cube_grasp', 'installed: robot_state_publisher, xacro'),
        ('demos.launch.py', 'task:=cube_grasp', 'drivers:=true needs what is not installed: joy'),
        ('franka.launch.py', 'task:=cube_grasp', 'installed: franka_bringup, controller_manager'),
        ('train.launch.py', 'rviz:=perhaps', "rviz must be true or false, not 'perhaps'"),
    ],
)
def test_what_is_not_installed_is_one_sentence_and_leaves_nothing(
    file, given, sentence, tmp_path, monkeypatch
):
    monkeypatch.setenv('AMENT_PREFIX_PATH', sys.prefix)
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(UserError, match=sentence):
        bring_up(file, *given.split(' '))
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_is_what_bringup_says(tmp_path):
    run = make_run(tmp_path / 'run')
    nodes = started('evaluate.launch.py', 4, f'run:={run}', 'episodes:=7', 'policy:=forward')
    plan = make_plan([run], policies=['forward'], episodes=7)
    folder = run / 'evaluations' / plan.digest
    assert load_plan(folder / 'plan.json') == plan
    expected = told(bringup.examination(plan, folder))
    assert {name: parameters(command) for name, command in nodes.items()} == expected


# -- how a launch ends -------------------------------------------------------------------------


@pytest.mark.parametrize(('status', 'returned'), [(0, 0), (3, 1)])
def test_the_first_node_that_ends_is_the_end(status, returned, tmp_path):
    """It stops the others, and its failure is the launch's."""
    (tmp_path / 'instead.py').write_text(
        'import sys, time\n'
        f'if sys.argv[1].endswith("operator"): sys.exit({status})\n'
        'time.sleep(60)\n'
        'open("survived", "w")\n'
    )
    prefix = SetLaunchConfiguration('launch-prefix', f'{sys.executable} instead.py')
    specs = [bringup.NodeSpec('supervisor'), bringup.NodeSpec('operator')]
    nodes = launching.start(specs, tmp_path, 'medal')
    assert run(LaunchService(noninteractive=True), prefix, *nodes) == returned
    assert not (tmp_path / 'survived').exists()


@pytest.mark.parametrize(('status', 'starts', 'returned'), [(3, 3, 1), (2, 1, 1)])
def test_a_node_is_started_again_as_one_that_goes_on(
    status, starts, returned, tmp_path, monkeypatch
):
    """But not more often than allowed, and not after a person's mistake."""
    monkeypatch.setattr(launching, 'RESPAWN_DELAY', 0.2)
    (tmp_path / 'instead.py').write_text(
        'import sys\n'
        'parameters = sys.argv[sys.argv.index("--params-file") + 1]\n'
        'open("seen", "a").write(open(parameters).read())\n'
        f'sys.exit({status})\n'
    )
    prefix = SetLaunchConfiguration('launch-prefix', f'{sys.executable} instead.py')
    specs = [bringup.NodeSpec('supervisor', {'resume': False})]
    nodes = launching.start(specs, tmp_path, 'medal', most=2)
    assert run(LaunchService(noninteractive=True), prefix, *nodes) == returned
    resumes = [
        line.split()[1] for line in Path('seen').read_text().splitlines() if 'resume' in line
    ]
    assert resumes == ['false', 'true', 'true'][:starts]


def test_a_robots_arm_and_a_finished_evaluator_are_not_started_again(tmp_path):
    (tmp_path / 'instead.py').write_text('open("seen", "a").write("x")\n')
    prefix = SetLaunchConfiguration('launch-prefix', f'{sys.executable} instead.py')
    for name in ('franka_arm', 'evaluator'):
        nodes = launching.start([bringup.NodeSpec(name)], tmp_path, 'medal', most=2)
        assert run(LaunchService(noninteractive=True), prefix, *nodes) == 0
    assert Path('seen').read_text() == 'xx'


def test_nodes_have_time_to_save(tmp_path):
    (node,) = launching.start([bringup.NodeSpec('operator')], tmp_path, 'medal')
    seconds = perform_substitutions(LaunchContext(), list(node.sigterm_timeout))
    assert float(seconds) == train.STOP_SECONDS


KILLED = """
import sys
from pathlib import Path
from launch import LaunchDescription, LaunchService
from launch.actions import SetLaunchConfiguration
from medal_ros.bringup import NodeSpec
from medal_ros.launching import start

prefix = SetLaunchConfiguration('launch-prefix', f'{sys.executable} sleeper.py')
nodes = start([NodeSpec('operator')], Path.cwd(), 'medal')
service = LaunchService(noninteractive=True)
service.include_launch_description(LaunchDescription([prefix, *nodes]))
service.run()
"""


def test_nodes_end_with_a_launch_that_is_killed(tmp_path):
    (tmp_path / 'sleeper.py').write_text(
        "import os, time; os.symlink(str(os.getpid()), 'pid'); time.sleep(60)"
    )
    launcher = subprocess.Popen([sys.executable, '-c', KILLED])
    pid = wait_until(lambda: os.path.lexists('pid') and os.readlink('pid'), 30, 'the node starts')
    launcher.kill()
    launcher.wait()
    wait_until(lambda: state_of(pid) in 'XZ', 10, 'the node ends')


def state_of(pid: str) -> str:
    """Return the kernel's letter for what a process does; X where it is no more."""
    try:
        return Path('/proc', pid, 'stat').read_text().rpartition(')')[2].split()[0]
    except OSError:
        return 'X'
