"""A few inputs that nobody should send for each parser, topic and service: all stand."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import ros  # noqa: F401  a domain of its own

sys.path.insert(0, str(Path(__file__).parents[1] / 'benchmarks'))

import fuzz
from fuzz_target import Stranger, Target

from medal_ros.bounded import MAX_WORDS, parse_yaml, plain, read_bytes
from medal_ros.errors import UserError

POLICY = Path(__file__).parents[1] / 'config' / 'security' / 'policy.xml'
UNTOUCHED = (
    'console',  # made without packages, or plans, that are not here
    'franka_arm',
    'examiner',
    'recorder',  # writes bytes that it never looks into
    'replayer',  # hears what every node hears, and nothing else
)
EACH = {'file': 30, 'text': 60, 'topic': 8, 'service': 12}


@pytest.fixture(scope='module')
def outcomes():
    return list(fuzz.everything(lambda target, _: EACH[target.kind], seed=1))


def test_every_parser_topic_and_service_stands(outcomes):
    told = [f'{o.target.name}, input {failure}' for o in outcomes for failure in o.failures]
    assert not told, '\n'.join(told)
    assert {o.target.name for o in outcomes if not o.stands} == set()


def test_inputs_reach_the_readers_and_files_are_refused(outcomes):
    assert all(o.accepted for o in outcomes if o.target.kind != 'file')
    assert all(o.refused for o in outcomes if o.target.kind == 'file')
    assert sum(o.inputs for o in outcomes) > 800


def test_every_subscription_is_a_target(outcomes):
    """The policy says what each node hears, and a test of its own that this is so."""
    names = {o.target.name for o in outcomes}
    heard = set()
    for profile in ElementTree.parse(POLICY).iter('profile'):
        for topics in profile.iter('topics'):
            if topics.get('subscribe') and profile.get('node') not in UNTOUCHED:
                heard |= {f'{profile.get("node")} {topic.text}' for topic in topics}
    heard = {name.replace('camera/*', 'camera/third') for name in heard}
    missing = {name for name in heard - names if not name.endswith('/parameter_events')}
    assert missing == {'monitor demos', 'monitor examination'}  # printed, after `plain`


def crash(_: object) -> None:
    raise KeyError('forward')


def leave(_: object) -> None:
    raise Stranger


def refuse(_: object) -> None:
    raise UserError('no')


def test_the_fuzzer_sees_a_crash_a_hang_and_memory_that_is_kept(monkeypatch):
    monkeypatch.setattr(fuzz, 'HANG', 0.05)
    kept: list[bytes] = []

    def hang(_: object) -> None:
        while True:
            pass

    def keep(_: object) -> None:
        kept.append(bytes(b'x' * (4 << 20)))

    fuzz.prepare()
    outcome = {
        take.__name__: fuzz.fuzz(Target('topic', take.__name__, lambda _: None, take), inputs, 0)
        for take, inputs in ((crash, 3), (hang, 2), (keep, 40), (leave, 3), (refuse, 3), (print, 1))
    }
    assert len(outcome['crash'].failures) == 3 and len(outcome['hang'].failures) == 2
    assert outcome['keep'].growth > fuzz.GROWTH and not outcome['keep'].stands
    assert outcome['leave'].refused == outcome['refuse'].refused == 3
    assert outcome['print'].accepted == 1 and outcome['print'].stands


def test_a_pipe_and_a_device_are_no_files(tmp_path):
    for path in (Path('/dev/zero'), tmp_path, tmp_path / 'a\0b'):
        with pytest.raises(OSError):
            read_bytes(path, 100)


def test_yaml_that_repeats_itself_or_is_deep_is_refused():
    assert parse_yaml('a: {b: [1, 2]}') == {'a': {'b': [1, 2]}}
    for text in ('a: &x [1]\nb: *x\n', '[' * 30 + ']' * 30, 'a: !!python/name:os.system'):
        with pytest.raises(ValueError):
            parse_yaml(text)


def test_a_text_to_show_has_no_orders_for_the_terminal():
    assert plain('ok\x1b[2J\nü') == 'ok [2J ü'
    assert len(plain('x' * 10_000)) == MAX_WORDS
