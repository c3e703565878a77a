"""Every benchmark can be loaded: what they take from each other and from the package is there."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / 'benchmarks'


@pytest.mark.skipif(not FOLDER.is_dir(), reason='benchmarks are not installed')
def test_all_load():
    names = sorted(path.stem for path in FOLDER.glob('*.py'))
    assert 'control_loop' in names
    command = [sys.executable, '-c', f'import {", ".join(names)}']
    found = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=120.0)
    assert found.returncode == 0, found.stderr
