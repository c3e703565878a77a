"""ROS parameters from a configuration class, and how a node starts and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass

import pytest
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter
from ros import wait_until

from medal_ros.nodes.parameters import declare
from medal_ros.options import OptionError, group, option


@dataclass(frozen=True)
class Inner:
    share: float = option(0.5, 'a share', low=0, high=1)
    crop: tuple[float, ...] = option((), 'numbers')


@dataclass(frozen=True)
class Outer:
    count: int = option(3, 'a count', low=1)
    pose: str = option('fixed', 'a pose', choices=('fixed', 'random'))
    names: tuple[str, ...] = option(('a', 'b'), 'names')
    inner: Inner = group(Inner)


@pytest.fixture
def make_node():
    context, nodes = rclpy.Context(), []
    rclpy.init(context=context)

    def make(**values) -> Node:
        given = [Parameter(k.replace('__', '.'), value=v) for k, v in values.items()]
        nodes.append(
            Node(
                'tester',
                context=context,
                parameter_overrides=given,
                automatically_declare_parameters_from_overrides=True,
            )
        )
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown(context=context)


def test_defaults_and_overrides(make_node):
    assert declare(make_node(), Outer) == Outer()
    config = declare(make_node(count=5, inner__share=1, inner__crop=[0.0, 1.0]), Outer)
    assert config == Outer(count=5, inner=Inner(share=1.0, crop=(0.0, 1.0)))


def test_every_option_is_a_described_parameter(make_node):
    node = make_node(count=5)
    declare(node, Outer)
    values = {k: p.value for k, p in node.get_parameters_by_prefix('').items()}
    assert values['count'] == 5
    assert values['inner.share'] == 0.5
    assert list(values['names']) == ['a', 'b']
    assert list(values['inner.crop']) == []
    kinds = {k: node.get_parameter(k).type_ for k in ('names', 'inner.crop')}
    assert kinds == {
        'names': Parameter.Type.STRING_ARRAY,
        'inner.crop': Parameter.Type.DOUBLE_ARRAY,
    }
    about = node.describe_parameter('count')
    assert (about.description, about.integer_range[0].from_value) == ('a count', 1)
    about = node.describe_parameter('inner.share').floating_point_range[0]
    assert (about.from_value, about.to_value) == (0.0, 1.0)
    assert node.describe_parameter('pose').additional_constraints == 'one of fixed, random'
    for name, value in (('count', 4), ('inner.crop', [1.0])):
        assert not node.set_parameters([Parameter(name, value=value)])[0].successful


@pytest.mark.parametrize(
    ('given', 'sentence'),
    [
        ({'cuont': 3}, "tester: there is no parameter 'cuont'; did you mean 'count'?"),
        ({'count': 0}, 'tester: parameter count must be a whole number of at least 1, not 0'),
        ({'pose': 'odd'}, "tester: parameter pose must be one of fixed, random, not 'odd'"),
        ({'inner__share': 'x'}, "parameter inner.share must be a number from 0 to 1, not 'x'"),
    ],
)
def test_bad_parameters_are_refused_in_one_sentence(make_node, given, sentence):
    with pytest.raises(OptionError) as refusal:
        declare(make_node(**given), Outer)
    assert sentence in str(refusal.value)
    assert '\n' not in str(refusal.value)


NODE = """
import sys
from rclpy.node import Node
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.run import run
sys.path.insert(0, {folder!r})
from test_parameters import Outer

class Tester(Node):
    def __init__(self):
        super().__init__('tester', automatically_declare_parameters_from_overrides=True)
        declare(self, Outer)
        self.create_timer(0.01, self.work)

    def work(self):
        print('working', flush=True)
        {work}

    def close(self):
        print('closing', flush=True)
        import time
        time.sleep({closing})
        print('closed', flush=True)

run(Tester)
"""


def start(path, *arguments: str, work: str = 'pass', closing: float = 0.0) -> subprocess.Popen:
    folder = os.path.dirname(__file__)
    script = NODE.format(folder=folder, work=work, closing=closing)
    with open(path, 'wb') as output:
        return subprocess.Popen(
            [sys.executable, '-c', script, '--ros-args', *arguments], stdout=output, stderr=output
        )


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_node_with_status_0_and_a_second_one_does_not_disturb(tmp_path, number):
    log = tmp_path / 'log'
    process = start(log, closing=0.5)
    try:
        wait_until(lambda: 'working' in log.read_text(), 15.0, 'the node works')
        process.send_signal(number)
        wait_until(lambda: 'closing' in log.read_text(), 5.0, 'the node closes')
        process.send_signal(number)
        assert process.wait(5.0) == 0
    finally:
        process.kill()
    text = log.read_text()
    assert text.count('closing') == text.count('closed') == 1
    assert 'Traceback' not in text


def test_a_crash_is_no_clean_end(tmp_path):
    log = tmp_path / 'log'
    process = start(log, work='raise RuntimeError("broken")')
    try:
        assert process.wait(15.0) == 1
    finally:
        process.kill()
    assert 'RuntimeError: broken' in log.read_text()
    assert 'closed' in log.read_text()


@pytest.mark.parametrize(
    ('argument', 'sentence'),
    [
        ('count:=none', 'tester: parameter count must be a whole number of at least 1'),
        ('names:=[]', 'a parameter is an empty list or has no value; leave it out instead'),
        ('names:=[a, 1]', 'Sequence should be of same type'),
    ],
)
def test_a_bad_parameter_ends_a_node_with_one_sentence(tmp_path, argument, sentence):
    log = tmp_path / 'log'
    process = start(log, '-p', argument)
    try:
        assert process.wait(15.0) == 2
    finally:
        process.kill()
    text = log.read_text()
    assert sentence in text
    assert 'Traceback' not in text
