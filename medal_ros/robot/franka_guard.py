"""Whether a Franka arm may be commanded, and how it gets back to work after a stop.

- starting    the robot has not spoken yet, or its controllers are being started
- ready       it may be commanded
- silent      it has not spoken for a moment
- looking     it has not spoken for longer: its broadcasters are started again, to learn why
- recovering  from a reflex, without a person
- homing      the joints move to the pose of an arm reset
- stopped     somebody pressed the stop; nothing happens without a person's word
- help        recovery failed, or the robot does not say what is wrong; the same

A reflex while a controller runs is seldom seen as one: franka_ros2 then stops every controller,
its broadcaster too, before the new mode is published. Looking activates the hardware and the
broadcasters alone, which moves nothing, and then the mode tells a reflex from a pressed stop.

No ROS here: `tick` returns what to ask of other programs, `answer` takes the answers.
"""

from __future__ import annotations

from collections.abc import Callable

from medal_ros.robot.franka_config import FrankaConfig
from medal_ros.robot.franka_procedure import Ask, Procedure

# robot_mode of franka_msgs/FrankaRobotState.
OTHER, IDLE, MOVE, GUIDING, REFLEX, USER_STOPPED, RECOVERING = range(7)
MODES = ('other', 'idle', 'move', 'guiding', 'reflex', 'user stopped', 'recovering')
WAITING = ('stopped', 'help')  # for a person


