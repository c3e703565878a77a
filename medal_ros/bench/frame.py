"""What all figures of the benchmark share: the sheet, its panels, the looks. No ROS import."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from io import BytesIO
from itertools import product
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from medal_ros.bench.results import Result

MAKER = 'medal bench report'  # written into every file, so that no other file is overwritten
DPI = 150
# Told apart with any colour vision (Okabe and Ito); dashes and markers do it in grey.
BLUE, SKY, GREEN, ORANGE = '#0072B2', '#56B4E9', '#009E73', '#E69F00'
PURPLE, RED, GREY, DARK = '#CC79A7', '#D55E00', '#6B6B6B', '#222222'
DASHED, DOTTED, LONG, MIXED = (0, (4, 2)), (0, (1, 1.6)), (0, (8, 3)), (0, (6, 2, 1.5, 2))
# In inches.
WIDTH, HEAD, ABOVE, BELOW, RIGHT = 11.0, 0.42, 0.35, 0.55, 0.3
LEGEND_ROW, PRINT_ROW = 0.22, 0.15
LEGEND_COLUMNS = 5


class Look(NamedTuple):
    """How a method is drawn."""

    colour: str
    dashes: tuple[float, tuple[float, ...]] | str
    marker: str
    width: float = 1.7


LOOKS = {
    'medalpp': Look(BLUE, '-', 'o', 2.8),
    'medalpp_true': Look(SKY, DASHED, 's'),
    'workshop': Look(GREEN, '-', '^'),
    'medal': Look(ORANGE, MIXED, 'D'),
    'r3l': Look(PURPLE, DOTTED, 'v'),
    'fbrl': Look(RED, DASHED, 'P'),
    'oracle': Look(DARK, '-', '*'),
    'naive': Look(GREY, DOTTED, 'X'),
    'bc': Look(DARK, LONG, ''),
    'no_ensemble': Look(RED, MIXED, '^'),
    'no_demonstrations': Look(ORANGE, DOTTED, 'D'),
    'shared_encoder': Look(GREEN, DASHED, 's'),
    'shared_transitions': Look(PURPLE, MIXED, 'v'),
}
OTHERS = [
    Look(colour, dashes, marker)
    for (colour, dashes), marker in zip(
        product((RED, GREEN, PURPLE), ('-', LONG)), ('h', '<', '>', 'p', 'd', '8'), strict=True
    )
]


def look(method: str, among: Sequence[str]) -> Look:
    """Return a method's look; an unknown one gets one by its place among the unknown."""
    if method in LOOKS:
        return LOOKS[method]
    return OTHERS[[name for name in among if name not in LOOKS].index(method) % len(OTHERS)]


def sheet(
    heights: Sequence[float],
    columns: int,
    left: float,
    title: str,
    small: str,
    legend: Sequence[Line2D] = (),
) -> tuple[Figure, list[Axes]]:
    """Return a figure: a title, panels, a legend below them, and the small print.

    Args:
        heights: Of each panel's axes, in inches; each goes where the sheet is filled least.
        columns: How many panels stand side by side at most.
        left: What is left free at the left of each panel, in inches.
        title: What is seen, in a line.
        small: The small print.
        legend: Its entries.
    """
    columns = min(columns, len(heights))
    lines = textwrap.wrap(small, 185)
    foot = 0.2 + PRINT_ROW * len(lines) + LEGEND_ROW * -(-len(legend) // LEGEND_COLUMNS)
    places, depths = [], [HEAD] * columns  # (left edge, depth of the bottom), in inches
    for tall in heights:
        column = depths.index(min(depths))
        places.append((column * WIDTH / columns + left, depths[column] + ABOVE + tall))
        depths[column] += ABOVE + tall + BELOW
    height, wide = max(depths) + foot, WIDTH / columns - left - RIGHT
    figure = Figure((WIDTH, height), dpi=DPI, facecolor='white')
    FigureCanvasAgg(figure)  # pyplot would want a display
    axes = [
        figure.add_axes((edge / WIDTH, 1 - depth / height, wide / WIDTH, tall / height))
        for (edge, depth), tall in zip(places, heights, strict=True)
    ]
    _write(figure, title, lines, legend, foot)
    return figure, axes


def _write(
    figure: Figure, title: str, lines: Sequence[str], legend: Sequence[Line2D], foot: float
) -> None:
    """Write the title and, in the lowest `foot` inches, the legend and the small print."""
    margin, height = 0.1 / WIDTH, figure.get_figheight()
    look = {'fontsize': 15, 'weight': 'bold', 'va': 'top', 'color': DARK}
    figure.text(margin, 1 - 0.12 / height, title, **look)
    figure.text(margin, 0.08 / height, '\n'.join(lines), fontsize=7.5, color=GREY)
    if legend:
        figure.legend(
            handles=list(legend), loc='upper center', ncols=LEGEND_COLUMNS, fontsize=10,
            bbox_to_anchor=(0.5, foot / height), frameon=False, handlelength=4,
            labelcolor=DARK, borderaxespad=0, columnspacing=1.5,
        )  # fmt: skip


def provenance(results: Sequence[Result]) -> str:
    """Return commits, sizes, presets and seeds of results, as the small print has them."""
    seeds: dict[str, list[str]] = {}  # which seeds -> tasks
    for task in sorted({result.task for result in results}):
        numbers = sorted({result.seed for result in results if result.task == task})
        seeds.setdefault(', '.join(map(str, numbers)), []).append(task)
    some = [
        numbers if len(seeds) == 1 else f'{numbers} ({", ".join(tasks)})'
        for numbers, tasks in seeds.items()
    ]
    presets = sorted({result.preset for result in results})
    return ' \u00b7 '.join(
        [
            f'commit {", ".join(sorted({(one.commit or "unknown")[:10] for one in results}))}',
            f'size {", ".join(sorted({one.size for one in results}))}',
            f'preset{"s" if len(presets) > 1 else ""} {", ".join(presets)}',
            f'seeds {"; ".join(some)}',
        ]
    )


def finish(axes: Axes, title: str) -> None:
    """Give a panel its title and take away what is not read."""
    axes.set_title(title, fontsize=12, color=DARK, loc='left')
    axes.tick_params(labelsize=10, colors=DARK, length=0)
    axes.set_axisbelow(True)
    for side in ('top', 'right', 'left'):
        axes.spines[side].set_visible(False)
    axes.spines['bottom'].set_color('#BBBBBB')


def encode(figure: Figure) -> bytes:
    """Return a figure as PNG; its metadata says what made it."""
    data = BytesIO()
    figure.savefig(data, format='png', metadata={'Software': MAKER})
    return data.getvalue()
