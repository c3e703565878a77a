"""The package as a whole: what it declares, installs and finds agrees with what it is."""

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest
import yaml

from medal_ros import resources
from medal_ros.sim.panda import LINKS, OPEN, scene

ROOT = Path(__file__).parent.parent
PACKAGE = ElementTree.parse(ROOT / 'package.xml').getroot()
# Import names that differ from the names they are installed by.
DISTRIBUTIONS = {'cv2': 'opencv-python-headless', 'yaml': 'pyyaml'}


def requirements(name: str) -> list[str]:
    lines = (ROOT / 'requirements' / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def name_of(requirement: str) -> str:
    return re.split(r'[\[=<>~]', requirement)[0].lower()


def pins(name: str) -> dict[str, str]:
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith('#')]
    return {line.split('==')[0].lower(): line.split('==')[1] for line in lines}


# -- interfaces and commands -------------------------------------------------------------------


@pytest.mark.parametrize('kind', ['msg', 'srv'])
def test_every_interface_file_is_built(kind):
    module = import_module(f'medal_ros.{kind}')
    names = [path.stem for path in (ROOT / kind).glob(f'*.{kind}')]
    assert names
    assert [name for name in names if not hasattr(module, name)] == []


def test_every_installed_command_has_its_module_and_every_node_its_command():
    cmake = (ROOT / 'CMakeLists.txt').read_text()
    commands = re.search(r'foreach\(node ([\w\s]+)\)', cmake)[1].split()
    nodes = {
        path.stem
        for path in (ROOT / 'medal_ros' / 'nodes').glob('*.py')
        if re.search(r'^def main\(', path.read_text(), re.MULTILINE)
    }
    assert set(commands) == nodes
    assert re.search(r'^def main\(', (ROOT / 'medal_ros' / 'cli.py').read_text(), re.MULTILINE)


# -- requirements ------------------------------------------------------------------------------


def test_every_ros_wheel_is_pinned_to_its_jazzy_version():
    constraints = pins('constraints.txt')
    for line in requirements('ros.txt') + requirements('build.txt'):
        if line.startswith('ros-'):
            name, version = name_of(line), line.partition('==')[2]
            assert constraints[name] == version, line
    for name in ('ros-diagnostic-msgs', 'ros-trajectory-msgs', 'ros-sensor-msgs'):
        assert constraints[name] == '5.3.6'


def test_every_requirement_has_a_tested_version():
    constraints = pins('constraints.txt')
    for path in (ROOT / 'requirements').glob('*.txt'):
        for line in requirements(path.name):
            assert name_of(line) in constraints, line


def test_constraints_name_only_what_an_index_has():
    names = set(pins('constraints.txt'))
    phantoms = {name for name in names if f'ros-{name.replace("_", "-")}' in names}
    assert phantoms == set()
    assert pins('constraints.txt')['torch'] == '2.13.0'  # no local build: it would exclude others


def test_constraints_for_apt_fit_ubuntu_and_change_nothing_else():
    apt, wheels = pins('constraints-apt.txt'), pins('constraints.txt')
    assert apt['numpy'].startswith('1.26.')
    assert apt['opencv-python-headless'].startswith('4.6.')
    ours = {'numpy', 'opencv-python-headless', 'setuptools'}
    assert {name: v for name, v in apt.items() if name not in ours and wheels.get(name) != v} == {}


def imports(folder: Path) -> set[str]:
    found = set()
    for path in folder.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module.split('.')[0])
    return found - set(sys.stdlib_module_names) - {'medal_ros'}


def test_everything_imported_is_declared():
    files = ('run.txt', 'console.txt', 'ray.txt', 'lerobot.txt')
    declared = {name_of(line) for name in files for line in requirements(name)}
    declared |= {e.text for e in PACKAGE if e.tag in ('depend', 'exec_depend')}
    used = {DISTRIBUTIONS.get(name, name) for name in imports(ROOT / 'medal_ros')}
    used |= imports(ROOT / 'launch')
    assert used - declared == set()


def test_drivers_are_pinned():
    for name, entry in yaml.safe_load((ROOT / 'medal_ros.repos').read_text())[
        'repositories'
    ].items():
        assert re.fullmatch(r'v?\d+\.\d+\.\d+|[0-9a-f]{40}', entry['version']), name


# -- where files lie ---------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """An installation prefix with one configuration file, and no source tree around."""
    config = tmp_path / 'share' / 'medal_ros' / 'config'
    config.mkdir(parents=True)
    (config / 'installed.yaml').touch()
    monkeypatch.setattr(resources, '__file__', str(tmp_path / 'lib' / 'medal_ros' / 'x.py'))
    monkeypatch.delenv('AMENT_PREFIX_PATH', raising=False)
    return tmp_path


def test_the_source_tree_comes_first(installed, monkeypatch):
    monkeypatch.setattr(resources, '__file__', str(ROOT / 'medal_ros' / 'resources.py'))
    assert resources.share('config') == ROOT / 'config'


