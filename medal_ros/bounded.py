"""Read files that anybody may have made: nothing is executed, and size and depth have limits.

No ROS import.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import yaml

MAX_TEXT = 256 << 10  # bytes of a configuration or a laboratory
MAX_RECORD = 32 << 20  # bytes of a result, a summary or a description of a dataset
MAX_WORDS = 300  # characters of a text that a message brings and people are shown
MAX_DEPTH = 20  # mappings and lists within each other


class TooLarge(ValueError):
    """A file that is larger than it may be."""


def read_bytes(path: Path, most: int) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: There is no such file, or it is a folder, a pipe or a device, which may never end.
        TooLarge: It has more than `most` bytes.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for its writer
    except ValueError:  # a name with a null character
        raise OSError(errno.EINVAL, 'no such name can be', str(path)) from None
    with open(handle, 'rb') as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, 'not a regular file', str(path))
        if found.st_size > most:
            raise TooLarge(f'{path} is larger than the {most} bytes allowed')
        return file.read(found.st_size)


def parse_yaml(text: str | bytes) -> Any:
    """Return what a YAML text says: plain values only.

    Raises:
        ValueError: It is not YAML, repeats a part by reference (a few lines can stand for
            gigabytes so), or is nested too deeply.
    """
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError, OverflowError, ArithmeticError) as error:
        raise ValueError(str(error)) from None


def parse_json(data: str | bytes, **options: Any) -> Any:
    """Return what a JSON text says; options as of `json.loads`.

    Raises:
        ValueError: It is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(data, **options)
    except RecursionError:
        raise ValueError('it is nested too deeply') from None


def plain(text: str) -> str:
    """Return a text that may be shown: no control characters, which a terminal obeys; not long."""
    return ''.join(c if c.isprintable() else ' ' for c in text[:MAX_WORDS])


class _Loader(yaml.SafeLoader):
    """Plain values, no references, a limited depth."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError('a part is repeated by reference (*name): write it out')
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.YAMLError(f'it is nested more than {MAX_DEPTH} deep')
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node
