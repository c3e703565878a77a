"""Typed reading of a JSON object, with errors that name the field. No ROS import."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

T = TypeVar('T')
LARGEST = 1e300  # of a number: JSON has larger ones that no float can hold


class Fields:
    """The fields of one JSON object.

    Every method raises a `ValueError` that names the field and what is allowed there.
    """

    def __init__(self, values: Any, name: str = '') -> None:
        if not isinstance(values, Mapping):
            raise ValueError(f'{name or "the whole"} must be an object, not {shown(values)}')
        self._values, self._name = values, name

    def value(self, key: str) -> Any:
        """Return a field as it is."""
        if key not in self._values:
            raise ValueError(f'{self._path(key)} is missing')
        return self._values[key]

    def text(self, key: str) -> str:
        return self._typed(key, str, 'text')

    def truth(self, key: str) -> bool:
        return self._typed(key, bool, 'true or false')

    def count(self, key: str, least: int = 0) -> int:
        """Return a whole number, no less than `least`."""
        return count(self.value(key), self._path(key), least)

    def number(self, key: str, least: float = 0.0) -> float:
        """Return a finite number, no less than `least`."""
        return number(self.value(key), self._path(key), least)

    def items(self, key: str, parse: Callable[[Any, str], T]) -> list[T]:
        """Return a list; `parse(item, name)` reads each item."""
        values = self._typed(key, list, 'a list')
        return [parse(item, f'{self._path(key)}[{i}]') for i, item in enumerate(values)]

    def named(self, key: str, parse: Callable[[Any, str], T]) -> dict[str, T]:
        """Return an object; `parse(item, name)` reads each item."""
        values = self._typed(key, dict, 'an object')
        return {name: parse(item, f'{self._path(key)}.{name}') for name, item in values.items()}

    def optional(self, key: str, parse: Callable[[Any, str], T]) -> T | None:
        """Return what `parse(value, name)` makes of a field, or None where it is null."""
        value = self.value(key)
        return None if value is None else parse(value, self._path(key))

    def _path(self, key: str) -> str:
        return f'{self._name}.{key}' if self._name else key

    def _typed(self, key: str, kind: type[T], words: str) -> T:
        value = self.value(key)
        if not isinstance(value, kind):
            raise ValueError(f'{self._path(key)} must be {words}, not {shown(value)}')
        return value


def text(value: Any, name: str) -> str:
    """Return a value that must be text."""
    if not isinstance(value, str):
        raise ValueError(f'{name} must be text, not {shown(value)}')
    return value


def count(value: Any, name: str, least: int = 0) -> int:
    """Return a value that must be a whole number, no less than `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f'{name} must be a whole number of at least {least}, not {shown(value)}')
    return value


def number(value: Any, name: str, least: float = -math.inf) -> float:
    """Return a value that must be a finite number, no less than `least`."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not abs(value) <= LARGEST or value < least:
        limit = '' if least == -math.inf else f' of at least {least:g}'
        raise ValueError(f'{name} must be a finite number{limit}, not {shown(value)}')
    return float(value)


def pair(value: Any, name: str) -> tuple[Any, Any]:
    """Return a value that must be a list of two."""
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f'{name} must be a list of two, not {shown(value)}')
    return value[0], value[1]


def shown(value: Any) -> str:
    """Return a value for a sentence: as JSON has it, and no longer than is read."""
    words = {True: 'true', False: 'false'}.get(value) if isinstance(value, bool) else None
    words = words or ('null' if value is None else repr(value))
    return words if len(words) <= 40 else f'{words[:37]}...'
