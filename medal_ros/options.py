"""Configuration as dataclasses: one definition gives YAML keys, ROS parameters, `--set` and tables.

A dataclass field made by `option` carries its meaning, where its default comes from, and what
is allowed. `build` turns dotted keys (`agent.gamma`) into checked instances and refuses, in one
sentence, a key that does not exist or a value that is not allowed.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_type_hints

from medal_ros.bounded import parse_yaml
from medal_ros.errors import UserError

T = TypeVar('T')

EXPONENT = re.compile(r'[-+]?\d+(\.\d*)?[eE][-+]?\d+')


LARGEST = 1 << 63  # what a whole number must be less than, as in a ROS parameter
SHOWN = 80  # characters of a wrong key or value that a sentence repeats


class OptionError(UserError):
    """A key that does not exist or a value that is not allowed, in one sentence."""


def option(
    default: Any,
    doc: str,
    *,
    source: str = '',
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] | None = None,
) -> Any:
    """Declare a field: its default, its meaning, the default's source and what is allowed."""
    metadata = {'doc': doc, 'source': source, 'low': low, 'high': high, 'choices': choices}
    return dataclasses.field(default=default, metadata=metadata)


def group(cls: type) -> Any:
    """Declare a field that is a nested configuration of its own."""
    return dataclasses.field(default_factory=cls)


def walk(cls: type, prefix: str = '') -> Iterator[tuple[str, dataclasses.Field, Any]]:
    """Yield `(dotted key, field, type)` of every option of a configuration class."""
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        hint, key = hints[field.name], prefix + field.name
        if dataclasses.is_dataclass(hint):
            yield from walk(hint, f'{key}.')
        else:
            yield key, field, hint


def flatten(config: Any, prefix: str = '') -> dict[str, Any]:
    """Return `{dotted key: value}` of a configuration instance, tuples as lists."""
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value, key = getattr(config, field.name), prefix + field.name
        if dataclasses.is_dataclass(value):
            flat.update(flatten(value, f'{key}.'))
        else:
            flat[key] = list(value) if isinstance(value, tuple) else value
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return a nested mapping, as YAML shows it, from dotted keys."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, last = key.split('.')
        branch = nested
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[last] = value
    return nested


def unnest(nested: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    """Return dotted keys from a nested mapping; dotted keys inside it stay as they are."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat.update(unnest(value, f'{prefix}{key}.'))
        else:
            flat[f'{prefix}{key}'] = value
    return flat


def build(cls: type[T], values: Mapping[str, Any], what: str = 'option') -> T:
    """Return an instance of a configuration class with some values changed.

    Args:
        cls: The configuration dataclass.
        values: Dotted keys and values; what is left out keeps its default.
        what: What a key is called in a sentence about it.

    Raises:
        OptionError: An unknown key, a value of the wrong type or outside what is allowed.
    """
    known = {key for key, _, _ in walk(cls)}
    for key in values:
        if key not in known:
            raise OptionError(f'there is no {what} {_shown(key)}{_suggest(key, known)}')
    return _build(cls, values, '', what)


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split `key=value`; the value is read as YAML.

    Raises:
        OptionError: The text is not of that form.
    """
    key, equals, value = text.partition('=')
    if not equals or not key:
        raise OptionError(f'{text!r} is not of the form key=value')
    try:
        return key.strip(), parse_yaml(value)
    except ValueError:
        raise OptionError(f'the value in {text!r} cannot be read as YAML') from None


def table(cls: type) -> list[tuple[str, str, str, str, str]]:
    """Return `(key, default, allowed, meaning, source)` of every option, for documentation."""
    defaults = flatten(cls())
    return [
        (
            key,
            str(defaults[key]),
            _allowed(field, hint),
            field.metadata['doc'],
            field.metadata['source'],
        )
        for key, field, hint in walk(cls)
    ]


def _build(cls: type[T], values: Mapping[str, Any], prefix: str, what: str) -> T:
    hints = get_type_hints(cls)
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        hint, key = hints[field.name], prefix + field.name
        if dataclasses.is_dataclass(hint):
            arguments[field.name] = _build(hint, values, f'{key}.', what)
        elif key in values:
            arguments[field.name] = _check(key, values[key], field, hint, what)
    return cls(**arguments)


def _check(key: str, value: Any, field: dataclasses.Field, hint: Any, what: str) -> Any:
    """Return the value in the field's type, or raise an OptionError that says what is allowed."""
    converted = _convert(value, hint)
    allowed = field.metadata
    fits = converted is not None
    if fits and allowed['choices'] is not None:
        fits = converted in allowed['choices']
    for item in converted if isinstance(converted, tuple) else (converted,):
        if fits and isinstance(item, int | float) and not isinstance(item, bool):
            fits = math.isfinite(item) if isinstance(item, float) else abs(item) < LARGEST
            fits = fits and (allowed['low'] is None or item >= allowed['low'])
            fits = fits and (allowed['high'] is None or item <= allowed['high'])
    if not fits:
        raise OptionError(f'{what} {key} must be {_allowed(field, hint)}, not {_shown(value)}')
    return converted


def _convert(value: Any, hint: Any) -> Any:
    """Return the value as the hinted type, or None where it does not fit."""
    if hint is bool or hint is str:
        return value if isinstance(value, hint) else None
    if hint is int or hint is float:
        if isinstance(value, str) and EXPONENT.fullmatch(value):
            value = float(value)  # YAML 1.1 takes 1e-3 for a text
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        whole = isinstance(value, int) or value.is_integer()
        try:
            return hint(value) if whole or hint is float else None
        except OverflowError:  # more than the largest number that there is
            return None
    item = hint.__args__[0]  # tuple[item, ...]
    if isinstance(value, str) or not hasattr(value, '__iter__'):
        return None
    items = tuple(_convert(v, item) for v in value)
    return None if None in items else items


def _allowed(field: dataclasses.Field, hint: Any) -> str:
    allowed = field.metadata
    if allowed['choices'] is not None:
        return 'one of ' + ', '.join(str(c) for c in allowed['choices'])
    names = {int: 'a whole number', float: 'a number', bool: 'true or false', str: 'a text'}
    text = names.get(hint) or f'a list, each {names[hint.__args__[0]]}'
    if allowed['low'] is not None and allowed['high'] is not None:
        text += f' from {allowed["low"]:.10g} to {allowed["high"]:.10g}'
    elif allowed['low'] is not None:
        text += f' of at least {allowed["low"]:.10g}'
    elif allowed['high'] is not None:
        text += f' of at most {allowed["high"]:.10g}'
    return text


def _shown(value: Any) -> str:
    try:
        words = repr(value)
    except ValueError:  # a number of too many digits
        return 'a number of thousands of digits'
    return words if len(words) <= SHOWN else f'{words[:SHOWN]}...'


def _suggest(key: str, known: set[str]) -> str:
    if len(key) > SHOWN:
        return ''
    close = difflib.get_close_matches(key, known, 1)
    if not close:  # the right name in the wrong group
        close = [k for k in sorted(known) if k.split('.')[-1] == key.split('.')[-1]][:1]
    return f'; did you mean {close[0]!r}?' if close else ''
