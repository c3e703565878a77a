"""A running graph in words, for `medal status`."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus

from medal_ros.bounded import plain
from medal_ros.monitor import Monitor


def describe(monitor: Monitor) -> str:
    """Return what a graph does, one line a subject; says so where there is none."""
    state, learner = monitor.newest.get('state'), monitor.newest.get('learner')
    if state is None:
        return f'no graph is running in namespace /{monitor.namespace} of this ROS domain'
    who = f'{state.agent} policy, step {state.index} of segment {state.segment}'
    lines = [
        f'{state.mode}: {who}' + (f' ({state.reason})' if state.reason else ''),
        f'{state.steps} of {state.total_steps} steps, {state.interventions} interventions',
    ]
    if learner is not None:
        lines.append(
            f'{learner.stored} steps stored, {learner.refused} refused; {learner.updates} '
            f'updates, {learner.updates_per_second:.1f} a second, {learner.owed} owed'
        )
    heard = {name.removesuffix(': status'): status for name, status in monitor.health.items()}
    space = monitor.namespace
    silent = [f'{space}/{name}' for name in monitor.others() if f'{space}/{name}' not in heard]
    for name in sorted([*heard, *silent]):
        lines.append(f'  {name}: {_words(heard[name]) if name in heard else "says nothing"}')
    return '\n'.join(lines)


def _words(status: DiagnosticStatus) -> str:
    """Return what a node says of itself; of the processes, also which were restarted."""
    if not status.hardware_id.endswith('/processes'):
        return f'ERROR: {status.message}' if status.level == status.ERROR else status.message
    counts = ', '.join(f'{plain(v.key)} {plain(v.value)}' for v in status.values)
    return status.message + (f'; restarts: {counts}' if counts else '')
