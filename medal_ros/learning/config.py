"""What the method leaves to choose: every key with its default and where that comes from.

Sources: *paper* is Sharma et al. 2023 (MEDAL++), *workshop* their earlier four pages ("A General
Pipeline for Autonomous Robotic RL"), *DrQ-v2*, *REDQ* and *SAC* the methods MEDAL++ builds on;
*ours* marks a choice that none of them states.
"""

from __future__ import annotations

from dataclasses import dataclass

from medal_ros.learning.novelty import NoveltyConfig
from medal_ros.learning.vae import VAEConfig
from medal_ros.options import group, option


@dataclass(frozen=True)
class ScheduleConfig:
    """A number that moves linearly from `start` to `end` and stays there."""

    start: float = option(1.0, 'value before the schedule begins', source='paper A.2')
    end: float = option(0.1, 'value after it', source='paper A.2')
    begin: int = option(
        0, "the agent's own stored step at which it begins", source='paper A.2', low=0
    )
    steps: int = option(
        50_000, "how many of the agent's own stored steps it takes", source='paper A.2', low=1
    )

    def __call__(self, step: int) -> float:
        """Return the value at one of the agent's own stored steps."""
        fraction = min(max((step - self.begin) / self.steps, 0.0), 1.0)
        return self.start + fraction * (self.end - self.start)


@dataclass(frozen=True)
class NoiseConfig(ScheduleConfig):
    """The deviation of scheduled noise, in units of the action."""

    start: float = option(0.3, 'standard deviation at first', source='ours', low=0)
    end: float = option(0.1, 'standard deviation at last', source='DrQ-v2', low=0)
    begin: int = option(0, "the agent's own stored step at which it begins", source='ours', low=0)
    steps: int = option(
        10_000, "how many of the agent's own stored steps it takes", source='ours', low=1
    )


@dataclass(frozen=True)
class EncoderConfig:
    """The image encoder of one agent: shared by its actor and critics, trained by the Q loss."""

    form: str = option(
        'learned',
        'learned: as below; vae: of an autoencoder trained before practice and then frozen',
        source='paper A.2; vae: R3L',
        choices=('learned', 'vae'),
    )
    filters: int = option(32, 'filters of each convolution', source='paper A.2', low=1)
    strides: tuple[int, ...] = option(
        (2, 1, 1, 1),
        'stride of each 3x3 convolution; [1, 1, 1, 1] is what the paper writes',
        source='DrQ-v2 code',
        low=1,
    )
    feature: int = option(
        50, 'width after the linear layer, LayerNorm and tanh', source='paper A.2', low=1
    )
    vae: VAEConfig = group(VAEConfig)

    @property
    def width(self) -> int:
        """Numbers of a feature."""
        return self.vae.latent if self.form == 'vae' else self.feature


@dataclass(frozen=True)
class PolicyConfig:
    """The form of the policy's distribution. Watch the metric `std`: a learned one can collapse."""

    form: str = option(
        'gaussian',
        'gaussian: tanh-squashed, learned deviation; noise: tanh mean and scheduled noise',
        source='paper A.2; noise: DrQ-v2',
        choices=('gaussian', 'noise'),
    )
    log_std_low: float = option(-10.0, 'least log deviation (gaussian)', source='SAC')
    log_std_high: float = option(2.0, 'greatest log deviation (gaussian)', source='SAC')
    noise: NoiseConfig = group(NoiseConfig)
    noise_clip: float = option(
        0.3, 'bound on the noise inside the losses (noise)', source='DrQ-v2', low=0
    )
    gripper_noise: float = option(
        1.0,
        "the gripper's noise, times that of the other numbers (noise): what is small enough to "
        'reach precisely never closes a gripper that hovers beside what it should grasp',
        source='ours; paper: none',
        low=0,
    )
    average: float = option(
        0.0,
        'rate, per update, of a running average of the policy, which is what is saved and '
        'deployed; practice itself uses the newest; 0: no average',
        source='ours; paper: none',
        low=0,
        high=1,
    )
    cloning_std: float = option(
        0.15, 'deviation that the cloning likelihood assumes (noise)', source='ours', low=1e-3
    )


