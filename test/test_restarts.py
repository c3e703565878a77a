"""Which node is started again and when, and what one notes down for who takes its place."""

from __future__ import annotations

import os

import pytest

from medal_ros.learning.note import Note, forget
from medal_ros.restarts import RestartLimits, Restarts, TooManyRestarts
from medal_ros.run_folder import RunFolder


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def restarts(clock: Clock, **limits: float) -> Restarts:
    return Restarts(RestartLimits(**limits), clock)


@pytest.mark.parametrize(
    ('lives', 'delays'),
    [
        ([1, 1, 1, 1, 1, 1], [0.5, 1, 2, 4, 8, 8]),  # each ends soon after its start
        ([100, 100, 100], [0.5, 0.5, 0.5]),
        ([1, 1, 40, 1], [0.5, 1, 0.5, 1]),  # once well, as at first
    ],
)
def test_the_delay_doubles_while_a_node_ends_soon_after_each_start(clock, lives, delays):
    nodes = restarts(clock, most=10)
    for life, delay in zip(lives, delays, strict=True):
        nodes.started('trainer')
        clock.now += life
        assert nodes.ended('trainer') == delay
        clock.now += delay - 0.01
        assert nodes.due() == []
        clock.now += 0.02
        assert nodes.due() == ['trainer']


def test_more_restarts_than_allowed_within_the_window_are_too_many(clock):
    nodes = restarts(clock, most=2, window=60)
    for _ in range(2):
        nodes.started('reward')
        clock.now += 10
        nodes.ended('reward')
    nodes.started('reward')
    nodes.started('trainer')
    nodes.ended('trainer')  # has its own count
    clock.now += 10
    with pytest.raises(TooManyRestarts, match='started again 2 times within 1 minutes'):
        nodes.ended('reward')
    nodes.started('reward')
    clock.now += 60
    nodes.ended('reward')
    assert nodes.counts == {'reward': 3, 'trainer': 1}


def watch(nodes: Restarts, clock: Clock, seconds: int, *alive: str) -> list[str]:
    """Look once a second, as the command does; return who was found hanging."""
    found = []
    for _ in range(seconds):
        clock.now += 1
        for name in alive:
            nodes.heard(name)
        found += nodes.hung()
    return found


def test_who_is_silent_hangs_and_is_blamed_once(clock):
    nodes = restarts(clock, silent=10, starting=60)
    nodes.started('trainer')
    nodes.started('reward')
    assert watch(nodes, clock, 50) == []  # both are still starting
    assert nodes.away == ['reward', 'trainer']
    assert watch(nodes, clock, 5, 'trainer', 'reward') == [] and nodes.away == []
    assert watch(nodes, clock, 10, 'reward') == []
    assert watch(nodes, clock, 30, 'reward') == ['trainer']
    nodes.ended('trainer')
    nodes.started('trainer')
    assert watch(nodes, clock, 60, 'reward') == []
    assert watch(nodes, clock, 5, 'reward') == ['trainer']


def test_who_is_busy_may_be_silent_for_longer_but_not_for_ever(clock):
    nodes = restarts(clock, silent=10, busy=3)
    nodes.started('trainer')
    nodes.heard('trainer')
    silent_until = {}
    for second in range(1, 40):
        clock.now += 1
        if nodes.hung(busy=lambda name: name == 'trainer'):
            silent_until['trainer'] = second
    assert silent_until == {'trainer': 31}


def test_nobody_is_blamed_when_we_slept_or_when_silence_is_allowed(clock):
    nodes = restarts(clock, silent=10)
    nodes.started('trainer')
    nodes.heard('trainer')
    nodes.hung()
    clock.now += 3600  # the lid was shut
    assert nodes.hung() == {}
    assert watch(nodes, clock, 9) == [] and watch(nodes, clock, 3) == ['trainer']
    patient = restarts(clock, silent=0)
    patient.started('trainer')
    assert watch(patient, clock, 1000) == []


