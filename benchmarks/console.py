"""What visitors of the browser console cost the control loop.

python benchmarks/console.py --seconds 20 --rounds 3

The stand-in at 10 steps per second with a policy that acts and no learner. Three conditions follow
each other in every round of one run: no console; a console that nobody visits; five visitors who
watch: a browser (Chromium, headless) and four light ones, each with a websocket that is sent every
change and with the pictures, ten a second. All of them run on this machine, so what a browser
costs is in the figures, too. The stamps are those of the observations that the arm acted on.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import socketio
from control_loop import READY_SECONDS, give_weights, seconds
from machine import machine
from medal_ros.msg import Step

from medal_ros import bringup
from medal_ros.monitor import Monitor
from medal_ros.nodes.qos import STREAM
from medal_ros.orphans import ENDS_WITH_PARENT
from medal_ros.processes import Processes
from medal_ros.run_folder import RunFolder
from medal_ros.train import alone

LIGHT = 4  # visitors without a browser
SETTLE = 5.0  # seconds before a measurement begins
SOCKET = '/_nicegui_ws/socket.io'


async def visit(url: str) -> None:
    """Be a light visitor until cancelled: take every change and every picture, draw nothing."""
    async with httpx.AsyncClient(base_url=url, timeout=30.0) as client:
        page = (await client.get('/')).text
        name = re.search(r'client_id.{1,6}?([0-9a-f-]{36})', page)[1]
        cookies = '; '.join(f'{key}={value}' for key, value in client.cookies.items())
        io = socketio.AsyncClient()
        query = f'client_id={name}&next_message_id=0&implicit_handshake=true&tab_id={name}'
        await io.connect(
            f'{url}?{query}&document_id={name}',
            {'Cookie': cookies, 'Origin': url.rstrip('/')},
            transports=['websocket'],
            socketio_path=SOCKET,
        )
        number = 0
        while True:
            answer = await client.get(f'/picture/{number}')
            number = int(answer.headers.get('x-number', number))
            print('.' if answer.status_code == 200 else '-', end='', flush=True)


async def visit_together(url: str, count: int) -> None:
    await asyncio.gather(*(visit(url) for _ in range(count)))


@contextmanager
def visitors(url: str, place: Path, monitor: Monitor) -> Iterator[None]:
    """Have five visitors watch."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    command = [*ENDS_WITH_PARENT, sys.executable, __file__, '--visit', url]
    with open(place / 'visitors.log', 'wb') as log:
        light = subprocess.Popen(command, stdout=log, stderr=log)
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which('chromium') or ''
    for argument in ('--headless=new', '--no-sandbox', '--disable-gpu', '--window-size=1280,800'):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which('chromedriver')))
    try:
        browser.get(url)
        monitor.spin(SETTLE)  # not asleep: what piles up meanwhile is not of the measurement
        yield
        seen = "const i = document.querySelector('.camera img'); return i ? i.naturalWidth : 0"
        if light.poll() is not None or not browser.execute_script(seen):
            raise SystemExit(f'a visitor saw nothing: {(place / "visitors.log").read_text()}')
    finally:
        browser.quit()
        light.kill()
        light.wait()


class Loop:
    """Notes the stamps of the arm's steps."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor, self.stamps = monitor, []
        monitor.node.create_subscription(Step, 'step', self.on_step, STREAM)

    def on_step(self, message: Step) -> None:
        self.stamps.append(seconds(message.header.stamp))

    def measure(self, length: float) -> np.ndarray:
        """Return the stamps of so many seconds."""
        self.stamps.clear()
        self.monitor.spin(length)
        return np.array(self.stamps)


def row(name: str, rounds: list[np.ndarray]) -> str:
    """Return the figures of a condition over all rounds."""
    periods = 1000 * np.concatenate([np.diff(stamps) for stamps in rounds])
    rates = [(len(stamps) - 1) / (stamps[-1] - stamps[0]) for stamps in rounds]
    p50, p99, most = np.percentile(periods, (50, 99, 100))
    each = ' '.join(f'{rate:.2f}' for rate in rates)
    return (
        f'  {name:24}{np.mean(rates):8.3f}{p50:9.1f}{p99:9.1f}{most:9.1f}   '
        f'{len(periods)} steps, by round: {each}'
    )


def measure(options: argparse.Namespace, place: Path) -> None:
    """Run the graph and measure the conditions in turn."""
    changes = {'graph.rate': 10.0, 'steps': 0, 'ask_for_help.after_steps': 0}
    config = bringup.configure(options.task, None, changes=changes)
    folder = RunFolder(place / 'run')
    folder.path.mkdir()
    skipped = ('trainer', 'reward', 'evaluator', 'operator')
    nodes = [n for n in bringup.training(config, folder) if n.name not in skipped]
    shown = bringup.console(str(place))
    shown.parameters['port'] = options.port
    url = f'http://127.0.0.1:{options.port}/'
    taken: dict[str, list[np.ndarray]] = {}
    with alone('console') as monitor:
        loop = Loop(monitor)
        kept = give_weights(monitor, config, folder)
        graph = Processes(nodes, folder.path, monitor.namespace)
        try:
            if not monitor.wait_for(lambda: len(loop.stamps) > 20, READY_SECONDS):
                raise SystemExit(f'no steps within {READY_SECONDS:.0f} s')
            for number in range(options.rounds):
                print(f'round {number + 1}: load {machine().split("load ")[1][:5]}', flush=True)
                taken.setdefault('no console', []).append(loop.measure(options.seconds))
                console = Processes([shown], folder.path, monitor.namespace)
                try:
                    wait_for(monitor, url)
                    taken.setdefault('console, no visitor', []).append(
                        loop.measure(options.seconds)
                    )
                    with visitors(url, place, monitor):
                        taken.setdefault('console, five visitors', []).append(
                            loop.measure(options.seconds)
                        )
                finally:
                    console.stop(20.0)
                graph.check()
        finally:
            graph.stop(60.0)
        del kept
    print(f'{config.task}, 10 steps/s asked for; {machine()}')
    print(f'  {"":24}{"steps/s":>8}{"p50 ms":>9}{"p99 ms":>9}{"max ms":>9}')
    for name, rounds in taken.items():
        print(row(name, rounds))


def wait_for(monitor: Monitor, url: str) -> None:
    """Wait until the console answers, and a little longer."""

    def answers() -> bool:
        try:
            return httpx.get(url, timeout=1.0).status_code == 200
        except httpx.HTTPError:
            return False

    if not monitor.wait_for(answers, READY_SECONDS):
        raise SystemExit(f'no console within {READY_SECONDS:.0f} s')
    monitor.spin(SETTLE)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=20.0, help='of each measurement')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--task', default='cube_grasp')
    parser.add_argument('--port', type=int, default=8099)
    parser.add_argument('--visit', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.visit:
        asyncio.run(visit_together(options.visit, LIGHT))
        return
    print(machine())
    with tempfile.TemporaryDirectory(prefix='medal_') as place:
        measure(options, Path(place))


if __name__ == '__main__':
    main()
