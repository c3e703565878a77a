"""Train the quickstart on several seeds, one after the other, and print the table of results.

.venv/bin/python benchmarks/quickstart.py --seeds 0 1 2 --out docs/quickstart.json
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

COLUMNS = ('bc_success', 'success', 'best_success', 'success_ever', 'backward_success')


def train(seed: int, runs: Path, more: list[str]) -> dict:
    """Return the summary of one run, which may have been made before."""
    name = f'quickstart-{seed}'
    summary = runs / name / 'summary.json'
    if not summary.is_file():
        command = [sys.executable, '-m', 'medal_ros.cli', 'train', '--seed', str(seed)]
        subprocess.run([*command, '--name', name, '--runs', str(runs), *more], check=True)
    return json.loads(summary.read_text())


def row(label: str, summary: dict) -> str:
    figures = [f'{summary[key]:.2f}' for key in COLUMNS]
    gain = summary['success'] - summary['bc_success']
    rest = [f'{gain:+.2f}', f'{summary["interventions"]:g}', f'{summary["minutes"]:.1f}']
    rates = [f'{summary[k]:.1f}' for k in ('env_steps_per_second', 'updates_per_second')]
    return '| ' + ' | '.join([label, *figures, *rest, *rates]) + ' |'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--runs', type=Path, default=Path('runs'))
    parser.add_argument('--out', type=Path, help='also write the summaries as JSON')
    options, more = parser.parse_known_args()
    summaries = [train(seed, options.runs, more) for seed in options.seeds]
    heads = ['seed', *COLUMNS, 'gain', 'interventions', 'minutes', 'steps/s', 'updates/s']
    print('| ' + ' | '.join(heads) + ' |\n' + '|---' * len(heads) + '|')
    for seed, summary in zip(options.seeds, summaries, strict=True):
        print(row(str(seed), summary))
    keys = [k for k, v in summaries[0].items() if isinstance(v, int | float)]
    mean = {k: sum(s[k] for s in summaries) / len(summaries) for k in keys}
    print(row('mean', mean))
    print('machine:', summaries[0]['machine'])
    if options.out:
        options.out.write_text(json.dumps(summaries, indent=1) + '\n')


if __name__ == '__main__':
    main()
