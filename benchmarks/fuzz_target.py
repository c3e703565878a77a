"""What is fuzzed: one reader, and what reaches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fuzz_mutations as mutations
import numpy as np

TASK = 'tabletop_quick'


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        kind: file, topic or service.
        name: What it reads.
        draw: Returns a mutated input.
        take: Gives it to the reader. A UserError means that it was refused.
    """

    kind: str
    name: str
    draw: Callable[[np.random.Generator], Any]
    take: Callable[[Any], object]


class Stranger(Exception):
    """An input that never gets as far as the reader."""


def sent(good: Callable[[], Any]) -> Callable[[np.random.Generator], Any]:
    """Return what draws mutated messages of a kind, and now and then a good one."""

    def draw(rng: np.random.Generator) -> Any:
        if rng.random() < 0.1:
            return good()
        try:
            return mutations.mutate_message(rng, good())
        except Exception as error:  # of the bytes: the middleware drops them too
            raise Stranger from error

    return draw
