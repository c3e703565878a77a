"""What came out of each trial, on the disk as soon as it is known: nothing is tried twice."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from medal_ros.bounded import parse_json
from medal_ros.exam.plan import Plan, Trial, load_plan
from medal_ros.options import OptionError

VERDICTS = ('success', 'failure', 'invalid')


@dataclass(frozen=True)
class Outcome:
    """A judged trial.

    Attributes:
        trial: Its number in the plan.
        verdict: `'success'` or `'failure'` at the last step; `'invalid'` is tried again.
        ever: Whether it had succeeded at any step; None where nobody saw that.
    """

    trial: int
    verdict: str
    ever: bool | None = None


class Session:
    """An examination in a folder: `plan.json`, and a line of `trials.jsonl` for each trial.

    Args:
        folder: Where; made if it is not there.
        plan: What is to be tried; None takes the folder's own plan.

    Raises:
        OptionError: The folder holds another examination, or a line that is none of ours.
        OSError: The folder cannot be written to.
    """

    def __init__(self, folder: Path, plan: Plan | None = None) -> None:
        self.folder = folder
        path = folder / 'plan.json'
        if path.exists() or plan is None:
            self.plan = load_plan(path)
            if plan is not None and plan != self.plan:
                raise OptionError(f'{folder} holds another examination: choose another folder')
        else:
            folder.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix('.partial')
            partial.write_text(plan.text)
            partial.replace(path)
            self.plan = plan
        self.outcomes = self._read()

    @property
    def path(self) -> Path:
        return self.folder / 'trials.jsonl'

    @property
    def pending(self) -> list[Trial]:
        """The trials without a verdict, in order; invalid ones again at the end."""
        trials = [t for t in self.plan.trials if self.verdict(t.number) in (None, 'invalid')]
        return sorted(trials, key=lambda t: self.verdict(t.number) == 'invalid')

    def verdict(self, number: int) -> str | None:
        """Return the newest verdict on a trial; None before the first."""
        outcome = self.outcomes.get(number)
        return outcome.verdict if outcome else None

    def record(self, outcome: Outcome) -> None:
        """Write an outcome down for good."""
        if outcome.verdict not in VERDICTS:
            raise ValueError(f'a verdict is one of {", ".join(VERDICTS)}, not {outcome.verdict!r}')
        with open(self.path, 'a') as file:
            file.write(json.dumps(asdict(outcome)) + '\n')
            file.flush()
            os.fsync(file.fileno())
        self.outcomes[outcome.trial] = outcome

    def video(self, trial: Trial) -> Path:
        """Return where the film of a trial goes; its name tells nobody which policy it was."""
        return self.folder / 'videos' / f'trial_{trial.number:04d}.mp4'

    def _read(self) -> dict[int, Outcome]:
        """Return the newest outcome of each trial; a line that was being written is cut off."""
        if not self.path.exists():
            return {}
        content = self.path.read_bytes()
        whole = content.rfind(b'\n') + 1
        if whole < len(content):
            os.truncate(self.path, whole)
        outcomes = {}
        for number, line in enumerate(content[:whole].splitlines(), 1):
            try:
                outcome = Outcome(**parse_json(line))
                fits = outcome.verdict in VERDICTS and outcome.ever in (True, False, None)
                fits = fits and 0 <= outcome.trial < len(self.plan.trials)
            except (ValueError, TypeError):
                fits = False
            if not fits:
                raise OptionError(f'{self.path}, line {number} is not the outcome of a trial')
            outcomes[outcome.trial] = outcome
        return outcomes