@dataclass(frozen=True)
class CloningConfig:
    """Behaviour cloning: the term in the policy's loss and, as an option, a warm-up before it."""

    weight: ScheduleConfig = group(ScheduleConfig)
    into_encoder: bool = option(
        False, 'let the cloning term train the encoder too', source='paper: no (Q loss only)'
    )
    warm_up: int = option(0, 'cloning steps before practice begins', source='ours', low=0)
    mix: str = option(
        'additive',
        'additive: Q + weight * cloning; convex: (1 - weight) * Q + weight * cloning',
        source='paper s4; convex: published code',
        choices=('additive', 'convex'),
    )


@dataclass(frozen=True)
class EntropyConfig:
    """SAC's bonus for a random policy (form `gaussian` only); MEDAL++ has none."""

    weight: float = option(
        0.0, 'worth of a nat of entropy, at first; 0: no bonus', source='workshop', low=0
    )
    tuned: bool = option(True, 'let the weight move towards a target entropy', source='SAC')
    target: float = option(-1.0, 'target entropy for each number of an action, nats', source='SAC')


@dataclass(frozen=True)
class AgentConfig:
    """One agent, forward or backward: encoder, critics, policy and their training."""

    encoder: EncoderConfig = group(EncoderConfig)
    policy: PolicyConfig = group(PolicyConfig)
    cloning: CloningConfig = group(CloningConfig)
    entropy: EntropyConfig = group(EntropyConfig)
    hidden: int = option(1024, 'width of the actor and of each critic', source='paper A.2', low=1)
    actor_layers: int = option(4, 'hidden layers of the actor', source='paper A.2', low=1)
    critic_layers: int = option(4, 'hidden layers of each critic', source='paper A.2', low=1)
    critics: int = option(10, 'critics in the ensemble', source='paper A.1', low=1)
    subset: int = option(2, 'random critics in the minimum of a target', source='REDQ', low=1)
    discount: float = option(0.99, 'discount of future reward', source='workshop', low=0, high=1)
    target_rate: float = option(
        0.005,
        'how far targets move to the critics after each step',
        source='workshop',
        low=0,
        high=1,
    )
    learning_rate: float = option(3e-4, 'Adam, all of the agent', source='workshop', low=0)
    batch: int = option(256, 'transitions in a batch', source='paper A.1', low=1)
    demonstrations: int = option(64, 'of them from demonstrations', source='paper A.1', low=0)
    interventions: bool = option(
        True,
        'what a person drove in place of this agent joins its demonstrations, to be oversampled '
        'and cloned; it is never a goal state of a classifier',
        source='ours; HIL-SERL',
    )
    utd: float = option(
        1.0,
        'critic steps for each stored step, followed by one actor step',
        source='paper A.2: 1 on the robot, 3 in simulation',
        low=0,
    )
    max_owed: int = option(
        1000,
        'stored steps that the learner may fall behind before it gives up their updates',
        source='ours',
        low=1,
    )
    shift: int = option(4, 'greatest random shift of images, pixels', source='paper s4', low=0)
    share_transitions: bool = option(
        False, "learn from the other agent's steps too", source='paper: future work'
    )
    share_encoder: bool = option(
        False,
        "see through the forward agent's encoder, which both then train (backward)",
        source='paper: future work',
    )
    reward: str = option(
        'learned',
        "learned: the classifier's, of s'; task: the stand-in's own, of s', for doing the task "
        "(forward) or for undoing it (backward); novelty: how seldom s' was seen, over a frozen "
        'encoder',
        source='paper s4; task: paper figure 2; novelty: R3L',
        choices=('learned', 'task', 'novelty'),
    )
    actor_value: str = option(
        'mean',
        'what the policy ascends: the mean or the minimum of all critics',
        source='paper s4; min: SAC',
        choices=('mean', 'min'),
    )
    seed_steps: int = option(
        0,
        'first steps of the agent with uniformly random actions',
        source='ours; workshop: 10000',
        low=0,
    )
    learn_after: int = option(
        1000, "the agent's own stored steps before its first update", source='ours', low=1
    )
    precision: str = option(
        'auto',
        'bf16 runs matrix products in bfloat16; auto: bf16 on a GPU that has it, else fp32',
        source='ours',
        choices=('auto', 'fp32', 'bf16'),
    )


