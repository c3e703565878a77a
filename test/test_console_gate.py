"""Who may come into the console, and who may steer, without ROS and without a browser."""

from __future__ import annotations

import asyncio

import pytest
from console_clock import Clock

from medal_ros.console.gate import SESSION, Gate, is_local
from medal_ros.console.operator_lock import PATIENCE, OperatorLock
from medal_ros.console.sessions import AT_MOST, IDLE, Sessions, new_token


@pytest.fixture
def clock() -> Clock:
    return Clock()


# -- who may come in, and who may steer ------------------------------------------------------------


def test_only_the_token_opens_a_session(clock):
    sessions = Sessions('abc-def', clock)
    for wrong in ('', 'abc', 'abc-deF', 'abc-def ', 'ab\udc80'):
        assert sessions.open(wrong) is None
    session = sessions.open('abc-def')
    assert sessions.knows(session)
    assert not sessions.knows('') and not sessions.knows('abc-def')


def test_a_session_ends_after_a_long_silence_only(clock):
    sessions = Sessions(clock=clock)
    session = sessions.open()
    for _ in range(3):
        clock.now += IDLE - 1
        assert sessions.knows(session)
    clock.now += IDLE + 1
    assert not sessions.knows(session)


def test_many_new_sessions_do_not_push_out_whoever_is_there(clock):
    sessions = Sessions(clock=clock)
    here, gone = sessions.open(), sessions.open()
    for _ in range(AT_MOST):
        sessions.open()
        assert sessions.knows(here)
    assert not sessions.knows(gone)


def test_a_token_is_long_and_new_each_time():
    assert len({new_token() for _ in range(100)}) == 100
    assert len(new_token().replace('-', '')) == 20


def test_one_visitor_at_a_time_holds_the_controls(clock):
    lock = OperatorLock(clock)
    assert lock.refusal('a') == 'take the controls first'
    assert lock.take('a', 'Anna') == (True, 'you hold the controls')
    assert lock.refusal('a') == ''
    assert lock.take('b', 'Ben') == (False, 'Anna holds the controls')
    assert lock.refusal('b') == 'Anna holds the controls'
    assert lock.release('b') == (False, 'you do not hold the controls')
    assert lock.name() == 'Anna'
    assert lock.release('a')[0] and lock.take('b', 'Ben')[0]
    assert lock.refusal('a') == 'Ben holds the controls'


def test_the_controls_are_free_again_when_their_holder_is_gone(clock):
    lock = OperatorLock(clock)
    lock.take('a', 'Anna')
    for _ in range(5):
        clock.now += PATIENCE - 0.1
        lock.heard('b')  # others count for nothing
        lock.heard('a')
        assert lock.refusal('a') == ''
    clock.now += PATIENCE + 0.1
    assert lock.name() == '' and lock.refusal('a') == 'take the controls first'
    lock.heard('a')  # too late
    assert lock.take('b', 'Ben')[0]


def test_nobody_holds_the_controls_by_having_no_session(clock):
    assert OperatorLock(clock).refusal('') == 'take the controls first'


# -- the gate --------------------------------------------------------------------------------------


def ask(gate: Gate, path: str = '/', kind: str = 'http', method: str = 'GET', **headers: str):
    """Return the status, the headers and the body of an answer; of a websocket, its close code."""
    sent: list[dict] = []
    headers = {'host': 'localhost:8090', **headers}
    scope = {
        'type': kind,
        'path': path,
        'headers': [(k.encode(), v.encode('latin-1')) for k, v in headers.items()],
        **({'method': method} if kind == 'http' else {}),
    }

    async def receive() -> dict:
        return {'type': 'http.request'}

    async def send(message: dict) -> None:
        sent.append(message)

    asyncio.run(gate(scope, receive, send))
    if sent[0]['type'] == 'websocket.close':
        return sent[0]['code'], {}, b''
    answer = {k.decode(): v.decode() for k, v in sent[0]['headers']}
    return sent[0]['status'], answer, sent[1]['body']


async def behind(scope, receive, send) -> None:
    body = scope.get(SESSION, 'no session').encode()
    if scope['type'] == 'websocket':
        await send({'type': 'websocket.close', 'code': 1000})
        return
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': body})


def test_this_machine_gets_a_session_with_the_page():
    gate = Gate(behind, Sessions(), 'c')
    status, headers, body = ask(gate)
    name, _, rest = headers['set-cookie'].partition('=')
    session, *attributes = rest.split('; ')
    assert status == 200 and name == 'c' and body.decode() == session
    assert attributes == ['HttpOnly', 'SameSite=Strict', 'Path=/']
    again = ask(gate, '/picture/0', cookie=f'x=1; c={session}')
    assert again[0] == 200 and again[2] == body and 'set-cookie' not in again[1]


@pytest.mark.parametrize('path', ['/picture/0', '/runs/a/config.yaml', '/_nicegui_ws/socket.io/'])
@pytest.mark.parametrize('token', ['', 'secret'])
def test_without_a_session_there_is_nothing(path, token):
    gate = Gate(behind, Sessions(token), 'c')
    for cookie in ('', 'c=guess', 'c=', f'c={token}', 'c="\\'):
        assert ask(gate, path, cookie=cookie)[0] == 401
        assert ask(gate, path, method='POST', cookie=cookie)[0] == 401
        origin = 'http://localhost:8090'
        assert ask(gate, path, kind='websocket', origin=origin, cookie=cookie)[0] == 1008


def test_with_a_token_the_page_sends_to_the_login_and_gives_no_session():
    gate = Gate(behind, Sessions('secret'), 'c')
    status, headers, _ = ask(gate)
    assert (status, headers['location']) == (303, '/login') and 'set-cookie' not in headers
    assert ask(gate, '/login')[2] == b'no session'


def test_another_sites_page_is_refused_with_any_session():
    gate = Gate(behind, Sessions(), 'c')
    cookie = f'c={gate.sessions.open()}'
    here, there = 'http://localhost:8090', 'http://evil.example'
    for kind, refused in (('http', 403), ('websocket', 1008)):
        assert ask(gate, kind=kind, origin=here, cookie=cookie)[0] in (200, 1000)
        for origin in (there, 'null', 'http://localhost:8091', 'http://localhost:8090.evil', '['):
            assert ask(gate, kind=kind, origin=origin, cookie=cookie)[0] == refused
    assert ask(gate, kind='websocket', cookie=cookie)[0] == 1008  # a browser always says


def test_a_name_that_was_made_to_point_here_is_refused():
    local, network = Gate(behind, Sessions(), 'c'), Gate(behind, Sessions('t'), 'c')
    for host in ('evil.example:8090', 'localhost.evil.example', '', '10.0.0.3', ']['):
        assert ask(local, host=host)[0] == 403
    for host in ('127.0.0.1:8090', '[::1]:8090', 'LOCALHOST'):
        assert ask(local, host=host)[0] == 200
    assert ask(network, host='robot.lab:8090')[0] == 303


def test_what_is_local():
    assert all(map(is_local, ('localhost', '127.0.0.1', '127.8.8.8', '::1')))
    assert not any(map(is_local, ('0.0.0.0', '::', '192.168.1.2', 'robot', '')))
