"""Every node of a training run and of a recording in one process, made and never spun.

franka_arm is left out: it needs interfaces that are not on PyPI.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import rclpy
import yaml
from rclpy.logging import LoggingSeverity

from medal_ros.bringup import NodeSpec, training
from medal_ros.config import RunConfig
from medal_ros.monitor import Monitor
from medal_ros.options import flatten
from medal_ros.run_folder import RunFolder
from medal_ros.sim import spaces_of

NODES = {
    'sim_arm': 'SimArm',
    'camera_sync': 'CameraSync',
    'supervisor': 'SupervisorNode',
    'operator': 'Operator',
    'policy_server': 'PolicyServer',
    'reward': 'RewardNode',
    'trainer': 'Trainer',
    'evaluator': 'Evaluator',
    'demo_recorder': 'DemoRecorder',
    'demo_view': 'DemoView',
    'view': 'View',
    'teleop_joy': 'TeleopJoy',
    'teleop_keyboard': 'TeleopKeyboard',
}


@contextmanager
def all_nodes(config: RunConfig, run: RunFolder, parameters: Path) -> Iterator[dict[str, Any]]:
    """Give the nodes by their names, and `monitor`, the node of the `medal` command.

    Args:
        config: The run.
        run: Its folder, prepared.
        parameters: A folder for parameter files; `nodes.yaml` in it is that of all nodes.
    """
    specs = {spec.name: spec.parameters for spec in training(config, run)}
    spaces = spaces_of(config.task, config.pixels)
    shapes = {f'spaces.{key}': value for key, value in flatten(spaces).items()}
    recording = {'task': config.task, 'folder': str(parameters / 'recorded')}
    specs['sim_arm'] |= {'publish_snapshots': True}
    specs['demo_recorder'] = {**recording, **shapes}
    specs['demo_view'] = {'show': 'browser', 'port': 0}
    specs['teleop_joy'] = specs['teleop_keyboard'] = {'action': spaces.action}
    text = {}
    for name, values in specs.items():
        file = NodeSpec(name, values).parameters_file(parameters)
        text[f'/medal/{name}'] = yaml.safe_load(file.read_text())['/**']
    path = parameters / 'nodes.yaml'
    path.write_text(yaml.safe_dump(text))
    words = ['-r', '__ns:=/medal', '--params-file', str(path), '--log-level', 'fatal']
    rclpy.init(args=['--ros-args', *words])
    terminal = SimpleNamespace(
        write=lambda _: None, read=lambda: '', size=lambda: (80, 24), close=lambda: None
    )
    made: dict[str, Any] = {}
    with mock.patch('medal_ros.nodes.worker.Worker.start'):
        for name, cls in NODES.items():
            module = import_module(f'medal_ros.nodes.{name}')
            if hasattr(module, 'Terminal'):
                module.Terminal = lambda: terminal
            made[name] = getattr(module, cls)()
            made[name].get_logger().set_level(LoggingSeverity.FATAL)
    made['monitor'] = Monitor('medal')
    try:
        yield made
    finally:
        made['demo_view'].close()
        made.pop('monitor').close()
        for node in made.values():
            node.destroy_node()
        rclpy.try_shutdown()
