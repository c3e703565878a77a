"""sim_arm: a simulated arm, its world and its cameras.

Takes decisions (`state`) and actions (`action`), executes one step for every sequence number,
says what it executed (`step`) and shows the result: one image per camera and `robot_state`.
In lockstep the next observation follows the step at once; with a rate, the clock.

A world with several goals draws a new one when a segment starts (`TaskEnv.begin_segment`). The
decision that starts a segment answers an observation that was shown before it, so the first
observation of a segment still shows the goal of the segment before; all others show the new one.
"""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import rclpy
from rclpy.node import Node
from std_srvs.srv import Trigger

from medal_ros.msg import Action, State, Step
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, STREAM
from medal_ros.nodes.run import run
from medal_ros.nodes.sim_view import SimView
from medal_ros.nodes.worker import Worker
from medal_ros.options import option
from medal_ros.robot.arm import Arm, Execution, Order
from medal_ros.sim import TASKS, make, spaces_of

REPEAT = 1.0  # seconds without a step after which lockstep shows the same observation again
RESET, STOP = object(), object()  # commands to the worker beside State and Action


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
    publish_truth: bool = option(False, "publish the object's position, which no robot knows")


class SimArm(Node):
    """Executes steps in one worker thread, which alone touches the world and its renderer."""

    def __init__(self) -> None:
        super().__init__('sim_arm', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, SimArmConfig)
        spaces = spaces_of(c.task, c.pixels)
        self.arm = Arm(spaces.action)
        self.commands: SimpleQueue[object] = SimpleQueue()
        self.stepped_at = time.monotonic()
        self.stepped = False  # with a rate: this observation has its step, the next one is not due
        self.reset_wanted = False
        self.segment: int | None = None  # of the newest step of a policy
        self.view = SimView(self, spaces.cameras, c.publish_truth)
        self.steps = self.create_publisher(Step, 'step', HISTORY)
        self.create_subscription(State, 'state', self.commands.put, STREAM)
        self.create_subscription(Action, 'action', self.commands.put, STREAM)
        self.create_service(Trigger, 'sim/reset', self.on_reset)
        self.diagnostics = Diagnostics(self, self.describe)
        self.worker = Worker(self, self.live)
        self.worker.start()

    def on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.commands.put(RESET)
        response.success, response.message = True, 'the world is put back before the next step'
        return response

    def describe(self) -> tuple[str, dict[str, object]]:
        arm, idle = self.arm, time.monotonic() - self.stepped_at
        words = f'{arm.waits_for()} ({idle:.0f} s)' if idle > REPEAT else ''
        return words, {'sequence': arm.sequence, 'refused': arm.refused, 'ignored': arm.ignored}

    def close(self) -> None:
        self.commands.put(STOP)
        self.worker.stop()

    # -- the worker thread ---------------------------------------------------------------------

    def live(self) -> None:
        """Own the world from its making to its closing."""
        c = self.config
        self.world = make(c.task, c.seed, c.pixels, c.repeat)
        self.period = 1.0 / self.config.rate if self.config.rate else 0.0
        try:
            self.view.show(self.world, self.arm.sequence)
            self.deadline = time.monotonic() + (self.period or REPEAT)
            while self.turn():
                pass
        except RuntimeError:
            if rclpy.ok():  # else: publishing was interrupted by the end
                raise
        finally:
            self.world.close()

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
        c = command
        if isinstance(c, State):
            self.arm.order(Order(c.sequence, c.mode, c.agent, c.segment, c.index))
        elif isinstance(c, Action):
            refusal = self.arm.propose(c.sequence, c.source, c.agent, c.action)
            if refusal:
                self.get_logger().warning(refusal, throttle_duration_sec=5.0)
        elif c is RESET:
            self.reset_wanted = True
        if not self.stepped:
            self.execute_due()

    def execute_due(self) -> None:
        """Execute what the arm says is due, if anything."""
        if self.reset_wanted:
            self.reset_wanted = False
            self.world.reset()
            self.finish(self.arm.reset())
        elif (execution := self.arm.due()) is not None:
            if execution.source == 'script':
                self.world.reset_arm(self.config.arm_reset_pose)
            else:
                if execution.segment != self.segment:
                    self.segment = execution.segment
                    self.world.begin_segment(execution.agent)
                self.world.step(execution.action)
            self.finish(execution)

    def tick(self) -> None:
        """Hold if nothing was executed since the last tick, then show the next observation."""
        if not self.stepped:
            hold = self.arm.hold()
            self.world.step(hold.action)
            self.finish(hold)
        self.stepped = False
        self.view.show(self.world, self.arm.sequence)
        self.deadline = max(self.deadline + self.period, time.monotonic())
        self.execute_due()

    def finish(self, execution: Execution) -> None:
        """Say what was executed; in lockstep, show the result at once."""
        self.arm.executed(execution)
        self.stepped_at = time.monotonic()
        self.publish_step(execution)
        if self.period:
            self.stepped = True
        else:
            self.view.show(self.world, self.arm.sequence)
            self.deadline = self.stepped_at + REPEAT

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
