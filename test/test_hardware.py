"""What a laboratory's file says becomes parameters and topics, or is refused in one sentence."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest
import yaml

from medal_ros import hardware
from medal_ros.bringup import configure
from medal_ros.hardware import load_laboratory
from medal_ros.options import OptionError
from medal_ros.resources import share


@pytest.fixture
def config():
    return configure('cube_grasp', 'quickstart')


def written(folder, text: str):
    path = folder / 'laboratory.yaml'
    path.write_text(text)
    return path


def test_the_example_is_a_whole_laboratory(config):
    laboratory = load_laboratory()
    nodes = {spec.name: spec for spec in hardware.world(config, laboratory)}
    assert list(nodes) == ['franka_arm', 'teleop_joy', 'camera_sync', 'supervisor']
    assert nodes['camera_sync'].remappings == {
        'camera/wrist/image_raw': '/wrist/wrist/color/image_raw',
        'camera/third/image_raw': '/third/third/color/image_raw',
    }
    arm = nodes['franka_arm'].parameters
    assert (arm['action'], arm['rate'], arm['arm_reset_pose']) == (4, 10.0, 'random')
    assert arm['controllers.broadcasters'][-1] == 'pose_broadcaster'
    assert nodes['camera_sync'].parameters['slop'] > 0


def test_an_arm_is_told_of_the_run_that_goes_on(config, tmp_path):
    kept = {'folder': str(tmp_path), 'resume': True}
    for spec in hardware.world(config, load_laboratory(), kept):
        if spec.name != 'teleop_joy':  # which has nothing to keep
            assert kept.items() <= spec.parameters.items(), spec.name


def test_a_run_on_a_robot_goes_by_the_clock(config):
    assert config.graph.rate == 0
    assert hardware.for_hardware(config).graph.rate == 10.0
    faster = replace(config, graph=replace(config.graph, rate=5.0))
    assert hardware.world(faster, load_laboratory())[0].parameters['rate'] == 5.0


def test_names_in_the_controllers_file_are_those_the_arm_asks_for():
    """Controllers, joints and the tool's frame stand in three files."""
    controllers = yaml.safe_load(share('config', 'franka', 'controllers.yaml').read_text())
    arm = load_laboratory().arm
    known = controllers['controller_manager']['ros__parameters']
    for name in (
        arm.controllers.impedance,
        arm.controllers.trajectory,
        *arm.controllers.broadcasters,
    ):
        assert 'type' in known[name], name
    for name in (arm.controllers.impedance, arm.controllers.trajectory, 'pose_broadcaster'):
        assert tuple(controllers[name]['ros__parameters']['joints']) == arm.home.names
    for name in (arm.controllers.impedance, 'pose_broadcaster'):
        told = controllers[name]['ros__parameters']
        assert (told['end_effector_frame'], told['base_frame']) == (
            arm.frames.tool,
            arm.frames.base,
        )
    urdf = ElementTree.parse(share('urdf', 'medal.urdf.xacro')).getroot()
    assert urdf.find(f'link[@name="{arm.frames.tool}"]') is not None
    gripper = yaml.safe_load(share('config', 'franka', 'robotiq.yaml').read_text())
    told = gripper['/gripper/robotiq_gripper_controller']['ros__parameters']
    assert told['joint'] == arm.gripper.joint
    assert arm.gripper.action == '/gripper/robotiq_gripper_controller/gripper_cmd'


def test_the_force_of_the_controller_is_bounded():
    controllers = yaml.safe_load(share('config', 'franka', 'controllers.yaml').read_text())
    told = controllers['cartesian_impedance_controller']['ros__parameters']
    for axis in 'xyz':
        assert told['limit_error']
        assert told['task'][f'k_pos_{axis}'] * told['task']['error_clip'][axis] <= 25.0


def test_rviz_shows_what_it_should():
    displays = yaml.safe_load(share('rviz', 'medal.rviz').read_text())['Visualization Manager'][
        'Displays'
    ]
    topics = {d['Topic']['Value'] for d in displays if 'Topic' in d}
    assert topics == {
        '/medal/camera/wrist/image_raw',
        '/medal/camera/third/image_raw',
        '/medal/view/observation',
        '/medal/view/status',
    }
    models = {d['Description Topic']['Value'] for d in displays if 'Description Topic' in d}
    assert models == {'/robot_description', '/gripper/robot_description'}


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('arms: {x: 1}', "has no part 'arms.x'; there are drivers, arm, cameras, camera_sync"),
        ('arm: {homing: {x: 1}}', "there is no .*key arm. 'homing.x'"),
        ('arm: {rate: 5.0}', 'arm.rate follows from the run: leave it out'),
        ('arm: {gripper: {kind: suction}}', 'gripper.kind must be one of parallel'),
        ('arm: {home: {joints: [0.0]}}', 'home.joints must have 7 entries'),
        ('drivers: {robot_ip: 5}', 'robot_ip must be a text'),
        ('cameras: {wrist: 7}', 'cameras.wrist must be a topic, not 7'),
        ('cameras: {wrist: a b}', "must be a topic, not 'a b'"),
        ('camera_sync: {slob: 1}', "'slob'; did you mean 'slop'"),
        ('- 1', 'is not a YAML mapping'),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence(tmp_path, text, sentence):
    with pytest.raises(OptionError, match=sentence) as raised:
        load_laboratory(written(tmp_path, text))
    assert '\n' not in str(raised.value)


def test_what_exists_in_the_stand_in_only_is_refused(tmp_path, config):
    with pytest.raises(OptionError, match='needs demonstrations that were recorded on it'):
        hardware.for_practice(config, load_laboratory())
    with pytest.raises(OptionError, match="no topic for camera 'wrist': third"):
        hardware.world(config, load_laboratory(written(tmp_path, 'cameras: {third: /x}')))
    with pytest.raises(OptionError, match='tabletop is not for a Franka'):
        hardware.world(configure('tabletop'), load_laboratory())
    seeing = replace(config, ask_for_help=replace(config.ask_for_help, privileged=True))
    with pytest.raises(OptionError, match='privileged is for the stand-in'):
        hardware.world(seeing, load_laboratory())
