"""policy_server: holds both policies and answers each observation with the action of one.

In lockstep the weights used at step t are those of a fixed earlier step, so that a run repeats
exactly while collecting and learning overlap. On a wall clock it takes the newest that a thread
has read by then: inference waits neither for the learner nor for a disk. And it answers at the same
moment of every period: what varies in the time that inference takes must not show in the motion.
"""

from __future__ import annotations

import time

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from medal_ros.config import NodeConfig
from medal_ros.learning.performance import tune
from medal_ros.learning.policy import Policy
from medal_ros.msg import Action, Observation, State, Weights
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.messages import frame_of
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, STREAM
from medal_ros.nodes.run import run
from medal_ros.nodes.weights import WeightsReader
from medal_ros.scheduling import be_first
from medal_ros.spaces import AGENTS

PATIENCE = 60.0  # seconds to wait for the weights of the right step before taking the newest


class PolicyServer(Node):
    """Answers `observation` and `state` with `action`."""

    def __init__(self) -> None:
        super().__init__('policy_server', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, NodeConfig)
        if c.graph.rate > 0:
            be_first(c.graph.loop)
        tune(1)
        self.sides = {name: getattr(c, name).agent for name in AGENTS}
        self.policies = {name: Policy(self.sides[name], c.spaces).eval() for name in AGENTS}
        ahead = c.graph.rate > 0
        self.weights = WeightsReader(self, self.policies, 'sequence', ahead)
        self.observation: tuple[int, np.ndarray, np.ndarray] | None = None
        self.state: State | None = None
        self.answered: Action | None = None
        self.due = 0.0  # when to answer the present observation, monotonic; 0: at once
        self.waiting_since: float | None = None
        self.hurried: dict[str, int | None] = {}  # the newest weights, taken out of turn
        self.refused = self.late = 0
        self.publisher = self.create_publisher(Action, 'action', STREAM)
        self.create_subscription(Observation, 'observation', self.on_observation, STREAM)
        self.create_subscription(State, 'state', self.on_state, STREAM)
        self.create_subscription(Weights, 'weights/policy', self.on_weights, HISTORY)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.moment = self.create_timer(1.0, self.give, clock=steady, autostart=False)
        self.create_timer(1.0, self.check_patience)
        self.diagnostics = Diagnostics(self, self.describe)

    def on_observation(self, message: Observation) -> None:
        try:
            frame, proprio = frame_of(message, self.config.spaces)
        except ValueError as error:
            self.refused += 1
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)
            return
        self.observation = message.sequence, frame, proprio
        if self.answered is not None and self.answered.sequence == message.sequence:
            self.give()  # asked again: the answer was lost
        else:
            self.due = self.moment_after(message.tick)
            self.act()

    def on_state(self, message: State) -> None:
        if message.agent not in AGENTS:
            self.get_logger().warning('a state names no agent', throttle_duration_sec=5.0)
            return
        self.state = message
        self.act()

    def on_weights(self, message: Weights) -> None:
        self.weights.take(message)
        self.act()

    def act(self) -> None:
        """Answer the present observation, once everything that the answer needs is here."""
        if self.observation is None or self.state is None:
            return
        sequence, frame, proprio = self.observation
        state = self.state
        if state.mode != 'practice':
            self.waiting_since = None  # a person's minutes are not the learner's
            return
        if state.sequence != sequence:
            return
        if self.answered is not None and self.still_valid(self.answered):
            return
        if not self.ready(state.agent, sequence):
            self.waiting_since = self.waiting_since or self.now()
            return
        self.waiting_since = None
        action = self.choose(state.agent, sequence, frame, proprio)
        self.answered = Action(
            sequence=sequence,
            source='policy',
            agent=state.agent,
            action=action.tolist(),
            weights_sequence=self.weights.loaded[state.agent].sequence,
        )
        self.late += 0 < self.due < time.monotonic()
        self.give()

    def give(self) -> None:
        """Publish the answer, or do so when its moment of the period has come."""
        self.moment.cancel()
        if (wait := self.due - time.monotonic()) > 0:
            self.moment.timer_period_ns = int(1e9 * wait)
            self.moment.reset()
        elif self.still_valid(self.answered):
            if self.answered.header.stamp == Time():
                self.answered.header.stamp = self.get_clock().now().to_msg()
            self.publisher.publish(self.answered)

    def moment_after(self, tick: Time) -> float:
        """Return when to answer in the period that began at `tick`, monotonic; 0: at once."""
        graph = self.config.graph
        if not (graph.rate and graph.act_at):
            return 0.0
        whole, passed = graph.act_at / graph.rate, self.now() - (tick.sec + 1e-9 * tick.nanosec)
        # Never longer than that, whatever the clock of the arm says.
        return time.monotonic() + min(whole, whole - passed)

    def choose(
        self, agent: str, sequence: int, frame: np.ndarray, proprio: np.ndarray
    ) -> np.ndarray:
        """Return the action of one agent; exploration depends on seed and sequence alone."""
        rng = np.random.default_rng([self.config.seed, sequence])
        side, steps = self.sides[agent], self.weights.loaded[agent].steps
        if steps < side.seed_steps:
            return rng.uniform(-1.0, 1.0, self.config.spaces.action)
        noise = side.policy.noise(steps)
        return self.policies[agent].act(frame[None], proprio[None], noise, rng)[0]

    def still_valid(self, action: Action) -> bool:
        """Return whether an answer is for the present decision."""
        state = self.state
        return (
            state is not None
            and state.mode == 'practice'
            and (action.sequence, action.agent) == (state.sequence, state.agent)
        )

    def ready(self, agent: str, sequence: int) -> bool:
        """Load the weights that this step is to use; False while they are not there."""
        graph = self.config.graph
        if graph.rate > 0 or self.impatient():
            wanted = self.hurried[agent] = self.weights.newest(agent)
        else:
            wanted = max(0, (sequence - graph.lag) // graph.publish_every * graph.publish_every)
            # Those that were passed over are forgotten: to wait for them would be for ever.
            wanted = max(wanted, self.hurried.get(agent) or 0)
        if wanted is None or not self.weights.has(agent, wanted):
            return False
        self.weights.load(agent, wanted)
        return agent in self.weights.loaded

    def impatient(self) -> bool:
        return self.waiting_since is not None and self.now() - self.waiting_since > PATIENCE

    def check_patience(self) -> None:
        if self.impatient():
            self.get_logger().warning(
                f'no weights of the right step for {PATIENCE:.0f} s: going on with the newest'
            )
            self.act()

    def now(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    def close(self) -> None:
        self.weights.close()

    def describe(self) -> tuple[str, dict[str, object]]:
        waiting = 'for weights' if self.waiting_since is not None else self.weights.complaint
        steps = {f'{name}_steps': w.steps for name, w in self.weights.loaded.items()}
        counts = {'refused': self.refused, 'weights refused': self.weights.refused}
        return waiting, {**counts, 'late': self.late, **steps}


def main() -> None:
    run(PolicyServer)


if __name__ == '__main__':
    main()
