"""The policy for SROS 2 says what the nodes really do."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import ros  # noqa: F401  a domain of its own

ROOT = Path(__file__).parents[1]
POLICY = ROOT / 'config' / 'security' / 'policy.xml'


def test_the_policy_is_what_the_nodes_publish_hear_serve_and_ask_for():
    command = [sys.executable, ROOT / 'scripts' / 'security_policy.py']
    made = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert made.returncode == 0, made.stderr
    assert made.stdout == POLICY.read_text(), (
        'python scripts/security_policy.py > config/security/policy.xml makes it anew'
    )


def test_every_node_has_an_enclave_of_its_name_and_only_people_and_pads_may_teleoperate():
    profiles = {p.get('node'): p for p in ElementTree.parse(POLICY).iter('profile')}
    nodes = {
        path.stem
        for path in (ROOT / 'medal_ros' / 'nodes').glob('*.py')
        if 'def main(' in path.read_text()
    }
    assert set(profiles) == nodes | {'monitor'}

    def may(right: str, topic: str) -> set[str]:
        return {
            name
            for name, profile in profiles.items()
            for topics in profile.iter('topics')
            if topics.get(right) and topic in {t.text for t in topics}
        }

    assert may('publish', 'teleop') == {'teleop_joy', 'teleop_keyboard'}
    assert may('publish', 'action') == {'policy_server', 'examiner'}
    assert may('publish', 'weights/policy') == {'trainer'}
    assert may('subscribe', 'teleop') == {'sim_arm', 'supervisor', 'franka_arm', 'recorder'}
