"""sim_arm: a simulated arm, its world and its cameras.

Takes decisions (`state`), actions (`action`) and what a person at the controls asks for
(`teleop`), executes one step for every sequence number, says what it executed (`step`) and shows
the result: one image per camera, `robot_state`, and, of an arm that RViz can show, `joint_states`.
In lockstep the next observation follows the step at once; with a rate, the clock.

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

import math
import time
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np
import rclpy
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger

from medal_ros.bounded import plain
from medal_ros.msg import Action, State, Step, Teleop
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import HISTORY, LATCHED, STREAM, TELEOP
from medal_ros.nodes.run import run
from medal_ros.nodes.sim_view import FAULTS, SimView
from medal_ros.nodes.worker import Worker
from medal_ros.nodes.world_keeper import WorldKeeper
from medal_ros.options import group, option
from medal_ros.robot.arm import Arm, Execution, Order
from medal_ros.robot.gripper import GripperFilter
from medal_ros.run_folder import RunFolder
from medal_ros.scheduling import LoopConfig, be_first
from medal_ros.sim import TASKS, make, spaces_of, task_class
from medal_ros.spaces import AGENTS
from medal_ros.srv import Start

REPEAT = 1.0  # seconds without a step after which lockstep shows the same observation again
STOP = object()  # a command to the worker beside the messages


@dataclass(frozen=True)
class Reset:
    """Ask for the world to be put back: anywhere, or to the start that a seed draws."""

    seed: int | None = None
    options: dict[str, str] = field(default_factory=dict)


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
    faults: bool = option(False, 'obey sim/fault: cameras and clock that go wrong on purpose')
    publish_snapshots: bool = option(False, 'publish the whole world, to replay from it')
    folder: str = option('', "the run's folder, where the world is kept; empty: nowhere")
    resume: bool = option(False, "go on from what the run's folder holds")
    loop: LoopConfig = group(LoopConfig)


class SimArm(Node):
    """Executes steps in one worker thread, which alone touches the world and its renderer."""

    def __init__(self) -> None:
        super().__init__('sim_arm', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, SimArmConfig)
        if c.rate > 0:
            be_first(c.loop)
        spaces = spaces_of(c.task, c.pixels)
        steadied = c.gripper_hysteresis > 0 or c.gripper_dwell > 0
        gripper = GripperFilter(c.gripper_hysteresis, c.gripper_dwell) if steadied else None
        self.gripper = gripper
        self.arm = Arm(spaces.action, c.stale_after, gripper)
        self.commands: SimpleQueue[object] = SimpleQueue()
        self.stepped_at = time.monotonic()
        self.commanded_at = -math.inf  # when a policy's action for its observation came last
        self.served = False  # by the clock: what was due came first, now a command may
        self.moved = False  # whether the newest step was a policy's
        self.stepped = False  # by the clock: this observation has its step, the next is not due
        self.reset_wanted: Reset | None = None
        self.given = False  # the world was put to a start, which no new goal may change
        self.segment: int | None = None  # of the newest step of a policy
        self.keeper: WorldKeeper | None = None
        if c.folder:
            self.keeper = WorldKeeper(RunFolder(Path(c.folder)), c.seed, self.get_logger())
        joints = task_class(c.task).joint_names
        self.view = SimView(self, spaces.cameras, joints, c.publish_truth, c.publish_snapshots)
        self.steps = self.create_publisher(Step, 'step', HISTORY)
        self.create_subscription(State, 'state', self.commands.put, STREAM)
        self.create_subscription(Action, 'action', self.commands.put, STREAM)
        self.create_subscription(Teleop, 'teleop', self.commands.put, TELEOP)
        if c.faults:
            self.create_subscription(String, 'sim/fault', self.on_fault, LATCHED)
        self.create_service(Trigger, 'sim/reset', self.on_reset)
        self.create_service(Start, 'sim/start', self.on_start)
        self.diagnostics = Diagnostics(self, self.describe)
        self.worker = Worker(self, self.live)
        self.worker.start()

    def on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.commands.put(Reset())
        response.success, response.message = True, 'the world is put back before the next step'
        return response

    def on_fault(self, message: String) -> None:
        if message.data in ('', *FAULTS):
            self.view.fault = message.data

    def on_start(self, request: Start.Request, response: Start.Response) -> Start.Response:
        known = task_class(self.config.task).start_sets
        name = request.set or known[0]
        if name not in known:
            response.message = f'there is no start set {name!r}; there are {", ".join(known)}'
            return response
        start = 'done' if request.done else 'initial'
        self.commands.put(Reset(request.seed, {'start': start, 'set': name}))
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
            if c.resume and self.keeper is not None:
                self.go_on()
            self.view.draw(self.world)
            self.show()
            while self.turn():
                pass
            if self.keeper is not None:
                self.keeper.save(self.world, self.state())
        except RuntimeError:
            if rclpy.ok():  # else: publishing was interrupted by the end
                raise
        finally:
            self.world.close()

    def go_on(self) -> None:
        """Go on where the run rests, or in the place of an arm that ended."""
        if restarts := self.keeper.restarts():
            self.take_the_place(restarts)
            return
        self.arm.sequence, saved = self.keeper.restore(self.world)
        if saved:
            self.segment, self.arm.mux.gripper = saved['segment'], saved['gripper']
            if self.gripper is not None:
                self.gripper.moved(saved['closed'])

    def take_the_place(self, restarts: list[int]) -> None:
        """Put the world back in the place of an arm that ended, and say so in a step of its own.

        Args:
            restarts: Its number, which comes after the observation that was shown last. Whether
                the arm that ended executed a step after that one, nobody can know for sure; both
                numbers are not used any more. Before it those of earlier arms, which not everybody
                may have heard: who ended had perhaps not found its readers.
        """
        self.keeper.put_back(self.world, restarts[-1] + 1)
        for sequence in restarts:
            self.arm.sequence = sequence
            self.publish_step(self.arm.restart())
        self.arm.sequence += 1

    def state(self) -> dict[str, object]:
        """Return what belongs to the world at the observation that waits for its step."""
        return {
            'sequence': self.arm.sequence,
            'segment': self.segment,
            'gripper': self.arm.mux.gripper,
            'closed': self.gripper is not None and self.gripper.closed,
        }

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
        stale = self.stale_at()
        wait = min(self.deadline, stale) - time.monotonic()
        # By the clock, what is due does not wait until a flood of commands is over.
        late = self.config.rate > 0 and wait < 0 and not self.served
        self.served = late
        try:
            if late:
                raise Empty
            command = self.commands.get(timeout=max(wait, 0.0))
        except Empty:
            if stale < self.deadline:
                self.perform(self.arm.hold())
            elif self.period:
                self.tick()
            else:
                self.view.show_again()
                self.deadline = time.monotonic() + REPEAT
            return True
        self.take(command)
        return command is not STOP

    def stale_at(self) -> float:
        """Return when to hold, by the clock, because the last command is too old by then.

        Whoever acts has half a period in any case. An arm that holds already, and one that a
        person drives, waits for the next tick.
        """
        moves = self.moved and not (self.stepped or self.arm.mux.engaged)
        if not self.config.rate or not moves:
            return math.inf
        half = self.deadline - self.period / 2
        return max(self.commanded_at + self.config.stale_after, half)

    def take(self, command: object) -> None:
        c, refusal = command, ''
        if isinstance(c, State) and c.agent not in AGENTS:
            refusal = f'the state of observation {c.sequence} names no agent'
        elif isinstance(c, State):
            self.arm.order(Order(c.sequence, c.mode, c.agent, c.segment, c.index))
        elif isinstance(c, Action):
            refusal = self.propose(c)
        elif isinstance(c, Teleop):
            refusal = self.take_teleop(c)
        elif isinstance(c, Reset):
            self.reset_wanted = c
        if refusal:
            self.get_logger().warning(refusal, throttle_duration_sec=5.0)
        if not self.stepped:
            self.execute_due()

    def propose(self, message: Action) -> str:
        m = message
        if m.source != 'policy':
            return f'action {m.sequence} of {plain(m.source)!r} is refused: here only a policy asks'
        now = time.monotonic()
        if m.sequence == self.arm.sequence:
            self.commanded_at = now
        return self.arm.propose(now, m.sequence, m.agent, m.action)

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
        if (wanted := self.reset_wanted) is not None:
            self.reset_wanted, self.given = None, wanted.seed is not None
            self.world.reset(seed=wanted.seed, options=dict(wanted.options))
            self.finish(self.arm.reset())
        elif (execution := self.arm.due(time.monotonic())) is not None:
            self.perform(execution)

    def perform(self, execution: Execution) -> None:
        """Execute one step of the arm."""
        if execution.source == 'script':
            self.world.reset_arm(self.config.arm_reset_pose)
        elif execution.source == 'policy' and self.begins_anew(execution):
            execution = self.arm.hold(boundary=True)
        else:
            self.world.execute(execution.action)
        self.finish(execution)

    def begins_anew(self, execution: Execution) -> bool:
        """Begin a segment if this is its first step; return whether the world now shows more."""
        if execution.segment == self.segment:
            return False
        self.segment, before = execution.segment, self.view.seen
        if self.given:
            self.given = False
            return False
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

    def finish(self, execution: Execution) -> None:
        """Say what was executed, and only then draw the result; in lockstep, show it at once."""
        self.arm.executed(execution)
        self.moved = execution.source == 'policy'
        self.stepped_at = time.monotonic()
        self.publish_step(execution)
        self.view.draw(self.world)  # now, so that who takes over need not wait for it
        self.stepped = True
        if not self.period:
            self.show()

    def show(self) -> None:
        """Show the next observation, which waits for its step."""
        self.stepped = False
        if self.keeper is not None:
            self.keeper.shown(self.arm.sequence)
        self.view.show(self.arm.sequence)
        self.wait()

    def wait(self) -> None:
        """Begin to wait for a step: until the next tick, or until lockstep asks again."""
        self.deadline = time.monotonic() + (self.period or REPEAT)

    def publish_step(self, execution: Execution) -> None:
        message = Step()
        message.header.stamp = self.view.stamp
        message.executed = self.get_clock().now().to_msg()
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
