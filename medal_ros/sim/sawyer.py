"""The hand of the Sawyer tasks: a parallel jaw on three slides, and what its tasks share.

EARL's arm is a Sawyer whose hand is dragged by a point that actions move, so nothing but the
hand's position matters; here three slides and position servos carry a hand of primitive geoms.
Lengths are metres, in EARL's frame: the robot stands at the origin and looks along +y.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar

import mujoco
import numpy as np

from medal_ros.sim.gripper import jaw
from medal_ros.sim.hand import Hand
from medal_ros.sim.scene import Scene
from medal_ros.sim.task import Observation, Snapshot, TaskEnv
from medal_ros.spaces import Spaces

LOW = np.array([-0.5, 0.40, 0.05])  # where the hand may be commanded
HIGH = np.array([0.5, 1.0, 0.5])
SCALE = 0.01  # that an action of 1 moves the commanded position
SUBSTEPS = 5
TIMESTEP = 0.0025
LEASH = 0.02  # the command is at most this far from a hand that something blocks
OPEN = 0.05  # travel of one finger: the jaw opens 10 cm
ABOVE = 0.27  # height at which nothing is in the way
GAIN = 0.8  # of the expert's hand, which lags behind its command


def _hand() -> str:
    fingers = ''
    for side, sign in (('left', 1), ('right', -1)):
        fingers += f'''
        <body name="{side}_finger" gravcomp="1">
          <inertial pos="0 0 0" mass=".03" diaginertia="2e-5 2e-5 1e-5"/>
          <joint name="{side}_finger" type="slide" axis="0 {sign} 0" range="0 {OPEN}"
                 armature=".03" damping="10"/>
          <geom name="{side}_finger" type="box" size=".013 .006 .05" pos="0 {sign * 0.006} .008"
                rgba=".12 .12 .14 1" friction="1.5 .05 .001" condim="4" solref=".005 1"/>
        </body>'''
    inertial = '<inertial pos="0 0 0" mass=".1" diaginertia=".001 .001 .001"/>'
    return f"""
      <body gravcomp="1">{inertial}<joint name="x" type="slide" axis="1 0 0"/>
        <body gravcomp="1">{inertial}<joint name="y" type="slide" axis="0 1 0"/>
          <body gravcomp="1">
            <inertial pos="0 0 .1" mass=".3" diaginertia=".001 .001 .001"/>
            <joint name="z" type="slide" axis="0 0 1"/>
            <site name="tool" size=".005" rgba="0 0 0 0"/>
            <geom class="seen" type="box" size=".018 .066 .014" pos="0 0 .07"
                  rgba=".25 .35 .75 1"/>
            <geom class="seen" type="cylinder" size=".02" fromto="0 0 .08 0 0 .14"
                  rgba=".25 .35 .75 1"/>{fingers}
          </body>
        </body>
      </body>"""


def _actuators() -> str:
    slides = ''.join(
        f'<position name="{axis}" joint="{axis}" kp="10000" kv="150" forcerange="-80 80"/>'
        for axis in 'xyz'
    )
    return f"""{slides}
      <position name="jaw" tendon="jaw" kp="2400" kv="60" ctrlrange="0 {OPEN}"
                forcerange="-60 60"/>"""


def scene(world: str, offscreen: int) -> str:
    """Return the MJCF of the hand above a table.

    Args:
        world: MJCF elements to put beside it into the worldbody: objects, the camera `third`.
        offscreen: Largest width and height that can be rendered, pixels.
    """
    # Shadows and multisampling would cost a factor of twelve in software rendering, and fine
    # meshes of round geoms a factor of two.
    return f'''
    <mujoco model="sawyer">
      <compiler angle="radian" autolimits="true"/>
      <option timestep="{TIMESTEP}" integrator="implicitfast" cone="elliptic" impratio="10"/>
      <visual>
        <global offwidth="{offscreen}" offheight="{offscreen}"/>
        <quality offsamples="0" numslices="12" numstacks="4" numquads="1"/>
        <headlight ambient=".5 .5 .5" diffuse=".45 .45 .45" specular=".1 .1 .1"/>
        <map znear=".01" zfar="10"/>
      </visual>
      <statistic center="0 .6 .1" extent="1"/>
      <default>
        <default class="seen"><geom contype="0" conaffinity="0" mass="0"/></default>
      </default>
      <asset>
        <texture type="skybox" builtin="gradient" rgb1=".6 .7 .8" rgb2=".3 .3 .4"
                 width="64" height="64"/>
      </asset>
      <worldbody>
        <light pos="0 .4 2" dir="0 .1 -1" castshadow="false" diffuse=".5 .5 .5"/>
        <geom name="table" type="plane" size="4 4 .1" pos="0 .6 0" rgba=".66 .6 .52 1"/>
        {_hand()}
        {world}
      </worldbody>
      {jaw()}
      <actuator>{_actuators()}</actuator>
    </mujoco>'''


class Gantry(Scene):
    """A compiled `scene` and its hand; the hand's joints and actuators come first in it.

    Args:
        world: MJCF of the objects and the camera, as for `scene`.
        offscreen: Largest width and height that can be rendered, pixels.
    """

    def __init__(self, world: str, offscreen: int) -> None:
        super().__init__(scene(world, max(128, offscreen)))
        self._tool = self.model.site('tool').id
        self._fingers = [self.model.geom(f'{side}_finger').id for side in ('left', 'right')]

    @property
    def position(self) -> np.ndarray:
        """Measured position between the fingertips, `(3,)`."""
        return self.data.site_xpos[self._tool].copy()

    @property
    def opening(self) -> float:
        """Measured opening of the jaw as a fraction: 0 is shut, 1 is 10 cm."""
        return float(self.data.qpos[3:5].mean() / OPEN)

    @property
    def closed(self) -> bool:
        """Whether the jaw was commanded to close."""
        return bool(self.data.ctrl[3] < OPEN)

    def restart(self) -> None:
        """Put every joint and all that the solver remembers back to the model's defaults."""
        mujoco.mj_resetData(self.model, self.data)

    def put(self, position: np.ndarray) -> None:
        """Place the hand, at rest and open; runs no physics."""
        self.data.qpos[:3] = self.data.ctrl[:3] = position
        self.data.qpos[3:5] = self.data.ctrl[3] = OPEN
        self.data.qvel[:5] = 0.0
        mujoco.mj_forward(self.model, self.data)

    def move(self, delta: np.ndarray, closed: bool) -> None:
        """Run one control step in which the commanded position moves by `delta`, metres `(3,)`."""
        here = self.position
        command = here + np.clip(self.data.ctrl[:3] + delta - here, -LEASH, LEASH)
        self.data.ctrl[:3] = np.clip(command, LOW, HIGH)
        self.data.ctrl[3] = 0.0 if closed else OPEN
        self.advance(SUBSTEPS)

    def fingers_on(self, geom: int) -> int:
        """Return how many of the two fingers touch a geom."""
        pairs = {tuple(pair) for pair in self.data.contact.geom.tolist()}
        return sum((geom, f) in pairs or (f, geom) in pairs for f in self._fingers)


