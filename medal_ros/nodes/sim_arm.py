"""sim_arm: a simulated arm, its world and its cameras.

Takes decisions (`state`), actions (`action`) and what a person at the controls asks for
(`teleop`), executes one step for every sequence number, says what it executed (`step`) and shows
the result: one image per camera and `robot_state`. In lockstep the next observation follows the
step at once; with a rate, the clock.

A person takes over at the first message with the button held, in every mode and within the
present step: whatever waits for a policy waits no longer. Steps then follow the clock, in
lockstep too (10 Hz, as the tasks are made for), each executing what the person asked last, until
the button is let go. Nothing from him for `stale_after` seconds means hold.

Of what protects a real arm this applies here: actions that are not finite numbers are refused,
stale commands are not executed, and, where `gripper_hysteresis` or `gripper_dwell` is set, the
gripper is steadied. Workspace and step size are the world's own: every task clips its actions
and keeps its tool in its box, and to learn in it is to learn with those.

A world with several goals draws a new one when a segment starts (`TaskEnv.begin_segment`). Where
that shows, the arm holds for one step, a boundary, so that the policy sees the goal that it acts
for.
"""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import numpy as np
import rclpy
from rclpy.node import Node
from std_srvs.srv import Trigger

from medal_ros.msg import Action, State, Step, Teleop
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, STREAM, TELEOP
from medal_ros.nodes.run import run
from medal_ros.nodes.sim_view import SimView
from medal_ros.nodes.worker import Worker
from medal_ros.options import option
from medal_ros.robot.arm import Arm, Execution, Order
from medal_ros.robot.gripper import GripperFilter
from medal_ros.sim import TASKS, make, spaces_of
from medal_ros.sim.task import Observation

REPEAT = 1.0  # seconds without a step after which lockstep shows the same observation again
RESET, STOP = object(), object()  # commands to the worker beside the messages


@dataclass(frozen=True)
class SimArmConfig:
    """Parameters of sim_arm."""

    task: str = option('tabletop_quick', 'the world', choices=tuple(TASKS))
    seed: int = option(0, 'seeds the world', low=0, high=2**31 - 1)
    pixels: int = option(0, "rows and columns of every image; 0: the task's own", low=0, high=1024)
    repeat: int = option(1, 'control steps for which an action is executed', low=1)
    rate: float = option(0.0, 'steps per second; 0: lockstep, as fast as it goes', low=0, high=1000)
    arm_reset_pose: str = option(
        'fixed', 'where an arm reset moves the arm', choices=('fixed', 'random')
    )
    stale_after: float = option(
        0.2, 'seconds after which a command is too old and the arm holds', low=0.02, high=2
    )
    gripper_hysteresis: float = option(
        0.0, "size of an action's last number below which the gripper stays", low=0, high=0.95
    )
    gripper_dwell: float = option(
        0.0, 'least time between two changes of the gripper, seconds', low=0, high=10
    )
    publish_truth: bool = option(False, "publish the object's position, which no robot knows")
    publish_snapshots: bool = option(False, 'publish the whole world, to replay from it')


