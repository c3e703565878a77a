"""A Franka Panda with a gripper like a Robotiq 2F-85: MuJoCo scene, Cartesian position control.

The kinematics are the Panda's published modified Denavit-Hartenberg parameters and joint limits;
every geom is a primitive. Lengths are metres, angles radians, in the frame of the robot's base,
which stands on the table (z = 0) and looks along +x.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import mujoco
import numpy as np

from medal_ros.sim.gripper import OPEN, actuator, gripper, jaw
from medal_ros.sim.scene import Scene

CONTROL_HZ = 10
TIMESTEP = 0.002
INTEGRATOR = 'implicitfast'
RAMP_SEGMENTS = 10  # of a control step; the targets arrive after eight of them
RAMP_END = 0.8
DAMPING = 0.02  # of the least-squares inverse kinematics
POSTURE_GAIN = 0.1  # pull of the redundant joint towards HOME
HOME = np.array([0.0, -0.35, 0.0, -2.2, 0.0, 1.85, math.pi / 4])


class Link(NamedTuple):
    """One joint and the link behind it: DH parameters, limits, servo gains, shape."""

    a: float
    d: float
    alpha: float
    low: float
    high: float
    mass: float
    torque: float
    kp: float
    kv: float  # a quarter of near-critical, so that 20 mm commanded become 18.6 mm in one step
    radius: float
    capsules: tuple[str, ...]


RIGHT = math.pi / 2
LINKS = (
    Link(0, 0.333, 0, -2.8973, 2.8973, 4.97, 87, 4500, 112.5, 0.06, ('0 0 -.18 0 0 -.05',)),
    Link(0, 0, -RIGHT, -1.7628, 1.7628, 0.65, 87, 4500, 112.5, 0.06, ('0 0 -.02 0 -.12 0',)),
    Link(0, 0.316, RIGHT, -2.8973, 2.8973, 3.23, 87, 3500, 87.5, 0.05,
         ('0 0 -.12 0 0 -.05', '0 0 0 .0825 0 0')),
    Link(0.0825, 0, RIGHT, -3.0718, -0.0698, 3.59, 87, 3500, 87.5, 0.05,
         ('0 0 -.02 -.0825 .06 0',)),
    Link(-0.0825, 0.384, -RIGHT, -2.8973, 2.8973, 1.23, 12, 2000, 50, 0.045,
         ('0 0 -.24 0 0 -.02',)),
    Link(0, 0, RIGHT, -0.0175, 3.7525, 1.67, 12, 2000, 50, 0.045, ('0 0 0 .06 0 0',)),
    Link(0.088, 0, RIGHT, -2.8973, 2.8973, 0.74, 12, 2000, 50, 0.04, ('0 0 -.01 0 0 .07',)),
)  # fmt: skip
JOINT_NAMES = (  # in `urdf/panda.urdf`
    *(f'panda_joint{i}' for i in range(1, len(LINKS) + 1)),
    'panda_finger_joint1',
    'panda_finger_joint2',
)
LOWER = np.array([link.low for link in LINKS])
UPPER = np.array([link.high for link in LINKS])


def _arm(hand: str) -> str:
    opening, closing = '', ''
    for i, link in enumerate(LINKS, 1):
        sine, cosine = math.sin(link.alpha), math.cos(link.alpha)
        quaternion = f'{math.cos(link.alpha / 2):.8g} {math.sin(link.alpha / 2):.8g} 0 0'
        inertia = '.03 .03 .03' if i <= 4 else '.01 .01 .008'
        opening += (
            f'<body name="link{i}" gravcomp="1" quat="{quaternion}" '
            f'pos="{link.a:.6g} {-sine * link.d:.6g} {cosine * link.d:.6g}">'
            f'<inertial pos="0 0 0" mass="{link.mass}" diaginertia="{inertia}"/>'
            f'<joint name="joint{i}" range="{link.low} {link.high}" armature=".1" damping="1"/>'
        )
        for capsule in link.capsules:
            opening += f'<geom class="arm" type="capsule" size="{link.radius}" fromto="{capsule}"/>'
        closing += '</body>'
    return opening + hand + closing


def _hand() -> str:
    """The gripper behind the flange, turned so that its jaw opens along y at HOME."""
    return f"""
      <body name="hand" gravcomp="1" pos="0 0 .107" quat=".92387953 0 0 -.38268343">{gripper()}
      </body>"""


def _actuators() -> str:
    joints = ''
    for i, link in enumerate(LINKS, 1):
        joints += (
            f'<position name="joint{i}" joint="joint{i}" kp="{link.kp}" kv="{link.kv}" '
            f'ctrlrange="{link.low} {link.high}" forcerange="{-link.torque} {link.torque}"/>'
        )
    return joints + actuator()


def scene(
    world: str, offscreen: int = 128, timestep: float = TIMESTEP, integrator: str = INTEGRATOR
) -> str:
    """Return the MJCF of a Panda on a table.

    Args:
        world: MJCF elements to put beside it into the worldbody: objects, cameras.
        offscreen: Largest width and height that can be rendered, pixels.
        timestep: Of the physics, seconds; a whole number of them fills a tenth of a control step.
        integrator: MuJoCo's name of it; cloth that resists bending needs `'discrete'`.
    """
    # Shadows and multisampling would cost a factor of twelve in software rendering.
    return f'''
    <mujoco model="panda">
      <compiler angle="radian" autolimits="true"/>
      <option timestep="{timestep}" integrator="{integrator}" cone="elliptic" impratio="10"/>
      <visual>
        <global offwidth="{offscreen}" offheight="{offscreen}"/>
        <quality offsamples="0"/>
        <headlight ambient=".45 .45 .45" diffuse=".5 .5 .5" specular=".1 .1 .1"/>
        <map znear=".01" zfar="10"/>
      </visual>
      <statistic center=".4 0 .3" extent="1.2"/>
      <default>
        <default class="arm"><geom rgba=".9 .9 .92 1" contype="0" conaffinity="0"/></default>
        <default class="finger">
          <geom type="capsule" rgba=".15 .15 .17 1" friction="1.5 .05 .001"
                condim="4" solref=".004 1"/>
        </default>
      </default>
      <asset>
        <texture type="skybox" builtin="gradient" rgb1=".6 .7 .8" rgb2=".3 .3 .4"
                 width="64" height="64"/>
        <texture name="grain" type="2d" builtin="checker" rgb1=".62 .56 .48" rgb2=".58 .52 .44"
                 width="64" height="64"/>
        <material name="table" texture="grain" texrepeat="12 12"/>
      </asset>
      <worldbody>
        <light pos=".4 0 1.8" dir="0 0 -1" castshadow="false" diffuse=".6 .6 .6"/>
        <geom name="table" type="plane" size="1.2 1.2 .1" material="table"/>
        <body name="base">
          <geom class="arm" type="capsule" size=".07" fromto="-.03 0 .03 0 0 .14"/>
          {_arm(_hand())}
        </body>
        {world}
      </worldbody>
      {jaw()}
      <actuator>{_actuators()}</actuator>
    </mujoco>'''


class Panda(Scene):
    """A compiled `scene`, its arm driven by damped least squares and position servos.

    The tool always points down. At yaw 0 its jaw opens along y, unless it faces another way; a
    positive yaw is to the left, seen from above.

    Args:
        world: MJCF of the objects and cameras beside the arm, as for `scene`.
        low: Smallest tool position that is commanded, `(3,)`.
        high: Largest one, `(3,)`.
        offscreen: Largest width and height that can be rendered, pixels.
        yaw: Largest yaw that is commanded, either way, radians; 0: the tool never turns.
        timestep: Of the physics, as for `scene`.
        integrator: As for `scene`.
        facing: How the tool is turned when its yaw is 0, radians: at pi / 2 its jaw opens along x.

    Attributes:
        model: The compiled scene; the arm's joints and actuators come first in it.
        data: Its state.
    """

    def __init__(
        self,
        world: str,
        low: np.ndarray,
        high: np.ndarray,
        offscreen: int = 128,
        yaw: float = 0.0,
        timestep: float = TIMESTEP,
        integrator: str = INTEGRATOR,
        facing: float = 0.0,
    ) -> None:
        super().__init__(scene(world, offscreen, timestep, integrator))
        self.low, self.high, self.most_yaw, self.facing = low, high, yaw, facing
        self._tool = self.model.site('tool').id
        self._scratch = mujoco.MjData(self.model)  # inverse kinematics leaves `data` alone
        self._jacobian = np.zeros((6, self.model.nv))
        self._substeps = round(1 / CONTROL_HZ / timestep / RAMP_SEGMENTS)

    @property
    def position(self) -> np.ndarray:
        """Measured tool position, `(3,)`."""
        return self.data.site_xpos[self._tool].copy()

    @property
    def yaw(self) -> float:
        """Measured yaw of the tool."""
        turned = self.data.site_xmat[self._tool]
        return math.remainder(math.atan2(turned[3], turned[0]) - self.facing, math.tau)

    @property
    def joints(self) -> np.ndarray:
        """Measured joints as in `JOINT_NAMES`, `(9,)` radians and, the last two, metres."""
        return self.data.qpos[: len(JOINT_NAMES)].copy()

    @property
    def opening(self) -> float:
        """Measured opening of the jaw as a fraction: 0 is shut, 1 is 85 mm."""
        return float(self.data.qpos[7:9].mean() / OPEN)

    def restart(self) -> None:
        """Put every joint and all that the solver remembers back to the model's defaults."""
        mujoco.mj_resetData(self.model, self.data)

    def put(self, position: np.ndarray, opening: float, yaw: float = 0.0) -> None:
        """Place the arm, at rest, without passing through what is between; runs no physics."""
        joints = self.inverse(position, HOME, iterations=100, yaw=yaw)
        self.data.qpos[:7] = self.data.ctrl[:7] = joints
        self.data.qpos[7:9] = self.data.ctrl[7] = opening * OPEN
        self.data.qvel[:9] = 0.0
        mujoco.mj_forward(self.model, self.data)

    def move(self, delta: np.ndarray, closed: bool, turn: float = 0.0) -> None:
        """Run one control step towards the measured pose plus `delta`, `(3,)`, and `turn`."""
        target = np.clip(self.position + delta, self.low, self.high)
        yaw = min(max(self.yaw + turn, -self.most_yaw), self.most_yaw)
        self.move_joints(self.inverse(target, self.data.ctrl[:7], yaw=yaw), closed)

    def move_joints(self, target: np.ndarray, closed: bool) -> None:
        """Run one control step in which the joint targets ramp to `target`, `(7,)`."""
        start = self.data.ctrl[:7].copy()
        self.data.ctrl[7] = 0.0 if closed else OPEN
        for segment in range(1, RAMP_SEGMENTS + 1):
            share = min(1.0, segment / (RAMP_SEGMENTS * RAMP_END))
            self.data.ctrl[:7] = start + share * (target - start)
            mujoco.mj_step(self.model, self.data, self._substeps)
        self.settle()

    def inverse(
        self, position: np.ndarray, joints: np.ndarray, iterations: int = 6, yaw: float = 0.0
    ) -> np.ndarray:
        """Return joints that bring the tool to a pose, pointing down, searching from `joints`."""
        sine, cosine = math.sin(self.facing + yaw), math.cos(self.facing + yaw)
        pose = np.array([[cosine, sine, 0.0], [sine, -cosine, 0.0], [0.0, 0.0, -1.0]])
        scratch = self._scratch
        scratch.qpos[:7] = joints
        for i in range(iterations):
            mujoco.mj_kinematics(self.model, scratch)
            mujoco.mj_comPos(self.model, scratch)
            # Damping lets the posture leak into the tool's pose: the last half undoes that.
            gain = POSTURE_GAIN if 2 * i < iterations else 0.0
            step = self._least_squares(position, pose, gain)
            scratch.qpos[:7] = np.clip(scratch.qpos[:7] + step, LOWER, UPPER)
        return scratch.qpos[:7].copy()

    def _least_squares(
        self, position: np.ndarray, pose: np.ndarray, posture_gain: float
    ) -> np.ndarray:
        scratch, jacobian = self._scratch, self._jacobian
        turn = pose @ scratch.site_xmat[self._tool].reshape(3, 3).T
        turn = 0.5 * (turn - turn.T)[[2, 0, 1], [1, 2, 0]]  # axis times sine of the angle
        error = np.concatenate([position - scratch.site_xpos[self._tool], turn])
        mujoco.mj_jacSite(self.model, scratch, jacobian[:3], jacobian[3:], self._tool)
        arm = jacobian[:, :7]
        gram = arm @ arm.T + DAMPING**2 * np.eye(6)
        posture = posture_gain * (HOME - scratch.qpos[:7])
        return arm.T @ np.linalg.solve(gram, error - arm @ posture) + posture

    def fingers_on(self, geom: int) -> int:
        """Return how many of the two fingers touch a geom."""
        pairs = {tuple(pair) for pair in self.data.contact.geom.tolist()}
        fingers = (self.model.geom(f'{side}_finger').id for side in ('left', 'right'))
        return sum((geom, finger) in pairs or (finger, geom) in pairs for finger in fingers)
