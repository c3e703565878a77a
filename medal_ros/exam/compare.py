"""Curves of several runs in one picture, from what each of them left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from medal_ros.bounded import MAX_RECORD, parse_json, read_bytes
from medal_ros.options import OptionError
from medal_ros.run_folder import RunFolder

# Told apart with any colour vision (Okabe and Ito).
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#56B4E9', '#E69F00', '#000000')
MARKERS = 'osD^vPX'


def compare(runs: Sequence[Path], path: Path) -> str:
    """Draw the forward curves of some runs into a PNG; return a table of their final figures.

    Raises:
        OptionError: A folder is no run, or its run has measured nothing yet.
        OSError: The picture cannot be written.
    """
    summaries = [_summary(run) for run in runs]
    tasks = sorted({str(s['task']) for s in summaries})
    figure = Figure(figsize=(10, 6), dpi=100, facecolor='white')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for i, (run, summary) in enumerate(zip(runs, summaries, strict=True)):
        steps, success = zip(*summary['curve'], strict=True)
        colour = COLOURS[i % len(COLOURS)]
        label = f'{run.name}: {_final(summary)}'
        axes.plot(steps, success, color=colour, marker=MARKERS[i % len(MARKERS)], label=label)
        if summary.get('bc_success') is not None:
            axes.axhline(summary['bc_success'], color=colour, linestyle='--', linewidth=1)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel('steps of practice')
    axes.set_ylabel('success on unseen starts (dashed: cloning alone)')
    axes.set_title(', '.join(tasks))
    axes.grid(axis='y', color='#E2E2E2')
    axes.legend(loc='best', frameon=False)
    figure.tight_layout()
    figure.savefig(path)
    return table(runs, summaries) + f'\n\nthe curves are in {path}'


def table(runs: Sequence[Path], summaries: Sequence[dict[str, Any]]) -> str:
    """Return the figures of some runs, a row for each, as Markdown."""
    lines = ['| run | task | seed | steps | cloning | success | interventions | minutes |']
    lines.append('|---' * 8 + '|')
    for run, s in zip(runs, summaries, strict=True):
        cloning = '-' if s.get('bc_success') is None else f'{s["bc_success"]:.2f}'
        lines.append(
            f'| {run.name} | {s["task"]} | {s["seed"]} | {s["steps"]} | {cloning} | {_final(s)} | '
            f'{s["interventions"]} | {s["minutes"]:.1f} |'
        )
    return '\n'.join(lines)


def _final(summary: dict[str, Any]) -> str:
    if summary['success'] is None:
        return f'{summary["curve"][-1][1]:.2f} so far'
    low, high = summary['success_interval']
    return f'{summary["success"]:.2f} ({low:.2f} to {high:.2f})'


def _summary(run: Path) -> dict[str, Any]:
    folder = RunFolder(run)
    if not folder.config.is_file():
        raise OptionError(f'{run} is not a run: it has no config.yaml')
    try:
        summary = parse_json(read_bytes(folder.summary, MAX_RECORD))
        steps, success = zip(*summary['curve'], strict=True)
        table([run], [summary])
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        raise OptionError(
            f'{run} has measured nothing yet, or its summary.json is damaged'
        ) from None
    if not all(isinstance(x, int | float) for x in (*steps, *success)):
        raise OptionError(f'{run} has measured nothing yet, or its summary.json is damaged')
    return summary
