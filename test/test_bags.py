"""Recordings: what was said is in them, others can read them, and whatever ends them, some is."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from medal_ros.msg import Action, Observation, State, Step
from ros import Nodes, Probe, wait_until
from std_msgs.msg import String

from medal_ros import cli
from medal_ros.bags.bag import CHUNK, Bag, Topic
from medal_ros.bags.definitions import definition, name_of, type_hash
from medal_ros.bags.mend import mend
from medal_ros.bags.metadata import count, files_of
from medal_ros.bags.record import RecordConfig
from medal_ros.errors import UserError
from medal_ros.nodes.images import image_from_array
from medal_ros.nodes.qos import HISTORY, LATCHED, STREAM
from medal_ros.nodes.recorder import TOPICS
from medal_ros.options import build

AnyReader = pytest.importorskip('rosbags.highlevel', reason='rosbags comes from PyPI').AnyReader
ROOT = Path(__file__).parent.parent
TOPIC = Topic('/medal/help', name_of(String), definition(String), type_hash(String), '')
ROOM = 100 << 10  # bytes of a message that nothing compresses
SECOND = 10**9
N = 150  # steps that a graph takes


def read(bag: Path) -> list[tuple[str, object]]:
    """Return `(topic, message)` of a bag as another library reads it, by the bag's definitions.

    That checks them against the hashes of the types.
    """
    with AnyReader([bag]) as reader:
        return [(c.topic, reader.deserialize(raw, c.msgtype)) for c, _, raw in reader.messages()]


def config(**changes) -> RecordConfig:
    return build(RecordConfig, {'spare_gib': 0.0, **changes})


def text(words: str) -> bytes:
    """Return a String as CDR."""
    data = words.encode() + b'\0'
    return b'\0\1\0\0' + len(data).to_bytes(4, 'little') + data


def noise(rng: np.random.Generator) -> str:
    return rng.bytes(ROOM // 2).hex()


def size(bag: Path) -> int:
    return sum(path.stat().st_size for path in files_of(bag))


def say(bag: Bag, words: str, second: float) -> None:
    bag.write(TOPIC.name, text(words), int(second * SECOND), int(second * SECOND))


# -- files -------------------------------------------------------------------------------------


def test_a_bag_is_split_by_time_and_tells_all_of_it_in_its_metadata(tmp_path):
    bag = Bag(tmp_path / 'bag', [TOPIC], config(split_seconds=10.0))
    for second in range(25):
        say(bag, f'{second}', 100 + second)
    bag.close()
    assert [p.name for p in files_of(bag.folder)] == ['bag_0.mcap', 'bag_1.mcap', 'bag_2.mcap']
    assert [message.data for _, message in read(bag.folder)] == [str(n) for n in range(25)]
    about = yaml.safe_load((bag.folder / 'metadata.yaml').read_text())
    about = about['rosbag2_bagfile_information']
    assert about['message_count'] == 25 and about['duration']['nanoseconds'] == 24 * SECOND
    assert [file['message_count'] for file in about['files']] == [10, 10, 5]
    assert about['relative_file_paths'] == [file['path'] for file in about['files']]


def test_a_bag_keeps_its_limit_and_lets_the_oldest_go(tmp_path):
    rng, limit = np.random.default_rng(0), 20 * ROOM
    bag = Bag(tmp_path / 'bag', [TOPIC], config(limit_gib=limit / 2**30))
    for second in range(100):
        say(bag, f'{second} {noise(rng)}', second)
        assert bag.size() < limit * 1.1
    bag.close()
    kept = [int(message.data.split()[0]) for _, message in read(bag.folder)]
    assert kept == list(range(kept[0], 100)) and 20 < len(kept) < 90  # hex takes half of the room
    assert count(bag.folder) == len(kept)


def torn(folder: Path, cut: int = 0) -> Path:
    """Return a copy of a bag whose recorder died after 30 messages, the last ones unwritten."""
    rng = np.random.default_rng(0)
    bag = Bag(folder / 'bag', [TOPIC], config(split_seconds=20.0))
    for second in range(30):
        say(bag, f'{second} {noise(rng)}', second)
    bag.flush()
    shutil.copytree(bag.folder, folder / 'dead' / 'bag')
    bag.close()
    last = files_of(folder / 'dead' / 'bag')[-1]
    with open(last, 'rb+') as file:
        file.truncate(last.stat().st_size - cut)
    return folder / 'dead' / 'bag'


@pytest.mark.parametrize('cut', [0, 1, 5000, 200_000])
def test_a_bag_whose_recorder_was_killed_is_mended_as_far_as_it_got(tmp_path, cut):
    bag = torn(tmp_path, cut)
    before = [message.data.split()[0] for _, message in read(bag)]
    assert before == [str(n) for n in range(20)]  # what was split off needs no mending
    assert [path.name for path in mend(bag)] == ['bag_1.mcap']
    after = [message.data.split()[0] for _, message in read(bag)]
    least = 28 if cut < 10_000 else 24
    assert after == [str(n) for n in range(len(after))] and least <= len(after) <= 30
    assert mend(bag) == [] and count(bag) == len(after)
    assert not list(bag.glob('.*'))


def test_damage_in_the_middle_of_a_torn_file_costs_what_follows_and_no_more(tmp_path):
    bag = torn(tmp_path)
    last = files_of(bag)[-1]
    data = bytearray(last.read_bytes())
    data[len(data) // 2] ^= 255
    last.write_bytes(data)
    mend(bag)
    assert 20 < len(read(bag)) < 30


def test_what_is_no_bag_is_refused_in_one_sentence(tmp_path, capsys):
    with pytest.raises(UserError, match='exists'):
        Bag(tmp_path, [TOPIC], config())
    for words, sentence in (
        (['--mend', str(tmp_path)], 'holds no recording'),
        (['--out', str(tmp_path)], 'exists: choose another --out'),
        (['--set', 'split=3'], "there is no key 'split'"),
        (['--images-every', '-1'], 'must be a whole number of at least 0'),
    ):
        with pytest.raises(SystemExit) as end:
            cli.main(['record', *words])
        said = capsys.readouterr().err
        assert end.value.code == 2 and sentence in said and said.count('\n') == 1


def test_the_topics_are_those_of_the_readme():
    section = (ROOT / 'README.md').read_text().split('## Topics and services')[1]
    named = set(re.findall(r'^\| `([\w/<>]+)` \| [\w/]+ \|', section.split('| service')[0], re.M))
    assert named - {'camera/<name>/image_raw'} == set(TOPICS)


# -- the node ----------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def said(tmp_path_factory):
    """Return what a graph said, how a recorder ended that was stopped, and one that was killed."""
    folder = tmp_path_factory.mktemp('recorder')
    with Probe() as probe, Nodes(folder) as nodes, recording(folder / 'killed') as command:
        early = probe.publisher(String, 'examination', LATCHED, readers=0)
        early.publish(String(data='said before'))
        parameters = {'folder': str(folder / 'bag'), 'images_every': 2, 'spare_gib': 0.0}
        nodes.start('recorder', '__node:=first', **parameters)
        publishers = {
            name: probe.publisher(kind, name, qos, readers=2)
            for name, kind, qos in (
                ('state', State, HISTORY),
                ('step', Step, HISTORY),
                ('action', Action, STREAM),
                ('observation', Observation, HISTORY),
            )
        }
        wait_until(lambda: early.get_subscription_count() == 2, 20.0, 'who hears what was said')
        rng = np.random.default_rng(0)
        sent = []
        for n in range(N):
            pixels = rng.integers(0, 256, (24, 24, 3), np.uint8)
            seen = Observation(sequence=n, names=['third'], images=[image_from_array(pixels)])
            state = State(sequence=n, mode='practice', reason=f'because {n}')
            step = Step(sequence=n, action=[0.5, -0.25], source='policy', boundary=n % 3 == 0)
            for name, message in (('observation', seen), ('state', state), ('step', step)):
                publishers[name].publish(message)
                sent.append((name, message))
        for name in ('bag', 'killed'):
            bag = folder / name
            wait_until(lambda bag=bag: size(bag) > 60_000, 30.0, f'the recording into {name}')
        (node,) = Path(f'/proc/{command.pid}/task/{command.pid}/children').read_text().split()
        os.kill(int(node), signal.SIGKILL)
        words = command.communicate(timeout=30)
        statuses = nodes.stop(10.0)
    return sent, folder, statuses, (command.returncode, *words)


@contextmanager
def recording(bag: Path) -> Iterator[subprocess.Popen]:
    """Run `medal record`."""
    words = ['--out', str(bag), '--images-every', '2', '--set', 'spare_gib=0']
    process = subprocess.Popen(
        [sys.executable, '-m', 'medal_ros.cli', 'record', *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)


def test_a_recorder_that_is_stopped_leaves_all_that_was_said(said):
    _, folder, statuses, _ = said
    assert statuses == {'recorder': 0}
    found = read(folder / 'bag')
    numbers = Counter(topic for topic, _ in found)
    assert numbers['/medal/state'] == numbers['/medal/step'] == N
    assert numbers['/medal/observation'] == N / 2  # one of two
    assert numbers['/medal/examination'] == 1  # latched, and said before it came
    states = [m for topic, m in found if topic == '/medal/state']
    assert [(m.sequence, m.reason) for m in states] == [(n, f'because {n}') for n in range(N)]
    steps = [m for topic, m in found if topic == '/medal/step']
    assert [m.boundary for m in steps] == [n % 3 == 0 for n in range(N)]
    assert steps[7].action.tolist() == [0.5, -0.25]


def test_pictures_come_out_as_they_went_in(said):
    sent, folder, _, _ = said
    found = [m for topic, m in read(folder / 'bag') if topic == '/medal/observation']
    kept = [m for name, m in sent if name == 'observation'][::2]
    assert [m.sequence for m in found] == [m.sequence for m in kept]
    for ours, theirs in zip(kept, found, strict=True):
        assert bytes(ours.images[0].data) == theirs.images[0].data.tobytes()


def test_a_recorder_that_is_killed_leaves_what_was_on_its_way_to_the_disk(said):
    _, folder, _, (status, out, error) = said
    bag = folder / 'killed'
    assert status == 1 and error.startswith('medal: the node recorder was killed by signal 9')
    assert f'{count(bag)} messages, ' in out
    assert mend(bag) == []  # medal record did
    states = [m.sequence for topic, m in read(bag) if topic == '/medal/state']
    seen = [m.sequence for topic, m in read(bag) if topic == '/medal/observation']
    assert states == list(range(len(states))) and seen == list(range(0, 2 * len(seen), 2))
    with AnyReader([bag]) as reader:  # which topic came first is not said, how much is lost is
        held = sum(len(raw) for *_, raw in reader.messages())
    assert held > CHUNK / 2  # one was on the disk; definitions and headers have some of it


def test_the_metadata_names_types_and_qualities_as_rosbag2_does(said):
    _, folder, _, _ = said
    with AnyReader([folder / 'bag']) as reader:
        topics = {c.topic: c for c in reader.connections}
    offered = topics['/medal/state'].ext.offered_qos_profiles[0]
    assert topics['/medal/state'].msgtype == 'medal_ros/msg/State'
    assert topics['/medal/state'].digest.startswith('RIHS01_')
    assert (offered.durability.name, offered.depth) == ('TRANSIENT_LOCAL', HISTORY.depth)
    offered = topics['/medal/examination'].ext.offered_qos_profiles[0]
    assert (offered.durability.name, offered.depth) == ('TRANSIENT_LOCAL', 1)
