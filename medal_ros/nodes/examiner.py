"""examiner: puts saved policies to the test through the graph, one trial after the other.

It takes the policy server's place: each trial has another policy, of whatever run, in an order
that tells nobody which. A trial is a segment of the supervisor's: between two of them the
supervisor waits for `reset_done`, which is where the world is put to the next start, by the
stand-in (`sim/start`) or by a person, and where the trial before is judged, by the stand-in's
truth or by a person (`label`). Every verdict is on the disk before the next trial begins.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.task import Future
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from medal_ros.config import load_config
from medal_ros.evaluation import load_policy
from medal_ros.exam.plan import Candidate, Trial
from medal_ros.exam.score import write_tables
from medal_ros.exam.session import VERDICTS, Outcome, Session
from medal_ros.learning.performance import one_arena, tune
from medal_ros.learning.policy import Policy
from medal_ros.msg import Action, Label, Observation, State, Step
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.messages import frame_of
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, LATCHED, STREAM
from medal_ros.nodes.run import run
from medal_ros.options import option
from medal_ros.run_folder import RunFolder
from medal_ros.sim import spaces_of
from medal_ros.sim.evaluate import Rollout
from medal_ros.spaces import AGENTS
from medal_ros.srv import Start
from medal_ros.videos import write_rollouts

PATIENCE = 5.0  # seconds from a request that was answered to what should follow from it
LOST = 60.0  # seconds after which a request without an answer counts as lost
HELD = ('help', 'intervention')  # modes in which the supervisor waits for `reset_done`


@dataclass(frozen=True)
class ExaminerConfig:
    """Parameters of examiner."""

    folder: str = option('', 'of the examination: its plan, verdicts, tables and films')
    stand_in: bool = option(True, 'the world is put to each start by itself; false: by a person')
    films: bool = option(True, 'keep a film of every trial')


class Examiner(Node):
    """Answers `state` with `action` while a trial lasts, and judges it afterwards.

    Attributes:
        phase: `'opening'` until the supervisor waits, `'placing'` the world, `'starting'` until
            the supervisor lets the policy act, `'acting'`, `'judging'`, `'done'`.
    """

    def __init__(self) -> None:
        super().__init__('examiner', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, ExaminerConfig)
        tune(1)
        self.session = Session(Path(c.folder))
        self.plan = self.session.plan
        self.spaces = spaces_of(self.plan.task, self.plan.pixels)
        self.policies: dict[Candidate, Policy] = {}
        self.trial: Trial | None = None
        self.phase = 'opening'
        self.segment, self.homed = -1, False
        self.seen: tuple[int, np.ndarray, np.ndarray] | None = None
        self.state: State | None = None
        self.images: dict[int, np.ndarray] = {}  # what a film needs, by sequence
        self.done: dict[int, bool] = {}  # whether it had succeeded after a step, by sequence
        self.acted = -1  # sequence of the newest action
        self.first = 0  # sequence of the first observation of the world as the trial wants it
        self.future: Future | None = None
        self.asked_at = 0.0
        self.publisher = self.create_publisher(Action, 'action', STREAM)
        self.teller = self.create_publisher(String, 'examination', LATCHED)
        self.told = ''
        self.offered = {
            'intervene': self.create_client(SetBool, 'intervene'),
            'reset_done': self.create_client(Trigger, 'reset_done'),
            'home': self.create_client(Trigger, 'home'),
            'sim/start': self.create_client(Start, 'sim/start'),
        }
        self.create_subscription(Observation, 'observation', self.on_observation, STREAM)
        self.create_subscription(State, 'state', self.on_state, STREAM)
        self.create_subscription(Step, 'step', self.on_step, STREAM)
        self.create_subscription(Label, 'label', self.on_label, HISTORY)
        self.create_timer(0.2, self.go_on)
        self.diagnostics = Diagnostics(self, self.describe)
        self.next_trial()

    # -- what is heard -------------------------------------------------------------------------

    def on_observation(self, message: Observation) -> None:
        try:
            frame, proprio = frame_of(message, self.spaces)
        except ValueError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)
            return
        self.seen = message.sequence, frame, proprio
        if self.phase == 'acting' and message.sequence >= self.first:
            self.images[message.sequence] = frame
        self.act()

    def on_state(self, message: State) -> None:
        self.state = message
        self.act()
        self.go_on()

    def on_step(self, message: Step) -> None:
        if self.phase == 'placing' and message.source == 'script' and self.config.stand_in:
            self.placed(message.sequence)
        if self.phase in ('acting', 'judging') and message.segment == self.segment:
            if len(message.task_rewards) == len(AGENTS):
                own = AGENTS.index(self.candidate.direction)
                self.done[message.sequence] = message.task_rewards[own] > 0
            self.go_on()

    def on_label(self, message: Label) -> None:
        if self.phase == 'judging' and self.plan.judge == 'person' and message.label in VERDICTS:
            self.judge(message.label)

    # -- the course of a trial -----------------------------------------------------------------

    @property
    def candidate(self) -> Candidate:
        return self.plan.candidates[self.trial.candidate]

    def next_trial(self) -> None:
        """Begin with the next trial; without one, leave the tables and end."""
        self.images, self.done, self.segment, self.homed = {}, {}, -1, False
        write_tables(self.session)
        pending = self.session.pending
        self.trial = pending[0] if pending else None
        if self.trial is None:
            self.enter('done')
            self.tell('the examination is over')
            rclpy.try_shutdown()
            return
        self.policy_of(self.candidate)  # from the disk, while nothing moves
        self.enter('placing' if self.held else 'opening')

    def enter(self, phase: str) -> None:
        """Begin a phase; what was asked for in the one before does not matter any more."""
        self.phase, self.future = phase, None
        if phase == 'placing':
            self.first = self.state.sequence

    @property
    def held(self) -> bool:
        """Whether the supervisor waits for `reset_done`."""
        return self.state is not None and self.state.mode in HELD

    def go_on(self) -> None:
        """Do what is due: called when something changed, and now and then."""
        if self.trial is None or self.state is None:
            return
        if self.phase == 'opening':
            if self.held:
                self.enter('placing')
            elif self.state.mode == 'practice':
                self.ask('intervene', SetBool.Request(data=True))
        if self.phase == 'placing':
            self.place()
        elif self.phase == 'starting':
            self.start()
        elif self.phase == 'acting' and (self.held or self.state.segment != self.segment):
            self.end()

    def place(self) -> None:
        """Have the world put to the trial's start."""
        start = self.plan.starts[self.trial.start]
        if not self.config.stand_in:
            words = start.words or f'any start of {start.set}'
            self.tell(f'{self.progress}: put the world to "{words}", then say reset_done')
            self.enter('starting')
            return
        done = self.candidate.direction == 'backward'
        self.ask('sim/start', Start.Request(seed=start.seed, set=start.set, done=done))

    def placed(self, sequence: int) -> None:
        """Take a step of the arm's own for what was asked, if it is no earlier one, heard late."""
        if sequence >= self.first:
            self.first = sequence + 1
            self.enter('starting')
            self.go_on()

    def start(self) -> None:
        """Have the supervisor begin a segment; a robot's arm goes to its start pose first."""
        mode = self.state.mode
        self.homed |= self.config.stand_in or mode == 'arm_reset'
        if self.held and self.config.stand_in:
            self.ask('reset_done', Trigger.Request())
        elif mode == 'practice' and not self.homed:
            self.ask('home', Trigger.Request())
        elif mode == 'practice' and self.state.index == 0:
            self.begin()

    def begin(self) -> None:
        """Take note of the segment that is the trial's, and act."""
        self.enter('acting')
        self.segment = self.state.segment
        if self.seen is not None and self.seen[0] == self.state.sequence >= self.first:
            self.images[self.seen[0]] = self.seen[1]
        self.tell(f'{self.progress}: under way')
        self.act()

    def end(self) -> None:
        """Judge the trial whose segment has ended, or ask a person to."""
        state = self.state
        whole = state.segment == self.segment and state.index >= self.plan.horizon
        if state.mode != 'help' or not whole:
            self.get_logger().info(f'{self.progress} was interrupted ({state.mode}): it is invalid')
            self.judge('invalid')
        elif self.plan.judge == 'person':
            self.enter('judging')
            self.tell(f'{self.progress} is over: label it success, failure or invalid')
        elif self.acted in self.done:  # else the last step is still on its way
            self.judge('success' if self.done[self.acted] else 'failure')

    def judge(self, verdict: str) -> None:
        """Write the verdict and the film down, and go on."""
        ever = any(self.done.values()) if self.done else None
        if self.config.films and self.images:
            self.film()
        self.session.record(Outcome(self.trial.number, verdict, ever))
        self.next_trial()
        self.go_on()

    def act(self) -> None:
        """Answer the present decision, once its observation is here."""
        state, seen = self.state, self.seen
        if self.phase != 'acting' or state is None or seen is None:
            return
        if state.mode != 'practice' or state.segment != self.segment or state.sequence != seen[0]:
            return
        sequence, frame, proprio = seen
        action = self.policy_of(self.candidate).act(frame[None], proprio[None])[0]
        message = Action(
            sequence=sequence, source='policy', agent=state.agent, action=action.tolist()
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self.publisher.publish(message)  # once more where it was asked again: that one was lost
        self.acted = sequence

    def policy_of(self, candidate: Candidate) -> Policy:
        """Return a candidate, loaded once and with its own run's networks.

        Raises:
            UserError: Its files are gone, or cannot be used.
        """
        if candidate not in self.policies:
            config = load_config(RunFolder(Path(candidate.run)).config)
            self.policies[candidate] = load_policy(config, candidate.policy, candidate.path)
        return self.policies[candidate]

    def film(self) -> None:
        """Keep what the cameras saw, at the control rate."""
        cameras = len(self.spaces.cameras)
        shown = [np.stack(np.split(frame, cameras, -1)) for frame in self.images.values()]
        succeeded = tuple(self.done.get(sequence - 1, False) for sequence in self.images)
        path = self.session.video(self.trial)
        path.parent.mkdir(exist_ok=True)
        write_rollouts(path, f'trial {self.trial.number}', [Rollout(np.stack(shown), succeeded)])

    # -- words and services --------------------------------------------------------------------

    @property
    def progress(self) -> str:
        judged = len(self.plan.trials) - len(self.session.pending)
        return f'trial {judged + 1} of {len(self.plan.trials)}'

    def tell(self, words: str) -> None:
        if words != self.told:
            self.told = words
            self.teller.publish(String(data=words))
            self.get_logger().info(words)

    def ask(self, name: str, request: Any) -> None:
        """Call a service, and call again only what can no longer be executed late.

        A request that waits in a slow server would else be executed twice, the second time in the
        middle of a trial.
        """
        client, now = self.offered[name], time.monotonic()
        if self.future is not None:
            patience = PATIENCE if self.future.done() else LOST
            if now - self.asked_at < patience:
                return
            self.get_logger().warning(f'{name} has done nothing for {patience:.0f} s: asking again')
        if not client.service_is_ready():
            return
        self.asked_at = now
        self.future = client.call_async(request)
        self.future.add_done_callback(self.answered(name))

    def answered(self, name: str) -> Callable[[Future], None]:
        def note(future: Future) -> None:
            answer = future.result()
            if answer is not None and not answer.success:
                self.get_logger().warning(f'{name}: {answer.message}', throttle_duration_sec=5.0)

        return note

    def describe(self) -> tuple[str, dict[str, object]]:
        left = len(self.session.pending)
        waiting = ''
        if self.phase == 'judging' or (self.phase == 'starting' and not self.config.stand_in):
            waiting = f'waiting for a person: {self.told}'
        return waiting, {'phase': self.phase, 'trials_left': left}


def main() -> None:
    one_arena()  # ROS has threads of its own
    run(Examiner)


if __name__ == '__main__':
    main()
