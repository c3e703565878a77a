"""Inputs that nobody should send: files and messages, changed at random from good ones."""

from __future__ import annotations

import array
import json
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message, serialize_message

LONG = 20_000  # numbers or characters of something that is far too long
MANY = 100  # images or the like
WHOLE = (0, 1, -1, 2, 127, 255, 256, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
REAL = (math.nan, math.inf, -math.inf, 1e308, -1e308, 1e-320, -0.0, 2.0**63, 0.5)
WORDS = (
    '', 'forward', 'backward', 'practice', 'done', 'help', 'policy', 'teleop', 'script', 'rgb8',
    'mono8', '16UC1', 'x' * LONG, '\x1b[2J\x1b]0;t\x07', 'ü€𝄞', '../../etc/passwd', '/dev/zero',
    '/proc/self/mem', '.', '%s%n{0}{x}', "'; --", '\n' * 50,
)  # fmt: skip


# -- bytes ---------------------------------------------------------------------------------------


def mutate_bytes(rng: np.random.Generator, good: bytes) -> bytes:
    """Flip bits, cut, extend, repeat, overwrite with a huge length, or make it noise."""
    data = bytearray(good)
    for _ in range(int(rng.integers(1, 4))):
        kind, at = rng.integers(8), int(rng.integers(len(data) + 1))
        if kind == 0 and data:
            for place in rng.integers(len(data), size=rng.integers(1, 9)):
                data[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data += rng.bytes(int(rng.integers(1, 2000)))
        elif kind == 3:
            data[at : at + 8] = struct.pack('<Q', WHOLE[rng.integers(len(WHOLE))] % 2**64)
        elif kind == 4:
            del data[at : at + int(rng.integers(1, 64))]
        elif kind == 5:
            data[at:at] = data[at : at + 64] * int(rng.integers(1, 50))
        elif kind == 6:
            data[at : at + 4] = struct.pack('<f', float(rng.choice(REAL[:3])))
        else:
            data = bytearray(rng.bytes(int(rng.integers(0, 300))))
    return bytes(data)


def mutate_tensors(rng: np.random.Generator, good: bytes) -> bytes:
    """Change what the header of a safetensors file says, or its bytes."""
    if rng.random() < 0.4:
        return mutate_bytes(rng, good)
    size = struct.unpack('<Q', good[:8])[0]
    header = json.loads(good[8 : 8 + size])
    name = str(rng.choice([key for key in header if key != '__metadata__']))
    entry, kind = header[name], rng.integers(8)
    if kind == 0:
        entry['dtype'] = str(rng.choice(['F64', 'BF16', 'F8_E4M3', 'I8', 'BOOL', 'X', 'C64']))
    elif kind == 1:
        entry['shape'] = _odd_shape(rng)
    elif kind == 2:
        entry['data_offsets'] = [int(rng.choice(WHOLE[:10])), int(rng.choice(WHOLE[:10]))]
    elif kind == 3:
        del header[name]
    elif kind == 4:
        header[str(rng.choice(WORDS[:6])) + '.more'] = entry
    elif kind == 5:
        header['__metadata__'] = {'checksum': '9' * 50, 'format': 'pt', 'caller': '[' * LONG}
    elif kind == 6:
        array_ = entry['shape']
        entry['shape'] = list(reversed(array_)) if rng.random() < 0.5 else [*array_, 1]
    else:
        low, _ = entry['data_offsets']  # good sizes, bad numbers
        body = bytearray(good)
        start = 8 + size + low
        body[start : start + 4] = struct.pack('<f', math.nan)
        return bytes(body)
    words = json.dumps(header).encode()
    return struct.pack('<Q', len(words)) + words + good[8 + size :]


def _odd_shape(rng: np.random.Generator) -> list[int]:
    shapes: Sequence[list[int]] = ([], [0], [2**40, 2**40], [1], [-1], [1, 2, 3, 4, 5])
    return shapes[rng.integers(len(shapes))]


BOMB = 'a: &a [x,x,x,x,x,x,x,x,x]\n' + ''.join(
    f'{chr(98 + i)}: &{chr(98 + i)} [{",".join([f"*{chr(97 + i)}"] * 9)}]\n' for i in range(9)
)
YAML = (
    BOMB,
    'a: &a {b: *a}\n',
    'agent: &a {x: 1}\nclassifier: *a\n',
    '[' * 3000 + ']' * 3000,
    '{a: ' * 500 + '1' + '}' * 500,
    '- ' * 5000 + 'x',
    'seed: 0x' + 'f' * 9000,
    'seed: ' + '9' * 9000,
    'seed: 2001-99-99',
    'seed: 1:2:3:4:99999999',
    'seed: 1e999999',
    'graph: {rate: ' + '9' * 400 + '}',
    'steps: .nan\n',
    '!!python/object/apply:os.system ["true"]',
    '!!binary "####"',
    '? [1, 2]\n: 3\n',
    '1: 2\nnull: 3\ntrue: 4\n',
    'k' * LONG + ': 1\n',
    'cameras: {third: ' + 'a' * 60 + '!}\n',
    '%YAML 9.9\n---\na: 1\n',
    'seed: [' + '1,' * 3000 + ']\n',
    '\x00\x01',
    '',
)
JSON = (
    '[' * 50_000,
    '{"a":' * 50_000,
    '1' * 5000,
    '{"format": "medal_ros benchmark 1", "minutes": 1' + '0' * 400 + '}',
    '{"best_steps": [1], "a": NaN, "b": Infinity}',
    '{"best_steps": 1e400}',
    '"\\ud800"',
    '',
)
VALUES = (*WHOLE, -(2**63), 'x', '', None, True, [], [[]], {}, 1.5, -1.5, 10**400, 'x' * LONG)


def mutate_text(rng: np.random.Generator, good: str, odd: Sequence[str]) -> bytes:
    """Take one of the odd texts, put one beside the good one, or change bytes or lines."""
    kind = rng.integers(4)
    if kind == 0:
        return odd[rng.integers(len(odd))].encode(errors='surrogatepass')
    if kind == 1:
        return (good + '\n' + odd[rng.integers(len(odd))]).encode(errors='surrogatepass')
    if kind == 2:
        lines = good.splitlines()
        at = int(rng.integers(len(lines)))
        key, colon, _ = lines[at].partition(':')
        lines[at] = f'{key}{colon} {VALUES[rng.integers(len(VALUES))]!r}'
        return '\n'.join(lines).encode()
    return mutate_bytes(rng, good.encode())


# -- messages ------------------------------------------------------------------------------------


def mutate_message(rng: np.random.Generator, good: Any) -> Any:
    """Return a message of the same type that its publisher should not have sent.

    It passes through the bytes of the wire, some of which may be changed on the way.

    Raises:
        Exception: These bytes are no such message: no node would get it.
    """
    for _ in range(int(rng.integers(1, 4))):
        _change_a_field(rng, good)
    data = serialize_message(good)
    if rng.random() < 0.3:
        data = data[:4] + mutate_bytes(rng, data[4:])
    return deserialize_message(data, type(good))


def _change_a_field(rng: np.random.Generator, message: Any) -> None:
    fields = message.get_fields_and_field_types()
    name = str(rng.choice(list(fields)))
    kind, value = fields[name], getattr(message, name)
    if hasattr(value, 'get_fields_and_field_types'):
        _change_a_field(rng, value)
        return
    try:
        setattr(message, name, _odd(rng, kind, value))
    except (AssertionError, OverflowError, ValueError):
        return  # rclpy itself refuses to send this


def _odd(rng: np.random.Generator, kind: str, value: Any) -> Any:
    if kind.startswith('sequence'):
        return _odd_sequence(rng, kind, value)
    if kind == 'boolean':
        return not value
    if kind == 'string':
        return WORDS[rng.integers(len(WORDS))]
    if kind in ('float', 'double'):
        return float(REAL[rng.integers(len(REAL))]) if rng.random() < 0.7 else float(rng.normal())
    if kind == 'octet':
        return bytes([rng.integers(256)])
    near = int(value) + int(rng.integers(-3, 4))
    return near if rng.random() < 0.3 else WHOLE[rng.integers(len(WHOLE))]


def _odd_sequence(rng: np.random.Generator, kind: str, value: Any) -> Any:
    items, choice = list(value), rng.integers(5)
    if choice == 0 or not items:
        items = []
    elif choice == 1:
        items = items[: rng.integers(len(items))]
    elif choice == 2:
        whole = hasattr(items[0], 'get_fields_and_field_types')
        items = items * max(2, (MANY if whole else LONG) // len(items))
    elif choice == 3:
        items = [*items, items[0]]
    else:
        at = int(rng.integers(len(items)))
        if hasattr(items[at], 'get_fields_and_field_types'):
            _change_a_field(rng, items[at])
        else:
            items[at] = _odd(rng, kind[len('sequence<') : -1], items[at])
    code = getattr(value, 'typecode', None)
    return array.array(code, items) if code else items