class Guard:
    """The state machine above. Times are monotonic seconds.

    Attributes:
        state: One of the names above.
        reason: What is wrong or awaited, in words; empty when ready.
        reflexes: How often the robot stopped in a reflex.
        recovered: How often it went on without a person.
    """

    def __init__(self, config: FrankaConfig) -> None:
        self.config = config
        self.state, self.reason = 'starting', 'waiting for the first state of the robot'
        self.mode: int | None = None
        self.reflexes = self.recovered = 0
        self.procedure: Procedure | None = None
        self._spoken = self._worked = 0.0  # when the robot last spoke, and moved by our will
        self._ready_since: float | None = None
        self._tries = 0
        self._asked_to = False  # a person asked for what is being done
        self._next: Callable[[], None] | None = None  # begins once `_pause` is over
        self._pause = 0.0

    @property
    def awaited(self) -> Ask | None:
        """The request that is to be answered; others are of no use any more."""
        return self.procedure.waits_for if self.procedure is not None else None

    # -- what happens ----------------------------------------------------------------------------

    def see(self, mode: int, now: float) -> None:
        """Take the mode of a robot state that came now."""
        self.mode, self._spoken = mode if mode < len(MODES) else OTHER, now
        ask = self.awaited
        if ask is not None and ask.what == 'see':
            blocked = mode in (REFLEX, USER_STOPPED, RECOVERING)
            if not blocked or self.state == 'looking':
                self.procedure.answer(ask, True)

    def tick(self, now: float) -> Ask | None:
        """Go on; return what to ask for now, if anything."""
        if self.state in WAITING:
            return None
        speaks = self._speaks(now)
        if self.mode == USER_STOPPED and speaks:
            self._wait('stopped', 'the stop is pressed: release it, then call arm/resume')
            return None
        if self._next is not None and now >= self._pause:
            begin, self._next = self._next, None
            begin()
        elif self._next is None and self.state not in ('looking', 'recovering'):
            self._watch(now, speaks)
        if self.procedure is None:
            return None
        ask = self.procedure.poll(now)
        if self.procedure.ended:
            self._ended(now, speaks)
        return ask

    def answer(self, ask: Ask, ok: bool, why: str = '') -> None:
        """Take the answer to a request; one that is not awaited any more changes nothing."""
        if self.procedure is not None:
            self.procedure.answer(ask, ok, why)

    def home(self, move_seconds: float) -> bool:
        """Begin an arm reset; False where the arm is not ready."""
        if self.state != 'ready':
            return False
        c = self.config.controllers
        asks = [
            self._switch((c.trajectory,), (c.impedance,)),
            Ask('move', move_seconds + self.config.home.grace_seconds),
            *self._take_over(),
        ]
        self._begin('homing', 'the arm reset', asks)
        return True

    def cut_short(self) -> bool:
        """A person takes over: hand the arm back at once; False where it moves for nobody."""
        if self.state != 'homing':
            return False
        self._start()
        return True

    def resume(self, now: float) -> tuple[bool, str]:
        """A person says that the robot may go on; return whether, and what follows."""
        if self.state not in WAITING and self.mode is not None:
            return False, f'the arm does not wait for a person, it is {self.state}'
        speaks = self._speaks(now)
        if self.mode == USER_STOPPED and speaks:
            return False, 'the stop is still pressed: release it first'
        self._tries = 0
        self._asked_to = not speaks  # once its mode is known: for this stop, and for no later one
        self._recover() if speaks else self._look()
        return True, 'the arm goes on once its controllers run'

    # -- what follows ----------------------------------------------------------------------------

    def _watch(self, now: float, speaks: bool) -> None:
        """See whether the robot speaks, has no reflex, and works for us."""
        if self.mode is None:
            return
        if self.mode == REFLEX and speaks:
            self._reflex(now)
        elif not speaks:
            self.procedure = None
            self.state, self.reason = 'silent', 'the robot does not tell its state'
            if now - self._spoken > self.config.recovery.look_after:
                self._look()
        elif self.procedure is None and self.state in ('starting', 'silent'):
            self._start()  # what silenced it may have stopped the controllers
        elif self.mode == MOVE or self.state != 'ready':
            self._worked = now
        elif now - self._worked > self.config.recovery.idle_after:
            what = f'the arm is {MODES[self.mode]} although its controller should move it'
            self._wait('help', f'{what}: somebody else may have stopped it')

    def _ended(self, now: float, speaks: bool) -> None:
        """A procedure has ended: say what follows from how it did."""
        ended, failure = self.state, self.procedure.failure
        self.procedure = None
        if ended == 'looking':
            self._looked(failure, now, speaks)
        elif not failure:
            self.recovered += ended == 'recovering'
            self.state, self.reason = 'ready', ''
            self._ready_since = self._worked = now
        elif ended == 'recovering':
            self._again(failure, now, self._recover)
        elif self._ready_since is None:  # the controllers may still be loading
            self._after_pause(failure, now, self._start)
        else:  # after an arm reset the trajectory controller may still hold the arm
            self._again(failure, now, self._start)

    def _looked(self, failure: str, now: float, speaks: bool) -> None:
        """The broadcasters were started again; go by what they say."""
        asked, self._asked_to = self._asked_to, False
        if speaks and not failure and (self.mode == REFLEX or asked):
            self._reflex(now) if self.mode == REFLEX else self._recover()
        elif speaks and not failure:
            what = 'the robot stopped without a reflex, perhaps by its stop button'
            self._wait('help', f'{what}: make sure that it may move, then call arm/resume')
        elif self.config.recovery.blind:
            self._reflex(now)
        else:
            self._wait('help', f'the robot does not tell its state ({failure})')

    def _reflex(self, now: float) -> None:
        self.reflexes += 1
        since = self._ready_since
        if since is not None and now - since > self.config.recovery.calm_seconds:
            self._tries = 0
        self._again('a reflex', now, self._recover)

    def _again(self, why: str, now: float, attempt: Callable[[], None]) -> None:
        """Attempt to go on, unless that was done too often."""
        most = self.config.recovery.tries
        if self._tries >= most:
            self._wait('help', f'{why}, after {self._tries} of {most} attempts to go on')
            return
        self._tries += 1
        self._after_pause(why, now, attempt)

    def _after_pause(self, why: str, now: float, attempt: Callable[[], None]) -> None:
        self.state = 'starting' if attempt == self._start else 'recovering'
        self.reason, self.procedure = why, None
        self._next, self._pause = attempt, now + self.config.recovery.pause

    def _wait(self, state: str, why: str) -> None:
        self.state, self.reason = state, why
        self.procedure = self._next = None

    # -- procedures ------------------------------------------------------------------------------

    def _start(self) -> None:
        self._begin('starting', 'the start of the controllers', self._take_over())

    def _look(self) -> None:
        c, r = self.config.controllers, self.config.recovery
        asks = [Ask('hardware', r.seconds), self._switch(c.broadcasters), Ask('see', r.seconds)]
        self._begin('looking', 'a look at the robot', asks)

    def _recover(self) -> None:
        """In the order that franka_ros2 asks for, and the target before the controller."""
        r = self.config.recovery
        asks = [
            Ask('clear', r.seconds),
            Ask('hardware', r.seconds),
            self._switch(self.config.controllers.broadcasters),
            Ask('see', r.seconds),
            *self._take_over(),
        ]
        self._begin('recovering', 'the recovery', asks)

    def _take_over(self) -> list[Ask]:
        """Hand the arm to the impedance controller where it is, not where its target was."""
        c = self.config.controllers
        return [
            Ask('hold', self.config.recovery.seconds),
            self._switch((c.impedance,), (c.trajectory,)),
        ]

    def _switch(self, on: tuple[str, ...], off: tuple[str, ...] = ()) -> Ask:
        # The manager has its own deadline; its answer comes a little later.
        return Ask('switch', self.config.controllers.switch_seconds + 1.0, on, off)

    def _begin(self, state: str, name: str, asks: list[Ask]) -> None:
        self.state, self.reason = state, name
        self.procedure = Procedure(name, asks)

    def _speaks(self, now: float) -> bool:
        return now - self._spoken <= self.config.recovery.silent_after
