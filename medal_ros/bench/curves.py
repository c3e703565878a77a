"""Panels of curves over policy steps, a panel for each task. No ROS import."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from medal_ros.bench.aggregate import band, mean_success
from medal_ros.bench.collection import Collection, title
from medal_ros.bench.frame import DARK, WIDTH, Look, finish, look, provenance, sheet
from medal_ros.bench.results import Result

Curve = list[tuple[int, float]]
NOTE = (
    'Mean over seeds, bands are 95 % bootstrap intervals over seeds; thin broken lines are single '
    'seeds of unfinished jobs.'
)
MARKERS = 6  # on each curve


def success_of(result: Result) -> Curve:
    return [(steps, evaluation.success) for steps, evaluation in result.curve]


def lifetime_of(result: Result) -> Curve:
    return result.lifetime


def success_curves(
    collection: Collection, methods: Sequence[str], tasks: Sequence[str], heading: str
) -> Figure:
    """Draw success at the last step in the periodic evaluations of the forward policy."""
    level = 'A level line is the final evaluation of what does not practise.'
    note = f'{NOTE} Success is judged at the last step. {level}'
    figure, panels = _panels(collection, methods, tasks, heading, note, success_of)
    for axes in panels:
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(lambda share, _: f'{share:.0%}')
    return figure


def lifetime_curves(
    collection: Collection, methods: Sequence[str], tasks: Sequence[str], heading: str
) -> Figure:
    """Draw the mean task reward of all policy steps so far."""
    note = f'{NOTE} Reward is the mean over all policy steps so far.'
    figure, panels = _panels(collection, methods, tasks, heading, note, lifetime_of)
    for axes in panels:
        axes.set_ylim(bottom=min(0, axes.dataLim.y0))
    return figure


def aligned(curves: Sequence[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """Put curves onto the same steps, from the last beginning to the first end.

    Args:
        curves: `(steps, value)` of each seed; at least one point each.

    Returns:
        `(steps, values)`: `(points,)` and `(seeds, points)`, linear between what was measured;
        no points where the curves have no step in common.
    """
    begin = max(curve[0][0] for curve in curves)
    end = min(curve[-1][0] for curve in curves)
    steps = sorted({step for curve in curves for step, _ in curve if begin <= step <= end})
    values = [np.interp(steps, *np.transpose(curve)) for curve in curves]
    return np.array(steps), np.array(values)


def _panels(
    collection: Collection,
    methods: Sequence[str],
    tasks: Sequence[str],
    heading: str,
    note: str,
    curve_of: Callable[[Result], Curve],
) -> tuple[Figure, list[Axes]]:
    drawn = [one for one in collection.results if one.method in methods and one.task in tasks]
    looks = {method: look(method, collection.methods) for method in methods}
    legend = [Line2D([], [], **_line(looks[method]), label=title(method)) for method in methods]
    small = f'{note} {provenance(drawn)}'
    tall = 3.0 if len(tasks) > 1 else 4.5
    figure, panels = sheet([tall] * len(tasks), 3, 0.6, heading, small, legend)
    for axes, task in zip(panels, tasks, strict=True):
        end = max([1, *(one.steps for one in drawn if one.task == task)])
        axes.set_xlim(0, end)
        for method in reversed(methods):  # the first lies on top
            _draw(axes, collection, method, task, curve_of)
        finish(axes, task)
        axes.grid(axis='y', color='#E2E2E2')
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter(_thousands if end >= 5000 else '{x:.0f}')
        axes.set_xlabel(_unit(drawn, task), fontsize=10, color=DARK)
    return figure, panels


def _draw(
    axes: Axes,
    collection: Collection,
    method: str,
    task: str,
    curve_of: Callable[[Result], Curve],
) -> None:
    mine = look(method, collection.methods)
    for result in collection.of(method, task, finished=False):
        if result.steps and (curve := curve_of(result)):
            axes.plot(*np.transpose(curve), color=mine.colour, linewidth=0.9, dashes=(2, 2))
    finished = collection.of(method, task)
    if not any(one.steps for one in finished):
        if finished and curve_of is success_of:
            _draw_level(axes, mine, collection, method, task)
        return
    curves = [curve_of(result) for result in finished if curve_of(result)]
    if not curves:
        return
    steps, values = aligned(curves)
    every = max(1, len(steps) // MARKERS)
    marked = slice((len(steps) - 1) % every, None, every)  # the last one is always marked
    axes.plot(steps, values.mean(0), **_line(mine), markevery=marked, clip_on=False)
    if len(curves) > 1:
        axes.fill_between(steps, *band(values), color=mine.colour, alpha=0.11, linewidth=0)


def _draw_level(axes: Axes, mine: Look, collection: Collection, method: str, task: str) -> None:
    """Draw a line at the final figure; its interval stands beside the axes, not across them."""
    value, low, high = mean_success({task: collection.runs(method)[task]})
    axes.axhline(value, color=mine.colour, linestyle=mine.dashes, linewidth=mine.width)
    beside = 1 + 0.08 / (axes.get_position().width * WIDTH)  # inches
    axes.errorbar(
        [beside], [value], [[value - low], [high - value]], transform=axes.get_yaxis_transform(),
        color=mine.colour, elinewidth=1.4, capsize=3, capthick=1.4, clip_on=False,
    )  # fmt: skip


def _line(mine: Look) -> dict[str, object]:
    return {
        'color': mine.colour, 'linestyle': mine.dashes, 'linewidth': mine.width,
        'marker': mine.marker, 'markersize': 5.5,
    }  # fmt: skip


def _thousands(steps: float, _position: object = None) -> str:
    return f'{steps / 1000:g}k' if steps else '0'


def _unit(results: Sequence[Result], task: str) -> str:
    repeats = sorted({result.repeat for result in results if result.task == task})
    if repeats == [1]:
        return 'policy steps'
    return f'policy steps, each {" or ".join(map(str, repeats))} control steps'
