"""What the command line sees of a running graph: its state, its learner, its evaluations."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.srv import GetParameters
from rclpy.exceptions import InvalidNamespaceException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import parameter_value_to_python
from rclpy.signals import SignalHandlerOptions
from rclpy.validate_namespace import validate_namespace
from std_srvs.srv import Trigger

from medal_ros.bounded import plain
from medal_ros.errors import UserError
from medal_ros.msg import Evaluation, Learner, State
from medal_ros.nodes.qos import HISTORY, LATCHED
from medal_ros.srv import SwitchPolicy

MOST_HEALTH = 100  # nodes of which the newest word is kept
LONGEST = 4000  # characters of a list of nodes
WATCHERS = ('monitor', 'console', 'recorder')  # nodes that only look on
DISCOVERY = 10.0  # seconds that finding others may take: on a busy machine it was seen to take five


class Monitor:
    """A node without parameters that listens while somebody else's loop calls `spin`.

    Args:
        namespace: Namespace of the graph.
        on_event: Called with `('state' | 'learner' | 'evaluation', message)`.

    Raises:
        UserError: ROS does not start (ROS_DOMAIN_ID, say), or that cannot be a namespace.
    """

    def __init__(self, namespace: str, on_event: Callable[[str, Any], None] | None = None) -> None:
        # Ctrl-C is the caller's: rclpy must not end the context under it.
        try:
            validate_namespace(f'/{namespace}')
        except InvalidNamespaceException:
            raise UserError(
                f'{namespace!r} cannot be a ROS namespace: use letters, digits, _ and /'
            ) from None
        self.context = rclpy.Context()
        try:
            rclpy.init(
                args=['--ros-args', '--enclave', f'/{namespace}/monitor'],
                context=self.context,
                signal_handler_options=SignalHandlerOptions.NO,
            )
        except RuntimeError as error:  # the message ends with places in ROS's own source
            raise UserError(str(error).split(', at /')[0]) from None
        self.node = rclpy.create_node('monitor', namespace=namespace, context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.namespace = namespace
        self.health: dict[str, DiagnosticStatus] = {}
        # Called with a node's name whenever it speaks, and whom it hears, if it says so.
        self.on_word: Callable[[str, set[str] | None], None] = lambda name, hears: None
        self.newest: dict[str, Any] = {}
        self.on_event = on_event or (lambda kind, message: None)
        for kind, message, qos in (
            ('state', State, LATCHED),
            ('learner', Learner, LATCHED),
            ('evaluation', Evaluation, HISTORY),
        ):
            self.node.create_subscription(
                message, kind, lambda m, kind=kind: self._take(kind, m), qos
            )
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._take_health, 50)
        # Found long before it is needed: after Ctrl-C the robot takes no more steps meanwhile.
        self._rest = self.node.create_client(Trigger, 'rest')

    def spin(self, seconds: float) -> None:
        """Handle what arrives for some time."""
        until = time.monotonic() + seconds
        try:
            while (left := until - time.monotonic()) > 0:
                self.executor.spin_once(timeout_sec=left)
        except ExternalShutdownException:
            return

    def others(self) -> list[str]:
        """Return the nodes of the namespace that are running, without those that only look on."""
        return [name for name in self.nodes() if name not in WATCHERS]

    def nodes(self) -> list[str]:
        """Return the nodes of the namespace that are running."""
        found = self.node.get_node_names_and_namespaces()
        return sorted(name for name, at in found if at == f'/{self.namespace}')

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Handle what arrives until a condition holds; False after so many seconds."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                return False
            self.spin(0.05)
        return True

    def switch(self, policy: str) -> tuple[bool, str]:
        """Ask the supervisor to hand control to a policy; return whether and why."""
        client = self.node.create_client(SwitchPolicy, 'switch_policy')
        if not self.wait_for(client.service_is_ready, DISCOVERY):
            return False, f'no supervisor answers in namespace /{self.namespace}'
        future = client.call_async(SwitchPolicy.Request(policy=policy))
        if not self.wait_for(future.done, DISCOVERY):
            return False, 'the supervisor did not answer'
        return future.result().success, future.result().message

    def rest(self) -> bool:
        """Ask the supervisor to decide nothing more; False if nobody answers, or refuses."""
        if not self.wait_for(self._rest.service_is_ready, DISCOVERY):
            return False
        future = self._rest.call_async(Trigger.Request())
        return self.wait_for(future.done, DISCOVERY) and future.result().success

    def parameter(self, node: str, name: str) -> Any:
        """Return a node's parameter; None if it has none of that name, or does not answer."""
        client = self.node.create_client(GetParameters, f'{node}/get_parameters')
        if not self.wait_for(client.service_is_ready, DISCOVERY):
            return None
        future = client.call_async(GetParameters.Request(names=[name]))
        if not self.wait_for(future.done, DISCOVERY) or not future.result().values:
            return None
        return parameter_value_to_python(future.result().values[0])

    def doing(self, node: str) -> str:
        """Return what a node last said it is doing, in words; empty where it said nothing."""
        status = self.health.get(f'{self.namespace}/{node}: status', DiagnosticStatus())
        return next((plain(v.value) for v in status.values if v.key == 'doing'), '')

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)

    def _take(self, kind: str, message: Any) -> None:
        for name in ('mode', 'agent', 'reason'):
            if hasattr(message, name):
                setattr(message, name, plain(getattr(message, name)))
        self.newest[kind] = message
        self.on_event(kind, message)

    def _take_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            known = len(self.health) < MOST_HEALTH or status.name in self.health
            if known and status.hardware_id.startswith(f'{self.namespace}/'):
                status.message = plain(status.message)
                self.health[plain(status.name)] = status
                name = status.hardware_id.removeprefix(f'{self.namespace}/')
                self.on_word(name, heard_by(status))


def heard_by(status: DiagnosticStatus) -> set[str] | None:
    """Return the nodes that the one of a status says it hears; None: it does not say."""
    said = (v.value[:LONGEST] for v in status.values if v.key == 'hears')
    return next((set(names.split(', ')) for names in said), None)
