"""supervisor: decides who is in control of the next step, and answers people's requests."""

from __future__ import annotations

import time

import numpy as np
from geometry_msgs.msg import PointStamped
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from medal_ros.msg import Label as LabelMessage
from medal_ros.msg import Observation, State, Step, Teleop
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.images import array_from_image
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, LATCHED, STREAM, TELEOP
from medal_ros.nodes.run import run
from medal_ros.robot.supervisor import Answer, Decision, Supervisor, SupervisorConfig, Taken
from medal_ros.srv import Label, SwitchPolicy

KEPT = 16  # truths and steps that may wait for their observation
SILENT = 1.0  # seconds without a word, at 50 Hz, after which the teleoperation is silent


Response = SetBool.Response | Trigger.Response | SwitchPolicy.Response | Label.Response


class SupervisorNode(Node):
    """Publishes one State for every Observation, and again when a request changes it."""

    def __init__(self) -> None:
        super().__init__('supervisor', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, SupervisorConfig)
        self.supervisor = Supervisor(c)
        self.steps: dict[int, Taken] = {}
        self.truths: dict[tuple[int, int], np.ndarray] = {}
        self.observation: Observation | None = None
        self.driven_at: float | None = None  # when a person said that he holds the button
        self.publisher = self.create_publisher(State, 'state', HISTORY)
        self.labels = self.create_publisher(LabelMessage, 'label', HISTORY)
        self.create_subscription(Observation, 'observation', self.on_observation, STREAM)
        self.create_subscription(Step, 'step', self.on_step, STREAM)
        self.create_subscription(Teleop, 'teleop', self.on_teleop, TELEOP)
        self.create_subscription(String, 'arm/help', self.on_arm_help, LATCHED)
        self.create_timer(SILENT / 4, self.listen)
        if c.ask_for_help.privileged:
            self.create_subscription(PointStamped, 'sim/object_position', self.on_truth, STREAM)
        self.create_service(SwitchPolicy, 'switch_policy', self.on_switch)
        self.create_service(SetBool, 'pause', self.on_pause)
        self.create_service(SetBool, 'intervene', self.on_intervene)
        self.create_service(Trigger, 'reset_done', self.on_reset_done)
        self.create_service(Trigger, 'home', self.on_home)
        self.create_service(Label, 'label', self.on_label)
        self.diagnostics = Diagnostics(self, self.describe)

    def on_observation(self, message: Observation) -> None:
        if self.supervisor.sequence == message.sequence:
            self.publish(self.supervisor.decision)
            return
        # Shown again without its step: the step is lost, and waiting longer helps nobody.
        again = self.observation is not None and self.observation.sequence == message.sequence
        self.observation = message
        self.decide(patient=not again)

    def on_step(self, message: Step) -> None:
        self.steps[message.sequence] = Taken(message.source, message.segment)
        forget(self.steps)
        self.decide()

    def on_truth(self, message: PointStamped) -> None:
        point = message.point
        self.truths[stamp_of(message)] = np.array([point.x, point.y, point.z])
        forget(self.truths)
        self.decide()

    def on_teleop(self, message: Teleop) -> None:
        self.driven_at = time.monotonic() if message.engaged else None
        before = self.supervisor.decision
        self.supervisor.teleop(message.engaged)
        self.publish_changed(before)

    def on_arm_help(self, message: String) -> None:
        before = self.supervisor.decision
        self.supervisor.arm_asks(message.data)
        self.publish_changed(before)

    def listen(self) -> None:
        """Notice that the teleoperation fell silent while its button was held."""
        if self.driven_at is not None and time.monotonic() - self.driven_at > SILENT:
            before = self.supervisor.decision
            self.supervisor.teleop_silent()
            self.publish_changed(before)

    def decide(self, patient: bool = True) -> None:
        """Decide on the observation that waits, once what belongs to it is here."""
        message = self.observation
        if message is None:
            return
        last = self.supervisor.sequence
        taken = self.steps.get(message.sequence - 1)
        truth = self.truths.get(stamp_of(message))
        follows = last is not None and message.sequence > last
        if patient and follows and taken is None:
            return
        if patient and self.config.ask_for_help.privileged and truth is None:
            return
        self.observation = None
        proprio = np.array(message.proprio, np.float32)
        image = self.watched(message)
        self.publish(self.supervisor.observe(message.sequence, image, proprio, truth, taken))

    def watched(self, message: Observation) -> np.ndarray | None:
        """Return the image that shows whether something moves; None where there is none."""
        config = self.config.ask_for_help
        if not config.after_steps or config.privileged:
            return None
        try:
            return array_from_image(message.images[message.names.index(config.camera)])
        except (ValueError, IndexError):
            self.get_logger().warning(
                f'observation {message.sequence} has no usable image {config.camera!r}, only '
                f'{list(message.names)}: nobody sees whether something still moves',
                throttle_duration_sec=60.0,
            )
            return None

    def publish_changed(self, before: Decision) -> None:
        """Publish what was decided on the newest observation, if that is not what it was."""
        now = self.supervisor.decision
        if now == before:
            return
        self.get_logger().info(f'{now.mode}: {now.reason}' if now.reason else now.mode)
        if self.supervisor.sequence is not None:
            self.publish(now)

    def publish(self, decision: Decision) -> None:
        d, message = decision, State()
        message.header.stamp = self.get_clock().now().to_msg()
        message.sequence, message.mode, message.agent = d.sequence, d.mode, d.agent
        message.segment, message.index = d.segment, d.index
        message.steps, message.total_steps = d.steps, self.config.steps
        message.interventions, message.reason = d.interventions, d.reason
        self.publisher.publish(message)

    # -- services: each answers at once; what follows shows in `state` --------------------------

    def answer(self, answer: Answer, response: Response) -> Response:
        response.success, response.message = answer
        if response.success and self.supervisor.sequence is not None:
            self.publish(self.supervisor.decision)
        verdict = 'accepted' if response.success else 'refused'
        self.get_logger().info(f'{verdict}: {response.message}')
        return response

    def on_switch(
        self, request: SwitchPolicy.Request, response: SwitchPolicy.Response
    ) -> SwitchPolicy.Response:
        return self.answer(self.supervisor.switch(request.policy), response)

    def on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        return self.answer(self.supervisor.pause(request.data), response)

    def on_intervene(
        self, request: SetBool.Request, response: SetBool.Response
    ) -> SetBool.Response:
        return self.answer(self.supervisor.intervene(request.data), response)

    def on_reset_done(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self.answer(self.supervisor.reset_done(), response)

    def on_home(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self.answer(self.supervisor.home(), response)

    def on_label(self, request: Label.Request, response: Label.Response) -> Label.Response:
        answer, d = self.supervisor.label(request.label), self.supervisor.decision
        if answer[0]:
            message = LabelMessage(sequence=d.sequence, mode=d.mode, agent=d.agent)
            message.header.stamp = self.get_clock().now().to_msg()
            message.segment, message.label = d.segment, request.label
            self.labels.publish(message)
        return self.answer(answer, response)

    def describe(self) -> tuple[str, dict[str, object]]:
        d, words = self.supervisor.decision, ''
        if self.supervisor.sequence is None:
            words = 'waiting for the first observation'
        elif self.observation is not None:
            words = f'waiting for step {self.observation.sequence - 1}'
        elif d.mode in ('help', 'intervention'):
            words = f'waiting for a person: {d.reason}'
        values = {'mode': d.mode, 'agent': d.agent, 'steps': d.steps, 'segment': d.segment}
        return words, {**values, 'interventions': d.interventions}


def stamp_of(message: Observation | PointStamped) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec


def forget(kept: dict) -> None:
    """Drop the oldest entries beyond what may still be needed."""
    while len(kept) > KEPT:
        del kept[next(iter(kept))]


def main() -> None:
    run(SupervisorNode)


if __name__ == '__main__':
    main()
