"""The Franka's guard: what is asked of the robot's software, in which order, and when a person."""

import pytest

from medal_ros.options import OptionError, build
from medal_ros.robot.franka_config import FrankaConfig, check, static_frame
from medal_ros.robot.franka_guard import IDLE, MOVE, REFLEX, USER_STOPPED, Guard
from medal_ros.robot.franka_procedure import Ask, Procedure

RECOVERY = ['clear', 'hardware', 'switch', 'see', 'hold', 'switch']
TAKE_OVER = ['hold', 'switch']


class Robot:
    """The other side of a guard, with a clock that it moves itself."""

    def __init__(self, **changes) -> None:
        values = {'recovery.pause': 0.5, 'recovery.calm_seconds': 30.0, **changes}
        self.config = build(FrankaConfig, values)
        self.guard = Guard(self.config)
        self.now = 100.0
        self.mode: int | None = IDLE  # None: it says nothing
        self.asked: list[Ask] = []
        self.refuse: dict[str, str] = {}
        self.mute: set[str] = set()  # what is never answered
        self.after = lambda ask: None

    def run(self, seconds: float) -> list[str]:
        """Let time pass; return what was asked meanwhile."""
        before = len(self.asked)
        for _ in range(round(seconds / 0.05)):
            self.now += 0.05
            if self.mode is not None:
                self.guard.see(self.mode, self.now)
            ask = self.guard.tick(self.now)
            if ask is not None:
                self.take(ask)
        return [ask.what for ask in self.asked[before:]]

    def take(self, ask: Ask) -> None:
        self.asked.append(ask)
        if ask.what in self.mute or ask.what == 'see':
            return
        self.after(ask)
        controllers = self.config.controllers
        refused = self.refuse.get(ask.what, '')
        if not refused and controllers.impedance in ask.activate:
            self.mode = MOVE
        self.guard.answer(ask, not refused, refused)


@pytest.fixture
def robot():
    robot = Robot()
    assert robot.run(0.5) == TAKE_OVER
    assert (robot.guard.state, robot.guard.reason) == ('ready', '')
    return robot


def test_nothing_is_asked_before_the_robot_speaks():
    robot = Robot()
    robot.mode = None
    assert robot.run(30) == []
    assert robot.guard.state == 'starting' and 'first state' in robot.guard.reason


def test_at_the_start_the_target_is_the_present_pose_before_the_controller_runs(robot):
    hold, switch = robot.asked
    assert hold.what == 'hold'
    assert switch.activate == ('cartesian_impedance_controller',)
    assert switch.deactivate == ('joint_trajectory_controller',)


def test_controllers_that_are_still_loading_are_waited_for():
    robot = Robot()
    robot.refuse['switch'] = 'there is no such controller'
    asked = robot.run(20)
    assert asked.count('switch') > robot.config.recovery.tries
    assert robot.guard.state == 'starting' and 'no such controller' in robot.guard.reason
    robot.refuse.clear()
    robot.run(1)
    assert robot.guard.state == 'ready'


def test_a_reflex_is_recovered_without_a_person_in_order(robot):
    robot.mode = REFLEX
    robot.after = lambda ask: setattr(robot, 'mode', IDLE if ask.what == 'clear' else robot.mode)
    before = len(robot.asked)
    assert robot.run(0.3) == [], 'first it settles'
    assert robot.guard.state == 'recovering'
    assert robot.run(2) == RECOVERY
    switches = [ask for ask in robot.asked[before:] if ask.what == 'switch']
    assert switches[0].activate == ('joint_state_broadcaster', 'franka_robot_state_broadcaster')
    assert switches[1].activate == ('cartesian_impedance_controller',)
    assert (robot.guard.state, robot.guard.reflexes, robot.guard.recovered) == ('ready', 1, 1)


def test_the_controller_waits_until_the_robot_has_left_its_reflex(robot):
    robot.mode = REFLEX
    assert robot.run(3) == RECOVERY[:4]
    robot.mode = IDLE
    assert robot.run(0.5) == RECOVERY[4:]


@pytest.mark.parametrize('what', ['clear', 'hardware', 'switch', 'hold'])
def test_attempts_are_bounded_and_then_a_person_is_called(robot, what):
    robot.mode = REFLEX
    robot.refuse[what] = 'not now'
    robot.after = lambda ask: setattr(robot, 'mode', IDLE if ask.what == 'clear' else robot.mode)
    asked = robot.run(60)
    assert asked.count('clear') == robot.config.recovery.tries == 3
    assert robot.guard.state == 'help'
    assert f'{what} was refused: not now' in robot.guard.reason
    assert 'after 3 of 3 attempts' in robot.guard.reason
    assert robot.run(120) == [], 'and then nothing'


