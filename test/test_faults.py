"""A short storm over a real run; and that its checks would notice what they are for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import ros  # noqa: F401  a domain of its own
import small

from medal_ros.faults.ledger import Ledger
from medal_ros.faults.outcome import checks, holds_of_an_arm_that_was_there
from medal_ros.faults.schedule import KINDS, schedule
from medal_ros.learning.recovery import open_store
from medal_ros.learning.replay import Replay

STORM = ('kill trainer', 'kill policy_server', 'kill sim_arm', 'freeze', 'nan weights', 'garbage')
# A busy machine is no failure: of the others each is true at any speed.
TIMED = ('hold within', 'each node back')


def test_a_storm_has_every_kind_about_as_often_and_its_seed_repeats_it():
    faults = schedule(200, seed=3)
    assert len(faults) == 200 and len(KINDS) >= 12
    counts = Counter(fault.kind for fault in faults)
    assert set(counts) == set(KINDS) and max(counts.values()) - min(counts.values()) <= 1
    assert schedule(200, seed=3) == faults != schedule(200, seed=4)
    assert all(f.node for f in faults if f.kind.startswith(('kill', 'hang', 'pause')))


def practised(folder: Path, segments: int = 3, length: int = 4) -> Ledger:
    """Store some steps, and note them as somebody who listened would."""
    rng, ledger = np.random.default_rng(0), Ledger()
    opened = open_store(small.SPACES, 64, folder, resume=False)
    replay, sequence = Replay(opened.store), 0
    frame = rng.integers(0, 256, small.SPACES.frame_shape, np.uint8)
    replay.add_frame(frame, np.zeros(2, np.float32))
    ledger.observed(0, frame, np.zeros(2, np.float32))
    for segment in range(segments):
        agent = ('forward', 'backward')[segment % 2]
        for _ in range(length):
            action = rng.uniform(-1, 1, 2).astype(np.float32)
            ledger.stepped(sequence, 'policy', agent, segment, action)
            replay.add_step(agent, action, (0, 0))
            sequence += 1
            frame = rng.integers(0, 256, small.SPACES.frame_shape, np.uint8)
            proprio = rng.uniform(-1, 1, 2).astype(np.float32)
            replay.add_frame(frame, proprio)
            ledger.observed(sequence, frame, proprio)
    opened.journal.record(opened.store, replay.counts, {})
    opened.journal.close()
    return ledger


def test_what_is_stored_is_not_missing_and_what_is_damaged_is(tmp_path):
    ledger = practised(tmp_path)
    assert sorted(ledger.transitions()) == list(range(8))  # the last segment is not finished
    assert ledger.missing(tmp_path, small.SPACES) == []
    frames = np.memmap(tmp_path / 'frames.bin', np.uint8, 'r+')
    row = int(np.prod(small.SPACES.frame_shape))
    frames[3 * row] += 1
    assert ledger.missing(tmp_path, small.SPACES) == [2, 3]


def test_what_was_never_stored_is_missing_and_what_was_never_seen_is_not(tmp_path):
    ledger = practised(tmp_path)
    ledger.stepped(100, 'policy', 'forward', 0, np.zeros(2, np.float32))
    assert ledger.missing(tmp_path, small.SPACES) == []
    for sequence in (100, 101):
        ledger.observed(sequence, np.zeros(small.SPACES.frame_shape, np.uint8), np.zeros(2))
    assert ledger.missing(tmp_path, small.SPACES) == [100]


def test_a_hold_is_measured_from_the_last_command_and_not_while_the_arm_was_away():
    ledger, zero = Ledger(), np.zeros(2, np.float32)
    for n, source, at in ((0, 'policy', 10.0), (1, 'hold', 10.19), (2, 'hold', 10.3)):
        ledger.stepped(n, source, '', 0, zero, at)
    for n, source, at in ((3, 'policy', 11.0), (4, 'hold', 11.5), (5, 'policy', 12.0)):
        ledger.stepped(n, source, '', 0, zero, at)
    for n, at in ((0, 9.99), (3, 10.99), (5, 12.0)):
        ledger.acted(n, at)
    holds = ledger.holds()
    assert holds == pytest.approx({1: 0.2, 4: 0.51})
    at = {n: ledger.steps[n].at for n in holds}
    assert holds_of_an_arm_that_was_there(holds, at, []) == holds
    assert list(holds_of_an_arm_that_was_there(holds, at, [(11.4, 11.6)])) == [1]


def test_an_action_outside_the_box_is_counted():
    ledger = Ledger()
    for values in ([1.0, -1.0], [1.1, 0.0], [float('nan'), 0.0]):
        ledger.stepped(len(ledger.steps), 'policy', 'forward', 0, np.array(values, np.float32))
    assert ledger.outside == 2


def test_checks_say_what_is_wrong():
    good = checks([], 0, 5, [], 0, {1: 0.1}, '')
    assert all(check.good for check in good)
    bad = checks([], 1, 5, [3], 2, {1: 0.3}, 'it is not finished')
    assert [c.good for c in bad] == [False, False, False, False, True, True, True, False]


def test_a_short_storm_over_a_real_run(tmp_path):
    command = [sys.executable, '-m', 'medal_ros.cli', 'faults', '--count', '6', '--stop']
    command += ['--kinds', ','.join(STORM), '--runs', str(tmp_path), '--name', 'run']
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    said = done.stdout + done.stderr
    assert 'Traceback' not in said and done.returncode in (0, 1), said
    found = json.loads((tmp_path / 'run' / 'faults.json').read_text())
    assert sorted(hit['fault']['kind'] for hit in found['hits']) == sorted(STORM)
    for name, good, what in (check.values() for check in found['checks']):
        assert good or name.startswith(TIMED), f'{name}: {what}'
    assert '| kill trainer | SIGKILL | 1 |' in (tmp_path / 'run' / 'faults.md').read_text()
