"""What a Franka arm does in each control step, and what it is commanded in between.

The mux says who commands, the box how far, the guard whether anything may be commanded at all,
and the stream makes 50 targets a second of ten. No ROS here: the node tells what came in and
what was measured, and publishes `executions`, `shown` and `target`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medal_ros.options import group, option
from medal_ros.robot.arm import Execution, Order
from medal_ros.robot.franka_config import FrankaConfig
from medal_ros.robot.franka_guard import Guard
from medal_ros.robot.interpolation import TargetStream
from medal_ros.robot.mux import Command, CommandMux
from medal_ros.robot.pose import Pose
from medal_ros.robot.safety import Refused, SafetyBox, SafetyConfig
from medal_ros.scheduling import LoopConfig

SCRIPT_SPEED = 0.1  # of a scripted motion, metres per second
NEAR = 0.005  # metres that are not worth a motion
SETTLE = 0.5  # seconds that the arm may lag behind its target


@dataclass(frozen=True)
class FrankaArmConfig(FrankaConfig):
    """Parameters of franka_arm."""

    action: int = option(4, 'numbers of an action: 4, or 5 with yaw', choices=(4, 5))
    arm_reset_pose: str = option(
        'fixed',
        'where an arm reset ends: at the home pose, or where the box is nearest to it; or anywhere '
        'in the box',
        choices=('fixed', 'random'),
    )
    rate: float = option(10.0, 'control steps per second', source='paper A.2', low=1, high=50)
    stream_rate: float = option(50.0, 'targets per second', source='crisp_py', low=10, high=1000)
    stale_after: float = option(
        0.2, 'seconds after which a command is too old and the arm holds', low=0.02, high=2
    )
    folder: str = option('', "the run's folder, which says where it ended; empty: there is none")
    resume: bool = option(False, "count on behind what the run's folder holds")
    safety: SafetyConfig = group(SafetyConfig)
    loop: LoopConfig = group(LoopConfig)


@dataclass(frozen=True)
class Measured:
    """What the arm measured of itself.

    Attributes:
        pose: Of the tool.
        tilt: Angle between the gripper and straight down, radians.
        width: Between the fingers, metres.
        joints: Angles of the seven joints, radians.
    """

    pose: Pose
    tilt: float
    width: float
    joints: tuple[float, ...]


class FrankaControl:
    """One arm, step by step. Times are monotonic seconds.

    Attributes:
        sequence: The observation that waits for its step.
        executions: Steps to publish, oldest first; whoever publishes them takes them out.
        closed: Whether the gripper is commanded closed.
        refusal: Why the newest command was refused, in words; empty when it was not.
    """

    def __init__(self, config: FrankaArmConfig) -> None:
        self.config = config
        self.guard = Guard(config)
        self.mux = CommandMux(config.action, config.stale_after)
        self.box = SafetyBox(config.safety, config.action)
        self.sequence = -1
        self.executions: deque[Execution] = deque()
        self.closed = False
        self.refusal = ''
        self.measured: Measured | None = None
        self._stream: TargetStream | None = None
        self._order: Order | None = None
        self._stepped = True  # this observation has its step
        self._source = ''  # of that step
        self._offered: tuple[int, str] | None = None  # sequence and agent of the policy's action
        self._script = ''  # home, then move where the reset ends anywhere; empty: none
        self._arrives = 0.0
        self._interrupted = False
        self._rng = np.random.default_rng()
        self._aimed = 0.0  # when the target last changed by a command

    def go_on(self, sequence: int) -> None:
        """Count on from an observation that nobody answered, in a run that goes on.

        What happened to the robot since then nobody knows: its step is a break.
        """
        self.sequence, self._interrupted = sequence - 1, sequence > 0

    # -- what comes in ---------------------------------------------------------------------------

    def order(self, order: Order, now: float) -> None:
        """Take the supervisor's decision."""
        self._order = order
        self._act(now)

    def action(self, sequence: int, agent: str, action: Sequence[float], now: float) -> str:
        """Take a policy's action; return why it is refused, empty when it is not."""
        if sequence != self.sequence:
            self.mux.ignored += 1
            return ''
        what = f'action {sequence} of the {agent} policy'
        refusal = self.mux.policy(now, agent, action, what)
        self._offered = None if refusal else (sequence, agent)
        self._act(now)
        return refusal

    def teleop(self, engaged: bool, action: Sequence[float], now: float) -> str:
        """Take a message of the person at the controls; return why it is refused, or nothing."""
        taken_over = engaged and not self.mux.engaged
        refusal = self.mux.teleop(now, engaged, action)
        if taken_over and self._script:
            self.guard.cut_short()
            self._script = ''
            self._finish('script', '', self._nothing(), boundary=True)
        if self.guard.state == 'ready' and self._stream is not None:
            if engaged:
                self._drive(now)
            else:
                self._stream.stop(now)
        return refusal

    # -- what goes out ---------------------------------------------------------------------------

    def tick(self, measured: Measured | None, now: float) -> bool:
        """Begin a control step; return whether its observation is to be shown.

        While the arm may not be commanded nothing is shown, so that nobody acts on it.
        """
        self.measured = measured
        if self.guard.state != 'ready' or measured is None:
            self._interrupt(now)
            return False
        if self._script and not self._arrived(now):
            return False
        if self._interrupted:
            # An observation that nobody saw: what led to it is never learned from.
            self.sequence += 1
            self._finish('script', '', self._nothing(), boundary=True)
        elif not self._stepped:
            self._hold(now)
        if self._interrupted or self._stream is None:
            self._stream = TargetStream(measured.pose, 1.0 / self.config.rate)
            self._interrupted = False
        self.sequence += 1
        self._stepped, self._source, self._offered = False, '', None
        self.mux.forget_policy()
        if self.mux.engaged:
            self._drive(now)
        return True

    def target(self, now: float) -> Pose | None:
        """Return where the tool is to be now; None: nothing may be commanded."""
        if self._stream is None or self._interrupted or self.guard.state != 'ready':
            return None
        stale = now - self._aimed > self.config.stale_after
        if stale and self.measured is not None and not self._script:
            self._settle(now)
        return self._stream.at(now)

    def proprio(self) -> np.ndarray:
        """Return what was measured in [-1, 1]: position, yaw where the task turns, width."""
        c, m = self.config.safety, self.measured
        low, high = [*c.low], [*c.high]
        values = [*m.pose.position]
        if self.config.action == 5:
            middle = (c.yaw_low + c.yaw_high) / 2
            low, high = [*low, c.yaw_low], [*high, c.yaw_high]
            values.append(middle + np.remainder(m.pose.yaw - middle + np.pi, 2 * np.pi) - np.pi)
        low, high, values = [*low, 0.0], [*high, self.config.gripper.width], [*values, m.width]
        scaled = 2 * (np.array(values) - low) / (np.array(high) - low) - 1
        return np.clip(scaled, -1.0, 1.0).astype(np.float32)

    def waits_for(self) -> str:
        """Return what the arm waits for, in words; empty: nothing."""
        if self.guard.state != 'ready':
            return f'{self.guard.state}: {self.guard.reason}'
        return self.refusal

    # -- steps -----------------------------------------------------------------------------------

    def _act(self, now: float) -> None:
        """Execute what the order for this observation asks for, once it is all here."""
        order = self._order
        if self._stepped or order is None or order.sequence != self.sequence:
            return
        if self.guard.state != 'ready' or self._interrupted or self.mux.engaged:
            return
        if order.mode == 'arm_reset':
            self._begin_reset()
        elif order.mode == 'practice' and self._offered == (self.sequence, order.agent):
            command = self.mux.command(now)
            if command.source == 'policy':
                self._execute(command, now)

    def _begin_reset(self) -> None:
        """Open the gripper and have the joints move; the step ends when they have arrived."""
        home = self.config.home
        farthest = np.abs(np.subtract(home.joints, self.measured.joints)).max()
        seconds = max(home.least_seconds, float(farthest) / home.speed)
        self.guard.home(seconds)
        self.mux.begin_script()
        self.box.gripper.moved(False)
        self.closed, self._script, self._stepped = False, 'home', True

    def _arrived(self, now: float) -> bool:
        """Go on with an arm reset; return whether it is done."""
        if self._script == 'home':
            self._stream = TargetStream(self.measured.pose, 1.0 / self.config.rate, SCRIPT_SPEED)
            self._interrupted = False
            place = self._end_of_reset(self.measured.pose.position)
            way = float(np.linalg.norm(place - self.measured.pose.position))
            if way > NEAR:
                self._stream.aim(now, Pose(place, self.config.safety.yaw))
                self._script, self._arrives = 'move', now + way / SCRIPT_SPEED + SETTLE
                return False
        elif now < self._arrives:
            return False
        self._finish('script', '', self._nothing(), boundary=True)
        self._script, self._stream = '', None  # the next one is as fast as steps are
        self.mux.end_script()
        self.mux.executed('script', 0.0)
        return True

    def _end_of_reset(self, home: np.ndarray) -> np.ndarray:
        """Return where a reset ends: at home, or where the box is nearest; or anywhere in it."""
        if self.config.arm_reset_pose == 'random':
            return self._rng.uniform(self.box.low, self.box.high)
        return np.clip(home, self.box.low, self.box.high)

    def _drive(self, now: float) -> None:
        """Do what the person asks, at once; the step of this observation becomes his."""
        command = self.mux.command(now)
        if command.source == 'teleop' and self.measured is not None and self.sequence >= 0:
            self._execute(command, now)

    def _execute(self, command: Command, now: float) -> None:
        try:
            self._check_tilt()
            move = self.box.step(now, self.measured.pose, command.action)
        except Refused as error:
            self.refusal = str(error)
            self._hold(now)
            return
        self.refusal = ''
        self._stream.aim(now, move.target)
        self._aimed, self.closed = now, move.closed
        self.mux.executed(command.source, float(move.action[-1]))
        # A second source within one step makes that step one that is never learned from.
        if not self._stepped or self._source != command.source:
            self._finish(command.source, command.agent, move.action)

    def _hold(self, now: float) -> None:
        """Execute the step that moves nothing."""
        self._settle(now)
        if not self._stepped:
            self._finish('hold', '', self.mux.hold().action)

    def _settle(self, now: float) -> None:
        """Stay where the arm was sent, or where it is if that is far off."""
        try:
            self._stream.restart(self.box.hold(self.measured.pose, self._stream.at(now)))
        except Refused as error:
            self.refusal = str(error)
            self._stream.stop(now)

    def _check_tilt(self) -> None:
        most = self.config.frames.max_tilt
        if self.measured.tilt > most:
            raise Refused(
                f'the gripper leans {self.measured.tilt:.2g} rad from straight down, more than '
                f'{most:g}: home the arm'
            )

    def _interrupt(self, now: float) -> None:
        """Nothing may be commanded, or nobody knows where the arm is."""
        if self._stream is not None:
            self._stream.stop(now)
        if not self._script:
            self._interrupted = self.sequence >= 0
            if not self._stepped:
                self._finish('hold', '', self.mux.hold().action, boundary=True)

    def _finish(self, source: str, agent: str, action: np.ndarray, boundary: bool = False) -> None:
        order = self._order
        segment, index = (order.segment, order.index) if order is not None else (0, 0)
        self.executions.append(
            Execution(self.sequence, source, agent, segment, index, boundary, action)
        )
        self._stepped, self._source = True, source

    def _nothing(self) -> np.ndarray:
        return np.zeros(self.config.action, np.float32)
