"""What killed nodes leave in shared memory goes; what living ones hold stays."""

import os
from pathlib import Path

from ros import Nodes, Probe, wait_until
from test_graph import segments_of

from medal_ros.shared_memory import sweep


def there(segments: set[str]) -> set[str]:
    """Return which of some segments belong to one process, and exist still."""
    return {name for name in segments if 'port' not in name and Path('/dev/shm', name).exists()}


def test_what_a_killed_node_leaves_goes_and_what_a_living_one_holds_stays(tmp_path):
    with Nodes(tmp_path) as nodes, Probe():
        before = there(segments_of([os.getpid()]))
        nodes.start('operator')
        process = nodes.processes['operator']
        own = lambda: there(segments_of([process.pid])) - before  # noqa: E731
        wait_until(own, 20.0, 'its shared memory')
        sweep(young=0.0)  # of others before it, too, which it may have mapped
        left, before = own(), there(before)
        assert left and before
        process.kill()
        process.wait()
        assert there(left) == left
        assert sweep() == 0 or there(left) == left, 'it may be somebody who only just starts'
        assert sweep(young=0.0) >= 1 and not there(left)
        assert there(before) == before


def test_other_files_and_a_folder_that_is_missing(tmp_path):
    for name in ('fastrtps_port7411_el', 'mine_el', 'fastrtps_abc'):
        (tmp_path / name).touch()
    assert sweep(tmp_path, young=0.0) == 0 and len(list(tmp_path.iterdir())) == 3
    assert sweep(tmp_path / 'nowhere') == 0