class SimArm(Node):
    """Executes steps in one worker thread, which alone touches the world and its renderer."""

    def __init__(self) -> None:
        super().__init__('sim_arm', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, SimArmConfig)
        spaces = spaces_of(c.task, c.pixels)
        steadied = c.gripper_hysteresis > 0 or c.gripper_dwell > 0
        gripper = GripperFilter(c.gripper_hysteresis, c.gripper_dwell) if steadied else None
        self.arm = Arm(spaces.action, c.stale_after, gripper)
        self.commands: SimpleQueue[object] = SimpleQueue()
        self.stepped_at = time.monotonic()
        self.stepped = False  # by the clock: this observation has its step, the next is not due
        self.reset_wanted = False
        self.segment: int | None = None  # of the newest step of a policy
        self.view = SimView(self, spaces.cameras, c.publish_truth, c.publish_snapshots)
        self.steps = self.create_publisher(Step, 'step', HISTORY)
        self.create_subscription(State, 'state', self.commands.put, STREAM)
        self.create_subscription(Action, 'action', self.commands.put, STREAM)
        self.create_subscription(Teleop, 'teleop', self.commands.put, TELEOP)
        self.create_service(Trigger, 'sim/reset', self.on_reset)
        self.diagnostics = Diagnostics(self, self.describe)
        self.worker = Worker(self, self.live)
        self.worker.start()

    def on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.commands.put(RESET)
        response.success, response.message = True, 'the world is put back before the next step'
        return response

    def describe(self) -> tuple[str, dict[str, object]]:
        arm, now = self.arm, time.monotonic()
        idle, words = now - self.stepped_at, arm.waits_for(now)
        if not arm.mux.engaged:
            words = f'{words} ({idle:.0f} s)' if idle > REPEAT else ''
        return words, {'sequence': arm.sequence, 'refused': arm.refused, 'ignored': arm.ignored}

    def close(self) -> None:
        self.commands.put(STOP)
        self.worker.stop()

    # -- the worker thread ---------------------------------------------------------------------

    def live(self) -> None:
        """Own the world from its making to its closing."""
        c = self.config
        self.world = make(c.task, c.seed, c.pixels, c.repeat)
        try:
            self.view.draw(self.world)
            self.show()
            while self.turn():
                pass
        except RuntimeError:
            if rclpy.ok():  # else: publishing was interrupted by the end
                raise
        finally:
            self.world.close()

    @property
    def period(self) -> float:
        """Seconds from one observation to the next; 0: lockstep."""
        if self.config.rate:
            return 1.0 / self.config.rate
        if self.arm.mux.engaged:
            return self.config.repeat / self.world.metadata['render_fps']
        return 0.0

    def turn(self) -> bool:
        """Take one command, or do what is due when none came in time; False: it was STOP."""
        try:
            command = self.commands.get(timeout=max(self.deadline - time.monotonic(), 0.0))
        except Empty:
            if self.period:
                self.tick()
            else:
                self.view.show_again()
                self.deadline = time.monotonic() + REPEAT
            return True
        self.take(command)
        return command is not STOP

    def take(self, command: object) -> None:
        c, refusal = command, ''
        if isinstance(c, State):
            self.arm.order(Order(c.sequence, c.mode, c.agent, c.segment, c.index))
        elif isinstance(c, Action):
            refusal = self.propose(c)
        elif isinstance(c, Teleop):
            refusal = self.take_teleop(c)
        elif c is RESET:
            self.reset_wanted = True
        if refusal:
            self.get_logger().warning(refusal, throttle_duration_sec=5.0)
        if not self.stepped:
            self.execute_due()

    def propose(self, message: Action) -> str:
        m = message
        if m.source != 'policy':
            return f'action {m.sequence} of {m.source!r} is refused: here only a policy asks'
        return self.arm.propose(time.monotonic(), m.sequence, m.agent, m.action)

    def take_teleop(self, message: Teleop) -> str:
        """Take over for a person at once, or hand back; return why his action is refused."""
        before, mux = self.arm.mux.engaged, self.arm.mux
        refusal = mux.teleop(time.monotonic(), message.engaged, message.action)
        if mux.engaged != before and (mux.engaged or not self.config.rate):
            # His first step comes at once, and after his last one lockstep goes on at once.
            if self.stepped:
                self.show()
            else:
                self.wait()
        return refusal

    def execute_due(self) -> None:
        """Execute what the arm says is due, if anything."""
        if self.reset_wanted:
            self.reset_wanted = False
            self.world.reset()
            self.finish(self.arm.reset())
        elif (execution := self.arm.due(time.monotonic())) is not None:
            self.perform(execution)

    def perform(self, execution: Execution) -> None:
        """Execute one step of the arm."""
        seen = None
        if execution.source == 'script':
            self.world.reset_arm(self.config.arm_reset_pose)
        elif execution.source == 'policy' and self.begins_anew(execution):
            execution = self.arm.hold(boundary=True)
        else:
            seen, *_ = self.world.step(execution.action)
        self.finish(execution, seen)

    def begins_anew(self, execution: Execution) -> bool:
        """Begin a segment if this is its first step; return whether the world now shows more."""
        if execution.segment == self.segment:
            return False
        self.segment, before = execution.segment, self.view.seen
        self.world.begin_segment(execution.agent)
        after = self.world.observe()
        return any(not np.array_equal(before[name], after[name]) for name in after)

    def tick(self) -> None:
        """Hold if nothing was executed since the last tick, then show the next observation."""
        if not self.stepped:
            self.perform(self.arm.hold())
        due = self.deadline
        self.show()
        self.deadline = max(due + self.period, time.monotonic())
        self.execute_due()

    def finish(self, execution: Execution, seen: Observation | None = None) -> None:
        """Say what was executed; in lockstep, show the result, `seen` where it is, at once."""
        self.arm.executed(execution)
        self.stepped_at = time.monotonic()
        self.publish_step(execution)
        self.view.draw(self.world, seen)  # now, so that who takes over need not wait for it
        self.stepped = True
        if not self.period:
            self.show()

    def show(self) -> None:
        """Show the next observation, which waits for its step."""
        self.stepped = False
        self.view.show(self.arm.sequence)
        self.wait()

    def wait(self) -> None:
        """Begin to wait for a step: until the next tick, or until lockstep asks again."""
        self.deadline = time.monotonic() + (self.period or REPEAT)

    def publish_step(self, execution: Execution) -> None:
        message = Step()
        message.header.stamp = self.view.stamp
        message.sequence = execution.sequence
        message.source, message.agent = execution.source, execution.agent
        message.segment, message.index = execution.segment, execution.index
        message.boundary = execution.boundary
        message.action = array('f', execution.action.tobytes())
        done = self.world.succeeded(), self.world.undone()
        message.task_rewards = array('f', map(float, done))
        self.steps.publish(message)


def main() -> None:
    run(SimArm)


if __name__ == '__main__':
    main()
