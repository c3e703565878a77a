"""supervisor: decides who is in control of the next step, and answers people's requests."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from geometry_msgs.msg import PointStamped
from rclpy.node import Node
from safetensors.numpy import load, save
from std_msgs.msg import String, UInt64
from std_srvs.srv import SetBool, Trigger

from medal_ros.bounded import plain
from medal_ros.learning.moment import moment_of, state_of
from medal_ros.learning.note import Note
from medal_ros.learning.states import States
from medal_ros.msg import Label as LabelMessage
from medal_ros.msg import Observation, State, Step, Teleop
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.images import array_from_image
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, LATCHED, STREAM, TELEOP
from medal_ros.nodes.run import run, say
from medal_ros.options import group, option
from medal_ros.robot.supervisor import Answer, Decision, Supervisor, SupervisorConfig, Taken
from medal_ros.run_folder import RunFolder
from medal_ros.scheduling import LoopConfig, be_first
from medal_ros.srv import Label, SwitchPolicy

KEPT = 16  # truths, and steps behind the newest observation, that are kept
AHEAD = 1024  # steps that may wait for an observation: as many as came while we were away
LEAP = 10_000  # observations that may be missed; what is further ahead is none of this arm
STEPPING = ('practice', 'arm_reset')  # modes in which the arm steps by itself
HISTORY_SECONDS = 10.0  # that steps made while we were away may take to be sent again
SETTLED = 0.5  # seconds without an observation after which nothing more is on its way
SILENT = 1.0  # seconds without a word, at 50 Hz, after which the teleoperation is silent


@dataclass(frozen=True)
class SupervisorNodeConfig(SupervisorConfig):
    """Parameters of supervisor: how practice is organised, and where its state is kept."""

    clocked: bool = option(False, 'whether the arm goes by the clock')
    folder: str = option('', "the run's folder, where the state is kept; empty: nowhere")
    resume: bool = option(False, "go on from what the run's folder holds")
    loop: LoopConfig = group(LoopConfig)


Response = SetBool.Response | Trigger.Response | SwitchPolicy.Response | Label.Response


class SupervisorNode(Node):
    """Publishes one State for every Observation, and again when a request changes it."""

    def __init__(self) -> None:
        super().__init__('supervisor', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, SupervisorNodeConfig)
        if c.clocked:
            be_first(c.loop)
        self.supervisor = Supervisor(c)
        self.steps: dict[int, Taken] = {}
        self.truths: dict[tuple[int, int], np.ndarray] = {}
        self.observation: Observation | None = None
        self.resting = False
        self.pleas = {'arm/help': '', 'sensors/help': ''}
        self.note = Note(RunFolder(Path(c.folder)), 'supervisor') if c.folder else None
        self.driven_at: float | None = None  # when a person said that he holds the button
        self.history_until = 0.0  # the step after the last observation is waited for
        self.from_ = 0  # where the run went on: stopped again before it is seen, it is still there
        if c.resume:
            self.go_on()
        self.publisher = self.create_publisher(State, 'state', HISTORY)
        self.labels = self.create_publisher(LabelMessage, 'label', HISTORY)
        self.rests = self.create_publisher(UInt64, 'rest', LATCHED)
        self.create_subscription(Observation, 'observation', self.on_observation, STREAM)
        self.create_subscription(Step, 'step', self.on_step, HISTORY)
        self.create_subscription(Teleop, 'teleop', self.on_teleop, TELEOP)
        for topic in self.pleas:
            told = functools.partial(self.on_help, topic)
            self.create_subscription(String, topic, told, LATCHED)
        self.create_timer(SILENT / 4, self.listen)
        if c.ask_for_help.privileged:
            self.create_subscription(PointStamped, 'sim/object_position', self.on_truth, STREAM)
        self.create_service(SwitchPolicy, 'switch_policy', self.on_switch)
        self.create_service(SetBool, 'pause', self.on_pause)
        self.create_service(SetBool, 'intervene', self.on_intervene)
        self.create_service(Trigger, 'reset_done', self.on_reset_done)
        self.create_service(Trigger, 'home', self.on_home)
        self.create_service(Label, 'label', self.on_label)
        self.create_service(Trigger, 'rest', self.on_rest)
        self.settled = self.create_timer(SETTLED, self.rest, autostart=False)
        self.diagnostics = Diagnostics(self, self.describe)

    def on_observation(self, message: Observation) -> None:
        if self.supervisor.sequence == message.sequence:
            if not self.resting:
                self.publish(self.supervisor.decision)
            return
        last = self.supervisor.sequence
        if last is not None and message.sequence > last + LEAP:
            self.get_logger().warning(
                f'observation {message.sequence} after {last} is left out',
                throttle_duration_sec=5.0,
            )
            return
        # Shown again without its step: the step is lost, and waiting longer helps nobody.
        again = self.observation is not None and self.observation.sequence == message.sequence
        again &= last in self.steps or time.monotonic() > self.history_until
        self.observation = message
        self.decide(patient=not again)

    def on_step(self, message: Step) -> None:
        self.steps[message.sequence] = Taken(message.source, message.segment)
        forget(self.steps, AHEAD)
        self.decide()

    def on_truth(self, message: PointStamped) -> None:
        point = message.point
        self.truths[stamp_of(message)] = np.array([point.x, point.y, point.z])
        forget(self.truths, KEPT)
        self.decide()

    def on_teleop(self, message: Teleop) -> None:
        self.driven_at = time.monotonic() if message.engaged else None
        before = self.supervisor.decision
        self.supervisor.teleop(message.engaged)
        self.publish_changed(before)

    def on_help(self, topic: str, message: String) -> None:
        before = self.supervisor.decision
        self.pleas[topic] = plain(message.data)
        self.supervisor.arm_asks('; '.join(filter(None, self.pleas.values())))
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
        if self.resting:
            self.rest()
            return
        self.observation = None
        if follows:
            self.take_missed(last, message.sequence - 1)
        proprio = np.array(message.proprio, np.float32)
        image = self.watched(message)
        self.publish(self.supervisor.observe(message.sequence, image, proprio, truth, taken))

    def take_missed(self, first: int, end: int) -> None:
        """Take in the steps from one observation to another between which none was seen.

        The last step of an arm that ended is not counted: nobody saw what came of it, and who
        heard of it at all, its end decided.
        """
        for sequence in sorted(n for n in self.steps if first <= n < end):
            following = self.steps.get(sequence + 1)
            if following is None or following.source != 'restart':
                self.supervisor.missed(self.steps[sequence])
        for sequence in [n for n in self.steps if n < end - KEPT]:
            del self.steps[sequence]

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
                f'{plain(str(list(message.names[:9])))}: nobody sees whether something still moves',
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
        if self.note is not None:
            self.note.write(self.supervisor.snapshot())
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
        if self.resting:
            return self.answer((False, 'the run comes to rest'), response)
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

    # -- coming to rest, and going on -------------------------------------------------------------

    def on_rest(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.resting = True
        if self.supervisor.mode not in STEPPING or self.supervisor.sequence is None:
            self.settled.reset()  # a reset of the world may be on its way
        response.success, response.message = True, 'nothing is decided any more'
        return response

    def rest(self) -> None:
        """Say at which observation everything stops; who learns from what was before it may end."""
        self.settled.cancel()
        self.rests.publish(UInt64(data=self.sequence))

    @property
    def sequence(self) -> int:
        """The observation to go on with: one that waits for a decision, or the last one."""
        if self.observation is not None:
            return self.observation.sequence
        return max(self.supervisor.sequence or 0, self.from_)

    def save(self) -> None:
        taken = {str(n): [t.source, t.segment] for n, t in self.steps.items()}
        values = {'sequence': self.sequence, 'taken': taken}
        values['supervisor'] = self.supervisor.snapshot()
        states = States(RunFolder(Path(self.config.folder)).state('supervisor'))
        try:
            states.save([('stall', save(self.supervisor.stall.snapshot()))], values)
        except OSError as error:
            say(f'the state of the supervisor was not saved: {error}')

    def go_on(self) -> None:
        """Go on where the run rests; elsewhere with a new segment, the world having been reset.

        In the place of a supervisor that ended while the rest went on, do as it did: pauses and
        a person in control stay what they were.
        """
        folder = RunFolder(Path(self.config.folder))
        if self.note is not None and (noted := self.note.read()) is not None:
            self.supervisor.restore(noted)
            self.history_until = time.monotonic() + HISTORY_SECONDS
            if noted['_held']:
                self.driven_at = time.monotonic()  # if he lets go unheard, that is silence
            return
        moment = moment_of(folder)
        state = state_of(folder, 'supervisor', moment.sequence if moment else 0)
        self.from_ = moment.sequence if moment else 0
        if state is not None:
            self.supervisor.restore(state.values['supervisor'])
            self.supervisor.stall.restore(load(state.part('stall')))
            self.steps = {int(n): Taken(*t) for n, t in state.values['taken'].items()}
        elif moment is not None:
            m = moment
            self.supervisor.begin_again(m.steps, m.segment, m.interventions)

    def close(self) -> None:
        if self.config.folder:
            self.save()

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


def forget(kept: dict, most: int) -> None:
    """Drop the oldest entries beyond what may still be needed."""
    while len(kept) > most:
        del kept[next(iter(kept))]


def main() -> None:
    run(SupervisorNode)


if __name__ == '__main__':
    main()
