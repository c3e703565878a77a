"""What a system is told before anything starts: configurations, run folders, checkpoints."""

import json

import pytest
import yaml
from small import demonstration

from medal_ros import bringup, preparing
from medal_ros.bringup import NodeSpec, configure, configure_from_texts
from medal_ros.config import load_config, save_config
from medal_ros.evaluation import choose
from medal_ros.exam.plan import make_plan
from medal_ros.learning.demonstrations import DemonstrationError, save_demonstration
from medal_ros.options import OptionError
from medal_ros.preparing import prepare
from medal_ros.run_folder import RunFolder
from medal_ros.sim import make, task_class
from medal_ros.spaces import AGENTS

TASK = 'tabletop_quick'
SPACES = task_class(TASK).spaces


def test_a_configuration_file_can_be_changed_in_places(tmp_path):
    path = tmp_path / 'config.yaml'
    config = configure(TASK, 'workshop', seed=3, changes={'backward.agent.batch': 99})
    save_config(config, path)
    assert configure(file=path) == load_config(path) == config
    again = configure(seed=4, changes={'agent.batch': 77}, file=path)
    assert (again.seed, again.preset, again.forward.agent.batch) == (4, 'workshop', 77)
    assert again.backward.agent.batch == 77  # what is said last counts for both
    assert again.segment_steps == config.segment_steps


def test_parameters_as_a_file_of_ros(tmp_path):
    spec = NodeSpec('camera_sync', {'cameras': ['wrist', 'third'], 'crop': [], 'a.b': 1, 'a.c': ''})
    path = spec.parameters_file(tmp_path / 'parameters')
    values = yaml.safe_load(path.read_text())['/**']['ros__parameters']
    # ROS cannot tell the type of an empty list; without it the node takes its default.
    assert values == {'cameras': ['wrist', 'third'], 'a': {'b': 1, 'c': ''}}


def test_every_learning_node_is_told_the_same(tmp_path):
    config = configure('tabletop', 'paper', seed=9, changes={'graph.rate': 10})
    nodes = {s.name: s.parameters for s in bringup.training(config, RunFolder(tmp_path))}
    learning = [nodes[name] for name in ('policy_server', 'reward', 'trainer', 'evaluator')]
    assert all(parameters == learning[0] for parameters in learning)
    assert learning[0]['folder'] == str(tmp_path) and learning[0]['spaces.width'] == 84
    assert nodes['camera_sync']['cameras'] == ['third', 'goal']
    arm = nodes['sim_arm']
    assert (arm['task'], arm['seed'], arm['rate'], arm['arm_reset_pose']) == (
        'tabletop',
        9,
        10,
        'fixed',
    )
    assert nodes['supervisor']['segment_steps'] == 200 and 'seed' not in nodes['supervisor']


def test_a_run_takes_a_copy_of_the_demonstrations_alone(tmp_path):
    for direction in AGENTS:
        save_demonstration(demonstration(25, direction, SPACES, task=TASK), tmp_path, 0)
    (tmp_path / 'notes.txt').write_text('not for the run')
    config = configure(TASK, changes={'demonstrations.folder': str(tmp_path)})
    folder = prepare(config, tmp_path / 'runs', 'x')  # inside the folder that is copied
    names = sorted(path.name for path in folder.demonstrations.iterdir())
    assert names == ['backward_000.safetensors', 'forward_000.safetensors']
    assert load_config(folder.config) == config
    with pytest.raises(OptionError, match='there is already a run'):
        prepare(config, tmp_path / 'runs', 'x')


def test_own_demonstrations_shorter_than_k_leave_no_run(tmp_path):
    changes = {'classifier.goal_states': 500, 'demonstrations.count': 1}
    with pytest.raises(DemonstrationError, match='fewer than the 500 goal states taken from its'):
        prepare(configure(TASK, changes=changes), tmp_path, 'x', say=lambda text: None)
    assert list(tmp_path.iterdir()) == []


def test_a_long_recording_says_how_far_it_is(tmp_path, monkeypatch):
    def words(every: float, name: str) -> list[str]:
        said: list[str] = []
        monkeypatch.setattr(preparing, 'SAY_EVERY', every)
        counts = {'forward': 2, 'backward': 1}
        environment = make('tabletop_quick', pixels=16)
        preparing.record_demonstrations(
            environment, 'tabletop_quick', counts, 0, tmp_path / name, said.append
        )
        return said

    assert words(0.0, 'slow') == [f'{n} of 3 demonstrations are recorded' for n in (1, 2, 3)]
    assert words(60.0, 'fast') == []


