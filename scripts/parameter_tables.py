"""Write docs/parameters.md from the configuration classes: run it after changing an option."""

from pathlib import Path

from medal_ros.config import RunConfig, compress, expand, load_preset, presets
from medal_ros.nodes.console import ConsoleConfig
from medal_ros.nodes.demo_recorder import DemoRecorderConfig
from medal_ros.nodes.demo_view import DemoViewConfig
from medal_ros.nodes.recorder import RecorderConfig
from medal_ros.nodes.replayer import ReplayerConfig
from medal_ros.nodes.sim_arm import SimArmConfig
from medal_ros.nodes.teleop_joy import TeleopJoyConfig
from medal_ros.nodes.teleop_keyboard import TeleopKeyboardConfig
from medal_ros.options import table
from medal_ros.robot.cameras import CameraSyncConfig
from medal_ros.robot.franka_control import FrankaArmConfig

TARGET = Path(__file__).parent.parent / 'docs' / 'parameters.md'
HEAD = """# Parameters

Made by `scripts/parameter_tables.py` from the classes in the code; do not edit.

Sources: *paper* is Sharma et al. 2023, "Self-Improving Robots" (MEDAL++); *workshop* the same
group's "A General Pipeline for Autonomous Robotic RL"; *DrQ-v2*, *REDQ* and *SAC* the methods
that MEDAL++ builds on; *ours* what none of them states.

## A run

Keys of `medal train --set key=value`, of a preset and of `config.yaml`. Keys of `agent` and
`classifier` mean both directions; `forward.agent.x` or `backward.classifier.x` only one. The
nodes policy_server, reward, trainer and evaluator take all of them as ROS parameters (with the
direction in front, `forward.agent.x`), the supervisor those of its own.
"""


def rows(cls: type) -> list[tuple[str, ...]]:
    found = {key: rest for key, *rest in table(cls)}
    return [(key, *found[key if key in found else f'forward.{key}']) for key in compress(found)]


def markdown(cls: type) -> str:
    lines = ['| key | default | allowed | meaning | source |', '|---|---|---|---|---|']
    for row in rows(cls):
        lines.append('| ' + ' | '.join(cell.replace('|', '\\|') for cell in row) + ' |')
    return '\n'.join(lines)


def preset_table() -> str:
    names = presets()
    chosen = {name: compress(expand(load_preset(name))) for name in names}
    keys = [key for key, *_ in rows(RunConfig)]
    keys += sorted({k for values in chosen.values() for k in values} - set(keys))
    lines = ['| key | ' + ' | '.join(names) + ' |', '|---' * (len(names) + 1) + '|']
    for key in keys:
        if any(key in values for values in chosen.values()):
            cells = [str(chosen[name].get(key, '')) for name in names]
            lines.append(f'| {key} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def text() -> str:
    return '\n\n'.join(
        [
            HEAD.rstrip(),
            markdown(RunConfig),
            '## Presets\n\nWhat each changes from the defaults above; empty means the default.',
            preset_table(),
            '## camera_sync',
            markdown(CameraSyncConfig),
            '## sim_arm',
            markdown(SimArmConfig),
            '## franka_arm',
            markdown(FrankaArmConfig),
            '## teleop_joy',
            markdown(TeleopJoyConfig),
            '## teleop_keyboard',
            markdown(TeleopKeyboardConfig),
            '## demo_recorder',
            markdown(DemoRecorderConfig),
            '## demo_view',
            markdown(DemoViewConfig),
            '## console',
            markdown(ConsoleConfig),
            '## recorder',
            markdown(RecorderConfig),
            '## replayer',
            markdown(ReplayerConfig),
        ]
    )


if __name__ == '__main__':
    TARGET.write_text(text() + '\n')
