"""evaluator: measures saved policies beside the run, and writes what the run leaves for people.

It has environments of its own, no part in training, and the lowest priority. While it waits for
checkpoints it trains the cloning baseline. When practice is over it measures the final figures,
writes the summary, the curve and the videos, and ends: that is the end of the run.
"""

from __future__ import annotations

import gc
import time
from pathlib import Path
from queue import Empty, SimpleQueue

import rclpy
from rclpy.node import Node
from torch.utils.tensorboard import SummaryWriter

from medal_ros.config import NodeConfig, idles
from medal_ros.evaluation import (
    CLONING,
    FINAL,
    PERIODIC,
    Baseline,
    load_policy,
    measure,
    saved_steps,
    starts,
)
from medal_ros.learning.performance import one_arena, tune
from medal_ros.learning.states import States
from medal_ros.learning_curve import draw_learning_curve
from medal_ros.msg import Evaluation as EvaluationMessage
from medal_ros.msg import Learner, State, Weights
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, LATCHED, STREAM
from medal_ros.nodes.run import run
from medal_ros.nodes.worker import Worker
from medal_ros.report import Point, RunRecord, write_summary
from medal_ros.run_folder import RunFolder
from medal_ros.scheduling import be_nice
from medal_ros.sim.evaluate import rollout
from medal_ros.spaces import AGENTS
from medal_ros.statistics import Evaluation
from medal_ros.videos import write_rollouts

MISSED = 100  # interventions that one state may tell of at once


