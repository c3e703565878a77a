"""A two-finger gripper with the width and the look of a Robotiq 2F-85, as MJCF.

In the frame of its mount the fingers point along +z and the jaw opens along y. Only the two
fingertips touch anything. A real one swings its fingertips on four-bar linkages; here they slide,
which keeps them parallel as the linkages do, and the links are drawn only.
"""

from __future__ import annotations

from medal_ros.sim.scene import camera

OPEN = 0.0425  # travel of one finger, metres: the jaw opens 85 mm
TOOL = 0.145  # from the mount to the tool's point between the fingertips
ROOT = 0.08  # from the mount to the fingers' frame
LENGTH = 0.065  # of a fingertip, from there to its round end's middle
RADIUS = 0.01  # of a fingertip
LINK = 'class="arm" rgba=".62 .63 .66 1"'
SHELL = 'class="arm" rgba=".2 .2 .22 1"'


def _finger(side: str, sign: int) -> str:
    inner, outer = sign * RADIUS, sign * 0.026  # the pads meet at y = 0
    return f"""
        <body name="{side}_finger" gravcomp="1" pos="0 0 {ROOT}">
          <inertial pos="0 0 .03" mass=".05" diaginertia="3e-5 3e-5 1e-5"/>
          <joint name="{side}_finger" type="slide" axis="0 {sign} 0" range="0 {OPEN}"
                 armature=".05" damping="20"/>
          <geom name="{side}_finger" class="finger" size="{RADIUS}"
                fromto="0 {inner} 0 0 {inner} {LENGTH}"/>
          <geom {LINK} type="box" size=".011 .005 .016" pos="0 {outer} .03"/>
          <geom {LINK} type="capsule" size=".007"
                fromto="0 {outer} .018 0 {sign * 0.018} -.035"/>
        </body>"""


def gripper() -> str:
    """Return the gripper: its shell, wrist camera, the site `tool`, both fingers."""
    eye = camera('wrist', (0.09, 0, 0.06), (0.03, 0, 0.164), up=(1, 0, 0), fovy=75)
    return f"""
        <inertial pos="0 0 .06" mass=".9" diaginertia=".002 .002 .001"/>
        <geom {SHELL} type="cylinder" size=".0375 .008" pos="0 0 .008"/>
        <geom {SHELL} type="box" size=".03 .036 .027" pos="0 0 .04"/>
        <geom {SHELL} type="box" size=".022 .048 .012" pos="0 0 .068"/>
        {eye}
        <site name="tool" pos="0 0 {TOOL}" size=".005" rgba="0 0 0 0"/>
        {_finger('left', 1)}{_finger('right', -1)}"""


def jaw() -> str:
    """Return the MJCF outside of the bodies that makes both fingers one jaw, moved by a tendon."""
    return """
      <tendon>
        <fixed name="jaw">
          <joint joint="left_finger" coef=".5"/><joint joint="right_finger" coef=".5"/>
        </fixed>
      </tendon>
      <contact><exclude body1="left_finger" body2="right_finger"/></contact>
      <equality>
        <joint joint1="left_finger" joint2="right_finger" polycoef="0 1 0 0 0" solref=".005 1"/>
      </equality>"""


def actuator() -> str:
    """Return the servo that holds the jaw at an opening."""
    return f"""
      <position name="gripper" tendon="jaw" kp="1200" kv="20" ctrlrange="0 {OPEN}"
                forcerange="-60 60"/>"""
