"""sim_arm: a simulated arm, its world and its cameras.

Takes decisions (`state`) and actions (`action`), executes one step for every sequence number,
says what it executed (`step`) and shows the result: one image per camera and `robot_state`.
In lockstep the next observation follows the step at once; with a rate, the clock.
"""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import rclpy
from geometry_msgs.msg import PointStamped
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from medal_ros.msg import Action, ArmState, State, Step
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.images import image_from_array
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, RAW, STREAM
from medal_ros.nodes.run import run
from medal_ros.nodes.worker import Worker
from medal_ros.options import option
from medal_ros.robot.arm import Arm, Execution, Order
from medal_ros.sim import TASKS, make, task_class

REPEAT = 1.0  # seconds without a step after which lockstep shows the same observation again
RESET, STOP = object(), object()  # commands to the worker beside State and Action


@dataclass(frozen=True)
class SimArmConfig:
    """Parameters of sim_arm."""

    task: str = option('tabletop_quick', 'the world', choices=tuple(TASKS))
    seed: int = option(0, 'seeds the world', low=0, high=2**31 - 1)
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
        spaces = task_class(c.task).spaces
        self.arm = Arm(spaces.action)
        self.commands: SimpleQueue[object] = SimpleQueue()
        self.images = {
            name: self.create_publisher(Image, f'camera/{name}/image_raw', RAW)
            for name in spaces.cameras
        }
        self.robot_state = self.create_publisher(ArmState, 'robot_state', STREAM)
        self.steps = self.create_publisher(Step, 'step', HISTORY)
        self.truth = None
        if c.publish_truth:
            self.truth = self.create_publisher(PointStamped, 'sim/object_position', STREAM)
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
        idle = time.monotonic() - self.stepped_at
        arm, words = self.arm, ''
        if idle > REPEAT:
            words = f'{arm.waits_for()} ({idle:.0f} s)'
        return words, {'sequence': arm.sequence, 'refused': arm.refused, 'ignored': arm.ignored}

    def close(self) -> None:
        self.commands.put(STOP)
        self.worker.stop()

    # -- the worker thread ---------------------------------------------------------------------

    stepped_at = time.monotonic()
    stepped = reset_wanted = False

    def live(self) -> None:
        """Own the world from its making to its closing."""
        self.world = make(self.config.task, self.config.seed)
        self.period = 1.0 / self.config.rate if self.config.rate else 0.0
        try:
            self.show()
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
                self.publish_shown()
                self.deadline = time.monotonic() + REPEAT
            return True
        self.take(command)
        return command is not STOP

    def take(self, command: object) -> None:
        if isinstance(command, State):
            c = command
            self.arm.order(Order(c.sequence, c.mode, c.agent, c.segment, c.index))
        elif isinstance(command, Action):
            c = command
            refusal = self.arm.propose(c.sequence, c.source, c.agent, c.action)
            if refusal:
                self.get_logger().warning(refusal, throttle_duration_sec=5.0)
        elif command is RESET:
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
                self.world.step(execution.action)
            self.finish(execution)

    def tick(self) -> None:
        """Hold if nothing was executed since the last tick, then show the next observation."""
        if not self.stepped:
            hold = self.arm.hold()
            self.world.step(hold.action)
            self.finish(hold)
        self.stepped = False
        self.show()
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
            self.show()
            self.deadline = self.stepped_at + REPEAT

    def publish_step(self, execution: Execution) -> None:
        message = Step()
        message.header.stamp = self.stamp
        message.sequence = execution.sequence
        message.source, message.agent = execution.source, execution.agent
        message.segment, message.index = execution.segment, execution.index
        message.boundary = execution.boundary
        message.action = array('f', execution.action.tobytes())
        done = self.world.undone() if execution.agent == 'backward' else self.world.succeeded()
        message.task_reward = array('f', (float(done),))
        self.steps.publish(message)

    def show(self) -> None:
        """Render and publish the present observation."""
        seen = self.world.observe()
        self.stamp = self.get_clock().now().to_msg()
        self.shown = [
            (publisher, image_from_array(seen[name], self.stamp, name))
            for name, publisher in self.images.items()
        ]
        state = ArmState(sequence=self.arm.sequence)
        state.header.stamp, state.header.frame_id = self.stamp, 'base'
        state.proprio = array('f', seen['proprio'].tobytes())
        self.shown.append((self.robot_state, state))
        if self.truth is not None:
            self.shown.insert(0, (self.truth, self.position()))
        self.publish_shown()

    def publish_shown(self) -> None:
        for publisher, message in self.shown:
            publisher.publish(message)

    def position(self) -> PointStamped:
        message = PointStamped()
        message.header.stamp, message.header.frame_id = self.stamp, 'base'
        place = [float(x) for x in self.world.object_position()]
        message.point.x, message.point.y, message.point.z = (*place, 0.0)[:3]
        return message


def main() -> None:
    run(SimArm)


if __name__ == '__main__':
    main()
