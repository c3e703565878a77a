"""The gate in front of every request and websocket: its host, its origin, its session.

It is ASGI middleware around the whole application, so that nothing, not even the UI library's own
routes, is reached without passing it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from medal_ros.console.sessions import Sessions

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOGIN = '/login'
SESSION = 'medal.session'  # where the application finds the session, in the scope
POLICY_VIOLATION = 1008  # a websocket is refused
HEADERS = (
    (b'x-content-type-options', b'nosniff'),
    (b'x-frame-options', b'DENY'),
    (b'referrer-policy', b'same-origin'),  # no-referrer makes the origin of a form null
)


class Gate:
    """Lets through whoever has a session; without a token, whoever is on this machine has one.

    Args:
        app: What lies behind.
        sessions: Who is known.
        cookie: Name of the cookie that holds the session.
    """

    def __init__(self, app: App, sessions: Sessions, cookie: str) -> None:
        self.app, self.sessions, self.cookie = app, sessions, cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] == 'lifespan':
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        why = self.refusal(scope, headers)
        if why:
            await _refuse(scope, send, 403, why)
            return
        session = self._session(headers)
        if session is None and scope.get('path') == LOGIN:
            await self.app(scope, receive, _with_headers(send))
            return
        opened = None
        if session is None and not self.sessions.token and _asks_for_page(scope):
            session = opened = self.sessions.open()
        if session is None:
            await _turn_away(scope, send)
            return
        scope[SESSION] = session
        await self.app(scope, receive, _with_headers(send, self.set_cookie(opened)))

    def refusal(self, scope: Scope, headers: dict[str, str]) -> str:
        """Return why a request is refused whoever sends it; empty: it is not."""
        host = headers.get('host', '')
        # A page of another site whose name was made to point here would have its own name.
        if not self.sessions.token and not is_local(_hostname(host)):
            return f'this console is for its own machine, not for {host[:60]!r}'
        origin = headers.get('origin')
        if origin is None and scope['type'] == 'websocket':
            return 'a websocket must say which page it comes from'
        if origin is not None and _netloc(origin) != host.lower():
            return f'a page from {origin[:60]!r} may not use this console'
        return ''

    def set_cookie(self, session: str | None) -> bytes:
        """Return the header that gives a browser its session; empty for None."""
        if session is None:
            return b''
        return f'{self.cookie}={session}; HttpOnly; SameSite=Strict; Path=/'.encode()

    def _session(self, headers: dict[str, str]) -> str | None:
        try:
            found = SimpleCookie(headers.get('cookie', '')).get(self.cookie)
        except CookieError:
            return None
        return found.value if found and self.sessions.knows(found.value) else None


def is_local(host: str) -> bool:
    """Return whether a name or address means this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


def _headers(scope: Scope) -> dict[str, str]:
    return {k.decode('latin-1').lower(): v.decode('latin-1') for k, v in scope['headers']}


def _hostname(host: str) -> str:
    try:
        return urlsplit(f'//{host}').hostname or ''
    except ValueError:
        return ''


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ''


def _asks_for_page(scope: Scope) -> bool:
    return scope['type'] == 'http' and scope['method'] == 'GET' and scope['path'] == '/'


def _with_headers(send: Send, cookie: bytes = b'') -> Send:
    async def wrapped(message: MutableMapping[str, Any]) -> None:
        if message['type'] == 'http.response.start':
            more = [*HEADERS, (b'set-cookie', cookie)] if cookie else HEADERS
            message = {**message, 'headers': [*message.get('headers', ()), *more]}
        await send(message)

    return wrapped


async def _turn_away(scope: Scope, send: Send) -> None:
    """Send a person to the login, and tell a program that it has no session."""
    if _asks_for_page(scope):
        await _answer(send, 303, b'', ((b'location', LOGIN.encode()),))
    else:
        await _refuse(scope, send, 401, 'log in first')


async def _refuse(scope: Scope, send: Send, status: int, why: str) -> None:
    if scope['type'] == 'websocket':
        await send({'type': 'websocket.close', 'code': POLICY_VIOLATION, 'reason': why[:100]})
    else:
        await _answer(send, status, f'{why}\n'.encode())


async def _answer(
    send: Send, status: int, body: bytes, more: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    headers = [(b'content-type', b'text/plain; charset=utf-8'), *HEADERS, *more]
    headers.append((b'content-length', str(len(body)).encode()))
    await send({'type': 'http.response.start', 'status': status, 'headers': headers})
    await send({'type': 'http.response.body', 'body': body})
