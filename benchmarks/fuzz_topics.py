"""Every subscription of every node, as targets.

A target is the callback of the real node, made in this process with real parameters and never
spun; its messages pass through the bytes of the wire (`fuzz_mutations.mutate_message`).
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from fuzz_franka import franka
from fuzz_target import TASK, Target, sent
from geometry_msgs.msg import PointStamped
from medal_ros.msg import (
    Action,
    ArmState,
    Evaluation,
    Label,
    Learner,
    Observation,
    Reward,
    State,
    Step,
    Stored,
    Teleop,
    Weights,
)
from safetensors.numpy import save
from sensor_msgs.msg import Image, Joy
from std_msgs.msg import String, UInt8MultiArray, UInt64

from medal_ros.learning import weights
from medal_ros.live import View as LiveView
from medal_ros.sim import spaces_of
from medal_ros.status import describe
from medal_ros.train import show


def topics(made: dict[str, Any], config: Any, run: Any) -> Iterator[Target]:
    """Yield a target for each subscription of each node."""
    spaces, m = spaces_of(TASK), SimpleNamespace(**made)
    size, frame = spaces.action, np.zeros((spaces.height, spaces.width, 3), np.uint8)
    moment = [0]

    def image() -> Image:
        from medal_ros.nodes.images import image_from_array

        message = image_from_array(frame)
        message.header.stamp.sec = 1000 + moment[0]
        return message

    def next_() -> int:
        moment[0] += 1
        return moment[0]

    def observation() -> Observation:
        message = Observation(sequence=next_(), names=list(spaces.cameras), images=[image()])
        message.proprio = [0.1] * spaces.proprio
        return message

    def state(sequence: int | None = None, mode: str = 'practice') -> State:
        at = moment[0] if sequence is None else sequence
        return State(sequence=at, mode=mode, agent='forward', segment=1, total_steps=9)

    def step() -> Step:
        message = Step(sequence=moment[0], source='policy', agent='forward')
        message.action, message.task_rewards = [0.1] * size, [0.0, 1.0]
        return message

    def announced(name: str) -> Callable[[], Weights]:
        path = run.path / f'{name}.safetensors'
        module = made['trainer'].learner.agents['forward'].policy
        written = weights.save_tensors(module.state_dict(), path)

        def message() -> Weights:
            return Weights(
                agent='forward', version=moment[0], sequence=moment[0], steps=moment[0],
                size=written.size, checksum=written.checksum, path=str(path),
            )  # fmt: skip

        return message

    def snapshot() -> UInt8MultiArray:
        arrays = {'sequence': np.array([moment[0]], np.uint64), 'mug': np.zeros(2)}
        return UInt8MultiArray(data=save(arrays))

    def health() -> DiagnosticArray:
        status = DiagnosticStatus(name='medal/x: status', hardware_id='medal/x', message='ok')
        return DiagnosticArray(status=[status])

    def learn(topic: str) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            m.trainer.take(topic, message)
            for _ in range(50):
                if not m.trainer.settle():
                    return
            # More would come: it must end.
            while m.trainer.settle():
                pass

        return take

    def follow(message: Weights) -> None:
        m.evaluator.measure_checkpoint(message)

    def serve(message: Stored) -> None:
        m.reward.train(message)

    live = LiveView(9, 'x', io.StringIO())

    def listen(kind: str) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            m.monitor._take(kind, message)
            show(live, kind, m.monitor.newest[kind])
            live.tick()
            describe(m.monitor)

        return take

    def draw_terminal(callback: Callable[[Any], None]) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            callback(message)
            m.teleop_keyboard.draw()

        return take

    m.view.create_subscription(Image, 'view/observation', lambda _: None, 1)
    m.view.create_subscription(Image, 'view/status', lambda _: None, 1)
    until = time.monotonic() + 10
    while not m.view.seen.get_subscription_count() and time.monotonic() < until:
        time.sleep(0.05)
    arm = m.sim_arm
    drive = lambda: Teleop(engaged=True, action=[0.1] * size)  # noqa: E731
    act = lambda: Action(  # noqa: E731
        sequence=arm.arm.sequence, source='policy', agent='forward', action=[0.1] * size
    )
    ordered = lambda: state(arm.arm.sequence)  # noqa: E731
    policy, classifier = announced('policy'), announced('classifier')
    figures = lambda: Evaluation(agent='forward', steps=5, episodes=4, success=0.5)  # noqa: E731
    reading = lambda: Reward(sequence=moment[0], forward=0.5)  # noqa: E731
    joy = lambda: Joy(axes=[0.0] * 6, buttons=[0] * 15)  # noqa: E731
    arm_state = lambda: _stamped(ArmState(sequence=next_(), proprio=[0.1] * 3), moment[0])  # noqa: E731
    words = lambda: String(data='words')  # noqa: E731
    camera, robot = m.camera_sync.inputs
    shown = m.teleop_keyboard
    for name, good, take in (
        ('sim_arm state', ordered, arm.take),
        ('sim_arm action', act, arm.take),
        ('sim_arm teleop', drive, arm.take),
        ('camera_sync camera/third/image_raw', image, camera.take),
        ('camera_sync robot_state', arm_state, robot.take),
        ('supervisor observation', observation, m.supervisor.on_observation),
        ('supervisor step', step, m.supervisor.on_step),
        ('supervisor teleop', drive, m.supervisor.on_teleop),
        ('supervisor arm/help', words, partial(m.supervisor.on_help, 'arm/help')),
        ('supervisor sensors/help', words, partial(m.supervisor.on_help, 'sensors/help')),
        ('supervisor sim/object_position', PointStamped, m.supervisor.on_truth),
        ('policy_server observation', observation, m.policy_server.on_observation),
        ('policy_server state', state, m.policy_server.on_state),
        ('policy_server weights/policy', policy, m.policy_server.on_weights),
        ('reward observation', observation, m.reward.show),
        ('reward stored', Stored, serve),
        ('reward state', state, m.reward.on_state),
        ('trainer observation', observation, learn('observation')),
        ('trainer step', step, learn('step')),
        ('trainer state', state, learn('state')),
        ('trainer rest', UInt64, learn('rest')),
        ('trainer label', lambda: Label(label='failure'), learn('label')),
        ('trainer weights/classifier', classifier, learn('weights/classifier')),
        ('evaluator state', state, m.evaluator.on_state),
        ('evaluator learner', Learner, m.evaluator.on_learner),
        ('evaluator weights/checkpoint', policy, follow),
        ('operator state', lambda: state(mode='help'), m.operator.on_state),
        ('demo_recorder sim/snapshot', snapshot, m.demo_recorder.on_snapshot),
        ('demo_recorder observation', observation, m.demo_recorder.on_observation),
        ('demo_recorder step', step, m.demo_recorder.on_step),
        ('demo_recorder state', state, m.demo_recorder.mover.on_state),
        ('demo_view observation', observation, m.demo_view.on_observation),
        ('demo_view demos', words, m.demo_view.on_words),
        ('view observation', observation, m.view.on_observation),
        ('view state', state, m.view.on_state),
        ('view reward', reading, m.view.on_reward),
        ('teleop_joy joy', joy, m.teleop_joy.on_joy),
        ('teleop_joy step', step, m.teleop_joy.controls.on_step),
        ('teleop_keyboard observation', observation, draw_terminal(shown.on_observation)),
        ('teleop_keyboard state', state, draw_terminal(shown.on_state)),
        ('teleop_keyboard demos', words, draw_terminal(shown.on_demos)),
        ('teleop_keyboard step', step, draw_terminal(shown.controls.on_step)),
        ('monitor state', state, listen('state')),
        ('monitor learner', Learner, listen('learner')),
        ('monitor evaluation', figures, listen('evaluation')),
        ('monitor /diagnostics', health, m.monitor._take_health),
        *(
            (f'{name} /diagnostics', health, node.diagnostics.listen)
            for name, node in made.items()
            if hasattr(node, 'diagnostics')
        ),
        *franka(size),
    ):
        yield Target('topic', name, sent(good), take)


def _stamped(message: Any, second: int) -> Any:
    message.header.stamp.sec = 1000 + second
    return message
