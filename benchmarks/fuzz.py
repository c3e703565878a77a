"""Feed every parser and every subscription what nobody should send, and see that all stand.

    python benchmarks/fuzz.py --inputs 10000 --seed 0

The inputs are spread over the targets. The status is 1 where an input crashed its reader, held it
up, or made it keep memory.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

import numpy as np
from fuzz_target import Stranger, Target
from fuzz_targets import targets

from medal_ros.errors import UserError

HANG = 20.0  # seconds of the processor for one input that are a hang
BLOCKED = 120.0  # seconds of waiting for anything: the fuzzer ends, and says where
GROWTH = 48.0  # MiB that the second half of a target's inputs may leave behind
MIB = 1 << 20
HEAD = (
    '| parser or topic | inputs | refused | accepted | slowest, ms | kept, MiB | failed |\n'
    '| --- | --- | --- | --- | --- | --- | --- |'
)


class Hang(BaseException):
    """An input that its reader does not come back from."""


@dataclass
class Outcome:
    """What became of one target's inputs."""

    target: Target
    inputs: int = 0
    refused: int = 0
    accepted: int = 0
    slowest: float = 0.0
    growth: float = 0.0
    failures: list[str] = field(default_factory=list)

    @property
    def stands(self) -> bool:
        return not self.failures and self.growth <= GROWTH


def fuzz(target: Target, inputs: int, seed: int) -> Outcome:
    """Give a target that many inputs."""
    rng, outcome = np.random.default_rng([seed, *target.name.encode()]), Outcome(target)
    middle = 0.0
    for number in range(inputs):
        if number == inputs // 2:
            middle = memory()
        outcome.inputs += 1
        began = time.process_time()
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, HANG)
            faulthandler.dump_traceback_later(BLOCKED, exit=True)
            target.take(target.draw(rng))
            outcome.accepted += 1
        except (Stranger, UserError):
            outcome.refused += 1
        except (Exception, Hang):
            outcome.failures.append(f'{number}: {traceback.format_exc(limit=-4)}')
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            faulthandler.cancel_dump_traceback_later()
        outcome.slowest = max(outcome.slowest, time.process_time() - began)
    outcome.growth = memory() - middle
    return outcome


def everything(
    inputs: Callable[[Target, int], int],
    seed: int,
    chosen: Callable[[Target], bool] = lambda _: True,
) -> Iterator[Outcome]:
    """Give each target that is chosen its inputs, and yield what became of it.

    Args:
        inputs: Returns how many, of a target and the number of all targets.
        seed: Of the mutations.
        chosen: Which targets.
    """
    prepare()
    with targets() as found:
        gc.freeze()  # else every look for garbage goes through all of torch: minutes in all
        picked = list(filter(chosen, found))
        try:
            for target in picked:
                yield fuzz(target, inputs(target, len(picked)), seed)
        finally:
            gc.unfreeze()


def prepare() -> None:
    """Have the clock of `HANG` interrupt what runs."""
    signal.signal(signal.SIGVTALRM, _hang)


def row(o: Outcome) -> str:
    """Return an outcome as a line of a table in Markdown."""
    return (
        f'| {o.target.kind}: {o.target.name} | {o.inputs} | {o.refused} | {o.accepted} '
        f'| {1000 * o.slowest:.1f} | {max(o.growth, 0.0):.1f} | {len(o.failures)} |'
    )


def memory() -> float:
    """Return the MiB of memory that this process holds."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what is free is not kept
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / MIB


def _hang(*_: object) -> None:
    raise Hang


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--inputs', type=int, default=10_000, help='altogether (default: 10000)')
    parser.add_argument('--seed', type=int, default=0, help='of the mutations (default: 0)')
    parser.add_argument('--only', default='', help='targets whose name contains this')
    options = parser.parse_args()
    outcomes = []
    print(HEAD, flush=True)
    chosen = lambda t: options.only in f'{t.kind}: {t.name}'  # noqa: E731
    each = lambda _, count: -(-options.inputs // count)  # noqa: E731
    for outcome in everything(each, options.seed, chosen):
        outcomes.append(outcome)
        print(row(outcome), flush=True)
        for failure in outcome.failures[:3]:
            print(f'{outcome.target.name}, input {failure}', file=sys.stderr, flush=True)
    failures = sum(len(outcome.failures) for outcome in outcomes)
    print(f'{sum(outcome.inputs for outcome in outcomes)} inputs, {failures} failures')
    raise SystemExit(not all(outcome.stands for outcome in outcomes))


if __name__ == '__main__':
    main()
