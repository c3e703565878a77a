"""The robot's description as xacro expands it, with a stand-in for franka_ros2's part of it."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip('xacro', reason='xacro comes with ROS 2 from apt, or from PyPI')

import xacro
from test_package import urdf_pose

from medal_ros.hardware import load_laboratory
from medal_ros.sim.cube_grasp import CubeGrasp

URDF = Path(__file__).parent.parent / 'urdf'
# Origins of an FR3's joints, from its public Denavit-Hartenberg parameters, and its home pose.
ORIGINS = (
    ('0 0 0.333', '0 0 0'),
    ('0 0 0', f'{-math.pi / 2} 0 0'),
    ('0 -0.316 0', f'{math.pi / 2} 0 0'),
    ('0.0825 0 0', f'{math.pi / 2} 0 0'),
    ('-0.0825 0.384 0', f'{-math.pi / 2} 0 0'),
    ('0 0 0', f'{math.pi / 2} 0 0'),
    ('0.088 0 0', f'{math.pi / 2} 0 0'),
)
HOME = (0.0, -math.pi / 4, 0.0, -3 * math.pi / 4, 0.0, math.pi / 2, math.pi / 4)
AT_HOME = {f'fr3_joint{i}': angle for i, angle in enumerate(HOME, 1)}


@pytest.fixture
def franka(tmp_path, monkeypatch):
    """A franka_bringup in the ament index whose arm has the links and joints of the real one."""
    joint = '<joint name="{}" type="{}"><parent link="{}"/><child link="{}"/><axis xyz="0 0 1"/>'
    parts = ['<link name="base"/>', *(f'<link name="fr3_link{i}"/>' for i in range(9))]
    parts.append(
        joint.format('base_joint', 'fixed', 'base', 'fr3_link0') + '<origin xyz="0 0 0"/></joint>'
    )
    for i, (xyz, rpy) in enumerate(ORIGINS, 1):
        names = f'fr3_joint{i}', 'revolute', f'fr3_link{i - 1}', f'fr3_link{i}'
        parts.append(joint.format(*names) + f'<origin xyz="{xyz}" rpy="{rpy}"/></joint>')
    last = joint.format('fr3_joint8', 'fixed', 'fr3_link7', 'fr3_link8')
    parts.append(last + '<origin xyz="0 0 0.107"/></joint>')
    hand = (
        '<xacro:if value="$(arg hand)"><link name="fr3_hand_tcp"/>'
        + joint.format('hand', 'fixed', 'fr3_link8', 'fr3_hand_tcp')
        + f'<origin xyz="0 0 0.1034" rpy="0 0 {-math.pi / 4}"/></joint></xacro:if>'
    )
    share = tmp_path / 'share'
    folder = share / 'franka_bringup' / 'urdf'
    folder.mkdir(parents=True)
    (folder / 'franka_arm.urdf.xacro').write_text(
        '<robot xmlns:xacro="http://www.ros.org/wiki/xacro"><xacro:arg name="hand" default="x"/>'
        f'{"".join(parts)}{hand}</robot>'
    )
    index = share / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / 'franka_bringup').touch()
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))


def expanded(**given: str) -> ElementTree.Element:
    document = xacro.process_file(str(URDF / 'medal.urdf.xacro'), mappings=given)
    return ElementTree.fromstring(document.toxml())


def roots(urdf: ElementTree.Element) -> set[str]:
    links = {link.get('name') for link in urdf.findall('link')}
    return links - {child.get('link') for child in urdf.findall('joint/child')}


@pytest.mark.parametrize(
    ('gripper', 'height'), [('robotiq', 0.267), ('none', 0.267), ('franka_hand', 0.2104)]
)
def test_at_home_the_tool_points_down_and_forward(franka, gripper, height):
    urdf = expanded(gripper=gripper, tool_height='0.16')
    assert roots(urdf) == {'base'}
    tool = urdf_pose(urdf, 'medal_tool', AT_HOME)
    np.testing.assert_allclose(tool[:3, :3], np.diag([1, -1, -1]), atol=1e-6)
    wrist = urdf_pose(urdf, 'fr3_link7', AT_HOME)
    assert wrist[2, 3] - tool[2, 3] == pytest.approx(height)


def test_the_robotiq_opens_along_the_tools_y(franka):
    urdf = expanded(gripper='robotiq', mount_height='0.02')
    mount = urdf_pose(urdf, 'medal_gripper_mount', AT_HOME)
    tool = urdf_pose(urdf, 'medal_tool', AT_HOME)
    # Its fingers stand at plus and minus x of its own frame.
    assert abs(mount[:3, 0] @ tool[:3, 1]) == pytest.approx(1.0, abs=1e-6)
    flange = urdf_pose(urdf, 'fr3_link8', AT_HOME)
    assert flange[2, 3] - mount[2, 3] == pytest.approx(0.02)


def test_nothing_moves_but_the_arm(franka):
    """The broadcaster of franka_ros2 takes every revolute joint for one of the arm's."""
    moving = {j.get('name') for j in expanded().findall('joint') if j.get('type') != 'fixed'}
    assert moving == set(AT_HOME)


def test_the_stand_in_needs_no_other_package(monkeypatch):
    monkeypatch.delenv('AMENT_PREFIX_PATH', raising=False)
    urdf = expanded(robot='sim')
    assert roots(urdf) == {'base'}
    moving = {j.get('name') for j in urdf.findall('joint') if j.get('type') != 'fixed'}
    assert moving == set(CubeGrasp.joint_names)
    np.testing.assert_allclose(urdf_pose(urdf, 'medal_tool', {}), urdf_pose(urdf, 'panda_tool', {}))


def test_the_default_home_is_in_the_default_box_and_points_down(franka):
    arm = load_laboratory().arm
    positions = dict(zip(arm.home.names, arm.home.joints, strict=True))
    tool = urdf_pose(expanded(), arm.frames.tool, positions)
    np.testing.assert_allclose(tool[:3, :3], np.diag([1, -1, -1]), atol=1e-3)
    assert (tool[:3, 3] > arm.safety.low).all() and (tool[:3, 3] < arm.safety.high).all()
