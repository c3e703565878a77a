"""What the outcomes say: a table as the paper has it, and policies compared start by start."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from medal_ros.config import load_config
from medal_ros.evaluation import CLONING
from medal_ros.exam.plan import Candidate
from medal_ros.exam.session import Session
from medal_ros.run_folder import RunFolder
from medal_ros.statistics import wilson

OTHERS = {'workshop': 'workshop pipeline', 'released_code': 'released code'}


@dataclass(frozen=True)
class Score:
    """How one candidate did on one start set.

    Attributes:
        ever: Trials that had succeeded at any step; None where nobody saw that.
    """

    successes: int
    trials: int
    ever: int | None

    def __str__(self) -> str:
        if not self.trials:
            return '-'
        low, high = wilson(self.successes, self.trials)
        text = f'{self.successes}/{self.trials} = {self.successes / self.trials:.2f} '
        text += f'({low:.2f} to {high:.2f})'
        return text if self.ever is None else f'{text}, ever {self.ever / self.trials:.2f}'


@dataclass(frozen=True)
class Comparison:
    """Two candidates on the same starts.

    Attributes:
        first: Index of one.
        second: Index of the other.
        set: The start set.
        starts: Starts on which both were judged.
        first_only: Starts on which only the first succeeded.
        second_only: Starts on which only the second did.
    """

    first: int
    second: int
    set: str
    starts: int
    first_only: int
    second_only: int

    @property
    def p(self) -> float:
        """The exact McNemar test: how likely so uneven a split is if neither is better."""
        return mcnemar(self.first_only, self.second_only)


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of a sign test over the starts on which two policies differ."""
    n, k = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(n, i) for i in range(k + 1)) / 2**n
    return min(1.0, 2 * tail)


def score(session: Session, candidate: int, start_set: str) -> Score:
    """Return how a candidate did on a start set so far."""
    outcomes = list(_judged(session, candidate, start_set).values())
    seen = [outcome.ever for outcome in outcomes]
    ever = None if None in seen or not seen else sum(seen)
    return Score(sum(o.verdict == 'success' for o in outcomes), len(outcomes), ever)


def comparisons(session: Session) -> list[Comparison]:
    """Return every pair of candidates of one direction, on each start set."""
    plan, found = session.plan, []
    for a, b in combinations(range(len(plan.candidates)), 2):
        if plan.candidates[a].direction != plan.candidates[b].direction:
            continue
        for name in sets(session):
            mine, other = (_judged(session, c, name) for c in (a, b))
            both = [
                (mine[s].verdict == 'success', other[s].verdict == 'success')
                for s in mine.keys() & other.keys()
            ]
            if both:
                counts = both.count((True, False)), both.count((False, True))
                found.append(Comparison(a, b, name, len(both), *counts))
    return found


def sets(session: Session) -> list[str]:
    """Return the start sets in the order of the plan."""
    return list(dict.fromkeys(start.set for start in session.plan.starts))


def titles(session: Session) -> list[str]:
    """Return what each candidate is called: as short as tells all of them apart."""
    candidates = session.plan.candidates
    names = [_method(c) for c in candidates]
    for detail in (lambda c: f'at {c.steps}', lambda c: f'of {Path(c.run).name}'):
        if len(set(names)) < len(names):
            names = [f'{name} {detail(c)}' for name, c in zip(names, candidates, strict=True)]
    return names


def markdown(session: Session) -> str:
    """Return the outcomes as a Markdown table, as the paper's, and the comparisons below it."""
    plan, names = session.plan, titles(session)
    lines = [f'| task | starts | {" | ".join(names)} |', '|---' * (2 + len(names)) + '|']
    for name in sets(session):
        cells = [str(score(session, c, name)) for c in range(len(names))]
        lines.append(f'| {plan.task} | {name} | {" | ".join(cells)} |')
    for c in comparisons(session):
        lines += ['', sentence(c, names)]
    return '\n'.join(lines) + '\n'


def sentence(c: Comparison, names: list[str]) -> str:
    """Return a comparison in words."""
    where = f'of {c.starts} {c.set} starts'
    return (
        f'{names[c.first]} against {names[c.second]}: {where}, only the first succeeded on '
        f'{c.first_only}, only the second on {c.second_only}; p = {c.p:.2g} (exact McNemar test)'
    )


def document(session: Session) -> dict[str, Any]:
    """Return the outcomes and comparisons as JSON holds them."""
    plan, names = session.plan, titles(session)
    scores = []
    for i, candidate in enumerate(plan.candidates):
        for name in sets(session):
            s = score(session, i, name)
            scores.append(
                {
                    'run': Path(candidate.run).name,
                    'policy': candidate.policy,
                    'steps': candidate.steps,
                    'title': names[i],
                    'starts': name,
                    'successes': s.successes,
                    'trials': s.trials,
                    'ever': s.ever,
                    'interval': list(wilson(s.successes, s.trials)),
                }
            )
    pairs = [
        {
            'first': names[c.first],
            'second': names[c.second],
            'starts': c.set,
            'both_judged': c.starts,
            'first_only': c.first_only,
            'second_only': c.second_only,
            'p': c.p,
        }
        for c in comparisons(session)
    ]
    return {
        'task': plan.task,
        'judge': plan.judge,
        'steps_of_a_trial': plan.horizon,
        'left': len(session.pending),
        'scores': scores,
        'comparisons': pairs,
    }


def write_tables(session: Session) -> None:
    """Write `table.md` and `table.json` beside the outcomes."""
    (session.folder / 'table.md').write_text(markdown(session))
    (session.folder / 'table.json').write_text(json.dumps(document(session), indent=1) + '\n')


def _judged(session: Session, candidate: int, start_set: str) -> dict[int, Any]:
    """Return the valid outcomes of a candidate on a set, by start."""
    return {
        trial.start: session.outcomes[trial.number]
        for trial in session.plan.trials
        if trial.candidate == candidate
        and session.plan.starts[trial.start].set == start_set
        and session.verdict(trial.number) in ('success', 'failure')
    }


def _method(candidate: Candidate) -> str:
    if candidate.policy == CLONING:
        return 'BC'
    preset = load_config(RunFolder(Path(candidate.run)).config).preset
    name = OTHERS.get(preset, 'MEDAL++')
    return name if candidate.policy == 'forward' else f'{name} backward'
