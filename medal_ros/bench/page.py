"""One self-contained page of what the benchmark came to. No ROS import."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from medal_ros.bench.collection import OURS, Collection, collections, title
from medal_ros.bench.figures import NAMES, Picture, draw
from medal_ros.bench.frame import MAKER, provenance
from medal_ros.bench.methods import METHODS
from medal_ros.bench.results import load_results, unrecorded
from medal_ros.bench.tables import (
    Table,
    aggregate_table,
    commands,
    sentence,
    task_table,
    unfinished_table,
)  # fmt: skip
from medal_ros.errors import UserError

PAGE = 'report.html'
GENERATOR = f'<meta name="generator" content="{MAKER}">'
PNG = b'\x89PNG\r\n\x1a\n'
STYLE = """
:root { color-scheme: light dark; --line: #8886; --faint: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 3rem; } h3 { margin-top: 2rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.9rem; }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 0.75rem 0.25rem 0;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
td { white-space: nowrap; } .where td { white-space: normal; }
figure { margin: 1.5rem 0; } figcaption { font-size: 0.9rem; }
img { width: 100%; height: auto; background: white; border-radius: 6px; }
pre { background: var(--faint); padding: 0.75rem; overflow-x: auto; border-radius: 6px; }
.unfinished { opacity: 0.65; } .task { margin-left: 1.5rem; }
"""
HOW = (
    'Success is the share of episodes of the last policy that had succeeded at their last step; '
    "'ever' is EARL's own criterion, success at any step. BC is granted the best of its "
    'checkpoints on these episodes. Lifetime reward is the mean task reward of all policy steps '
    'of practice (continuing evaluation).',
    'Figures are means over seeds, and over tasks where it says so, every task counting the '
    'same. Intervals are 95 % percentile intervals of a bootstrap in two levels: within each task '
    'the seeds are drawn anew, then the episodes of each drawn seed, from a binomial. The '
    'interquartile mean leaves out the lowest and the highest quarter of the runs (Agarwal et '
    'al. 2021). Intervals of lifetime reward and bands of curves draw only the seeds anew. The '
    'probability of improvement is the share of pairs of runs on the same task that are won.',
    'Two methods are called separate where their intervals do not overlap and, with at least two '
    "seeds of each, the interval of the difference from Student's t leaves out zero. The second "
    'condition is there because a bootstrap over two or three seeds is too short: simulated on '
    'one task with seeds that spread by 0.3, its intervals hold the truth in 6 (two seeds), 7 to 8 '
    '(three) and 8 to 9 (five) of 10 cases, and of two equal methods with two seeds each 21 of 100 '
    'pairs lie apart, of which the second condition leaves 6. Each pair is judged on its own; '
    'nothing is corrected for how many there are.',
)


def write_report(root: Path, out: Path, size: str | None = None) -> list[Path]:
    """Write the page and its pictures, and return their paths, the page first.

    Everything is read and drawn before anything is written, and of files that are there only those
    of an earlier report are overwritten.

    Args:
        root: The folder of all results.
        out: Where the files go; made where it is missing.
        size: Only this size; None takes all, each in a section of its own.

    Raises:
        UserError: There are no results, one cannot be used, or a file of another kind is in the
            way.
        OSError: The folder cannot be written to.
    """
    results = load_results(root, size)
    several = collections(results, unrecorded(root, size))
    _check(out, [collection.size for collection in several])
    drawn = [draw(collection) for collection in several]
    files = {PAGE: _page(several, drawn).encode()}
    for collection, pictures in zip(several, drawn, strict=True):
        files |= {f'{collection.size}_{picture.name}.png': picture.png for picture in pictures}
    out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        partial = out / f'{name}.partial'
        partial.write_bytes(content)
        partial.replace(out / name)
    return [out / name for name in files]


def _check(out: Path, sizes: Sequence[str]) -> None:
    """Refuse a folder with files in it that a report may write and none has written."""
    if out.exists() and not out.is_dir():
        raise UserError(f'{out} is a file: choose another folder for the report')
    for name in [PAGE, *(f'{size}_{figure}.png' for size in sizes for figure in NAMES)]:
        if (out / name).exists() and not _is_ours(out / name):
            raise UserError(f'{out / name} is not of an earlier report: choose another folder')


def _is_ours(path: Path) -> bool:
    """Return whether a file says that an earlier report wrote it."""
    if not path.is_file():
        return False
    with path.open('rb') as file:
        head = file.read(2000)
    return (head.startswith(PNG) and MAKER.encode() in head) or GENERATOR.encode() in head


def _page(several: Sequence[Collection], drawn: Sequence[Sequence[Picture]]) -> str:
    heading = 'MEDAL++ and the others on the tasks of EARL'
    parts = [
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{GENERATOR}',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<title>{heading}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{heading}</h1>',
    ]
    for collection, pictures in zip(several, drawn, strict=True):
        parts += _section(collection, pictures)
    parts.append('<h2>How to read this</h2>')
    parts += [f'<p>{escape(text)}</p>' for text in HOW]
    parts.append('</body>\n</html>\n')
    return '\n'.join(parts)


def _section(collection: Collection, pictures: Sequence[Picture]) -> list[str]:
    parts = [f'<h2>Size {escape(collection.size)}</h2>', *_what_was_run(collection)]
    parts += ['<h3>What may be said</h3>', *_verdicts(collection)]
    aggregate, tasks = aggregate_table(collection), task_table(collection)
    if aggregate.rows:
        words = f'Over all {len(collection.tasks)} tasks'
        parts += [f'<h3>{words}, methods that have run on each</h3>', _table(aggregate)]
    parts.append('<h3>Task by task</h3>')
    parts.append(_table(tasks) if tasks.rows else '<p>No job is finished.</p>')
    unfinished = unfinished_table(collection)
    if unfinished.rows:
        parts.append('<h3>Unfinished, and in no table or verdict</h3>')
        parts.append(f'<div class="unfinished">{_table(unfinished)}</div>')
    parts.append('<h3>Figures</h3>')
    for picture in pictures:
        data = base64.b64encode(picture.png).decode()
        caption = escape(picture.caption)
        parts.append(f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">')
        parts.append(f'<figcaption>{caption}</figcaption></figure>')
    return [*parts, *_where(collection), *_again(collection)]


def _what_was_run(collection: Collection) -> list[str]:
    count = len(collection.finished)
    jobs = f'{count} finished job{"" if count == 1 else "s"}'
    left = len(collection.unfinished) + len(collection.unrecorded)
    known = [
        f'<li><b>{escape(title(method))}</b>'
        + (f': {escape(METHODS[method].summary)}</li>' if method in METHODS else '</li>')
        for method in collection.methods
    ]
    commits = {result.commit for result in collection.results}
    mixed = '<p><b>These results come from more than one commit.</b></p>'
    return [
        f'<p>{jobs}, {left} unfinished; {escape(provenance(collection.results))}.</p>',
        *([mixed] if len(commits) > 1 else []),
        f'<ul>{"".join(known)}</ul>',
    ]


def _verdicts(collection: Collection) -> list[str]:
    verdicts = collection.verdicts()
    if not verdicts:
        return [f'<p>Nothing: no task has finished jobs of {title(OURS)} and of another one.</p>']
    lines, former = [], None
    for verdict in verdicts:
        kind = ' class="task"' if verdict.other == former else ''
        lines.append(f'<li{kind}>{escape(sentence(verdict, len(collection.tasks)))}</li>')
        former = verdict.other
    return ['<ul>', *lines, '</ul>']


def _table(table: Table) -> str:
    heads = ''.join(f'<th>{escape(head)}</th>' for head in table.heads)
    rows = [''.join(f'<td>{escape(cell)}</td>' for cell in row) for row in table.rows]
    body = '\n'.join(f'<tr>{row}</tr>' for row in rows)
    return f'<div class="wide"><table>\n<tr>{heads}</tr>\n{body}\n</table></div>'


def _where(collection: Collection) -> list[str]:
    """Return the machines and versions, each combination once with its number of jobs."""
    rows: dict[tuple[str, str], int] = {}
    for result in collection.results:
        machine, versions = (
            ', '.join(f'{key} {value}' for key, value in sorted(found.items()) if value is not None)
            for found in (result.machine, result.versions)
        )
        rows[machine, versions] = rows.get((machine, versions), 0) + 1
    table = Table(
        ['machine', 'versions', 'jobs'], [[*key, str(count)] for key, count in rows.items()]
    )
    return ['<h3>Where</h3>', f'<div class="where">{_table(table)}</div>']


def _again(collection: Collection) -> list[str]:
    lines = [*commands(collection), f'medal bench report --size {collection.size}']
    return ['<h3>Again</h3>', f'<pre>{escape(chr(10).join(lines))}</pre>']
