"""Everything about a Franka arm that differs from one laboratory to the next.

The defaults are the names of franka_ros2 v3.4, crisp_controllers and ros2_robotiq_gripper as
`launch/franka.launch.py` starts them. Names with a leading slash are taken as they are; others
lie in the node's namespace.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

from medal_ros.options import OptionError, group, option

JOINTS = 7
GRIPPERS = ('parallel', 'gripper_command', 'none')


@dataclass(frozen=True)
class TopicsConfig:
    """Topics of the arm's own software."""

    robot_state: str = option(
        '/franka_robot_state_broadcaster/robot_state',
        'mode and errors: franka_msgs/FrankaRobotState',
    )
    pose: str = option(
        '/franka_robot_state_broadcaster/current_pose',
        'measured pose, where tf does not tell: geometry_msgs/PoseStamped',
    )
    joint_states: str = option('/joint_states', 'measured joints: sensor_msgs/JointState')
    target_pose: str = option(
        '/target_pose', 'where the impedance controller takes its target: geometry_msgs/PoseStamped'
    )


@dataclass(frozen=True)
class ControllersConfig:
    """What the controller manager runs."""

    manager: str = option('/controller_manager', 'namespace of its services')
    impedance: str = option(
        'cartesian_impedance_controller', 'of crisp_controllers; follows the target pose'
    )
    trajectory: str = option('joint_trajectory_controller', 'moves the joints in an arm reset')
    broadcasters: tuple[str, ...] = option(
        ('joint_state_broadcaster', 'franka_robot_state_broadcaster'),
        'controllers that only report; a reflex stops them too',
    )
    hardware: str = option('FrankaHardwareInterface', 'name of the hardware component')
    switch_seconds: float = option(5.0, 'deadline of a switch of controllers', low=0.1, high=60)


@dataclass(frozen=True)
class RecoveryConfig:
    """What happens after a reflex."""

    action: str = option('/action_server/error_recovery', 'franka_msgs/ErrorRecovery')
    seconds: float = option(10.0, 'deadline of each request', low=0.1, high=120)
    tries: int = option(3, 'attempts before a person is called; 0: call at once', low=0, high=100)
    pause: float = option(2.0, 'seconds before each attempt', low=0)
    calm_seconds: float = option(
        60.0, 'of work without a reflex after which attempts are counted anew', low=0
    )
    silent_after: float = option(
        0.5, 'seconds without a word from the robot after which nothing is commanded', low=0.05
    )
    look_after: float = option(
        1.0, 'seconds of silence after which the broadcasters are started again', low=0.05
    )
    idle_after: float = option(
        2.0, 'seconds in which the arm is not under control before a person is called', low=0.1
    )
    blind: bool = option(
        False,
        'attempt a recovery also where the robot does not tell its mode: it may then recover '
        'from a stop button that was pressed and let go',
    )


@dataclass(frozen=True)
class HomeConfig:
    """The arm reset: joints to one pose, by the trajectory controller."""

    action: str = option(
        '/joint_trajectory_controller/follow_joint_trajectory', 'control_msgs/FollowJointTrajectory'
    )
    names: tuple[str, ...] = option(
        tuple(f'fr3_joint{i}' for i in range(1, JOINTS + 1)), 'of the joints'
    )
    joints: tuple[float, ...] = option(
        (0.0, -0.0737, 0.0, -2.31, 0.0, 2.2363, pi / 4),
        'where they go, rad; by default a Robotiq at (0.5, 0, 0.22) m that points down',
    )
    speed: float = option(0.5, 'of the joint that moves farthest, rad/s', low=0.01, high=2.0)
    least_seconds: float = option(1.0, 'shortest motion', low=0.1)
    grace_seconds: float = option(5.0, 'beyond its own time after which it has failed', low=0.1)


@dataclass(frozen=True)
class GripperConfig:
    """A gripper that opens and closes: Robotiq 2F-85, or the Franka hand by its GripperCommand."""

    kind: str = option(
        'parallel', 'type of its action: control_msgs/ParallelGripperCommand or GripperCommand',
        choices=GRIPPERS,
    )  # fmt: skip
    action: str = option('/gripper/robotiq_gripper_controller/gripper_cmd', 'name of its action')
    joint: str = option('robotiq_85_left_knuckle_joint', 'the joint that tells how far it is open')
    joint_states: str = option('/gripper/joint_states', 'sensor_msgs/JointState with that joint')
    open_position: float = option(0.0, 'of the joint, rad or m')
    closed_position: float = option(0.7929, 'of the joint, rad or m')
    width: float = option(0.085, 'between the open fingers, m', low=0.001)
    max_effort: float = option(50.0, 'N; 0: the driver decides', low=0)
    seconds: float = option(3.0, 'deadline of one motion; then it is asked for again', low=0.1)
    stale_after: float = option(1.0, 'seconds after which its width is too old to act on', low=0.01)


@dataclass(frozen=True)
class FramesConfig:
    """Where the arm is, and where the cameras are."""

    base: str = option('base', 'the frame of all positions')
    tool: str = option('medal_tool', "between the fingertips; the impedance controller's frame")
    deadline: float = option(0.01, 'seconds to wait for tf', low=0, high=1)
    stale_after: float = option(
        0.15, 'seconds after which a pose, or a joint, is too old to act on', low=0.01
    )
    agree_within: float = option(
        0.01,
        'metres by which tf and the topic may differ; beyond, the topic is of another tool frame '
        'and not used',
        low=0,
    )
    max_tilt: float = option(
        0.2, 'rad by which the gripper may lean from straight down', low=0.01, high=pi
    )
    static: tuple[str, ...] = option(
        (), "frames to broadcast, each 'parent child x y z roll pitch yaw' in m and rad"
    )


@dataclass(frozen=True)
class FrankaConfig:
    """The robot that `franka_arm` speaks to."""

    topics: TopicsConfig = group(TopicsConfig)
    controllers: ControllersConfig = group(ControllersConfig)
    recovery: RecoveryConfig = group(RecoveryConfig)
    home: HomeConfig = group(HomeConfig)
    gripper: GripperConfig = group(GripperConfig)
    frames: FramesConfig = group(FramesConfig)


def check(config: FrankaConfig) -> None:
    """Refuse values that fit one by one and not together.

    Raises:
        OptionError: Which, in one sentence.
    """
    for name in ('names', 'joints'):
        if len(getattr(config.home, name)) != JOINTS:
            raise OptionError(f'home.{name} must have {JOINTS} entries, one for each joint')
    if config.gripper.open_position == config.gripper.closed_position:
        raise OptionError('gripper.open_position and gripper.closed_position must differ')
    if config.recovery.look_after < config.recovery.silent_after:
        raise OptionError('recovery.look_after must be at least recovery.silent_after')
    for text in config.frames.static:
        static_frame(text)


def static_frame(text: str) -> tuple[str, str, tuple[float, ...]]:
    """Return parent, child, and `(x, y, z, roll, pitch, yaw)` of a frame that never moves.

    Raises:
        OptionError: The text is not of that form.
    """
    words = text.split()
    try:
        parent, child, *numbers = words
        values = tuple(float(number) for number in numbers)
    except ValueError:
        values = ()
    if len(values) != 6:
        raise OptionError(
            f"frames.static: {text!r} is not of the form 'parent child x y z roll pitch yaw'"
        )
    return parent, child, values
