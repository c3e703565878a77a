"""trainer: owns the replay store and both agents; learns beside the control loop.

Messages go to an inbox; one worker thread stores and learns. In lockstep it settles one step at
a time and then takes every update that the step earned, so that a run repeats exactly. On a wall
clock it stores everything that has arrived and then takes one update.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue

import rclpy
from rclpy.node import Node
from std_msgs.msg import UInt64
from std_srvs.srv import Trigger
from torch.utils.tensorboard import SummaryWriter

from medal_ros.config import NodeConfig, idles
from medal_ros.disk import store_capacity
from medal_ros.errors import WeightsError
from medal_ros.learning.agent import Metrics
from medal_ros.learning.demonstrations import load_demonstrations
from medal_ros.learning.device import choose_device
from medal_ros.learning.health import AgentHealth
from medal_ros.learning.learner import Learner
from medal_ros.learning.performance import one_arena, tune
from medal_ros.learning.recovery import open_store
from medal_ros.msg import Label, Observation, State, Step, Stored, Weights
from medal_ros.msg import Learner as LearnerStatus
from medal_ros.nodes.checkpoints import Checkpoints
from medal_ros.nodes.diagnostics import Diagnostics, Wrong
from medal_ros.nodes.messages import frame_of, record_of
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, LATCHED, STREAM
from medal_ros.nodes.run import run, say
from medal_ros.nodes.weights import WeightsPublisher, WeightsReader
from medal_ros.nodes.worker import Worker
from medal_ros.robot.supervision import MODES
from medal_ros.run_folder import RunFolder
from medal_ros.scheduling import be_nice
from medal_ros.spaces import AGENTS

PATIENCE = 60.0  # seconds to wait for a classifier before going on with the one at hand
LOG_EVERY = 10  # updates of an agent between two looks at it, and points on TensorBoard


class Trainer(Node):
    """Joins `observation` and `step` into replay, learns, and announces policy weights."""

    def __init__(self) -> None:
        super().__init__('trainer', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, NodeConfig)
        tune(c.graph.threads)
        self.sides = {name: getattr(c, name) for name in AGENTS}
        self.folder = RunFolder(Path(c.folder))
        least = max(side.classifier.goal_states for side in self.sides.values())
        demonstrations = load_demonstrations(self.folder.demonstrations, c.task, c.spaces, least)
        capacity = store_capacity(c, c.spaces)
        opened = open_store(c.spaces, capacity, self.folder.replay, c.resume)
        device = choose_device(c.graph.device)
        self.learner = Learner(self.sides, c.spaces, demonstrations, opened.store, c.seed, device)
        if self.learner.drawn_from:
            self.get_logger().info(self.learner.drawn_from)
        self.checkpoints = Checkpoints(self, c, self.folder, self.learner, opened)
        self.board = SummaryWriter(str(self.folder.tensorboard), filename_suffix='.learner')
        self.inbox: SimpleQueue[tuple[str, object]] = SimpleQueue()
        self.classifiers = WeightsReader(self, self.learner.classifiers, key='version')
        self.health = {name: AgentHealth(c.health, side) for name, side in self.sides.items()}
        self.published = -1  # sequence up to which policy weights were announced
        self.ends_at: State | None = None
        self.rests_at: int | None = None
        self.finished = False
        self.rates: deque[tuple[float, int]] = deque(maxlen=10)
        self.waiting = 'for the first observation'
        self.weights = WeightsPublisher(
            self, 'weights/policy', self.folder.weights, keep=4 * self.lag // self.every + 8
        )
        self.stored_publisher = self.create_publisher(Stored, 'stored', HISTORY)
        self.status_publisher = self.create_publisher(LearnerStatus, 'learner', LATCHED)
        for kind, topic, qos in (
            (Observation, 'observation', HISTORY),
            (Step, 'step', HISTORY),
            (Weights, 'weights/classifier', HISTORY),
            (State, 'state', STREAM),
            (Label, 'label', HISTORY),
            (UInt64, 'rest', LATCHED),
        ):
            self.create_subscription(
                kind, topic, lambda m, topic=topic: self.inbox.put((topic, m)), qos
            )
        self.create_service(Trigger, 'save_checkpoint', self.on_save_checkpoint)
        self.create_timer(1.0, self.publish_status)
        self.diagnostics = Diagnostics(self, self.describe)
        self.worker = Worker(self, self.practise)
        self.worker.start()

    @property
    def lag(self) -> int:
        return self.config.graph.lag

    @property
    def every(self) -> int:
        return self.config.graph.publish_every

    @property
    def lockstep(self) -> bool:
        return self.config.graph.rate == 0

    # -- the worker thread ---------------------------------------------------------------------

    def practise(self) -> None:
        graph = self.config.graph
        be_nice(10, idles(graph), graph.learning_cores)  # this thread alone
        if not self.checkpoints.warm:
            for name, metrics in self.learner.warm_up(self.check).items():
                self.log(name, metrics)
            self.checkpoints.warm = True
        self.begin()
        while not (self.worker.stopping or self.rest_if_due()):
            self.receive(block=False)
            busy = self.turn_in_lockstep() if self.lockstep else self.turn_on_the_clock()
            if not busy:
                self.finish_if_done()
                self.receive(block=True)

    def check(self) -> None:
        """Look whether to stop; by the clock, store what comes during a long warm-up, too."""
        self.worker.check()
        if not self.lockstep:
            self.receive(block=False)
            while self.settle():
                pass

    def begin(self) -> None:
        """Announce the first weights; in a run that goes on, all that are asked for next."""
        next_ = self.learner.joiner.next
        self.published = next_ // self.every * self.every
        if not self.config.resume:
            self.publish_weights(0)
            return
        self.tell_stored(next_)
        whole = self.checkpoints.whole and not self.learner.owed
        self.weights.resume(lambda entry: whole)
        if self.lockstep:  # by the clock the robot does not wait for that
            self.learn_what_was_earned()
        announced = max((entry['sequence'] for entry in self.weights.listed), default=-1)
        first = max(0, next_ - self.lag) // self.every * self.every
        for sequence in range(first, next_ + 1, self.every):
            if sequence > announced:
                self.publish_weights(sequence)

    def turn_in_lockstep(self) -> bool:
        """Settle one step and take every update it earned; False when nothing was settled."""
        if not self.settle():
            return False
        self.learn_what_was_earned()
        self.publish_on_time()
        self.checkpoints.on_time()
        return True

    def learn_what_was_earned(self) -> None:
        for name in AGENTS:
            if self.learner.budgets[name].owed:
                steps = self.learner.agents[name].steps - self.lag
                self.use_classifier(name, steps if self.lockstep else None)
                while not self.worker.stopping and self.learn(name):
                    pass

    def turn_on_the_clock(self) -> bool:
        """Settle all that has arrived, then take one update of the agent that is owed most."""
        settled = 0
        while self.settle():
            settled += 1
        name = max(AGENTS, key=lambda n: self.learner.budgets[n].owed)
        self.use_classifier(name, None)
        learned = self.learn(name)
        self.publish_on_time()
        self.checkpoints.on_time()
        return bool(settled or learned)

    def settle(self) -> bool:
        resolved = self.learner.settle()
        if resolved is None:
            return False
        self.checkpoints.settled(resolved)
        if resolved.agent is not None:
            self.tell_stored(resolved.sequence + 1)
            steps = self.learner.steps
            # The last one is saved when practice is over, with every update that was earned.
            if steps % self.config.evaluation.every == 0 and steps != self.config.steps:
                self.checkpoints.policies(steps)
        return True

    def tell_stored(self, sequence: int) -> None:
        counts = vars(self.learner.replay.counts)
        self.stored_publisher.publish(Stored(sequence=sequence, **counts))

    def learn(self, name: str) -> bool:
        metrics = self.learner.learn(name)
        if metrics is None:
            return False
        if self.learner.agents[name].updates % LOG_EVERY == 0:  # to look is to wait for a GPU
            self.notice(name, metrics)
            self.log(name, metrics)
        return True

    def notice(self, name: str, metrics: Metrics) -> None:
        """Say when something goes wrong with what an agent learns, or is right again.

        Raises:
            WeightsError: It is no number any more: only the last whole checkpoint helps.
        """
        metrics = {key: float(metrics[key]) for key in ('q_size', 'saturation')}
        if not math.isfinite(metrics['q_size']):
            raise WeightsError(f'{name}: the values of its Q-function are not finite')
        before = self.health[name].words
        now = self.health[name].take(metrics)
        if bool(now) == bool(before):
            return
        if now:
            self.get_logger().error(f'{name}: {now}: its last good weights stay in use')
        else:
            self.get_logger().info(f'{name} learns well again')

    def use_classifier(self, name: str, steps: int | None) -> None:
        """Load the classifier that had been trained at one of the agent's own earlier steps.

        Args:
            name: The agent.
            steps: Its stored step; None takes the newest there is.
        """
        wanted = self.classifiers.newest(name)
        if steps is not None:
            wanted = self.wait_for_classifier(name, steps)
        if wanted is not None:
            self.classifiers.load(name, wanted)

    def wait_for_classifier(self, name: str, steps: int) -> int | None:
        """Return the version trained at a stored step, or the newest if it does not come."""
        wanted = max(steps, 0) // self.sides[name].classifier.every
        give_up = time.monotonic() + PATIENCE
        while not self.classifiers.has(name, wanted):
            newest = self.classifiers.newest(name)
            if newest is not None and newest > wanted:
                return newest  # they come in order: after a restart, this one never will
            self.waiting = f'for classifier {wanted} of {name}'
            self.receive(block=True)
            if self.worker.stopping:
                return None
            if time.monotonic() > give_up:
                self.get_logger().warning(f'{self.waiting} for {PATIENCE:.0f} s: going on')
                return self.classifiers.newest(name)
        self.waiting = ''
        return wanted

    def receive(self, block: bool) -> None:
        """Take messages out of the inbox; wait up to 0.1 s for the first one if asked to."""
        try:
            self.take(*self.inbox.get(block, 0.1 if block else None))
            while True:
                self.take(*self.inbox.get_nowait())
        except Empty:
            return

    def take(self, topic: str, message: object) -> None:
        joiner = self.learner.joiner
        if topic == 'observation':
            try:
                joiner.add_observation(message.sequence, *frame_of(message, self.config.spaces))
            except ValueError as error:
                self.get_logger().warning(str(error), throttle_duration_sec=5.0)
            self.waiting = ''
        elif topic == 'step':
            joiner.add_step(record_of(message))
        elif topic == 'weights/classifier':
            self.classifiers.take(message)
        elif topic == 'state' and message.mode in MODES:
            self.ends_at = message if message.mode == 'done' else None
            self.checkpoints.state = message
            if message.mode == 'help':
                joiner.interventions.asked_for_help(message.sequence)
        elif topic == 'label':
            joiner.interventions.judge(message.sequence, message.label)
        elif topic == 'rest':
            self.rests_at = message.data

    def publish_on_time(self) -> None:
        """Announce weights whenever a multiple of `publish_every` sequences is settled."""
        settled = self.learner.joiner.next // self.every * self.every
        if settled > self.published:
            self.publish_weights(settled)

    def publish_weights(self, sequence: int) -> None:
        for name, agent in self.learner.agents.items():
            if self.health[name].words and name in self.weights.written:
                self.weights.publish_again(name, sequence, agent.steps)
                continue
            state = agent.policy.state_dict()
            self.weights.publish(name, state, agent.updates, sequence, agent.steps)
        self.published = sequence

    def finish_if_done(self) -> None:
        """When the supervisor says done and every step is settled, save once and say so."""
        if self.ends_at is None or self.finished:
            return
        if self.learner.joiner.next < self.ends_at.sequence:
            return
        self.finished = True
        self.checkpoints.policies(self.ends_at.steps)
        self.get_logger().info(f'practice is over: {self.learner.steps} steps are stored')

    def rest_if_due(self) -> bool:
        """When every step before the rest is settled and learned from, end; `close` saves it."""
        if self.rests_at is None or self.learner.joiner.next < self.rests_at:
            return False
        self.finish_if_done()
        self.get_logger().info(f'at rest at observation {self.rests_at}')
        rclpy.try_shutdown()
        return True

    # -- the executor thread -------------------------------------------------------------------

    def on_save_checkpoint(
        self, _: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        self.worker.ask(self.checkpoints.everything)
        response.success = True
        response.message = f'saving to {self.folder.checkpoints}'
        return response

    def publish_status(self) -> None:
        self.rates.append((time.monotonic(), self.learner.updates))
        (since, before), (now, after) = self.rates[0], self.rates[-1]
        status = LearnerStatus(
            stored=self.learner.steps,
            refused=self.learner.joiner.refused,
            updates=after,
            updates_per_second=(after - before) / max(now - since, 1e-9),
            owed=self.learner.owed,
            dropped=self.learner.dropped,
        )
        status.header.stamp = self.get_clock().now().to_msg()
        self.status_publisher.publish(status)

    def describe(self) -> tuple[str, dict[str, object]]:
        learner = self.learner
        sick = [f'{name}: {h.words}' for name, h in self.health.items() if h.words]
        words = Wrong('; '.join([*sick, self.waiting])) if sick else self.waiting
        return words, {
            'doing': '' if self.checkpoints.warm else 'cloning the demonstrations',
            'stored': learner.steps,
            'refused': learner.joiner.refused,
            'updates': learner.updates,
            'owed': learner.owed,
            'dropped': learner.dropped,
            'driven': self.checkpoints.stretches,
            'saved': self.checkpoints.saved,
        }

    def log(self, name: str, metrics: Metrics) -> None:
        for key, value in metrics.items():
            self.board.add_scalar(f'{name}/{key}', float(value), self.learner.agents[name].steps)

    def close(self) -> None:
        """Make every step durable first, then the networks."""
        started = time.monotonic()
        self.worker.stop()
        self.receive(block=False)
        self.save('the steps', self.settle_the_rest)
        say(f'{self.learner.steps} steps are safe, saving the networks')
        self.save('the networks', self.checkpoints.training_state)
        self.weights.close(keep=not self.finished)
        self.board.close()
        self.learner.replay.store.trim(self.learner.replay.counts)
        self.checkpoints.journal.close()
        say(f'run saved in {time.monotonic() - started:.1f} s')

    def settle_the_rest(self) -> None:
        while (resolved := self.learner.settle()) is not None:
            self.checkpoints.settled(resolved)
        self.checkpoints.driven(self.learner.joiner.interventions.close())
        self.checkpoints.record()

    def save(self, what: str, how: Callable[[], None]) -> None:
        try:
            how()
        except (OSError, ValueError) as error:
            say(f'{what} could not be saved ({error}); what was saved before is still there')


def main() -> None:
    one_arena()  # ROS has threads of its own
    run(Trainer)


if __name__ == '__main__':
    main()
