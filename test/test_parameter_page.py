"""docs/parameters.md says what the code says."""

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / 'scripts' / 'parameter_tables.py'


def test_the_page_is_what_the_script_writes():
    spec = importlib.util.spec_from_file_location('parameter_tables', SCRIPT)
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    written = tables.TARGET.read_text().splitlines()
    due = tables.text().splitlines()
    missing = [line for line in due if line not in written]
    assert not missing and written == due, 'run scripts/parameter_tables.py'
