"""What a node does with the weights that are announced to it, without ROS and with files."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from medal_ros.msg import Weights
from ros import wait_until

from medal_ros.learning.weights import fitting_tensors, save_tensors
from medal_ros.nodes import weights
from medal_ros.nodes.weights import WeightsReader


class Reader:
    """A reader for one small network, and the files that are announced to it."""

    def __init__(self, folder: Path, ahead: bool) -> None:
        self.folder, self.said, self.module = folder, [], torch.nn.Linear(2, 2)
        error = lambda text, **_: self.said.append(text)  # noqa: E731
        node = SimpleNamespace(get_logger=lambda: SimpleNamespace(error=error))
        self.reader = WeightsReader(node, {'forward': self.module}, 'sequence', ahead)

    def announce(self, name: str, value: float, sequence: int, spoil: bool = False) -> None:
        tensors = {k: torch.full_like(v, value) for k, v in self.module.state_dict().items()}
        written = save_tensors(tensors, self.folder / name)
        if spoil:
            written.path.write_bytes(written.path.read_bytes()[:-1] + b'x')
        message = Weights(agent='forward', sequence=sequence, checksum=written.checksum)
        message.path = str(written.path)
        self.reader.take(message)

    def newest(self) -> float:
        """Load the newest that there are, and return the value that they hold."""
        self.reader.load('forward', self.reader.newest('forward'))
        return self.module.bias[0].item()

    def becomes(self, value: float) -> bool:
        return bool(wait_until(lambda: self.newest() == value, 10.0, f'weights {value}'))


@pytest.fixture(params=[False, True], ids=['asked for', 'read ahead'])
def one(request, tmp_path):
    made = Reader(tmp_path, request.param)
    yield made
    made.reader.close()


def test_weights_that_cannot_be_used_do_not_stand_in_the_way_of_later_ones(one):
    one.announce('good', 1.0, 0)
    assert one.newest() == 1.0 and one.reader.complaint == ''
    one.announce('bad', 2.0, 1 << 40, spoil=True)
    wait_until(lambda: one.newest() != 1.0 or one.reader.refused, 10.0, 'a refusal')
    assert one.newest() == 1.0 and one.reader.refused == 1
    assert 'its checksum differs' in one.reader.complaint and len(one.said) == 1
    assert one.newest() == 1.0 and one.reader.refused == 1  # it is not read again and again
    one.announce('better', 3.0, 10)
    assert one.becomes(3.0) and one.reader.complaint == ''


def test_weights_that_did_not_change_are_announced_again_and_count(one):
    one.announce('same', 1.0, 0)
    assert one.newest() == 1.0
    one.announce('same', 1.0, 10)
    wait_until(lambda: one.newest() and one.reader.loaded['forward'].sequence == 10)


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """A reader whose disk answers only when the test lets it, after the first weights."""
    made, gate, read = Reader(tmp_path, ahead=True), threading.Event(), []

    def later(module, path, checksum):
        read.append(path.name)
        assert path.name == 'first' or gate.wait(10.0)
        return fitting_tensors(module, path, checksum)

    monkeypatch.setattr(weights, 'fitting_tensors', later)
    made.gate, made.read = gate, read
    made.announce('first', 1.0, 0)
    assert made.newest() == 1.0
    yield made
    gate.set()
    made.reader.close()


def test_who_acts_does_not_wait_for_a_slow_disk(slow):
    slow.announce('second', 2.0, 10)
    wait_until(lambda: slow.read == ['first', 'second'])
    assert slow.newest() == 1.0 and slow.reader.loaded['forward'].sequence == 0
    slow.gate.set()
    assert slow.becomes(2.0) and slow.reader.loaded['forward'].sequence == 10


def test_of_those_that_wait_for_a_slow_disk_only_the_newest_is_read(slow):
    for n in range(2, 6):
        slow.announce(str(n), float(n), n)
    slow.gate.set()
    assert slow.becomes(5.0)
    assert slow.read in (['first', '2', '5'], ['first', '5'])
