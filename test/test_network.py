"""Who may speak: by default nobody outside this machine, and only an argument changes that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medal_ros import network
from medal_ros.cli import parser
from medal_ros.network import DEPRECATED, PEERS, PROFILES, RANGE, choose, profile
from medal_ros.processes import environment

ROOT = Path(__file__).parent.parent
# A node says where its process listens: addresses of its UDP sockets at the ports of DDS.
LISTENING = """
import os
from pathlib import Path
import rclpy
rclpy.init(args=[])
node = rclpy.create_node('listener')
links = [os.readlink(p) for p in Path('/proc/self/fd').iterdir() if os.path.lexists(p)]
for line in Path('/proc/net/udp').read_text().splitlines()[1:]:
    columns = line.split()
    address, port = columns[1].split(':')
    if f'socket:[{columns[9]}]' in links and 7400 <= int(port, 16) < 32768:
        print('.'.join(str(part) for part in bytes.fromhex(address)[::-1]))
"""
# A node says whether it heard another one, and how many ports of shared memory its process has.
PORTS = """
import time
from pathlib import Path
import rclpy
from std_msgs.msg import Empty
rclpy.init(args=[])
nodes = [rclpy.create_node(name) for name in ('one', 'two')]
heard = []
publisher = nodes[0].create_publisher(Empty, 'talk', 1)
nodes[1].create_subscription(Empty, 'talk', heard.append, 1)
end = time.monotonic() + 20
while not heard and time.monotonic() < end:
    publisher.publish(Empty())
    rclpy.spin_once(nodes[1], timeout_sec=0.1)
maps = Path('/proc/self/maps').read_text().splitlines()
print('heard' if heard else 'deaf', sum('/dev/shm/fastrtps_port' in line for line in maps))
"""


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    """An environment in which nobody decided anything; what a test decides is undone."""
    kept = dict(os.environ)
    for name in (RANGE, PEERS, PROFILES, DEPRECATED, 'ROS_DISCOVERY_SERVER'):
        os.environ.pop(name, None)
    yield
    os.environ.clear()
    os.environ.update(kept)


def listens_on() -> set[str]:
    """Return the addresses on which a node listens in the environment that nodes are given."""
    command = [sys.executable, '-c', LISTENING]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_a_node_listens_on_the_loopback_interface_only_until_it_is_opened():
    assert listens_on() == {'127.0.0.1'}
    choose('subnet')
    assert listens_on() == {'0.0.0.0'}
    choose('machine')
    assert listens_on() == {'127.0.0.1'}


def test_variables_do_not_open_the_graph_and_that_is_said(capsys):
    os.environ.update({RANGE: 'SUBNET', PEERS: '10.0.0.7', DEPRECATED: '1'})
    choose('machine')
    assert os.environ[RANGE] == 'LOCALHOST' and os.environ[PROFILES] == profile('machine')
    assert PEERS not in os.environ and DEPRECATED not in os.environ
    assert capsys.readouterr().err == (
        f'medal: {PEERS}, {RANGE} would let other machines in and is left out: '
        'network subnet does that\n'
    )
    choose('machine')
    assert capsys.readouterr().err == ''


def test_opened_the_variables_say_who_and_profiles_of_a_person_are_kept():
    os.environ[PEERS] = '10.0.0.7'
    choose('subnet')
    assert (os.environ[RANGE], os.environ[PEERS]) == ('SUBNET', '10.0.0.7')
    assert environment()[PROFILES] == profile('subnet')
    os.environ[PROFILES] = 'mine.xml'
    for name in network.NETWORKS:
        choose(name)
        assert os.environ[PROFILES] == environment()[PROFILES] == 'mine.xml'


@pytest.mark.parametrize(
    'words',
    ['train', 'evaluate x', 'sim', 'switch forward', 'status', 'demos record --task x --teleop'],
)
def test_every_command_that_joins_the_graph_has_the_argument(words, capsys):
    assert parser().parse_args(words.split()).network == 'machine'
    assert parser().parse_args([*words.split(), '--network', 'subnet']).network == 'subnet'
    with pytest.raises(SystemExit):
        parser().parse_args([*words.split(), '--network', 'world'])
    assert "invalid choice: 'world'" in capsys.readouterr().err


@pytest.mark.parametrize('path', sorted((ROOT / 'config' / 'fastdds').iterdir()), ids=str)
def test_profiles_have_the_network_alone_and_room_for_images(path):
    text = path.read_text()
    assert text.count('<type>') == text.count('<type>UDPv4</type>') == 1
    assert f'<receiveBufferSize>{network.BUFFER}</receiveBufferSize>' in text
    assert '<useBuiltinTransports>false</useBuiltinTransports>' in text


def test_the_profile_of_this_machine_names_the_loopback_interface_only():
    text = Path(profile('machine')).read_text()
    assert text.count('<interfaceWhiteList>') == text.count('<type>UDPv4</type>') == 1
    assert text.count('<address>') == text.count('<address>127.0.0.1</address>') == 2


@pytest.mark.parametrize('name', network.NETWORKS)
def test_no_message_goes_through_shared_memory(name):
    choose(name)
    done = subprocess.run(
        [sys.executable, '-c', PORTS], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ['heard', '0']


@pytest.mark.parametrize(
    ('given', 'complains'), [('212992', True), ('4194304', False), ('x', False)]
)
def test_a_kernel_that_has_no_room_for_images_is_named(given, complains, tmp_path):
    limit = tmp_path / 'rmem_max'
    limit.write_text(given + '\n')
    complaint = network.too_small_for_images(limit)
    assert bool(complaint) == complains
    assert not complains or 'rmem_max is 212992' in complaint
    assert network.too_small_for_images(tmp_path / 'nowhere') == ''