class Evaluator(Node):
    """Turns `weights/checkpoint` into `evaluation` and, at the end, the files of the run."""

    def __init__(self) -> None:
        super().__init__('evaluator', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, NodeConfig)
        tune(1)
        self.folder = RunFolder(Path(c.folder))
        self.record = RunRecord(task=c.task, preset=c.preset, seed=c.seed)
        self.started = time.monotonic()
        self.first_step: float | None = None
        self.done: State | None = None
        self.doing = ''
        self.checkpoints: SimpleQueue[Weights] = SimpleQueue()
        self.publisher = self.create_publisher(EvaluationMessage, 'evaluation', HISTORY)
        self.diagnostics = Diagnostics(self, self.describe)
        self.folder.checkpoints.mkdir(parents=True, exist_ok=True)
        self.baseline = Baseline(c, self.folder)
        self.states = States(self.folder.state('evaluator'))
        if c.resume:
            self.go_on()
        self.board = SummaryWriter(str(self.folder.tensorboard), filename_suffix='.evaluation')
        self.create_subscription(State, 'state', self.on_state, STREAM)
        self.create_subscription(Learner, 'learner', self.on_learner, LATCHED)
        self.create_subscription(Weights, 'weights/checkpoint', self.checkpoints.put, HISTORY)
        self.worker = Worker(self, self.follow_practice)
        self.worker.start()

    def go_on(self) -> None:
        """Take over what was measured before the run was stopped, and measure what is missing."""
        found, record, now = self.states.load(), self.record, time.monotonic()
        if found is not None:
            record.restore(found.values)
            self.started = now - 60 * record.minutes
            if record.practice_minutes:
                self.first_step = now - 60 * record.practice_minutes
        if len(record.cloning) < self.config.evaluation.cloning_checkpoints:
            self.baseline.known = {p.steps: p.evaluation for p in record.cloning}
            record.cloning.clear()  # training begins anew, and comes to the same
        else:
            self.baseline.steps = self.config.evaluation.cloning_steps
        for agent in AGENTS:
            measured = [point.steps for point in record.points_of(agent)]
            for steps in set(saved_steps(self.folder, agent)) - set(measured):
                path = str(self.folder.policy(agent, steps))
                self.checkpoints.put(Weights(agent=agent, steps=steps, path=path))

    def on_state(self, message: State) -> None:
        record, now = self.record, time.monotonic()
        if message.steps > record.steps:
            self.first_step = self.first_step or now
            record.practice_minutes = (now - self.first_step) / 60
        record.steps = message.steps
        missed = message.interventions - len(record.interventions)
        record.interventions += [message.steps] * min(missed, MISSED)
        self.done = message if message.mode == 'done' else None

    def on_learner(self, message: Learner) -> None:
        record = self.record
        record.updates, record.stored = message.updates, message.stored
        record.refused, record.dropped = message.refused, message.dropped

    # -- the worker thread ---------------------------------------------------------------------

    def follow_practice(self) -> None:
        """Measure checkpoints as they come; in between, train the baseline."""
        graph = self.config.graph
        be_nice(19, idles(graph), graph.learning_cores)  # this thread alone
        while not self.worker.stopping and not (self.measured_last() and self.baseline.done):
            try:
                message = self.checkpoints.get(self.baseline.done, 0.2)
            except Empty:
                if not self.baseline.done:
                    self.train_baseline()
                continue
            self.measure_checkpoint(message)
        if not self.worker.stopping:
            self.finish()

    def measured_last(self) -> bool:
        """Return whether practice is over and both of its last checkpoints are measured."""
        done, record = self.done, self.record
        return done is not None and all(
            any(point.steps == done.steps for point in record.points_of(agent)) for agent in AGENTS
        )

    def train_baseline(self) -> None:
        self.doing = 'training the cloning baseline'
        measured = len(self.baseline.checkpoints)
        self.baseline.step(self.worker.check)
        if len(self.baseline.checkpoints) > measured:
            outcome = list(self.baseline.checkpoints.values())[-1]
            self.record.cloning.append(Point(self.baseline.steps, CLONING, outcome))
            self.board.add_scalar('cloning/success', outcome.success, self.baseline.steps)
            self.publish(CLONING, self.baseline.steps, outcome)
        self.doing = ''

    def measure_checkpoint(self, message: Weights) -> None:
        if message.steps in (point.steps for point in self.record.points_of(message.agent)):
            return
        episodes = self.config.evaluation.episodes
        path = Path(message.path)
        if message.agent not in AGENTS or path != self.folder.policy(message.agent, message.steps):
            self.get_logger().warning(
                'a checkpoint that is not of this run is left out', throttle_duration_sec=5.0
            )
            return
        # Checkpoints are kept for who comes late, states are not.
        self.record.steps = max(self.record.steps, message.steps)
        outcome = self.measure(message.agent, path, PERIODIC, episodes)
        self.record.points.append(Point(message.steps, message.agent, outcome))
        self.board.add_scalar(f'{message.agent}/success', outcome.success, message.steps)
        self.publish(message.agent, message.steps, outcome)
        self.forget_policies(message.agent)
        self.write()

    def forget_policies(self, agent: str) -> None:
        """Remove measured policies beyond those that are kept, but never the best one."""
        keep, measured = self.config.storage.policies, self.record.points_of(agent)
        for point in measured[:-keep] if keep else ():
            if point.steps != self.record.best_steps:
                self.folder.policy(agent, point.steps).unlink(missing_ok=True)

    def finish(self) -> None:
        """Measure the final figures and write everything that the run leaves."""
        self.doing = 'final evaluation'
        c, record, folder = self.config, self.record, self.folder
        last = saved_steps(folder, 'forward')[-1]
        finals: dict[int, Evaluation] = {}
        for steps in {last, record.best_steps}:
            path = folder.policy('forward', steps)
            finals[steps] = self.measure('forward', path, FINAL, c.evaluation.final_episodes)
        record.final, record.best = finals[last], finals[record.best_steps]
        path = folder.policy('backward', last)
        record.backward_final = self.measure('backward', path, FINAL, c.evaluation.final_episodes)
        for agent in AGENTS:
            policy = load_policy(c, agent, folder.policy(agent, last))
            episodes = [
                rollout(policy, c.task, agent, s, c.pixels, c.repeat)
                for s in starts(c.seed, FINAL, 3)
            ]
            write_rollouts(folder.path / f'{agent}.mp4', agent, episodes)
        record.finished = True
        self.write()
        self.get_logger().info('the run is over')
        rclpy.try_shutdown()

    def measure(self, agent: str, path: Path, kind: int, episodes: int) -> Evaluation:
        return measure(self.config, agent, path, kind, episodes, self.worker.check)

    def write(self) -> None:
        """Write the summary and the curve as they stand: both can be looked at meanwhile."""
        self.write_summary()
        draw_learning_curve(self.record, self.folder.path / 'learning_curve.png')
        gc.collect()  # a figure refers to itself, and megabytes would wait for Python to look

    def write_summary(self) -> None:
        self.record.minutes = (time.monotonic() - self.started) / 60
        write_summary(self.record, self.folder.path)
        self.states.save((), self.record.snapshot())

    def publish(self, agent: str, steps: int, outcome: Evaluation) -> None:
        low, high = outcome.interval
        message = EvaluationMessage(
            agent=agent,
            steps=steps,
            episodes=outcome.episodes,
            success=outcome.success,
            success_ever=outcome.success_ever,
            low=low,
            high=high,
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self.publisher.publish(message)

    def describe(self) -> tuple[str, dict[str, object]]:
        return '', {'doing': self.doing, 'evaluations': len(self.record.points)}

    def close(self) -> None:
        """Stop measuring; a run that was stopped early leaves what is known of it."""
        self.worker.stop()
        if not self.record.finished:
            self.write_summary()
        self.board.close()


def main() -> None:
    one_arena()  # ROS has threads of its own
    run(Evaluator)


if __name__ == '__main__':
    main()
