"""Stand-in tasks: worlds to practise in on a machine without a robot. No ROS import."""

from __future__ import annotations

import dataclasses
import os

import gymnasium as gym

from medal_ros.errors import UserError
from medal_ros.sim.task import TaskEnv
from medal_ros.spaces import Spaces

os.environ.setdefault('MUJOCO_GL', 'egl')  # MuJoCo reads it when a task first imports it
# Mesa draws small pictures faster in the thread that asks for them than with helpers.
os.environ.setdefault('LP_NUM_THREADS', '0')

TASKS = {
    'tabletop_quick': 'medal_ros.sim.tabletop:TabletopQuick',
    'tabletop': 'medal_ros.sim.tabletop:Tabletop',
    'cube_grasp': 'medal_ros.sim.cube_grasp:CubeGrasp',
    'peg_insert': 'medal_ros.sim.peg_insert:PegInsert',
    'bowl_cover': 'medal_ros.sim.bowl_cover:BowlCover',
    'cloth_hook': 'medal_ros.sim.cloth_hook:ClothHook',
    'sawyer_door': 'medal_ros.sim.sawyer_door:SawyerDoor',
    'sawyer_peg': 'medal_ros.sim.sawyer_peg:SawyerPeg',
}


def task_class(task: str) -> type[TaskEnv]:
    """Return the environment class of a task.

    Raises:
        UserError: There is no such task.
    """
    if task not in TASKS:
        raise UserError(f'there is no task {task!r}; there are {", ".join(TASKS)}')
    return gym.envs.registration.load_env_creator(TASKS[task])


def spaces_of(task: str, pixels: int = 0) -> Spaces:
    """Return what a task shows and takes.

    Args:
        task: Name of a stand-in task.
        pixels: Rows and columns of every image; 0: the task's own.

    Raises:
        UserError: There is no such task.
    """
    spaces = task_class(task).spaces
    return dataclasses.replace(spaces, height=pixels, width=pixels) if pixels else spaces


def make(task: str, seed: int | None = None, pixels: int = 0, repeat: int = 1) -> TaskEnv:
    """Return a task's environment, reset once with the seed.

    Args:
        task: Name of a stand-in task.
        seed: Seeds the world; None: from the operating system.
        pixels: Rows and columns of every image; 0: the task's own.
        repeat: Control steps for which one `step` executes its action.

    Raises:
        UserError: There is no such task.
        ValueError: `pixels` or `repeat` is out of range.
    """
    environment = task_class(task)(pixels=pixels, repeat=repeat)
    environment.reset(seed=seed)
    return environment


for _task, _entry_point in TASKS.items():
    _name = ''.join(word.capitalize() for word in _task.split('_'))
    gym.register(id=f'medal_ros/{_name}-v0', entry_point=_entry_point)
