"""What a message type is made of, in the form in which a bag carries it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from ament_index_python import PackageNotFoundError, get_package_share_directory

SEPARATOR = '=' * 80
NESTED = re.compile(r'(\w+)/(\w+)')  # of a field's type, as in sequence<sensor_msgs/Image>


def name_of(kind: type) -> str:
    """Return the name of a message class, e.g. `medal_ros/msg/State`."""
    return f'{kind.__module__.split(".")[0]}/msg/{kind.__name__}'


def definition(kind: type) -> str:
    """Return the text of a message's definition, those that it is made of behind it.

    Raises:
        FileNotFoundError: A package was installed without its definitions.
    """
    first, *others = _closure(kind)
    texts = [_file(first, 'msg').read_text()]
    for name in others:
        package, _, message = name.split('/')
        texts.append(f'MSG: {package}/{message}\n{_file(name, "msg").read_text()}')
    return f'\n{SEPARATOR}\n'.join(text.rstrip('\n') for text in texts) + '\n'


def type_hash(kind: type) -> str:
    """Return the hash of a message type, as `ros2 topic info --verbose` shows it; '': unknown."""
    name = name_of(kind)
    try:
        hashes = json.loads(_file(name, 'json').read_text())['type_hashes']
        return next(h['hash_string'] for h in hashes if h['type_name'] == name)
    except (OSError, ValueError, KeyError, StopIteration):
        return ''


def _closure(kind: type) -> list[str]:
    """Return the names of a type and of all that it is made of, each once."""
    found, waiting = [], [kind]
    while waiting:
        each = waiting.pop(0)
        if name_of(each) in found:
            continue
        found.append(name_of(each))
        for words in each.get_fields_and_field_types().values():
            waiting += [_class(*parts) for parts in NESTED.findall(words)]
    return found


def _class(package: str, message: str) -> type:
    return getattr(__import__(f'{package}.msg').msg, message)


def _file(name: str, suffix: str) -> Path:
    package, kind, message = name.split('/')
    try:
        share = Path(get_package_share_directory(package))
    except (PackageNotFoundError, OSError):  # OSError: nothing is sourced
        share = Path(sys.prefix, 'share', package)
    return share / kind / f'{message}.{suffix}'