@dataclass(frozen=True)
class ClassifierConfig:
    """The classifier that is one agent's reward: goal states against the agent's own states."""

    every: int = option(
        1000, "the agent's own stored steps between two training events", source='paper A.2', low=1
    )
    steps: int = option(1, 'gradient steps in an event', source='workshop (robot)', low=1)
    positives: int = option(256, 'goal states in a batch', source='paper A.1', low=1)
    negatives: int = option(256, "the agent's own states in a batch", source='paper A.1', low=1)
    goal_states: int = option(
        20, 'K: last states of a demonstration that count as its goal', source='paper s4', low=1
    )
    backward_goals: str = option(
        'rest_and_last',
        'rest: forward demonstrations without their last K; rest_and_last: and the last K of '
        'backward ones; all: every state of forward demonstrations',
        source='paper Alg. 1',
        choices=('rest_and_last', 'rest', 'all'),
    )
    views: str = option(
        'wrist',
        'wrist: only the wrist camera where there is one; all: every camera',
        source='paper A.2',
        choices=('wrist', 'all'),
    )
    proprio: str = option(
        'backward',
        'which classifiers see proprioception',
        source='paper A.2',
        choices=('backward', 'both', 'none'),
    )
    filters: int = option(32, 'filters of each of the two convolutions', source='DrQ-v2', low=1)
    feature: int = option(50, 'width of the embedding', source='ours, as the encoder', low=1)
    hidden: int = option(256, 'width of the hidden layers', source='paper A.2', low=1)
    layers: int = option(2, 'hidden layers after the embedding', source='paper A.2', low=1)
    reward: str = option(
        '-log(1-C)',
        'how the classifier C becomes a reward',
        source='paper s4; log(C): published code; their sum: paper s3',
        choices=('-log(1-C)', 'log(C)', 'log(C)-log(1-C)'),
    )
    spectral_norm: bool = option(True, 'on every layer', source='paper s4')
    mixup: float = option(
        1.0, 'Beta parameter of mixup on embeddings; 0 switches it off', source='workshop', low=0
    )
    shift: int = option(4, 'greatest random shift of images, pixels', source='paper s4', low=0)
    learning_rate: float = option(3e-4, 'Adam', source='workshop', low=0)
    logit_limit: float = option(10.0, 'bound on the logit inside the reward', source='ours', low=0)
    precision: str = option(
        'auto',
        'bf16 runs matrix products in bfloat16; auto: bf16 on a GPU that has it, else fp32',
        source='ours',
        choices=('auto', 'fp32', 'bf16'),
    )


@dataclass(frozen=True)
class HealthConfig:
    """From when on what is learned is not handed on, and the last good weights stay in use."""

    saturated: float = option(
        0.98,
        'share of the motions of a batch, over some looks, at which a policy saturates; 0: any',
        source='ours',
        low=0,
        high=1,
    )
    window: int = option(
        20, 'looks, one every ten updates, that this share is the mean of', source='ours', low=1
    )
    margin: float = option(
        2.0, 'values beyond so often what the rewards allow diverge; 0: any', source='ours', low=0
    )
    collapsed: float = option(
        1e-4,
        "spread of a classifier's logits over goals and own states below which it says nothing; "
        '0: any',
        source='ours',
        low=0,
    )
    exploded: float = option(
        100.0, 'size of a logit beyond which a classifier explodes; 0: any', source='ours', low=0
    )


@dataclass(frozen=True)
class SideConfig:
    """One direction: its agent and what rewards it, a classifier unless said otherwise."""

    agent: AgentConfig = group(AgentConfig)
    classifier: ClassifierConfig = group(ClassifierConfig)
    novelty: NoveltyConfig = group(NoveltyConfig)