def test_an_answer_that_never_comes_counts_as_a_failure(robot):
    robot.mode, robot.mute = REFLEX, {'clear'}
    asked = robot.run(60)
    assert asked == ['clear'] * 3
    assert 'clear took longer than 10 s' in robot.guard.reason


def test_reflexes_in_a_row_are_bounded_too(robot):
    robot.after = lambda ask: setattr(robot, 'mode', IDLE if ask.what == 'clear' else robot.mode)
    for count in (1, 2, 3):
        robot.mode = REFLEX
        robot.run(5)
        assert (robot.guard.state, robot.guard.recovered) == ('ready', count)
    robot.mode = REFLEX
    assert robot.run(5) == []
    assert robot.guard.state == 'help' and 'a reflex, after 3 of 3' in robot.guard.reason


def test_after_calm_work_attempts_are_counted_anew(robot):
    robot.after = lambda ask: setattr(robot, 'mode', IDLE if ask.what == 'clear' else robot.mode)
    for count in range(1, 6):
        robot.mode = REFLEX
        robot.run(40)
        assert (robot.guard.state, robot.guard.recovered) == ('ready', count)


def test_with_no_attempts_allowed_a_person_is_called_at_once():
    robot = Robot(**{'recovery.tries': 0})
    robot.run(1)
    robot.mode = REFLEX
    assert robot.run(5) == [] and robot.guard.state == 'help'


def test_a_pressed_stop_is_never_recovered_without_a_person(robot):
    robot.mode = USER_STOPPED
    assert robot.run(120) == []
    assert robot.guard.state == 'stopped'
    robot.mode = IDLE  # released, and still nobody said anything
    assert robot.run(120) == []
    assert robot.guard.state == 'stopped'


def test_a_person_resumes_after_the_stop_is_released(robot):
    robot.mode = USER_STOPPED
    robot.run(1)
    assert robot.guard.resume(robot.now) == (False, 'the stop is still pressed: release it first')
    robot.mode = IDLE
    robot.run(1)
    accepted, _ = robot.guard.resume(robot.now)
    assert accepted
    assert robot.run(3) == RECOVERY
    assert robot.guard.state == 'ready' and robot.guard.recovered == 1


def test_a_persons_word_is_for_one_stop_only(robot):
    """The next may be seen only as a silence, and pressed and let go within it."""
    robot.mode = USER_STOPPED
    robot.run(1)
    robot.mode = IDLE
    robot.run(1)
    assert robot.guard.resume(robot.now)[0]
    robot.run(3)
    assert robot.guard.state == 'ready'
    robot.mode = None
    robot.after = lambda ask: setattr(robot, 'mode', IDLE if ask.what == 'switch' else None)
    assert robot.run(30) == ['hardware', 'switch', 'see']
    assert robot.guard.state == 'help' and 'perhaps by its stop button' in robot.guard.reason


def test_a_stop_pressed_during_a_recovery_ends_it(robot):
    robot.mode = REFLEX
    assert robot.run(2)[-1] == 'see'
    robot.mode = USER_STOPPED
    assert robot.run(60) == []
    assert robot.guard.state == 'stopped'


def test_a_silent_robot_is_looked_at_and_a_reflex_behind_it_recovered(robot):
    """What franka_ros2 does: a reflex stops the broadcaster before it can tell."""
    robot.mode = None
    assert robot.run(0.9) == []
    assert robot.guard.state == 'silent', 'nothing is commanded'

    def answer(ask):
        if ask.what == 'clear':
            robot.mode = IDLE
        elif ask.what == 'switch' and robot.mode is None:
            robot.mode = REFLEX  # the broadcaster runs again

    robot.after = answer
    before = len(robot.asked)
    assert robot.run(4) == ['hardware', 'switch', 'see', *RECOVERY]
    assert robot.asked[before + 1].activate == robot.config.controllers.broadcasters
    assert robot.asked[before + 1].deactivate == ()
    assert (robot.guard.state, robot.guard.reflexes) == ('ready', 1)


@pytest.mark.parametrize(
    ('mode', 'state', 'words'),
    [
        (USER_STOPPED, 'stopped', 'the stop is pressed'),
        (IDLE, 'help', 'perhaps by its stop button'),
    ],
)
def test_a_silence_without_a_reflex_behind_it_needs_a_person(robot, mode, state, words):
    robot.mode = None
    robot.after = lambda ask: setattr(robot, 'mode', mode if ask.what == 'switch' else None)
    assert robot.run(30) == ['hardware', 'switch', 'see'][: 2 if mode == USER_STOPPED else 3]
    assert robot.guard.state == state and words in robot.guard.reason


