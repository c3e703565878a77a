"""Every figure of the benchmark as PNG; here those of points, one row a method. No ROS import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from medal_ros.bench.aggregate import Estimate, Runs, iqm_success, mean_success
from medal_ros.bench.collection import ABLATION, MAIN, OPTIONS, OURS, Collection, title
from medal_ros.bench.curves import lifetime_curves, lifetime_of, success_curves
from medal_ros.bench.frame import (
    BLUE,
    DARK,
    GREY,
    LOOKS,
    RED,
    encode,
    finish,
    provenance,
    sheet,
)  # fmt: skip
from medal_ros.bench.results import Result

NAMES = ('success', 'aggregate', 'ablation', 'options', 'resets', 'minutes', 'lifetime')
ROW, LEFT = 0.27, 2.0  # inches: of a method's row, and of the room for its name


class Picture(NamedTuple):
    """A figure of the page.

    Attributes:
        name: One of `NAMES`.
        caption: What it shows, also for those who cannot see it.
        png: The image.
    """

    name: str
    caption: str
    png: bytes


def draw(collection: Collection) -> list[Picture]:
    """Draw every figure that the results of a size have something for."""
    main = [*MAIN, *(method for method in collection.methods if method not in LOOKS)]
    pictures = [
        _success(collection, 'success', 'Success of the deployed policy', main),
        _aggregate(collection),
        _success(collection, 'ablation', 'Ablation: reward, ensemble, demonstrations', ABLATION),
        _success(collection, 'options', f'Options of {title(OURS)}', OPTIONS),
        _bars(collection, 'resets', 'Times the world was put back', lambda one: one.resets),
        _bars(collection, 'minutes', 'Wall time of a job, in minutes', lambda one: one.minutes),
        _lifetime(collection, main),
    ]
    return [picture for picture in pictures if picture]


def _success(
    collection: Collection, name: str, heading: str, methods: Sequence[str]
) -> Picture | None:
    """Draw curves; beside our method there must be another, except in the first figure."""
    drawn = [
        one for one in collection.results if one.method in methods and (one.curve or one.final)
    ]
    telling = [one for one in drawn if name == 'success' or one.method != OURS]
    methods = [method for method in methods if any(one.method == method for one in drawn)]
    tasks = [task for task in collection.tasks if any(one.task == task for one in telling)]
    if not tasks:
        return None
    figure = success_curves(collection, methods, tasks, heading)
    return Picture(name, f'{heading}, over policy steps, by task.', encode(figure))


def _lifetime(collection: Collection, methods: Sequence[str]) -> Picture | None:
    drawn = [one for one in collection.results if one.method in methods and lifetime_of(one)]
    methods = [method for method in methods if any(one.method == method for one in drawn)]
    tasks = [task for task in collection.tasks if any(one.task == task for one in drawn)]
    if not tasks:
        return None
    heading = 'Continuing evaluation: lifetime reward'
    figure = lifetime_curves(collection, methods, tasks, heading)
    return Picture('lifetime', f'{heading}, over policy steps, by task.', encode(figure))


def _aggregate(collection: Collection) -> Picture | None:
    """Draw success at the end over all tasks, then on each one, the best method on top."""
    panels = _score_panels(collection)
    if not panels:
        return None
    heading = 'Success of the last policy'
    note = (
        'Dots: mean over seeds, then tasks, with its 95 % interval, a bootstrap over seeds and '
        'episodes within each task. Over all tasks: the methods that have all of them.'
    )
    key = [
        Line2D([], [], color=DARK, marker='o', ls='', markersize=6, label='at the last step'),
        Line2D([], [], color=GREY, marker='o', ls='', markersize=8, mfc='none', label='ever'),
    ]
    if any(len(tasks) > 1 for tasks, _ in panels):
        label = 'at the last step, interquartile mean'
        key.append(Line2D([], [], color=RED, marker='D', ls='', markersize=5, label=label))
    heights = [ROW * len(scores) * (1.5 if len(tasks) > 1 else 1) for tasks, scores in panels]
    small = f'{note} {provenance(collection.finished)}'
    figure, axes = sheet(heights, 2, LEFT, heading, small, key)
    for place, (tasks, scores) in zip(axes, panels, strict=True):
        for row, (method, last, ever) in enumerate(scores):
            place.plot(
                mean_success(ever).value, row, 'o', markersize=8, markerfacecolor='none', color=GREY
            )
            _interval(place, row, mean_success(last), BLUE if method == OURS else DARK, 'o', 6)
            if len(tasks) > 1:
                _interval(place, row + 0.28, iqm_success(last), RED, 'D', 5)
        several = f'mean of {len(tasks)} tasks'
        _rows(place, [method for method, _, _ in scores], several if len(tasks) > 1 else tasks[0])
        place.set_xlim(-0.02, 1.02)
        place.xaxis.set_major_formatter(lambda share, _: f'{share:.0%}')
    return Picture('aggregate', f'{heading}, by method, with 95 % intervals.', encode(figure))


def _score_panels(
    collection: Collection,
) -> list[tuple[list[str], list[tuple[str, Runs, Runs]]]]:
    """Return `(tasks, [(method, last, ever)])` of each panel, the best method first."""
    groups = [[task] for task in collection.tasks]
    if len(groups) > 1:
        groups.insert(0, collection.tasks)
    panels = []
    for tasks in groups:
        scores = []
        for method in collection.methods:
            last, ever = (collection.runs(method, ever) for ever in (False, True))
            if all(task in last for task in tasks):
                chosen = ({task: runs[task] for task in tasks} for runs in (last, ever))
                scores.append((method, *chosen))
        if scores:
            scores.sort(key=lambda score: -mean_success(score[1]).value)
            panels.append((tasks, scores))
    return panels


def _interval(
    axes: Axes, row: float, estimate: Estimate, colour: str, marker: str, size: float
) -> None:
    axes.plot([estimate.low, estimate.high], [row, row], color=colour, linewidth=2)
    axes.plot(estimate.value, row, marker, color=colour, markersize=size)


def _bars(
    collection: Collection, name: str, heading: str, figure_of: Callable[[Result], float]
) -> Picture | None:
    """Draw a figure of each finished job, and the seeds' mean as a bar and a number."""
    if not collection.finished:
        return None
    tasks = [task for task in collection.tasks if any(r.task == task for r in collection.finished)]
    rows = [[m for m in collection.methods if collection.of(m, task)] for task in tasks]
    small = f'A ring is a seed; bar and number are their mean. {provenance(collection.finished)}'
    figure, panels = sheet([ROW * len(methods) for methods in rows], 2, LEFT, heading, small)
    most = max(figure_of(result) for result in collection.finished)
    for axes, task, methods in zip(panels, tasks, rows, strict=True):
        for row, method in enumerate(methods):
            values = [figure_of(result) for result in collection.of(method, task)]
            _bar(axes, row, values, '#8CBEDD' if method == OURS else '#CFCFCF')
        _rows(axes, methods, task)
        axes.set_xlim(0, 1.15 * max(1, most))
    return Picture(name, f'{heading}, by method and task.', encode(figure))


def _bar(axes: Axes, row: int, values: Sequence[float], colour: str) -> None:
    axes.barh(row, np.mean(values), 0.6, color=colour)
    axes.plot(
        values, [row] * len(values), 'o', markersize=4.5, color=DARK, markerfacecolor='none',
        markeredgewidth=0.8, clip_on=False,
    )  # fmt: skip
    mean = np.mean(values)
    words = f'{mean:,.0f}' if mean >= 100 or mean == round(mean) else f'{mean:.1f}'
    axes.annotate(
        words, (max(values), row), (7, 0), textcoords='offset points', va='center', fontsize=9.5,
        color=DARK,
    )  # fmt: skip


def _rows(axes: Axes, methods: Sequence[str], heading: str) -> None:
    axes.set_ylim(len(methods) - 0.45, -0.55)
    axes.set_yticks(range(len(methods)), [title(method) for method in methods])
    finish(axes, heading)
    axes.grid(axis='both', color='#EBEBEB')
