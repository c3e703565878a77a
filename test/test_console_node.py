"""The console as a real process: what it gives to whom by HTTP, and how it takes garbage."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

pytest.importorskip('nicegui', reason='NiceGUI is not installed: pip install "medal_ros[console]"')

import httpx
import socketio
from console_graph import STARTING, Arm, Consoles, past_run
from diagnostic_msgs.msg import DiagnosticArray
from ros import Nodes, Probe, wait_until

from medal_ros.nodes.qos import STREAM

PATHS = (
    '/', '/picture/0', '/runs/first/config.yaml', '/runs/first/learning_curve.png',
    '/_nicegui_ws/socket.io/?EIO=4&transport=polling', '/docs', '/openapi.json', '/favicon.ico',
)  # fmt: skip


class Networked(NamedTuple):
    url: str
    token: str
    consoles: Consoles


@pytest.fixture(scope='module')
def place(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp('console')
    past_run(place / 'runs')
    (place / 'secret.txt').write_text('password')
    return place


@pytest.fixture(scope='module')
def graph(place):
    with Probe() as probe, Nodes(place) as nodes:
        nodes.start('supervisor')
        yield Arm(probe)


@pytest.fixture(scope='module')
def local(graph, place):
    (place / 'local').mkdir()
    with Consoles(place / 'local') as consoles:
        yield consoles, consoles.console(runs=str(place / 'runs'))


@pytest.fixture(scope='module')
def networked(place):
    """A console for the network, in a namespace of its own so that there may be a second one."""
    (place / 'networked').mkdir()
    with Consoles(place / 'networked') as consoles:
        runs = str(place / 'runs')
        url = consoles.console(host='0.0.0.0', runs=runs, namespace='/elsewhere')
        wait_until(lambda: 'token: ' in consoles.output('console'), 5.0, 'the token')
        token = consoles.output('console').split('token: ')[1].split()[0]
        yield Networked(f'http://127.0.0.1:{urlsplit(url).port}', token, consoles)


@pytest.fixture
def visitor(local):
    with httpx.Client(base_url=local[1], timeout=20.0) as client:
        assert client.get('/').status_code == 200
        yield client


# -- on this machine ----------------------------------------------------------------------------


def test_the_page_comes_with_a_session_and_pictures_follow(visitor):
    assert len(visitor.cookies) == 1
    answers = [visitor.get('/picture/0') for _ in range(5)]  # the first looks wake the camera
    picture = next(a for a in answers if a.status_code == 200)
    assert picture.headers['content-type'] == 'image/jpeg'
    assert picture.headers['x-names'] == 'wrist%2Cthird'
    number = int(picture.headers['x-number'])
    assert picture.content.startswith(b'\xff\xd8')
    following = visitor.get(f'/picture/{number}')
    assert int(following.headers['x-number']) > number


def test_a_visitor_gets_at_most_ten_pictures_a_second(visitor):
    number, seen = 0, 0
    until = time.monotonic() + 2.0
    while time.monotonic() < until:
        answer = visitor.get(f'/picture/{number}')
        if answer.status_code == 200:
            number, seen = int(answer.headers['x-number']), seen + 1
    assert 2 <= seen <= 22


def test_the_images_are_let_go_of_when_nobody_looks(graph, visitor):
    count = graph.observations.get_subscription_count
    visitor.get('/picture/0')
    wait_until(lambda: count() == 2, 10.0, 'the supervisor and the console read observations')
    wait_until(lambda: count() == 1, 10.0, 'only the supervisor reads observations')


def test_only_files_of_runs_are_given(visitor, place):
    given = visitor.get('/runs/first/config.yaml')
    assert given.status_code == 200 and given.text == 'task: toy\n'
    assert visitor.get('/runs/first/learning_curve.png').headers['content-type'] == 'image/png'
    part = visitor.get('/runs/first/config.yaml', headers={'range': 'bytes=0-3'})
    assert part.status_code == 206 and part.text == 'task'  # what a video asks for
    for path in (
        '/runs/../secret.txt', '/runs/%2e%2e/secret.txt', '/runs/..%2fsecret.txt/config.yaml',
        '/runs/first/..%2f..%2fsecret.txt', '/runs/first/summary.json%00', '/runs/none/config.yaml',
        '/runs//etc/passwd', '/runs/%2fetc/passwd', '/runs/first/nothing',
    ):  # fmt: skip
        answer = visitor.get(path)
        assert answer.status_code == 404 and 'password' not in answer.text, path


def test_other_sites_and_other_names_get_nothing(visitor, local):
    for headers in ({'origin': 'http://evil.example'}, {'host': 'evil.example'}):
        for path in PATHS:
            assert visitor.get(path, headers=headers).status_code == 403
    connected = asyncio.run(connect(local[1], dict(visitor.cookies), 'http://evil.example'))
    assert connected is False


def test_a_websocket_needs_a_session(visitor, local):
    origin = local[1].rstrip('/')
    assert asyncio.run(connect(local[1], {}, origin)) is False
    assert asyncio.run(connect(local[1], dict(visitor.cookies), origin)) is True


async def connect(url: str, cookies: dict[str, str], origin: str) -> bool:
    """Return whether a websocket is let in."""
    client = socketio.AsyncClient(reconnection=False)
    headers = {'Cookie': '; '.join(f'{k}={v}' for k, v in cookies.items()), 'Origin': origin}
    try:
        await client.connect(
            url, headers, transports=['websocket'], socketio_path='/_nicegui_ws/socket.io'
        )
    except socketio.exceptions.ConnectionError:
        return False
    await client.disconnect()
    return True


# -- garbage ------------------------------------------------------------------------------------


def test_garbage_is_a_sentence_and_the_robot_does_not_notice(graph, local, visitor):
    consoles, url = local
    address = '127.0.0.1', urlsplit(url).port
    before = len(graph.states)
    for garbage in (
        b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + os.urandom(200),  # TLS
        b'GET / HTTP/9.9\r\n\r\n', os.urandom(5000), b'GET ' + b'/a' * 50_000, b'\r\n' * 1000,
        b'POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n',
    ):  # fmt: skip
        with socket.create_connection(address, 5.0) as raw:
            raw.settimeout(2.0)
            try:
                raw.sendall(garbage)
                raw.recv(1000)
            except OSError:
                pass
    assert visitor.post('/login', content=b'x' * 100_000).status_code == 413
    assert visitor.post('/login', content=b'\xff\xfe%zz&&==').status_code in (303, 401)
    for path in ('/picture/x', '/picture/-1', '/picture/' + '9' * 400, '/%ff%fe', '/runs/%ff/x'):
        assert visitor.get(path).status_code < 500
    asyncio.run(send_garbage(url, dict(visitor.cookies)))
    assert visitor.get('/').status_code == 200
    wait_until(lambda: len(graph.states) > before + 20, 10.0, 'the supervisor decides as before')
    lines = consoles.output('console').splitlines()
    assert 'Traceback' not in '\n'.join(lines)
    assert len(lines) < 25, lines


async def send_garbage(url: str, cookies: dict[str, str]) -> None:
    """Send what no page of ours would, on a websocket that was let in."""
    client = socketio.AsyncClient(reconnection=False)
    headers = {'Cookie': '; '.join(f'{k}={v}' for k, v in cookies.items())}
    headers['Origin'] = url.rstrip('/')
    await client.connect(
        url, headers, transports=['websocket'], socketio_path='/_nicegui_ws/socket.io'
    )
    for event in ('event', 'handshake', 'javascript_response', 'ack', 'log', 'nonsense'):
        for data in (None, {}, 'x', [1], {'client_id': 'x'}, {'client_id': {}}, b'\x00' * 100):
            await client.emit(event, data)
    for raw in ('', '4', '42[', '9', '451-["event"]', '42["event",' + '[' * 500, 'x' * 10_000):
        try:
            await client.eio.ws.send_str(raw)
        except Exception:  # it may hang up on us
            break
    await asyncio.sleep(0.3)
    await client.disconnect()


# -- on the network -----------------------------------------------------------------------------


def test_without_the_token_there_is_nothing(networked):
    url, token, _ = networked
    with httpx.Client(base_url=url, timeout=20.0) as client:
        assert client.get('/').headers['location'] == '/login'
        for guess in ('', 'x', token[:-1], token.upper() + '1', 'é'):
            answer = client.post('/login', data={'token': guess})
            assert answer.status_code == 401 and not client.cookies
        for path in PATHS[1:]:
            for query in ('', f'?token={token}'):  # nothing is taken from an address
                assert client.get(path + query).status_code == 401
        assert client.get(f'/login?token={token}').status_code == 200 and not client.cookies
    origin = url
    assert asyncio.run(connect(url, {}, origin)) is False
    assert asyncio.run(connect(url, {'medal_console': token}, origin)) is False


def test_the_token_opens_a_session(networked):
    url, token, _ = networked
    with httpx.Client(base_url=url, timeout=20.0) as client:
        answer = client.post('/login', data={'token': f' {token} '}, headers={'origin': url})
        assert answer.status_code == 303
        cookie = answer.headers['set-cookie']
        assert token not in cookie and 'HttpOnly' in cookie and 'SameSite=Strict' in cookie
        assert client.get('/').status_code == 200
        assert client.get('/runs/first/config.yaml').status_code == 200
        assert asyncio.run(connect(url, dict(client.cookies), url)) is True
        # A page of another site cannot log in, even if it knew the token.
        stranger = {'origin': 'http://evil.example'}
        answer = client.post('/login', data={'token': token}, headers=stranger)
        assert answer.status_code == 403


# -- two consoles -------------------------------------------------------------------------------


def test_a_taken_port_a_second_console_and_an_address_of_nobody_are_a_sentence(local, tmp_path):
    port = urlsplit(local[1]).port
    at = {
        'second': {'port': 0},
        'late': {'port': 0, 'setting': 'node.DISCOVERY = 0.0'},  # its page is up at once
        'taken': {'port': port, 'namespace': '/taken'},
        'nobody': {'host': '203.0.113.7', 'namespace': '/nobody'},
    }
    started = {}
    for name, parameters in at.items():  # all at once, for each takes a while
        (tmp_path / name).mkdir()
        started[name] = Consoles(tmp_path / name)
        started[name].start('console', **parameters)
    said = {}
    for name, consoles in started.items():
        with consoles:
            assert consoles.processes['console'].wait(STARTING) == 2
            said[name] = consoles.output('console').strip()
    for name in ('second', 'late'):
        assert said[name].endswith('a console is already open in namespace /medal')
    assert said['taken'] == (
        f'the console cannot listen at 127.0.0.1, port {port} (Address already in use): '
        'choose another port'
    )
    assert said['nobody'].startswith('the console cannot listen at 203.0.113.7, port 8090 (')


def test_it_says_how_it_is_and_ends_at_once(graph, networked):
    heard = graph.probe.record(DiagnosticArray, '/diagnostics', STREAM)
    own = lambda: [s for m in heard for s in m.status if s.hardware_id == 'elsewhere/console']  # noqa: E731
    wait_until(own, 10.0, 'its diagnostics')
    assert own()[0].message == 'ok'
    began = time.monotonic()
    assert networked.consoles.stop(10.0) == {'console': 0}
    assert time.monotonic() - began < 10.0