def test_a_robot_that_stays_silent_needs_a_person_unless_told_otherwise(robot):
    robot.mode = None
    assert robot.run(60) == ['hardware', 'switch', 'see']
    assert robot.guard.state == 'help' and 'does not tell its state' in robot.guard.reason
    blind = Robot(**{'recovery.blind': True})
    blind.run(1)
    blind.mode = None
    assert 'clear' in blind.run(30)


def test_a_short_silence_costs_a_moment(robot):
    robot.mode = None
    robot.run(0.8)
    robot.mode = MOVE
    assert robot.run(1) == TAKE_OVER
    assert robot.guard.state == 'ready'


def test_an_arm_reset_switches_moves_and_hands_back_at_the_present_pose(robot):
    assert robot.guard.home(8.0)
    before = len(robot.asked)
    assert robot.run(1) == ['switch', 'move', *TAKE_OVER]
    there, move, _, back = robot.asked[before:]
    assert (there.activate, there.deactivate) == (back.deactivate, back.activate)
    assert move.seconds == 8.0 + robot.config.home.grace_seconds
    assert robot.guard.state == 'ready'


def test_an_arm_reset_that_fails_hands_back_and_is_not_repeated_for_ever(robot):
    robot.refuse['move'] = 'path tolerance violated'
    assert robot.guard.home(8.0)
    assert robot.run(2) == ['switch', 'move', *TAKE_OVER]
    assert robot.guard.state == 'ready'
    assert not Robot().guard.home(8.0), 'nothing moves an arm that is not ready'


def test_a_controller_switch_that_is_refused_for_ever_calls_a_person(robot):
    robot.refuse['switch'] = 'resource conflict'
    robot.guard.home(8.0)
    robot.run(60)
    assert robot.guard.state == 'help' and 'resource conflict' in robot.guard.reason


def test_a_reflex_during_an_arm_reset_is_recovered(robot):
    robot.guard.home(30.0)
    robot.mute = {'move'}
    robot.run(1)
    robot.mode, robot.mute = REFLEX, set()
    robot.after = lambda ask: setattr(robot, 'mode', IDLE if ask.what == 'clear' else robot.mode)
    assert robot.run(3) == RECOVERY
    assert robot.guard.state == 'ready'


def test_a_person_cuts_an_arm_reset_short_without_a_pause(robot):
    robot.mute = {'move'}
    robot.guard.home(30.0)
    robot.run(1)
    assert robot.guard.cut_short()
    assert robot.run(0.2) == TAKE_OVER
    assert robot.guard.state == 'ready'
    assert not robot.guard.cut_short(), 'nothing moves by itself now'


def test_an_arm_that_no_controller_holds_needs_a_person(robot):
    robot.mode = IDLE  # somebody switched the controller off
    assert robot.run(60) == []
    assert robot.guard.state == 'help' and 'the arm is idle' in robot.guard.reason


def test_there_is_nothing_to_resume_while_the_arm_works(robot):
    accepted, why = robot.guard.resume(robot.now)
    assert not accepted and 'it is ready' in why


def test_late_answers_change_nothing():
    first, second = Ask('clear', 1.0), Ask('hold', 1.0)
    procedure = Procedure('x', [first, second])
    assert procedure.poll(0.0) is first
    assert procedure.poll(0.5) is None
    procedure.answer(first, True)
    procedure.answer(first, False, 'late')
    assert procedure.poll(0.6) is second
    assert procedure.poll(1.7) is None
    assert procedure.ended and procedure.failure == 'x: hold took longer than 1 s'
    procedure.answer(second, True)
    assert procedure.failure


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'home.joints': [0.0] * 6}, 'home.joints must have 7 entries'),
        ({'gripper.closed_position': 0.0}, 'must differ'),
        ({'recovery.look_after': 0.1}, 'look_after must be at least'),
        ({'frames.static': ['base camera 0 0 1']}, "'base camera 0 0 1' is not of the form"),
        ({'frames.static': ['base camera 0 0 1 0 0 x']}, 'is not of the form'),
    ],
)
def test_values_that_do_not_fit_together_are_refused(changes, sentence):
    with pytest.raises(OptionError, match=sentence):
        check(build(FrankaConfig, changes))
    check(FrankaConfig())


def test_a_static_frame_is_six_numbers_behind_two_names():
    assert static_frame('base cam 1 0 .5 0 0 3') == ('base', 'cam', (1, 0, 0.5, 0, 0, 3))
