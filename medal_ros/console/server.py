"""The web server: a thread with one event loop, which never touches ROS."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from urllib.parse import quote

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response
from nicegui import ui

from medal_ros.console import login
from medal_ros.console.gate import SESSION, Gate, is_local
from medal_ros.console.page import build
from medal_ros.console.sessions import Sessions, new_token
from medal_ros.console.shared import Console
from medal_ros.errors import UserError

PICTURE_WAIT = 1.0  # seconds that a request for the next picture may last
RECONNECT = 10.0  # seconds within which a page that lost its connection goes on where it was
STARTING, STOPPING = 20.0, 3.0  # seconds


class Server:
    """Serves the pages of a console until `close`.

    Args:
        console: What is shown.
        host: Where to listen. Anything but this machine alone asks visitors for a token.
        port: Where to listen; 0: any free one.

    Raises:
        UserError: Nobody can listen there.
    """

    def __init__(self, console: Console, host: str, port: int) -> None:
        self.console = console
        self.socket = bind(host, port)
        port = self.socket.getsockname()[1]
        self.token = '' if is_local(host) else new_token()
        self.url = f'http://{_written(host)}:{port}/'
        self.gate = Gate(self._application(), Sessions(self.token), f'medal_console_{port}')
        config = uvicorn.Config(
            self.gate,
            log_config=None,
            access_log=False,
            server_header=False,
            ws_max_size=1 << 20,
            timeout_graceful_shutdown=1,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self._serve, name='console', daemon=True)
        self.failed = ''

    def start(self) -> None:
        """Begin to serve.

        Raises:
            UserError: The server did not come up.
        """
        self.thread.start()
        ends = threading.Event()
        for _ in range(round(STARTING / 0.05)):
            if self.server.started or not self.thread.is_alive():
                break
            ends.wait(0.05)
        if not self.server.started:
            raise UserError(f'the console did not start: {self.failed or "it took too long"}')

    def close(self) -> None:
        """Let go of every visitor and end the thread."""
        self.server.should_exit = True
        self.thread.join(STOPPING)
        self.socket.close()

    def _serve(self) -> None:
        try:
            asyncio.run(self.server.serve([self.socket]))
        except (Exception, SystemExit) as error:  # the node must know, and no traceback helps
            self.failed = f'{type(error).__name__}: {error}'

    def _application(self) -> FastAPI:
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.add_api_route('/login', self._form, methods=['GET'])
        app.add_api_route('/login', self._log_in, methods=['POST'])
        app.add_api_route('/alive', self._alive, methods=['GET'])
        app.add_api_route('/picture/{after}', self._picture, methods=['GET'])
        app.add_api_route('/runs/{run}/{name}', self._file, methods=['GET'])

        def page(request: Request) -> None:
            build(self.console, request.scope[SESSION], request.client.host)

        ui.page('/')(page)
        ui.run_with(
            app,
            title='medal console',
            favicon=str(Path(__file__).with_name('icon.svg')),
            reconnect_timeout=RECONNECT,
            binding_refresh_interval=None,
            tailwind=False,
            show_welcome_message=False,
        )
        return app

    async def _form(self) -> Response:
        return login.form()

    async def _log_in(self, request: Request) -> Response:
        return await login.log_in(request, self.gate)

    async def _alive(self) -> Response:
        return Response(status_code=204)

    async def _picture(self, after: int) -> Response:
        """Answer with the next picture, or with nothing where there is none for a while."""
        found = await self.console.pictures.next(after, PICTURE_WAIT)
        if found is None:
            return Response(status_code=204, headers={'cache-control': 'no-store'})
        number, jpeg = found
        names = ','.join(self.console.pictures.names)
        headers = {'cache-control': 'no-store', 'x-number': str(number), 'x-names': quote(names)}
        return Response(jpeg, media_type='image/jpeg', headers=headers)

    async def _file(self, run: str, name: str) -> Response:
        path = await asyncio.to_thread(self.console.runs.file, run, name)
        if path is None:
            return Response('there is no such file of a run\n', 404, media_type='text/plain')
        return FileResponse(path, headers={'cache-control': 'no-cache'})


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that holds an address, so that a second console is told at once.

    Raises:
        UserError: It is taken, or not an address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(128)
    except (OSError, UnicodeError) as error:
        why = getattr(error, 'strerror', None) or error
        raise UserError(
            f'the console cannot listen at {host}, port {port} ({why}): choose another port'
        ) from None
    return made


def _written(host: str) -> str:
    """Return an address as it stands in a URL that works on this machine."""
    if host in ('0.0.0.0', '::', ''):
        return socket.gethostname()
    return f'[{host}]' if ':' in host else host
