"""Who claims a namespace has it until its process ends."""

import subprocess
import sys

from medal_ros.claims import claim

HOLD = "import sys; from medal_ros.claims import claim; h = claim('tests/x'); print(h is not None)"


def test_a_namespace_is_claimed_once_and_others_are_free(monkeypatch):
    with claim('tests/a'):
        assert claim('tests/a') is None
        with claim('tests/b'), claim('n' * 500):
            pass
        monkeypatch.setenv('ROS_DOMAIN_ID', '231')
        claim('tests/a').close()
    monkeypatch.undo()
    claim('tests/a').close()


def test_a_claim_ends_with_a_process_that_is_killed():
    command = [sys.executable, '-uc', f'{HOLD}; sys.stdin.read()']
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == 'True\n'
        assert claim('tests/x') is None
    finally:
        holder.kill()
        holder.communicate(timeout=10.0)
    claim('tests/x').close()
