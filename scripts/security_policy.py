"""Print config/security/policy.xml: what each node publishes, hears, serves and asks for.

    python scripts/security_policy.py > config/security/policy.xml

It makes the nodes in this process and asks ROS. What they open only later, and franka_arm, whose
interfaces need not be installed, are named here.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault('ROS_DOMAIN_ID', str(1 + os.getpid() % 100))
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
sys.path.insert(0, str(Path(__file__).parents[1] / 'benchmarks'))

from all_nodes import all_nodes

from medal_ros.config import make_config
from medal_ros.nodes.recorder import TOPICS
from medal_ros.preparing import prepare
from medal_ros.robot.franka_config import FrankaConfig

NAMESPACE = '/medal'
SERVICES = (
    'describe_parameters', 'get_parameter_types', 'get_parameters', 'list_parameters',
    'set_parameters', 'set_parameters_atomically', 'get_type_description',
)  # fmt: skip
OWN = {'publish': {'/rosout', '/parameter_events'}, 'subscribe': {'/parameter_events'}}
# (element, right): what the ROS 2 tools call a list of names, and the right that it gives.
RIGHTS = (
    ('topic', 'publish', 'get_publisher_names_and_types_by_node'),
    ('topic', 'subscribe', 'get_subscriber_names_and_types_by_node'),
    ('service', 'reply', 'get_service_names_and_types_by_node'),
    ('service', 'request', 'get_client_names_and_types_by_node'),
)
LATER = {
    'monitor': {
        'publish': {'/diagnostics'},
        'request': {'switch_policy'},
        'subscribe': {'demos', 'examination'},
    }
}

Rights = dict[str, set[str]]

# It begins with the plan of an examination on the disk.
EXAMINER: Rights = {
    'publish': {'action', 'examination', '/diagnostics'},
    'subscribe': {'observation', 'state', 'step', 'label', '/diagnostics'},
    'request': {'intervene', 'reset_done', 'home', 'sim/start'},
}
# It serves a page from the moment it is made.
CONSOLE: Rights = {
    'publish': {'console', '/diagnostics'},
    'subscribe': {'console', 'observation', 'state', 'step', 'label', 'reward', 'learner', 'stored'}
    | {'evaluation', '/diagnostics'},
    'request': {'pause', 'intervene', 'home', 'reset_done', 'save_checkpoint', 'switch_policy'}
    | {'label', 'supervisor/get_parameters', 'trainer/get_parameters'},
}
# It makes a bag, and it reads a run: neither is at hand.
RECORDER: Rights = {'publish': {'/diagnostics'}, 'subscribe': set(TOPICS)}
REPLAYER: Rights = {
    'publish': {'observation', 'state', 'step', 'reward', 'camera/*/image_raw', '/diagnostics'},
    'subscribe': {'/diagnostics'},
}
# With all that a run can have.
CHANGES = {'demonstrations.count': 1, 'ask_for_help.privileged': True}
CAMERA = re.compile('camera/[^/]+/')


def main() -> None:
    print(policy(), end='')


def policy() -> str:
    """Return the policy."""
    config = make_config('quickstart', CHANGES)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run = prepare(config, folder, 'run', say=lambda _: None)
        with all_nodes(config, run, folder / 'parameters') as made:
            nodes = {name: rights_of(getattr(node, 'node', node)) for name, node in made.items()}
    for name, more in LATER.items():
        for right, names in more.items():
            nodes[name][right] |= names
    nodes['franka_arm'] = franka()
    nodes['examiner'], nodes['console'] = EXAMINER, CONSOLE
    nodes['recorder'], nodes['replayer'] = RECORDER, REPLAYER
    return '\n'.join(document(nodes)) + '\n'


def rights_of(node: Any) -> Rights:
    """Return the names that a node uses, relative to the namespace where they lie in it."""
    found: Rights = {}
    for _, right, ask in RIGHTS:
        names = getattr(node, ask)(node.get_name(), node.get_namespace())
        own = OWN.get(right, set()) | {f'{node.get_fully_qualified_name()}/{s}' for s in SERVICES}
        found[right] = {relative(name) for name, _ in names if name not in own}
    return found


def relative(name: str) -> str:
    return CAMERA.sub('camera/*/', name.removeprefix(f'{NAMESPACE}/'))


def franka() -> Rights:
    """Return what franka_arm uses, by the names of its default parameters."""
    c = FrankaConfig()
    switch = [f'{c.controllers.manager}/{s}' for s in ('switch_controller',)]
    state = f'{c.controllers.manager}/set_hardware_component_state'
    joints = c.gripper.joint_states
    return {
        'publish': {'step', 'robot_state', 'arm/help', '/diagnostics', c.topics.target_pose}
        | {'/tf_static'},
        'subscribe': {'state', 'action', 'teleop', c.topics.robot_state, c.topics.joint_states}
        | {c.topics.pose, joints, '/tf', '/tf_static', '/diagnostics'},
        'reply': {'arm/resume'},
        'request': {*switch, state},
        'call': {c.recovery.action, c.home.action, c.gripper.action},
    }


def document(nodes: dict[str, Rights]) -> Iterator[str]:
    """Yield the lines of a policy."""
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<!-- Who may say and hear what: an enclave for each node, for the tools of SROS 2.'
    yield '     Made by scripts/security_policy.py; docs/security.md says how it is used. -->'
    yield '<policy version="0.2.0">'
    yield '  <enclaves>'
    for name in sorted(nodes):
        yield f'    <enclave path="{NAMESPACE}/{name}">'
        yield '      <profiles>'
        yield f'        <profile ns="{NAMESPACE}" node="{name}">'
        yield from lists(nodes[name])
        yield '        </profile>'
        yield '      </profiles>'
        yield '    </enclave>'
    yield '  </enclaves>'
    yield '</policy>'


def lists(rights: Rights) -> Iterator[str]:
    """Yield what a node may, with what every node of ROS has."""
    every = {k: rights.get(k, set()) | OWN.get(k, set()) for k in ('publish', 'subscribe')}
    every['reply'] = rights.get('reply', set()) | {f'~/{service}' for service in SERVICES}
    every |= {k: rights.get(k, set()) for k in ('request', 'call')}
    kinds = {'reply': 'service', 'request': 'service', 'call': 'action'}
    for right, names in every.items():
        kind = kinds.get(right, 'topic')
        if names:
            yield f'          <{kind}s {right}="ALLOW">'
            yield from (f'            <{kind}>{name}</{kind}>' for name in sorted(names))
            yield f'          </{kind}s>'


if __name__ == '__main__':
    main()
