"""Practice in one process, without ROS: the same learner, supervisor and worlds as the graph's.

One turn is one policy step and everything it earns: the step is stored, due classifier events
run, due updates run, and the next action is drawn from the newest policy. A restored practice goes
on bit for bit, whatever the moment it was saved at.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medal_ros.bench.representation import pretrain
from medal_ros.config import RunConfig
from medal_ros.learning.classifier import ClassifierTrainer
from medal_ros.learning.demonstrations import Demonstration
from medal_ros.learning.device import choose_device
from medal_ros.learning.learner import Learner
from medal_ros.learning.learner_state import (
    learner_state,
    restore_learner,
    restore_reward,
    reward_state,
)
from medal_ros.learning.novelty import NoveltyTrainer
from medal_ros.learning.replay import FrameStore
from medal_ros.learning.weights import load_tensors, load_text, save_tensors
from medal_ros.robot.supervisor import Decision, Supervisor, Taken
from medal_ros.run_folder import RunFolder
from medal_ros.sim import make
from medal_ros.sim.task import Observation
from medal_ros.spaces import AGENTS


class Practice:
    """A run of practice in a stand-in.

    Args:
        config: The run. A stall is judged by the simulator's truth (`ask_for_help.privileged`).
        folder: Where the replay store and the saved state lie.
        demonstrations: Demonstrations of each direction.
        resume: Go on from the state saved in the folder.

    Attributes:
        resets: Policy steps at which the world was put back.
        segments: Of each agent, how many segments ended in success, and how many it had.
        rewarded: Policy steps after which the task was done.

    Raises:
        WeightsError: The saved state is missing, damaged or of other networks.
        ValueError: The replay store is not this run's.
    """

    def __init__(
        self,
        config: RunConfig,
        folder: RunFolder,
        demonstrations: dict[str, list[Demonstration]],
        resume: bool = False,
    ) -> None:
        self.config, self.folder = config, folder
        self.device = choose_device(config.graph.device)
        self.environment = make(config.task, config.seed, config.pixels, config.repeat)
        self.names = AGENTS if config.alternate else AGENTS[:1]
        self.learner = self._learner(demonstrations, resume)
        self.trainers = {
            name: self._trainer(name, demonstrations)
            for name in self.names
            if getattr(config, name).agent.reward != 'task'
        }
        for name, trainer in self.trainers.items():
            self.learner.classifiers[name] = trainer.classifier
        self.supervisor = Supervisor(config)
        self.rng = np.random.default_rng([config.seed, 4])
        self.resets: list[int] = []
        self.segments = {name: [0, 0] for name in self.names}
        self.rewarded = 0
        self._moment = 0  # observations decided on
        self._segment: int | None = None
        self._taken: Taken | None = None
        self._joined = False  # whether the newest frame in replay is what is seen now
        if resume:
            self._restore()
        else:
            self.learner.warm_up()
        self.seen: Observation = self.environment.observe()

    def _learner(self, demonstrations: dict[str, list[Demonstration]], resume: bool) -> Learner:
        c, spaces = self.config, self.environment.spaces
        capacity, mode = self.folder.replay_capacity(c.steps), 'r+' if resume else 'w+'
        store = FrameStore(spaces, capacity, self.folder.replay, mode)
        sides = {name: getattr(c, name) for name in self.names}
        learner = Learner(sides, spaces, demonstrations, store, c.seed, self.device)
        if not resume:
            pretrain(c, learner)
        return learner

    def _trainer(
        self, name: str, demonstrations: dict[str, list[Demonstration]]
    ) -> ClassifierTrainer | NoveltyTrainer:
        side, spaces = getattr(self.config, name), self.environment.spaces
        rng = np.random.default_rng([self.config.seed, 2, AGENTS.index(name)])
        torch.manual_seed(int(rng.integers(2**31)))
        if side.agent.reward == 'novelty':
            encoder = copy.deepcopy(self.learner.agents[name].policy.encoder)
            return NoveltyTrainer(side.novelty, spaces, name, encoder, rng, self.device)
        return ClassifierTrainer(side.classifier, spaces, name, demonstrations, rng, self.device)

    @property
    def steps(self) -> int:
        """Policy steps taken."""
        return self.learner.steps

    @property
    def done(self) -> bool:
        """Whether all steps are taken."""
        return self.steps >= self.config.steps

    def turn(self) -> None:
        """Take one policy step, whatever must happen before it, and learn what it earned."""
        while (decision := self._decide()).mode != 'practice':
            self._put_back(decision)
        if decision.segment != self._segment:
            self._segment = decision.segment
            self._begin_segment(decision.agent)
        self._act(decision.agent, decision.segment)
        self._learn(decision.agent)

    def _decide(self) -> Decision:
        """Return who acts; what was seen is decided on once."""
        truth = self.environment.object_position()
        decision = self.supervisor.observe(
            self._moment, None, self.seen['proprio'], truth, self._taken
        )
        self._moment += 1
        return decision

    def _put_back(self, decision: Decision) -> None:
        """Reset the world, as a person who was asked would, or the arm."""
        if decision.mode == 'help':
            self.environment.reset()
            self.resets.append(self.steps)
            self.supervisor.reset_done()
        else:
            self.environment.reset_arm(self.config.arm_reset.pose)
        self._taken = Taken('script', decision.segment)
        self.seen, self._joined = self.environment.observe(), False

    def _begin_segment(self, agent: str) -> None:
        """Let the world draw a goal; where that shows, no stored step spans it."""
        self.environment.begin_segment(agent)
        frame = self.environment.frame(self.seen)
        self.seen = self.environment.observe()
        self._joined &= bool((frame == self.environment.frame(self.seen)).all())

    def _act(self, name: str, segment: int) -> None:
        environment, replay = self.environment, self.learner.replay
        before = environment.frame(self.seen), self.seen['proprio']
        action = self._action(name, *before)
        self.seen, _, _, _, info = environment.step(action)
        if not self._joined:
            replay.add_frame(*before)
        replay.add_step(name, action, (float(info['success']), float(info['undone'])))
        replay.add_frame(environment.frame(self.seen), self.seen['proprio'])
        self._joined, self._taken = True, Taken('policy', segment)
        self.learner.credit(name)
        self.rewarded += info['success']
        if self.supervisor.decision.index + 1 >= self.config.segment_steps:
            own = info['success'] if name == 'forward' else info['undone']
            self.segments[name][0] += int(own)
            self.segments[name][1] += 1

    def _action(self, name: str, frame: np.ndarray, proprio: np.ndarray) -> np.ndarray:
        agent = self.learner.agents[name]
        if agent.steps < agent.config.seed_steps:
            size = self.environment.spaces.action
            return self.rng.uniform(-1.0, 1.0, size).astype(np.float32)
        return agent.policy.act(frame[None], proprio[None], agent.noise, self.rng)[0]

    def _learn(self, name: str) -> None:
        trainer = self.trainers.get(name)
        steps = self.learner.agents[name].steps
        while trainer and trainer.events < trainer.events_due(steps):
            trainer.event(self.learner.replay, (trainer.events + 1) * trainer.config.every)
        while self.learner.learn(name) is not None:
            pass

    # -- saving and going on -------------------------------------------------------------------

    @property
    def state_path(self) -> Path:
        return self.folder.training_state('practice')

    def save(self, text: dict[str, Any]) -> None:
        """Save everything, with values of the caller's own that belong to the same moment."""
        self.learner.replay.store.flush()
        self.folder.checkpoints.mkdir(parents=True, exist_ok=True)
        agents, learner = learner_state(self.learner)
        rewards, trainers = reward_state(self.trainers)
        tensors: dict[str, Tensor] = {}
        for name, own in [*agents.items(), *((f'reward_{n}', t) for n, t in rewards.items())]:
            # Shared tensors must be copied: safetensors refuses to hold one twice.
            shared = name in agents and self.learner.agents[name].config.share_encoder
            tensors |= {f'{name}/{k}': v.clone() if shared else v for k, v in own.items()}
        for name, arrays in (
            ('world', self.environment.snapshot()),
            ('stall', self.supervisor.stall.snapshot()),
        ):
            for key, value in arrays.items():
                tensors[f'{name}/{key}'] = torch.from_numpy(np.ascontiguousarray(value))
        own = {**learner, 'trainers': trainers, **self._values()}
        values = {'practice': json.dumps(own), 'caller': json.dumps(text)}
        save_tensors(tensors, self.state_path, values)

    def saved_text(self) -> dict[str, Any]:
        """Return what the caller of `save` had given."""
        return json.loads(load_text(self.state_path)['caller'])

    def _values(self) -> dict[str, Any]:
        return {
            'supervisor': self.supervisor.snapshot(),
            'rng': self.rng.bit_generator.state,
            'resets': self.resets,
            'segments': self.segments,
            'rewarded': self.rewarded,
            'own': [self._moment, self._segment, self._joined],
            'taken': [self._taken.source, self._taken.segment] if self._taken else None,
        }

    def _restore(self) -> None:
        tensors, values = (
            load_tensors(self.state_path),
            json.loads(load_text(self.state_path)['practice']),
        )
        rewards = {name: part(tensors, f'reward_{name}') for name in self.trainers}
        restore_reward(self.trainers, rewards, values['trainers'])
        self.environment.restore({k: v.numpy() for k, v in part(tensors, 'world').items()})
        self.supervisor.restore(values['supervisor'])
        stall = {k: v.numpy() for k, v in part(tensors, 'stall').items()}
        self.supervisor.stall.restore(stall)
        self.rng.bit_generator.state = values['rng']
        self.resets, self.segments = values['resets'], values['segments']
        self.rewarded = values['rewarded']
        self._moment, self._segment, self._joined = values['own']
        self._taken = Taken(*values['taken']) if values['taken'] else None
        agents = {name: part(tensors, name) for name in self.names}
        # Last: torch's generator is theirs.
        self.learner.replay.counts = restore_learner(self.learner, agents, values)

    def close(self) -> None:
        self.environment.close()


def part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the tensors below a name, without it."""
    return {k.removeprefix(f'{name}/'): v for k, v in tensors.items() if k.startswith(f'{name}/')}
