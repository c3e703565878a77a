"""console: shows and steers the graph in a browser.

It only listens to topics and calls services, as anybody may: without it the graph is the same. ROS
runs in this thread, the web server in one of its own; between them stand `Board` and `Pictures`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import GetParameters
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.subscription import Subscription
from rclpy.task import Future
from std_msgs.msg import UInt64
from std_srvs.srv import SetBool, Trigger

from medal_ros.console.board import Board
from medal_ros.console.commands import Command
from medal_ros.console.operator_lock import Answer
from medal_ros.console.pictures import Pictures
from medal_ros.console.runs import Runs
from medal_ros.console.shared import Console
from medal_ros.errors import UserError
from medal_ros.msg import Evaluation, Learner, Observation, Reward, State, Step, Stored
from medal_ros.msg import Label as LabelMessage
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.images import array_from_image
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, LATCHED, NEWEST, STREAM
from medal_ros.nodes.run import run
from medal_ros.options import option
from medal_ros.srv import Label, SwitchPolicy

SERVICES = {
    'pause': SetBool,
    'intervene': SetBool,
    'home': Trigger,
    'reset_done': Trigger,
    'save_checkpoint': Trigger,
    'switch_policy': SwitchPolicy,
    'label': Label,
}
# What is read of other nodes' parameters, to show it.
FACTS = {'supervisor': ('segment_steps', 'alternate'), 'trainer': ('folder', 'task', 'seed')}
DISCOVERY = 1.5  # seconds to notice another console
PATIENCE = 5.0  # seconds that an answer may take
LOOK, ASK = 0.2, 5.0  # seconds between two looks whether somebody looks, and at parameters
NICE = 5  # below the nodes of the control loop


@dataclass(frozen=True)
class ConsoleConfig:
    """Parameters of console."""

    host: str = option('127.0.0.1', 'who may come: this machine; 0.0.0.0: whoever has the token')
    port: int = option(8090, 'of the page; 0: any free one', low=0, high=65535)
    runs: str = option('runs', 'folder of the runs that are listed and served')


class ConsoleNode(Node):
    """Hears what the graph says of itself, and passes on what a person asks for."""

    def __init__(self) -> None:
        super().__init__('console', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, ConsoleConfig)
        os.nice(NICE)
        self.space = self.get_namespace().strip('/')
        self.refuse_a_second()
        self.board, self.pictures = Board(), Pictures()
        self.observations: Subscription | None = None
        self.server = serve(self, c)
        self.called = {name: self.create_client(kind, name) for name, kind in SERVICES.items()}
        self.asked = {
            name: self.create_client(GetParameters, f'{name}/get_parameters') for name in FACTS
        }
        for kind, topic, take, qos in (
            (State, 'state', self.board.take_state, LATCHED),
            (Step, 'step', self.board.take_step, STREAM),
            (LabelMessage, 'label', self.board.take_label, HISTORY),
            (Reward, 'reward', self.board.take_reward, NEWEST),
            (Learner, 'learner', self.board.take_learner, LATCHED),
            (Stored, 'stored', self.board.take_stored, NEWEST),
            (Evaluation, 'evaluation', self.board.take_evaluation, HISTORY),
            (DiagnosticArray, '/diagnostics', self.on_diagnostics, STREAM),
        ):
            self.create_subscription(kind, topic, take, qos)
        self.create_timer(LOOK, self.look)
        self.create_timer(ASK, self.ask)
        self.diagnostics = Diagnostics(self, self.describe)
        self.server.start()
        self.get_logger().info(f'the console is at {self.server.url}')
        if self.server.token:
            # Not as a message of ROS, which others could read.
            print(f'it asks for this token: {self.server.token}', flush=True)

    def refuse_a_second(self) -> None:
        """See to it that one console at a time says who holds the controls: the one open longer.

        Each says since when it is open to all that come later. Two may need a while to notice
        each other, on a busy machine longer than this waits: then the younger ends when it does.

        Raises:
            UserError: There is one already.
        """
        self.since = self.get_clock().now().nanoseconds
        # HISTORY, for what several say: of one latched value the last would hide the others.
        self.create_subscription(UInt64, 'console', self.on_console, HISTORY)
        self.create_publisher(UInt64, 'console', HISTORY).publish(UInt64(data=self.since))
        until = time.monotonic() + DISCOVERY
        while rclpy.ok() and (left := until - time.monotonic()) > 0.0:
            rclpy.spin_once(self, timeout_sec=left)

    def on_console(self, message: UInt64) -> None:
        if message.data < self.since:
            raise UserError(f'a console is already open in namespace /{self.space}')

    def on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            space, _, name = status.hardware_id.rpartition('/')
            if space == self.space and name != self.get_name():
                self.board.take_health(name, status)

    def look(self) -> None:
        """Subscribe to the images when somebody looks, and let go of them when nobody does."""
        wanted = self.pictures.wanted()
        if wanted and self.observations is None:
            self.observations = self.create_subscription(
                Observation, 'observation', self.on_observation, NEWEST
            )
        elif not wanted and self.observations is not None:
            self.destroy_subscription(self.observations)
            self.observations = None

    def on_observation(self, message: Observation) -> None:
        if not self.pictures.due():
            return
        try:
            images = [array_from_image(image) for image in message.images]
            self.pictures.add(message.names, images)
        except ValueError as error:
            self.get_logger().warning(f'no picture: {error}', throttle_duration_sec=10.0)

    def ask(self) -> None:
        """Ask the nodes what run this is."""
        for name, client in self.asked.items():
            if client.service_is_ready():
                future = client.call_async(GetParameters.Request(names=list(FACTS[name])))
                future.add_done_callback(lambda done, name=name: self.on_facts(name, done))

    def on_facts(self, name: str, future: Future) -> None:
        values = [parameter_value_to_python(value) for value in future.result().values]
        if len(values) == len(FACTS[name]) and None not in values:
            self.board.take_facts(**dict(zip(FACTS[name], values, strict=True)))

    # -- called by the web server's thread -----------------------------------------------------

    def offered(self, service: str) -> bool:
        return self.called[service].service_is_ready()

    async def call(self, command: Command) -> Answer:
        """Call a command's service; every wait has a deadline."""
        client = self.called[command.service]
        if not client.service_is_ready():
            return False, f'nobody offers {command.service}'
        request = SERVICES[command.service].Request(**command.request)
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Any] = loop.create_future()

        def pass_on(future: Future) -> None:
            loop.call_soon_threadsafe(lambda: answered.done() or answered.set_result(future))

        sent = client.call_async(request)
        sent.add_done_callback(pass_on)
        try:
            response = (await asyncio.wait_for(answered, PATIENCE)).result()
        except TimeoutError:
            client.remove_pending_request(sent)
            return False, f'{command.service} did not answer for {PATIENCE:.0f} s'
        self.get_logger().info(f'{command.name}: {response.message}')
        return response.success, response.message

    def describe(self) -> tuple[str, dict[str, object]]:
        failed = '' if self.server.thread.is_alive() else f'stopped: {self.server.failed}'
        return failed, {'pictures': self.pictures.number, 'at': self.server.url}

    def close(self) -> None:
        self.server.close()


def serve(node: ConsoleNode, config: ConsoleConfig) -> Any:
    """Return the web server of a node.

    Raises:
        UserError: The libraries for it are not installed, or nobody can listen there.
    """
    try:
        from medal_ros.console import logs
        from medal_ros.console.server import Server
    except ImportError as error:
        raise UserError(
            f'the console needs {error.name}: pip install "medal_ros[console]"'
        ) from None
    say: Callable[[str], Any] = node.get_logger().warning
    logs.listen(say)
    runs = Runs(Path(config.runs))
    shared = Console(node.space, node.board, node.pictures, runs, node.offered, node.call)
    return Server(shared, config.host, config.port)


def main() -> None:
    run(ConsoleNode)


if __name__ == '__main__':
    main()
