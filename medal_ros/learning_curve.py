"""The picture of a run: success over steps, against cloning the demonstrations. No ROS import."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from medal_ros.report import Point, RunRecord
from medal_ros.statistics import Evaluation

# Told apart with any colour vision, and in grey (Okabe and Ito).
BLUE, ORANGE, GREY, DARK = '#0072B2', '#D55E00', '#6B6B6B', '#222222'
LEFT, BOTTOM, WIDTH, HEIGHT = 0.07, 0.1, 0.67, 0.735  # the axes' place in the figure
BESIDE = 1.055  # where words beside the axes begin, in widths of the axes
LOW, HIGH = -0.09, 1.04  # what the vertical axis shows; interventions are below zero
LINE = 0.042  # height of a line of text beside the axes, in units of success


class Label(NamedTuple):
    """Words beside the axes, at the height of what they name."""

    height: float
    name: str
    details: tuple[str, ...]
    colour: str

    @property
    def size(self) -> float:
        return LINE * (1 + len(self.details)) + 0.025


def draw_learning_curve(record: RunRecord, path: Path) -> None:
    """Draw both policies, the cloning baseline and the interventions as a 1200x700 PNG.

    What a run has not measured yet is left out.

    Raises:
        OSError: The file cannot be written.
    """
    figure = Figure(figsize=(12, 7), dpi=100, facecolor='white')  # pyplot would want a display
    FigureCanvasAgg(figure)
    axes = figure.add_axes((LEFT, BOTTOM, WIDTH, HEIGHT))
    end = max([1, record.steps, *(point.steps for point in record.points)])
    _draw_axes(axes, end)
    labels = [
        *_draw_baseline(axes, record),
        *_draw_backward(axes, record),
        *_draw_forward(axes, record),
    ]
    _draw_interventions(axes, record)
    for height, label in spread(labels):
        _write(axes, height, label)
    figure.text(LEFT, 0.94, _title(record), fontsize=20, weight='bold', color=DARK)
    figure.text(LEFT, 0.893, _subtitle(record), fontsize=13, color=GREY)
    partial = path.with_suffix('.partial')
    figure.savefig(partial, format='png')
    partial.replace(path)


def spread(labels: list[Label]) -> list[tuple[float, Label]]:
    """Return `(top, label)`, moved as little as needed so that no two overlap."""
    placed: list[tuple[float, Label]] = []
    ceiling = HIGH
    for label in sorted(labels, key=lambda label: -label.height):
        top = min(label.height + LINE / 2, ceiling)
        placed.append((top, label))
        ceiling = top - label.size
    floor = 0.0
    for i, (top, label) in reversed(list(enumerate(placed))):
        placed[i] = max(top, floor + label.size), label
        floor = placed[i][0]
    return placed


def _draw_axes(axes: Axes, end: int) -> None:
    axes.set_xlim(0, end)
    axes.set_ylim(LOW, HIGH)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.xaxis.set_major_locator(MaxNLocator(9, integer=True))
    axes.xaxis.set_major_formatter(_thousands)
    axes.yaxis.set_major_formatter('{x:.0%}')
    axes.set_xlabel('steps of practice', fontsize=14, color=DARK)
    axes.tick_params(labelsize=13, colors=DARK, length=0, pad=7)
    axes.grid(axis='y', color='#E2E2E2', linewidth=1)
    axes.set_axisbelow(True)
    for side in ('top', 'right', 'left'):
        axes.spines[side].set_visible(False)
    axes.spines['bottom'].set_color('#BBBBBB')


def _draw_baseline(axes: Axes, record: RunRecord) -> list[Label]:
    if record.baseline is None:
        return []
    axes.axhline(record.baseline.success, color=DARK, linewidth=2, linestyle=(0, (5, 3)))
    return [_label('cloning alone', record.baseline, DARK)]


def _draw_backward(axes: Axes, record: RunRecord) -> list[Label]:
    points = record.points_of('backward')
    steps, success = _line(points)
    look = {'color': ORANGE, 'marker': 's', 'clip_on': False}
    axes.plot(steps, success, linewidth=1.5, markersize=3.5, alpha=0.85, **look)
    if record.backward_final:
        _mark(axes, 1.03, record.backward_final, 8, **look)
    shown = record.backward_final or (points[-1].evaluation if points else None)
    return [_label('backward policy', shown, ORANGE)] if shown else []


def _draw_forward(axes: Axes, record: RunRecord) -> list[Label]:
    points = record.points_of('forward')
    steps, success = _line(points)
    intervals = [point.evaluation.interval for point in points]
    lows, highs = [low for low, _ in intervals], [high for _, high in intervals]
    look = {'color': BLUE, 'marker': 'o', 'clip_on': False}
    axes.fill_between(steps, lows, highs, color=BLUE, alpha=0.16, linewidth=0)
    axes.plot(steps, success, linewidth=3, markersize=5.5, **look)
    if record.final:
        _mark(axes, 1.014, record.final, 11, **look)
    shown = record.final or (points[-1].evaluation if points else None)
    if shown is None:
        return []
    label = _label('forward policy', shown, BLUE)
    if record.best and points and record.best_steps != points[-1].steps:
        details = *label.details, f'best checkpoint {record.best.success:.0%}'
        label = label._replace(details=details)
    return [label]


def _line(points: list[Point]) -> tuple[list[int], list[float]]:
    return [point.steps for point in points], [point.evaluation.success for point in points]


def _mark(axes: Axes, place: float, final: Evaluation, size: int, **look: Any) -> None:
    """Draw a final figure with its interval just right of the axes."""
    low, high = final.interval
    axes.errorbar(
        [place], [final.success], [[final.success - low], [high - final.success]],
        transform=axes.get_yaxis_transform(), markersize=size, markeredgecolor='white',
        capsize=size / 2, elinewidth=size / 4, capthick=size / 4, linestyle='none', **look,
    )  # fmt: skip


def _thousands(number: float, _position: object = None) -> str:
    return f'{number:,.0f}'.replace(',', '\u2009')


def _label(name: str, evaluation: Evaluation, colour: str) -> Label:
    low, high = evaluation.interval
    details = f'{low:.0%} to {high:.0%}, {evaluation.episodes} starts'
    return Label(evaluation.success, f'{name} {evaluation.success:.0%}', (details,), colour)


def _write(axes: Axes, top: float, label: Label) -> None:
    place = {'transform': axes.get_yaxis_transform(), 'va': 'top', 'color': label.colour}
    axes.text(BESIDE, top, label.name, fontsize=14.5, weight='bold', **place)
    for row, detail in enumerate(label.details, 1):
        axes.text(BESIDE, top - LINE * row - 0.005, detail, fontsize=12, **place)


def _draw_interventions(axes: Axes, record: RunRecord) -> None:
    count = len(record.interventions)
    axes.vlines(record.interventions, LOW, LOW + 0.045, color=DARK, linewidth=2)
    words = f'{count} intervention' + ('' if count == 1 else 's')
    axes.text(
        BESIDE, LOW + 0.04, words, fontsize=13, color=DARK, va='top',
        transform=axes.get_yaxis_transform(),
    )  # fmt: skip


def _title(record: RunRecord) -> str:
    return f'A robot teaches itself: {record.task}'


def _subtitle(record: RunRecord) -> str:
    interrupted = '' if record.finished else ', stopped early'
    return (
        f'success on unseen starts, judged at the last step, with 95 % intervals  ·  '
        f'{record.preset}, seed {record.seed}, {record.minutes:.0f} min{interrupted}'
    )