@pytest.fixture
def run(tmp_path):
    """A run with two checkpoints of the forward policy, of which the first is the best."""
    path = tmp_path / 'run'
    (path / 'checkpoints').mkdir(parents=True)
    save_config(configure(TASK), path / 'config.yaml')
    for steps in (500, 1000):
        (path / 'checkpoints' / f'forward_{steps:08d}.safetensors').touch()
    (path / 'summary.json').write_text(json.dumps({'best_steps': 500}))
    return path


@pytest.mark.parametrize(
    ('checkpoint', 'chosen'),
    [('last', [1000]), ('best', [500]), ('500', [500]), ('0500', [500]), ('all', [500, 1000])],
)
def test_which_checkpoints_are_meant(run, checkpoint, chosen):
    assert choose(RunFolder(run), checkpoint, 'forward') == chosen


@pytest.mark.parametrize('text', ['', '{"best', '[]', '{"best_steps": null}', '{"best_steps": 7}'])
def test_best_needs_a_summary_that_names_it(run, text):
    (run / 'summary.json').unlink()
    if text:
        (run / 'summary.json').write_text(text)
    with pytest.raises(OptionError, match=r'summary\.json does not name a saved checkpoint'):
        choose(RunFolder(run), 'best', 'forward')
    assert choose(RunFolder(run), 'last', 'forward') == [1000]


@pytest.mark.parametrize('checkpoint', ['700', 'first', '²', ''])
def test_a_checkpoint_that_is_none(run, checkpoint):
    sentence = f'checkpoint must be last, best, all or one of 500, 1000, not {checkpoint!r}'
    with pytest.raises(OptionError) as error:
        choose(RunFolder(run), checkpoint, 'forward')
    assert str(error.value) == sentence


def test_the_baseline_has_checkpoints_of_its_own(run):
    for steps in (5, 10):
        (run / 'checkpoints' / f'cloning_{steps:08d}.safetensors').touch()
    folder = RunFolder(run)
    assert choose(folder, 'all', 'cloning') == [5, 10]
    with pytest.raises(OptionError, match=r'summary\.json does not name a saved checkpoint'):
        choose(folder, 'best', 'cloning')
    (run / 'summary.json').write_text(json.dumps({'best_steps': 500, 'bc_best_steps': 5}))
    assert choose(folder, 'best', 'cloning') == [5]


def test_an_examination_is_a_world_in_which_every_segment_is_a_trial(run, tmp_path):
    plan = make_plan([run], policies=['forward'], episodes=3)
    nodes = {spec.name: spec.parameters for spec in bringup.examination(plan, tmp_path)}
    assert list(nodes) == ['sim_arm', 'camera_sync', 'supervisor', 'examiner']
    supervisor = nodes['supervisor']
    assert (supervisor['segment_steps'], supervisor['alternate']) == (plan.horizon, False)
    assert (supervisor['world_reset_every'], supervisor['steps']) == (1, 0)
    assert nodes['examiner'] == {'folder': str(tmp_path), 'stand_in': True, 'films': True}


def test_a_task_may_have_a_preset_of_its_own():
    assert configure('cube_grasp').preset == 'cube_grasp'
    assert configure('cube_grasp', 'paper').preset == 'paper'
    assert configure('tabletop').preset == 'quickstart'
    assert configure_from_texts({'task': 'cube_grasp', 'preset': ''}).pixels == 48


def test_a_run_without_a_checkpoint_cannot_be_evaluated(run):
    for path in (run / 'checkpoints').iterdir():
        path.unlink()
    with pytest.raises(OptionError, match='run holds no saved forward policy'):
        choose(RunFolder(run), 'all', 'forward')


def test_the_supervisor_is_told_where_an_object_is_lost():
    def bounds(task: str, **changes) -> tuple[list, list]:
        changes = {k.replace('__', '.'): v for k, v in changes.items()}
        nodes = bringup.simulation(configure(task, changes=changes))
        told = next(node.parameters for node in nodes if node.name == 'supervisor')
        return tuple(told[f'ask_for_help.workspace_{end}'] for end in ('low', 'high'))

    low, high = bounds('cube_grasp', ask_for_help__privileged=True)
    assert low == pytest.approx([0.32, -0.26, -0.085])  # 10 cm around the tool's box
    assert high == pytest.approx([0.74, 0.26, 0.36])
    assert bounds('cube_grasp', ask_for_help__privileged=False) == ([], []), (
        'nobody knows without privilege'
    )
    assert bounds('tabletop_quick', ask_for_help__privileged=True) == ([], [])
    own = {'ask_for_help__privileged': True, 'ask_for_help__workspace_high': [1.0]}
    assert bounds('cube_grasp', **own) == ([], [1.0]), 'what the user says is left alone'