class SawyerTask(TaskEnv):
    """What the Sawyer tasks share.

    Actions are `(dx, dy, dz, grip)`: +-1 moves the commanded position by 1 cm in a control step
    of 12.5 ms, `grip > 0` closes the jaw and anything else opens it. Proprioception is the
    hand's position, scaled to [-1, 1] over its box, and the jaw's opening, -1 shut to 1 open.
    """

    spaces = Spaces(cameras=('third',), height=84, width=84, proprio=4, action=4)
    rest: ClassVar[tuple[float, float, float]]  # the hand where an episode starts
    grasps: ClassVar[bool]  # else an opening jaw would push what it stands beside

    def __init__(
        self, render_mode: str | None = 'rgb_array', pixels: int = 0, repeat: int = 1
    ) -> None:
        super().__init__(render_mode, pixels, repeat)
        self.hand = Gantry(self._world(), self.spaces.height)
        self.hand.put(np.array(self.rest))

    @abstractmethod
    def _world(self) -> str:
        """Return the MJCF of the task's objects and of the camera `third`."""

    def _move(self, action: np.ndarray) -> None:
        self.hand.move(SCALE * action[:3].astype(float), closed=bool(action[3] > 0))

    def _save(self) -> Snapshot:
        return {'physics': self.hand.state}

    def _load(self, snapshot: Snapshot) -> None:
        self.hand.state = snapshot['physics']

    def observe(self) -> Observation:
        """Render the camera; the thread that does so first has to do it ever after."""
        image = self.hand.image('third', self.spaces.height, self.spaces.width)
        tool = 2 * (self.hand.position - LOW) / (HIGH - LOW) - 1
        proprio = np.array([*tool, 2 * self.hand.opening - 1], np.float32)
        return {'third': image, 'proprio': np.clip(proprio, -1.0, 1.0)}

    def close(self) -> None:
        """Release the renderer; call it from the thread that observed."""
        self.hand.close()
        super().close()

    def reset_arm(self, pose: str) -> None:
        """Let go, go up, then open to the start of an episode or to a random position.

        Raises:
            ValueError: `pose` is neither `'fixed'` nor `'random'`.
        """
        if pose not in ('fixed', 'random'):
            raise ValueError(f"an arm reset goes to a 'fixed' or 'random' pose, not {pose!r}")
        for _ in range(30 if self.grasps else 0):
            self.hand.move(np.zeros(3), closed=False)
        self._go(np.array([*self.hand.position[:2], ABOVE]), closed=self.hand.closed)
        goal = np.array(self.rest)
        if pose == 'random':
            goal = self._pose(self.np_random)
        self._go(np.array([*goal[:2], max(ABOVE, goal[2])]))
        self._go(goal)
        for _ in range(15):
            self.hand.move(np.zeros(3), closed=False)

    def _pose(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a hand position above everything, `(3,)`."""
        return rng.uniform([-0.3, 0.42, ABOVE], [0.35, 0.85, 0.4])

    def _go(self, target: np.ndarray, closed: bool = False) -> None:
        """Bring the hand straight to a position, as fast as actions could."""
        for _ in range(200):
            way = target - self.hand.position
            distance = np.linalg.norm(way)
            if distance < 0.003:
                return
            self.hand.move(way * min(GAIN, SCALE / distance), closed)

    # -- what the demonstrators share --------------------------------------------------------

    def _demonstrator(self, rng: np.random.Generator) -> Hand:
        return Hand(rng, SCALE, self.repeat, GAIN)

    def _follow(
        self,
        hand: Hand,
        goal: Callable[[], np.ndarray],
        tolerance: float = 0.01,
        closed: bool = False,
        steps: int = 120,
    ) -> Iterator[np.ndarray]:
        """Yield actions until the hand is at a goal that may move, or time is up."""
        return hand.follow(lambda: goal() - self.hand.position, tolerance, closed, steps)

    def _rise(self, hand: Hand, height: float = ABOVE, closed: bool = False) -> Iterator:
        goal = np.array([*self.hand.position[:2], max(height, self.hand.position[2])])
        return self._follow(hand, lambda: goal, 0.015, closed)
