"""How each fault is done to a graph: by signals, and by messages like any other node's."""

from __future__ import annotations

import os
import signal
from array import array
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from rclpy.node import Node
from safetensors.torch import load_file, save_file
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from medal_ros.faults.schedule import SENSORS, Fault
from medal_ros.learning.weights import Written
from medal_ros.msg import Action, Observation, State, Step, Weights
from medal_ros.nodes.qos import HISTORY, LATCHED, STREAM
from medal_ros.nodes.weights import announcement
from medal_ros.processes import Processes
from medal_ros.srv import Label, SwitchPolicy

AHEAD = 1 << 40  # a sequence number that no run comes to
FLOOD = 500  # messages on each of four topics
SILLY = (
    ('switch_policy', SwitchPolicy, {'policy': 'sideways'}),
    ('label', Label, {'label': 'x' * 1000}),
    ('reset_done', Trigger, {}),  # refused unless it is waited for
    ('intervene', SetBool, {'data': False}),
    ('save_checkpoint', Trigger, {}),
)
NOT_A_NUMBER = float('nan')


class Inflictor:
    """Does harm.

    Args:
        node: Publishes and asks.
        processes: The graph's.

    Attributes:
        action: The newest action of the graph, if any.
        weights: The newest announcement of policy weights, if any.
        unanswered: Requests whose answer did not come yet.
    """

    def __init__(self, node: Node, processes: Processes) -> None:
        self.node, self.processes = node, processes
        self.action: Action | None = None
        self.weights: Weights | None = None
        self.unanswered: list[str] = []
        self.sensors = node.create_publisher(String, 'sim/fault', LATCHED)
        self.topics = {
            'observation': node.create_publisher(Observation, 'observation', HISTORY),
            'step': node.create_publisher(Step, 'step', HISTORY),
            'state': node.create_publisher(State, 'state', HISTORY),
            'action': node.create_publisher(Action, 'action', STREAM),
            'weights': node.create_publisher(Weights, 'weights/policy', HISTORY),
        }
        self.clients = {name: node.create_client(kind, name) for name, kind, _ in SILLY}

    def inflict(self, fault: Fault) -> Callable[[], None]:
        """Do it; return what ends it."""
        if fault.node:
            return self.signal(fault)
        if fault.kind in SENSORS:
            self.sensors.publish(String(data=fault.kind))
            return lambda: self.sensors.publish(String())
        getattr(self, fault.kind.replace(' ', '_'))()
        return lambda: None

    def signal(self, fault: Fault) -> Callable[[], None]:
        pid = self.processes.running[fault.node].pid
        number = signal.SIGKILL if fault.kind.startswith('kill') else signal.SIGSTOP

        def go_on() -> None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

        os.kill(pid, number)
        return go_on if fault.kind == 'pause' else lambda: None

    # -- weights ----------------------------------------------------------------------------------

    def nan_weights(self) -> None:
        tensors = load_file(self.weights.path)
        next(iter(tensors.values())).view(-1)[0] = NOT_A_NUMBER
        path = self._spoiled()
        save_file({k: v.to(torch.float32) for k, v in tensors.items()}, path)
        self._announce(path)

    def cut_weights(self) -> None:
        data, path = Path(self.weights.path).read_bytes(), self._spoiled()
        path.write_bytes(data[: len(data) // 2])
        self._announce(path)

    def _spoiled(self) -> Path:
        return Path(self.weights.path).with_name('spoiled.safetensors')

    def _announce(self, path: Path) -> None:
        written = Written.of(path)
        for agent in ('forward', 'backward'):
            message = announcement(self.node, agent, AHEAD, AHEAD, 0, written)
            self.topics['weights'].publish(message)

    # -- messages ---------------------------------------------------------------------------------

    def garbage(self) -> None:
        """Say what makes no sense, for now and for a time that never comes."""
        now = self.action.sequence if self.action is not None else 0
        for sequence in (now, now + 1, AHEAD):
            self.topics['observation'].publish(
                Observation(sequence=AHEAD, names=['nose'], proprio=[NOT_A_NUMBER] * 3)
            )
            self.topics['state'].publish(State(sequence=sequence, mode='dance', agent='nobody'))
            for values in ([], [NOT_A_NUMBER] * 3, [1.0] * 1000):
                wrong = {'source': 'policy', 'agent': 'forward', 'action': array('f', values)}
                self.topics['action'].publish(Action(sequence=sequence, **wrong))
        self.topics['step'].publish(Step(sequence=AHEAD, source='policy', agent='nobody'))

    def wild_action(self) -> None:
        """Ask for the impossible at this step and the next few, as the policy in control would."""
        if self.action is None:
            return
        size = len(self.action.action)
        for ahead in range(1, 4):
            for agent in ('forward', 'backward'):
                self.topics['action'].publish(
                    Action(
                        sequence=self.action.sequence + ahead,
                        source='policy',
                        agent=agent,
                        action=array('f', [1e30, -1e30, *[1e9] * size][:size]),
                    )
                )

    def flood(self) -> None:
        for _ in range(FLOOD):
            self.topics['action'].publish(Action(sequence=AHEAD, source='policy'))
            self.topics['state'].publish(State(sequence=AHEAD, mode='dance', agent='nobody'))
            self.topics['observation'].publish(Observation(sequence=AHEAD))
            self.topics['step'].publish(Step(sequence=AHEAD, source='hold'))

    def services(self) -> None:
        for name, kind, values in SILLY:
            self.unanswered.append(name)
            future = self.clients[name].call_async(kind.Request(**values))
            future.add_done_callback(lambda _, name=name: self.unanswered.remove(name))
