"""Stand-in tasks: worlds to practise in on a machine without a robot. No ROS import."""

from __future__ import annotations

import gymnasium as gym

from medal_ros.errors import UserError
from medal_ros.sim.task import TaskEnv

TASKS = {
    'tabletop_quick': 'medal_ros.sim.tabletop:TabletopQuick',
    'tabletop': 'medal_ros.sim.tabletop:Tabletop',
    'cube_grasp': 'medal_ros.sim.cube_grasp:CubeGrasp',
}


def task_class(task: str) -> type[TaskEnv]:
    """Return the environment class of a task.

    Raises:
        UserError: There is no such task.
    """
    if task not in TASKS:
        raise UserError(f'there is no task {task!r}; there are {", ".join(TASKS)}')
    return gym.envs.registration.load_env_creator(TASKS[task])


def make(task: str, seed: int | None = None) -> TaskEnv:
    """Return a task's environment, reset once with the seed."""
    environment = task_class(task)()
    environment.reset(seed=seed)
    return environment


for _task, _entry_point in TASKS.items():
    _name = ''.join(word.capitalize() for word in _task.split('_'))
    gym.register(id=f'medal_ros/{_name}-v0', entry_point=_entry_point)