def deaf(nodes: Restarts, clock: Clock, seconds: int, **hears: str) -> list[tuple[str, str]]:
    """Let nodes say once a second whom they hear; return who was found deaf, and to whom."""
    found = []
    for _ in range(seconds):
        clock.now += 1
        for name, others in hears.items():
            nodes.heard(name, set(others.split()))
        found += nodes.deaf().items()
    return found


def test_the_younger_of_two_who_do_not_hear_each_other_is_blamed_once(clock):
    nodes = restarts(clock, silent=10, busy=3)
    for name in ('arm', 'camera', 'trainer'):
        nodes.started(name)
    well = {'arm': 'camera trainer', 'camera': 'arm trainer', 'trainer': 'arm camera'}
    assert deaf(nodes, clock, 100, **well) == []
    nodes.ended('trainer')
    nodes.started('trainer')
    assert deaf(nodes, clock, 31, **(well | {'trainer': 'camera stranger'})) == []
    assert deaf(nodes, clock, 90, **(well | {'trainer': 'camera'})) == [('trainer', 'arm')]
    nodes.ended('trainer')
    nodes.started('trainer')  # heard by nobody this time
    assert deaf(nodes, clock, 40, arm='camera', camera='arm', trainer='arm camera') == [
        ('trainer', 'arm')
    ]
    nodes.ended('trainer')
    nodes.started('trainer')
    assert deaf(nodes, clock, 100, **well) == []


def test_who_was_silent_for_long_has_time_to_hear_again(clock):
    nodes = restarts(clock, silent=10, busy=3)
    nodes.started('arm')
    clock.now += 1
    nodes.started('trainer')
    assert deaf(nodes, clock, 50, arm='trainer', trainer='arm') == []
    assert deaf(nodes, clock, 40, arm='') == []  # the trainer was busy
    assert deaf(nodes, clock, 20, arm='', trainer='') == []
    assert deaf(nodes, clock, 20, arm='', trainer='') == [('trainer', 'arm')]


@pytest.mark.parametrize(
    'hears',
    [
        {'arm': ''},  # the trainer says nothing at all: that is silence
        {'arm': '', 'trainer': 'arm'},  # nobody may be blamed where it is not allowed
    ],
)
def test_nobody_is_deaf_to_the_silent_or_where_silence_is_allowed(clock, hears):
    nodes = restarts(clock, silent=0 if 'trainer' in hears else 10)
    nodes.started('arm')
    nodes.started('trainer')
    assert deaf(nodes, clock, 5, arm='trainer', trainer='arm') == []
    assert deaf(nodes, clock, 200, **hears) == []


def test_who_does_not_say_whom_it_hears_is_not_deaf(clock):
    nodes = restarts(clock, silent=10)
    nodes.started('arm')
    nodes.started('trainer')
    for _ in range(200):
        clock.now += 1
        nodes.heard('arm')
        nodes.heard('trainer', {'arm'})
        assert nodes.deaf() == {}


def test_a_note_counts_within_its_session_only(tmp_path):
    folder = RunFolder(tmp_path)
    Note(folder, 'arm').write({'sequence': 3})
    assert Note(folder, 'arm').read() is None  # nobody holds the run
    folder.lock.write_text('1')
    note = Note(folder, 'arm')
    assert note.read() is None
    note.write({'sequence': 1234567})
    note.write({'sequence': 8})
    assert Note(folder, 'arm').read() == {'sequence': 8} and Note(folder, 'other').read() is None
    note.path.write_bytes(note.path.read_bytes() + b'6}}\n')  # killed before it could cut that off
    assert Note(folder, 'arm').read() == {'sequence': 8}
    note.path.write_bytes(note.path.read_bytes()[:20])
    assert Note(folder, 'arm').read() is None
    note.write({'sequence': 9})
    os.utime(folder.lock, ns=(5, 5))  # taken hold of at another time
    assert Note(folder, 'arm').read() is None
    other = RunFolder(tmp_path / 'other')
    other.path.mkdir()
    other.lock.write_text('1')
    Note(other, 'arm').write({'sequence': 4})
    forget(folder)
    assert not note.path.exists() and Note(other, 'arm').read() == {'sequence': 4}
    forget(other)
