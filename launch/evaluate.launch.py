"""Put a run's policies to the test: ros2 launch medal_ros evaluate.launch.py run:=runs/x.

With robot:=franka judge:=person on a real arm: `medal tell reset-done`, `medal tell success` and
`medal tell failure`, or the same services, are the person's part (docs/operating.md).
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import LogInfo, OpaqueFunction

from medal_ros.bringup import examination
from medal_ros.exam.commands import folder_of, names, plan_of
from medal_ros.exam.session import Session
from medal_ros.hardware import examination as on_a_robot
from medal_ros.hardware import load_laboratory
from medal_ros.launching import choice, console, declare, scratch, start, values, whole_number
from medal_ros.launching_franka import beside
from medal_ros.launching_rviz import stand_in
from medal_ros.train import alone

ARGUMENTS = (
    'run', 'checkpoints', 'episodes', 'policy', 'starts', 'start_list', 'judge', 'seed', 'out',
    'robot', 'laboratory', 'drivers', 'rviz', 'console', 'namespace', 'network',
)  # fmt: skip


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=bring_up)])


def bring_up(context: LaunchContext) -> list[Action]:
    given = values(context, ARGUMENTS)
    franka = choice(given, 'robot', ('sim', 'franka')) == 'franka'
    runs = [Path(name) for name in names(given['run'])]
    plan = plan_of(
        runs,
        given['checkpoints'],
        given['policy'],
        whole_number(given, 'episodes'),
        given['starts'],
        Path(given['start_list']) if given['start_list'] else None,
        given['judge'],
        whole_number(given, 'seed') if given['seed'] else None,
    )
    if franka:
        laboratory = load_laboratory(given['laboratory'])
        others = beside(given, laboratory, scratch())
    else:
        others = stand_in(given, plan.task, scratch())
    out = Path(given['out']) if given['out'] else None
    session = Session(folder_of(runs[0], plan.digest, out), plan)
    if franka:
        specs = on_a_robot(plan, session.folder, laboratory)
    else:
        specs = examination(plan, session.folder)
    with alone(given['namespace']):
        nodes = start(specs, session.folder, given['namespace'])
        others = [*others, *console(given, session.folder)]
    where = LogInfo(msg=f'the evaluation is kept in {session.folder}')
    return [*others, *nodes, where]
