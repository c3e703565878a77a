"""The console in a real browser, before a real supervisor: what a person sees and presses.

Needs Chromium and its driver (Debian and Ubuntu: chromium, chromium-driver); skipped without.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip('nicegui', reason='NiceGUI is not installed: pip install "medal_ros[console]"')
pytest.importorskip('selenium', reason='selenium is not installed')

from console_graph import Arm, Consoles, past_run
from ros import Nodes, Probe, wait_until
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from std_msgs.msg import String

from medal_ros.nodes.qos import LATCHED

BROWSER, DRIVER = shutil.which('chromium'), shutil.which('chromedriver')
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason='there is no chromium with chromedriver on the path'
)
PATIENCE = 30.0  # seconds; a busy machine is no failure


class Visitor:
    """One browser window with cookies of its own."""

    def __init__(self, url: str) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        for argument in ('--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars'):
            options.add_argument(argument)
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        size = {'width': 1280, 'height': 800, 'deviceScaleFactor': 1, 'mobile': False}
        self.driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', size)
        self.driver.get(url)

    def text(self, css: str) -> str:
        """Return the words of an element; nothing while the page is being made."""
        script = 'return [...document.querySelectorAll(arguments[0])].map(e => e.innerText).join()'
        return self.driver.execute_script(script, css)

    def sees(self, css: str, words: str, deadline: float = PATIENCE) -> None:
        try:
            wait_until(lambda: words in self.text(css), deadline)
        except AssertionError:
            raise AssertionError(f'{css} reads {self.text(css)!r}, not {words!r}') from None

    def press(self, css: str) -> None:
        """Click, once that is possible."""

        def click() -> bool:
            try:
                self.driver.find_element('css selector', css).click()
            except WebDriverException:
                return False
            return True

        wait_until(lambda: self.enabled(css) and click(), PATIENCE, f'clicking {css}')

    def enabled(self, css: str) -> bool:
        script = 'const e = document.querySelector(arguments[0]); return !!e && !e.disabled'
        return self.driver.execute_script(script, css)

    def tab(self, name: str) -> None:
        number = ('Live', 'Learning', 'Nodes', 'Runs').index(name) + 1
        self.press(f'.q-tab:nth-child({number})')

    def take_controls(self) -> None:
        self.press('.take')
        self.sees('.operator-words', 'You hold the controls')

    def overflow(self) -> list[str]:
        """Return what sticks out of its place, or out of the window."""
        return self.driver.execute_script("""
            const page = document.documentElement;
            const wide = [...document.querySelectorAll('.card, .command, .head, .value')].filter(
                e => e.clientWidth && e.scrollWidth > e.clientWidth + 1);
            const out = page.scrollWidth > innerWidth || page.scrollHeight > innerHeight;
            return [...wide.map(e => e.className), ...(out ? ['page'] : [])];
        """)


@pytest.fixture(scope='module')
def place(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp('browser')
    past_run(place / 'runs')
    return place


@pytest.fixture(scope='module')
def graph(place) -> Iterator[Arm]:
    with Probe() as probe, Nodes(place) as nodes:
        nodes.start('supervisor', segment_steps=1000)
        yield Arm(probe)


@pytest.fixture(scope='module')
def served(graph, place) -> Iterator[tuple[Consoles, str]]:
    with Consoles(place) as consoles:
        yield consoles, consoles.console(runs=str(place / 'runs'))


@pytest.fixture(scope='module')
def visitor(served) -> Iterator[Visitor]:
    visitor = Visitor(served[1])
    yield visitor
    visitor.driver.quit()


def ask(visitor: Visitor, css: str, condition: Callable[[], object]) -> None:
    """Press a button and wait for what it asks of the robot."""
    visitor.press(css)
    try:
        wait_until(condition, PATIENCE)
    except AssertionError:
        raise AssertionError(f'{css} changed nothing: {visitor.text(".answer")}') from None


def test_a_person_sees_the_robot(graph, visitor):
    visitor.sees('.mode', 'Forward policy')
    visitor.sees('.segment', 'of 1000')
    visitor.sees('.segment', 'backward in')
    visitor.sees('.captions span', 'wrist,third')
    width = "const i = document.querySelector('.camera img'); return i ? i.naturalWidth : 0"
    wait_until(lambda: visitor.driver.execute_script(width) == 480, PATIENCE, 'the pictures')
    visitor.sees('.missing', 'trainer')
    assert visitor.overflow() == []


def test_whoever_does_not_hold_the_controls_cannot_press(visitor):
    assert not any(visitor.enabled(f'.command.{name}') for name in ('pause', 'success', 'save'))


def test_every_button_reaches_the_robot(graph, visitor):
    mode = lambda: graph.mode  # noqa: E731
    visitor.take_controls()
    ask(visitor, '.pause', lambda: mode() == 'paused')
    visitor.sees('.mode', 'Paused')
    visitor.sees('.answer', 'paused')
    ask(visitor, '.resume', lambda: mode() == 'practice')
    ask(visitor, '.backward', lambda: graph.states[-1].agent == 'backward')
    visitor.sees('.mode', 'Backward policy')
    ask(visitor, '.forward', lambda: graph.states[-1].agent == 'forward')
    segment = graph.states[-1].segment
    ask(visitor, '.home', lambda: graph.states[-1].segment > segment)
    assert any(state.mode == 'arm_reset' for state in graph.states)
    ask(visitor, '.intervene', lambda: mode() == 'intervention')
    visitor.sees('.mode', 'Person in control')
    ask(visitor, '.hand_back', lambda: mode() == 'practice')
    ask(visitor, '.intervene', lambda: mode() == 'intervention')
    ask(visitor, '.reset_done', lambda: mode() == 'practice')
    for count, label in enumerate(('success', 'failure', 'invalid'), 1):
        ask(visitor, f'.command.{label}', lambda c=count: len(graph.labels) == c)
        assert graph.labels[-1].label == label
    ask(visitor, '.save', lambda: graph.saved == 1)
    visitor.sees('.answer', 'saving to somewhere')
    visitor.press('.reset_done')  # what is refused says why
    visitor.sees('.answer', 'nobody waits for a reset: the mode is practice')


def test_a_second_visitor_watches_until_the_controls_are_free(graph, served, visitor):
    second = Visitor(served[1])
    try:
        second.sees('.operator-words', '127.0.0.1 holds the controls')
        assert not second.enabled('.take') and not second.enabled('.pause')
        # Not even by a page that was tampered with.
        before = graph.mode
        second.driver.execute_script("""
            for (const e of document.querySelectorAll('.take, .pause')) {
                e.disabled = false; e.classList.remove('disabled'); e.click();
                const vue = e.__vueParentComponent;
                vue?.vnode?.props?.onClick?.(new Event('click'));
            }
        """)
        time.sleep(1.0)
        assert graph.mode == before == 'practice'
        second.sees('.operator-words', '127.0.0.1 holds the controls')
        visitor.press('.take')  # lets go
        for each in (visitor, second):
            each.sees('.operator-words', 'Nobody holds the controls')
        second.take_controls()
        visitor.sees('.operator-words', '127.0.0.1 holds the controls')
    finally:
        second.driver.quit()
    # Its window is closed: nobody is there any more.
    visitor.sees('.operator-words', 'Nobody holds the controls', 40.0)
    visitor.take_controls()


def test_the_other_tabs(visitor):
    visitor.tab('Learning')
    visitor.sees('.learning', 'free on disk')
    visitor.sees('.learning', 'B')
    assert visitor.overflow() == []
    visitor.tab('Nodes')
    visitor.sees('.nodes', 'sim_arm')
    visitor.sees('.nodes', 'nothing is stored or learned')
    assert visitor.overflow() == []
    visitor.tab('Runs')
    visitor.sees('.runs', '97%')
    visitor.press('.runs tbody tr')
    loaded = "const i = document.querySelector('.detail img'); return i ? i.naturalWidth : 0"
    wait_until(lambda: visitor.driver.execute_script(loaded) == 120, PATIENCE, 'the curve')
    assert visitor.overflow() == []
    visitor.tab('Live')


def test_a_call_for_help_says_why(graph, visitor):

    plea = graph.probe.publisher(String, 'arm/help', LATCHED)
    plea.publish(String(data='the gripper lost the mug'))
    visitor.sees('.mode', 'Help is needed')
    visitor.sees('.mode-detail', 'the arm asks for help: the gripper lost the mug')
    plea.publish(String(data=''))
    visitor.sees('.mode-detail', 'is ready again')
    visitor.press('.reset_done')
    visitor.sees('.mode', 'Forward policy')


def test_a_dropped_connection_recovers_by_itself(graph, served, visitor):
    consoles, url = served
    consoles.stop(10.0)
    before = len(graph.states)
    consoles.start('console', port=int(url.rstrip('/').rsplit(':', 1)[1]))
    wait_until(lambda: len(graph.states) > before + 20, PATIENCE, 'the robot goes on meanwhile')
    visitor.sees('.operator-words', 'Nobody holds the controls', 60.0)
    visitor.sees('.mode', 'Forward policy', 60.0)
    visitor.take_controls()
    ask(visitor, '.pause', lambda: graph.mode == 'paused')
    width = "const i = document.querySelector('.camera img'); return i ? i.naturalWidth : 0"
    wait_until(lambda: visitor.driver.execute_script(width) == 480, PATIENCE, 'the pictures')


def test_a_wrong_token_gets_nothing_and_the_right_one_the_page(place):
    (place / 'networked').mkdir()
    with Consoles(place / 'networked') as consoles:
        url = consoles.console(host='0.0.0.0', namespace='/elsewhere')
        wait_until(lambda: 'token: ' in consoles.output('console'), 5.0, 'the token')
        token = consoles.output('console').split('token: ')[1].split()[0]
        visitor = Visitor(f'http://127.0.0.1:{url.rstrip("/").rsplit(":", 1)[1]}/')
        try:
            wrong, right = ('guess', '.wrong', 'not the token'), (token, '.mode', 'No graph')
            for words, css, seen in (wrong, right):
                field = visitor.driver.find_element('css selector', 'input[name=token]')
                field.send_keys(words + '\n')
                visitor.sees(css, seen)
            assert token not in visitor.driver.current_url
        finally:
            visitor.driver.quit()
