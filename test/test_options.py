"""Options: what is refused and in which words, and that nothing is lost on the way to YAML."""

from dataclasses import dataclass

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from medal_ros.learning.config import SideConfig
from medal_ros.options import (
    OptionError,
    build,
    flatten,
    group,
    nest,
    option,
    parse_assignment,
    table,
    unnest,
    walk,
)


@dataclass(frozen=True)
class Wheel:
    spokes: int = option(32, 'spokes of a wheel', source='the shop', low=1, high=72)
    radii: tuple[float, ...] = option((0.3, 0.31), 'radii', low=0)


@dataclass(frozen=True)
class Bicycle:
    gears: float = option(7.0, 'gears', low=0)
    brake: str = option('rim', 'kind of brake', choices=('rim', 'disc'))
    lights: bool = option(True, 'whether it has lights')
    serial: int = option(0, 'number', high=2**31 - 1)
    front: Wheel = group(Wheel)
    rear: Wheel = group(Wheel)


def refusal(values, cls=Bicycle, what='option'):
    with pytest.raises(OptionError) as error:
        build(cls, values, what)
    sentence = str(error.value)
    assert '\n' not in sentence
    return sentence


def test_defaults_and_changes():
    bicycle = build(Bicycle, {'rear.spokes': 36, 'lights': False, 'front.radii': [1, 2.5]})
    assert bicycle == Bicycle(lights=False, front=Wheel(radii=(1.0, 2.5)), rear=Wheel(spokes=36))
    assert all(type(radius) is float for radius in bicycle.front.radii)
    assert build(Bicycle, {}) == Bicycle()


@pytest.mark.parametrize(
    ('key', 'hint'),
    [
        ('rear.spoke', "; did you mean 'rear.spokes'?"),
        ('my.left.hind.wheel.spokes', "; did you mean 'front.spokes'?"),  # wrong group
        ('xylophone', ''),
    ],
)
def test_unknown_key_suggests_the_nearest(key, hint):
    assert refusal({key: 1}, what='key') == f'there is no key {key!r}{hint}'


@pytest.mark.parametrize(
    ('key', 'value', 'allowed'),
    [
        ('front.spokes', 0, 'a whole number from 1 to 72'),
        ('front.spokes', 73, 'a whole number from 1 to 72'),
        ('front.spokes', 2.5, 'a whole number from 1 to 72'),
        ('front.spokes', '12', 'a whole number from 1 to 72'),
        ('front.spokes', True, 'a whole number from 1 to 72'),
        ('front.spokes', None, 'a whole number from 1 to 72'),
        ('front.spokes', float('inf'), 'a whole number from 1 to 72'),
        ('front.spokes', float('nan'), 'a whole number from 1 to 72'),
        ('serial', 2**31, 'a whole number of at most 2147483647'),
        ('gears', -0.5, 'a number of at least 0'),
        ('gears', 'many', 'a number of at least 0'),
        ('gears', float('inf'), 'a number of at least 0'),
        ('gears', float('nan'), 'a number of at least 0'),
        ('gears', [1.0], 'a number of at least 0'),
        ('brake', 'coaster', 'one of rim, disc'),
        ('brake', 1, 'one of rim, disc'),
        ('lights', 1, 'true or false'),
        ('lights', 'yes', 'true or false'),
        ('rear.radii', [0.3, -0.1], 'a list, each a number of at least 0'),
        ('rear.radii', 0.3, 'a list, each a number of at least 0'),
        ('rear.radii', 'wide', 'a list, each a number of at least 0'),
        ('rear.radii', [0.3, None], 'a list, each a number of at least 0'),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(key, value, allowed):
    assert refusal({key: value}) == f'option {key} must be {allowed}, not {value!r}'


def test_limits_themselves_are_allowed():
    assert build(Bicycle, {'front.spokes': 1, 'rear.spokes': 72, 'gears': 0}).gears == 0.0
    assert build(Bicycle, {'front.spokes': 24.0}).front.spokes == 24
    assert build(Bicycle, {'serial': 2**31 - 1}).serial == 2**31 - 1


@pytest.mark.parametrize(
    ('text', 'key', 'value'),
    [
        ('front.spokes=24', 'front.spokes', 24),
        ('brake=disc', 'brake', 'disc'),
        ('lights=false', 'lights', False),
        ('rear.radii=[0.1, 0.2]', 'rear.radii', [0.1, 0.2]),
        ('name=a=b', 'name', 'a=b'),
    ],
)
def test_assignment(text, key, value):
    assert parse_assignment(text) == (key, value)


@pytest.mark.parametrize('text', ['front.spokes', '=3', 'radii=[1, 2', ''])
def test_what_is_no_assignment_is_quoted(text):
    with pytest.raises(OptionError) as error:
        parse_assignment(text)
    assert repr(text) in str(error.value)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(('text', 'number'), [('1e-3', 1e-3), ('2E+1', 20.0), ('1.5e1', 15.0)])
def test_exponents_are_numbers(text, number):
    """YAML 1.1 takes `1e-3` for a text; nobody who writes it means one."""
    assert build(Bicycle, dict([parse_assignment(f'gears={text}')])).gears == number


def test_nest_and_unnest_are_inverse():
    flat = {'a': 1, 'b.c': 2, 'b.d.e': [3], 'f': 'x'}
    nested = {'a': 1, 'b': {'c': 2, 'd': {'e': [3]}}, 'f': 'x'}
    assert nest(flat) == nested
    assert unnest(nested) == flat
    assert unnest({'b.c': 2, 'b': {'d.e': [3]}}) == {'b.c': 2, 'b.d.e': [3]}


@settings(deadline=None)  # a busy machine is no failure
@given(
    spokes=st.integers(1, 72),
    radii=st.lists(st.floats(0, 1e300), max_size=4),
    gears=st.floats(0, 1e300, allow_subnormal=True),
    lights=st.booleans(),
)
def test_yaml_round_trip(spokes, radii, gears, lights):
    values = {'rear.spokes': spokes, 'front.radii': radii, 'gears': gears, 'lights': lights}
    bicycle = build(Bicycle, values)
    text = yaml.safe_dump(nest(flatten(bicycle)))
    assert build(Bicycle, unnest(yaml.safe_load(text))) == bicycle


def test_table_has_a_row_for_every_option():
    rows = {row[0]: row[1:] for row in table(Bicycle)}
    assert list(rows) == [key for key, _, _ in walk(Bicycle)]
    assert rows['rear.spokes'] == (
        '32',
        'a whole number from 1 to 72',
        'spokes of a wheel',
        'the shop',
    )


def test_every_choice_of_the_method_has_a_meaning_and_a_source():
    for key, _, _, meaning, source in table(SideConfig):
        assert meaning, key
        assert source, key
