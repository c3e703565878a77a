"""The RViz panel: its logic with the machine's own compiler, its place in RViz, a live graph."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from ros import wait_until  # gives this process a ROS domain of its own

from medal_ros.resources import rviz_configuration

ROOT = Path(__file__).parent.parent
PANEL = ROOT / 'rviz_panel'
DRIVE = os.environ.get('MEDAL_PANEL_DRIVE', '')  # set where CMake built the panel
COMPILER = os.environ.get('CXX') or shutil.which('c++') or 'g++'
LOGIC = [PANEL / f'{name}.cpp' for name in ('health', 'model', 'requests', 'view', 'words')]


def compiled(program: Path, sources: list[Path]) -> Path:
    flags = ['-std=c++17', '-DLITTLE_GTEST', '-Wall', '-Wextra', '-Wpedantic', '-Werror']
    subprocess.run(
        [COMPILER, *flags, f'-I{PANEL}', *sources, '-o', program], check=True, timeout=300
    )
    return program


# -- the logic, without Qt, ROS and GoogleTest -------------------------------------------------


def test_the_logic_passes_its_own_tests(tmp_path):
    tests = sorted((PANEL / 'test').glob('test_*.cpp'))
    program = compiled(tmp_path / 'tests', [*LOGIC, *tests, PANEL / 'test' / 'main.cpp'])
    done = subprocess.run([program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    written = sum(path.read_text().count('\nTEST(') for path in tests)
    assert written > 20
    assert f'{written} passed, 0 failed' in done.stdout


def table() -> dict[str, dict[str, bool]]:
    """Return from docs/supervisor.md which request each state accepts."""
    page = (ROOT / 'docs' / 'supervisor.md').read_text().split('## Requests')[1]
    page = page.split('## Events')[0]
    rows = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in page.splitlines()
        if line.startswith('|')
    ]
    header = rows[0][1:]
    accepted = {r[0]: dict(zip(header, (c != 'no' for c in r[1:]), strict=True)) for r in rows[2:]}
    assert len(accepted) == 12
    return accepted


def test_what_the_panel_offers_is_what_the_supervisor_accepts(tmp_path):
    program = compiled(
        tmp_path / 'refusals', [PANEL / 'requests.cpp', PANEL / 'test' / 'refusals.cpp']
    )
    told = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    offered = {}
    for line in told.splitlines():
        mode, plea, service, argument, yes = line.split('\t')
        column = f'`{service}`' + (f' {argument}' if argument in ('true', 'false') else '')
        offered.setdefault((mode, bool(plea)), {}).setdefault(column, set()).add(yes == 'yes')
    for name, requests in table().items():
        if 'returning' in name:  # the panel cannot tell it from an intervention
            continue
        words = name.split(', ')
        shown = offered[words[0], 'plea' in words]
        expected = {column: {accepted} for column, accepted in requests.items()}
        assert shown == expected | {'`save_checkpoint`': {True}}, name


# -- its place in RViz -------------------------------------------------------------------------


def test_rviz_finds_the_panel_by_the_names_that_are_written():
    plugin = ElementTree.parse(PANEL / 'plugin.xml').getroot()
    panel = plugin.find('class')
    assert panel.get('base_class_type') == 'rviz_common::Panel'
    cmake = (ROOT / 'cmake' / 'rviz_panel.cmake').read_text()
    assert f'add_library({plugin.get("path")} SHARED' in cmake
    assert f'PLUGINLIB_EXPORT_CLASS({panel.get("type")},' in (PANEL / 'panel.cpp').read_text()
    panels = yaml.safe_load((ROOT / 'rviz' / 'medal.rviz').read_text())['Panels']
    assert {'Class': panel.get('name'), 'Name': 'Medal', 'Namespace': 'medal'} in panels


def test_the_panel_looks_at_the_graph_of_the_namespace_that_is_asked_for():
    usual, other = (yaml.safe_load(rviz_configuration(name)) for name in ('medal', 'left/arm'))
    assert {'Class': 'medal_ros/Medal', 'Name': 'Medal', 'Namespace': 'left/arm'} in other['Panels']
    assert {**usual, 'Panels': None} == {**other, 'Panels': None}


def test_every_source_of_the_panel_is_built():
    cmake = (ROOT / 'cmake' / 'rviz_panel.cmake').read_text()
    named = set(re.findall(r'rviz_panel/([\w/]+\.cpp)', cmake))
    # Those two serve the tests above, where there is no CMake.
    there = {str(path.relative_to(PANEL)) for path in PANEL.rglob('*.cpp')}
    assert named == there - {'test/main.cpp', 'test/refusals.cpp'}


# -- the widget, its buttons clicked, with a graph that trains ----------------------------------


@pytest.fixture
def graphs(tmp_path):
    """Start graphs that train; none outlives the test."""
    processes = []

    def start(name: str) -> subprocess.Popen:
        changes = ['evaluation.every=200', 'evaluation.episodes=2']
        changes += ['evaluation.cloning_steps=100', 'agent.cloning.warm_up=20']
        command = [sys.executable, '-m', 'medal_ros.cli', 'train', '--steps', '100000']
        command += ['--runs', tmp_path, '--name', name]
        command += [word for change in changes for word in ('--set', change)]
        log = open(tmp_path / f'{name}.log', 'wb')  # noqa: SIM115
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10.0)


@pytest.mark.skipif(not DRIVE, reason='the panel is built where there is RViz')
def test_a_person_at_the_panel_drives_a_graph_and_survives_its_end(graphs, tmp_path):
    first = graphs('first')
    log = open(tmp_path / 'drive.log', 'wb')  # noqa: SIM115
    environment = os.environ | {'QT_QPA_PLATFORM': os.environ.get('QT_QPA_PLATFORM', 'offscreen')}
    drive = subprocess.Popen(
        [DRIVE, tmp_path / 'panel.png'], stdout=log, stderr=log, env=environment
    )
    said = lambda: (tmp_path / 'drive.log').read_text()  # noqa: E731

    def wait_for(words: str) -> None:
        told = lambda: words in said() or drive.poll() is not None  # noqa: E731
        wait_until(told, 400.0, words)
        assert words in said(), said()

    try:
        wait_for('end the graph')
        os.killpg(first.pid, signal.SIGKILL)
        first.wait(10.0)
        wait_for('start a graph')
        graphs('second')
        assert drive.wait(400.0) == 0, said()
        longest = float(re.search(r'longest turn of the event loop: (\d+) ms', said())[1])
        assert longest < 500.0
        assert (tmp_path / 'panel.png').stat().st_size > 10_000
    finally:
        drive.kill()
        drive.wait(10.0)