def test_files_are_found_through_the_ament_index(installed, monkeypatch):
    index = installed / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / 'medal_ros').touch()
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(installed))
    assert resources.share('config', 'installed.yaml').parent.parent.parent.parent == installed


def test_files_are_found_without_a_sourced_workspace(installed, monkeypatch):
    monkeypatch.setattr(sys, 'prefix', str(installed))
    assert resources.share('config', 'installed.yaml').is_file()


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r'config/none\.yaml is not among the files'):
        resources.share('config', 'none.yaml')


# -- robot description -------------------------------------------------------------------------


def rotation(rpy) -> np.ndarray:
    (sr, sp, sy), (cr, cp, cy) = np.sin(rpy), np.cos(rpy)
    roll = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    pitch = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    yaw = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return yaw @ pitch @ roll


def urdf_pose(urdf, link: str, positions: dict[str, float]) -> np.ndarray:
    """Return the pose of a link in the base, `(4, 4)`, by the joints above it."""
    pose = np.eye(4)
    while (joint := urdf.find(f'joint/child[@link="{link}"]/..')) is not None:
        origin = joint.find('origin')
        step = np.eye(4)
        step[:3, 3] = np.fromstring(origin.get('xyz'), sep=' ')
        step[:3, :3] = rotation(np.fromstring(origin.get('rpy', '0 0 0'), sep=' '))
        motion, value = np.eye(4), positions.get(joint.get('name'), 0.0)
        if joint.get('type') == 'revolute':
            motion[:3, :3] = rotation([0, 0, value])  # every axis is z
        elif joint.get('type') == 'prismatic':
            motion[:3, 3] = value * np.fromstring(joint.find('axis').get('xyz'), sep=' ')
        pose = step @ motion @ pose
        link = joint.find('parent').get('link')
    return pose


@pytest.fixture(scope='module')
def urdf():
    return ElementTree.parse(ROOT / 'urdf' / 'panda.urdf').getroot()


def test_description_has_the_joints_of_the_stand_in(urdf):
    limits = {
        j.get('name'): j.find('limit') for j in urdf.iter('joint') if j.find('limit') is not None
    }
    for i, link in enumerate(LINKS, 1):
        limit = limits[f'panda_joint{i}']
        assert (float(limit.get('lower')), float(limit.get('upper'))) == (link.low, link.high)
    for i in (1, 2):
        assert float(limits[f'panda_finger_joint{i}'].get('upper')) == OPEN
    assert len(limits) == 9


def test_description_moves_like_the_stand_in(urdf):
    model = mujoco.MjModel.from_xml_string(scene(''))
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    for _ in range(5):
        data.qpos[:9] = rng.uniform(*model.jnt_range[:9].T)
        mujoco.mj_kinematics(model, data)
        names = [f'panda_joint{i}' for i in range(1, 8)]
        names += ['panda_finger_joint1', 'panda_finger_joint2']
        positions = dict(zip(names, data.qpos[:9], strict=True))
        tool = urdf_pose(urdf, 'panda_tool', positions)
        np.testing.assert_allclose(tool[:3, 3], data.site('tool').xpos, atol=1e-6)
        np.testing.assert_allclose(tool[:3, :3], data.site('tool').xmat.reshape(3, 3), atol=1e-6)
        for side in ('left', 'right'):
            finger = urdf_pose(urdf, f'panda_{side}finger', positions)
            np.testing.assert_allclose(finger[:3, 3], data.body(f'{side}_finger').xpos, atol=1e-6)


# -- set-up ------------------------------------------------------------------------------------


@pytest.fixture
def fresh(tmp_path):
    """A copy of what set-up reads, with no environment yet."""
    folders = 'scripts', 'requirements', 'cmake', 'msg', 'srv', 'config', 'launch', 'rviz', 'urdf'
    for name in folders:
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ('constraints.txt', 'package.xml', 'CMakeLists.txt', 'setup.py', 'pyproject.toml'):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ('changes', 'commands', 'sentence'),
    [
        ({'PYTHON': 'false'}, {}, 'Python 3.11, 3.12 or 3.13 is needed, and false is not one'),
        ({'PYTHON': 'old'}, {'old': '3.10'}, 'and old is not one'),
        ({'PYTHON': 'new', 'CXX': 'none'}, {'new': '3.13'}, 'a C++ compiler is needed'),
        ({}, {'uname': 'Darwin arm64'}, 'for Linux x86_64 only, and this is Darwin arm64'),
    ],
)
def test_set_up_refuses_in_one_sentence_what_it_cannot_use(fresh, changes, commands, sentence):
    path = fresh / 'bin'
    path.mkdir()
    for name, output in commands.items():
        (path / name).write_text(f'#!/bin/sh\necho {output}\n')
        (path / name).chmod(0o755)
    env = os.environ | changes | {'PATH': f'{path}:{os.environ["PATH"]}'}
    done = subprocess.run(
        [fresh / 'scripts' / 'setup.sh'], env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count('\n') == 1
    assert not (fresh / '.venv').exists()
