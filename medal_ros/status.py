"""A running graph in words, for `medal status`."""

from __future__ import annotations

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
    for name, status in sorted(monitor.health.items()):
        lines.append(f'  {name.removesuffix(": status")}: {status.message}')
    return '\n'.join(lines)
