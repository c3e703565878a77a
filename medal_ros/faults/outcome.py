"""What a storm showed: a table of its faults, and whether what must be true was. No ROS here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple

from medal_ros.faults.schedule import KINDS, MEANINGS

BACK = 20.0  # seconds within which each node is there again
HOLD = 0.2  # seconds from the last fresh command to the hold


class Check(NamedTuple):
    """Something that must be true."""

    name: str
    good: bool
    found: str


def holds_of_an_arm_that_was_there(
    holds: dict[int, float], at: dict[int, float], away: Iterable[tuple[float, float]]
) -> dict[int, float]:
    """Return the holds while the arm's process could hold at all.

    Args:
        holds: Seconds from the command to the hold, by sequence number.
        at: When each was published.
        away: When the arm's process was killed or stopped, and when it was there again.
    """
    gone = list(away)
    return {
        n: seconds
        for n, seconds in holds.items()
        if not any(first - 1 <= at[n] <= last + 1 for first, last in gone)
    }


def table(hits: Sequence[Any]) -> str:
    """Return one row for each kind of fault, as Markdown."""
    lines = [
        '| fault | what it is | times | noticed | node back, s: median (longest) | '
        'practice again, s: median (longest) |',
        '|---|---|---|---|---|---|',
    ]
    for kind in KINDS:
        mine = [hit for hit in hits if hit.fault.kind == kind]
        if mine:
            told = [hit.noticed for hit in mine if hit.noticed is not None]
            noticed = f'{sum(told)} of {len(told)}' if told else ''
            back = spread([hit.back for hit in mine]) if mine[0].fault.node else ''
            well = spread([hit.well for hit in mine])
            cells = (kind, MEANINGS[kind], len(mine), noticed, back, well)
            lines.append('| ' + ' | '.join(map(str, cells)) + ' |')
    return '\n'.join(lines)


def spread(seconds: Sequence[float | None]) -> str:
    known = [s for s in seconds if s is not None]
    never = len(seconds) - len(known)
    words = f'{median(known):.1f} ({max(known):.1f})' if known else ''
    return words + (f'; {never} never' if never else '')


def checks(
    hits: Sequence[Any],
    wanted: int,
    transitions: int,
    missing: Sequence[int],
    outside: int,
    holds: dict[int, float],
    end: str,
) -> list[Check]:
    """Return everything that must be true after a storm."""
    kinds = len({hit.fault.kind for hit in hits})
    nodes = [hit for hit in hits if hit.fault.node]
    slow = [hit for hit in nodes if hit.back is None or hit.back > BACK]
    unseen = [hit for hit in hits if hit.noticed is False]
    lost = [hit for hit in hits if hit.well is None]
    late = [seconds for seconds in holds.values() if seconds > HOLD]
    longest = 1000 * max(holds.values(), default=0)
    return [
        Check('the faults happened', len(hits) == wanted, f'{len(hits)} of {kinds} kinds'),
        Check(
            'no transition of a finished segment is missing or damaged',
            not missing,
            f'{len(missing)} of {transitions}',
        ),
        Check('no command outside the safety box', not outside, str(outside)),
        Check(
            f'hold within {1000 * HOLD:.0f} ms of the last fresh command',
            not late,
            f'{len(late)} of {len(holds)} later; longest {longest:.0f} ms',
        ),
        Check(
            f'each node back within {BACK:.0f} s',
            not slow,
            f'{len(slow)} of {len(nodes)} later',
        ),
        Check(
            'what should be noticed was',
            not unseen,
            f'{len(unseen)} were not: {", ".join(sorted({h.fault.kind for h in unseen}))}'
            if unseen
            else 'all',
        ),
        Check('practice went on after each', not lost, f'{len(lost)} times not'),
        Check('the run ended where it should', not end, end or 'yes'),
    ]


def verdicts(found: Sequence[Check]) -> str:
    """Return the checks as Markdown."""
    rows = [f'| {c.name} | {"yes" if c.good else "**no**"} | {c.found} |' for c in found]
    return '\n'.join(['| must be true | | found |', '|---|---|---|', *rows])
