"""Every benchmark can be loaded: what they take from each other and from the package is there."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).parent.parent / 'benchmarks'


def test_all_load():
    names = {path.stem for path in FOLDER.glob('*.py')}
    if find_spec('nicegui') is None:  # an extra, whose libraries this one uses, too
        names.remove('console')
    assert 'control_loop' in names
    command = [sys.executable, '-c', f'import {", ".join(sorted(names))}']
    found = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=120.0)
    assert found.returncode == 0, found.stderr
