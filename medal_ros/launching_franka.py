"""Launch actions for what is not ours: the drivers of a Franka, its gripper, cameras, joystick.

Imported by launch files, and by them only when the robot is a Franka: the packages named here
need not be installed for the stand-in. docs/hardware.md says which they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from launch.action import Action
from launch.actions import GroupAction, IncludeLaunchDescription, Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from medal_ros.hardware import DriversConfig, Laboratory
from medal_ros.launching import need, truth
from medal_ros.launching_rviz import rviz, xacro
from medal_ros.resources import share

ROBOT = 'fr3'  # the one arm for which all names here and in config/franka are
RATE = 100  # reports per second of joints and frames: three for every camera image


def beside(given: Mapping[str, str], laboratory: Laboratory, folder: Path) -> list[Action]:
    """Return what the launch arguments `drivers` and `rviz` ask for beside the graph.

    Args:
        given: The arguments.
        laboratory: What the drivers are told.
        folder: Where parameter files go.

    Raises:
        OptionError: One of them is neither true nor false.
        MissingPackage: What they ask for is not installed.
    """
    actions: list[Action] = []
    if truth(given, 'drivers'):
        d = laboratory.drivers
        need('drivers:=true', packages(d), ['xacro'])
        actions += [*arm(d), *gripper(d), *camera_drivers(d), joystick(given['namespace'])]
    if truth(given, 'rviz'):
        cameras = laboratory.cameras.items()
        topics = {f'/medal/camera/{name}/image_raw': topic for name, topic in cameras}
        actions += rviz(given['namespace'], folder, topics)
    return actions


def packages(d: DriversConfig) -> list[str]:
    """Return the packages from which something is started, or whose description is used."""
    gripper = {'robotiq': ['robotiq_description'], 'franka_hand': ['franka_gripper'], 'none': []}
    cameras = ['realsense2_camera'] if d.wrist_serial or d.third_serial else []
    own = ['controller_manager', 'robot_state_publisher', 'joint_state_publisher']
    return ['franka_bringup', *own, *gripper[d.gripper], *cameras]


def arm(d: DriversConfig) -> list[Action]:
    """Return the arm's controller manager with its controllers, and its description.

    The same nodes as franka_bringup's own launch file, whose description has no room for another
    gripper than Franka's: the impedance controller needs to know the tool.
    """
    controllers = share('config', 'franka', 'controllers.yaml')
    spawn = ['--controller-manager', '/controller_manager']
    active = ['joint_state_broadcaster', 'pose_broadcaster']
    if not d.fake_hardware:  # which has no robot state
        active.append('franka_robot_state_broadcaster')
    idle = ['cartesian_impedance_controller', 'joint_trajectory_controller']
    return [
        Node(
            package='robot_state_publisher',
            executable='robot_state_publisher',
            parameters=[
                {'robot_description': description(d), 'publish_frequency': float(RATE)},
            ],
            remappings=[('joint_states', '/joint_states')],
            output='screen',
        ),
        Node(
            package='controller_manager',
            executable='ros2_control_node',
            parameters=[
                str(controllers),
                {'robot_type': ROBOT, 'load_gripper': d.gripper == 'franka_hand'},
                {'arm_prefix': ''},
            ],
            output='screen',
            on_exit=Shutdown(reason='the controller manager of the arm has ended'),
        ),
        Node(
            package='joint_state_publisher',
            executable='joint_state_publisher',
            parameters=[
                {
                    'source_list': ['/franka/joint_states', '/franka_gripper/joint_states'],
                    'rate': RATE,
                }
            ],
            output='screen',
        ),
        Node(
            package='controller_manager',
            executable='spawner',
            arguments=[
                *active,
                *spawn,
                '--controller-ros-args',
                '--remap joint_states:=/franka/joint_states',
            ],
            output='screen',
        ),
        Node(
            package='controller_manager',
            executable='spawner',
            # Loaded, and started by franka_arm once it knows where the arm is.
            arguments=[*idle, *spawn, '--inactive'],
            output='screen',
        ),
    ]


def description(d: DriversConfig) -> ParameterValue:
    """Return the arm with its gripper, as xacro makes it."""
    given = {
        'robot_ip': d.robot_ip,
        'gripper': d.gripper,
        'mount_height': d.mount_height,
        'mount_turn': d.mount_turn,
        'tool_height': d.tool_height,
        'use_fake_hardware': str(d.fake_hardware).lower(),
    }
    return xacro('medal.urdf.xacro', given)


def gripper(d: DriversConfig) -> list[Action]:
    """Return the gripper's driver: Robotiq's, in a namespace of its own, or Franka's."""
    if d.gripper == 'franka_hand':
        given = {
            'robot_ip': d.robot_ip,
            'robot_type': ROBOT,
            'namespace': '',
            'use_fake_hardware': str(d.fake_hardware).lower(),
        }
        return [include('franka_gripper', 'gripper.launch.py', given)]
    if d.gripper == 'none':
        return []
    given = {'port': d.gripper_port, 'use_fake_hardware': str(d.fake_hardware).lower()}
    described = {'robot_description': xacro('robotiq.urdf.xacro', given)}
    # Its controller manager has the arm's name: without a namespace the two would clash.
    manager = '/gripper/controller_manager'
    controllers = ['joint_state_broadcaster', 'robotiq_gripper_controller']
    if not d.fake_hardware:
        controllers.append('robotiq_activation_controller')
    return [
        Node(
            package='robot_state_publisher',
            executable='robot_state_publisher',
            namespace='gripper',
            parameters=[described],
            output='screen',
        ),
        Node(
            package='controller_manager',
            executable='ros2_control_node',
            namespace='gripper',
            parameters=[str(share('config', 'franka', 'robotiq.yaml'))],
            output='screen',
        ),
        Node(
            package='controller_manager',
            executable='spawner',
            namespace='gripper',
            arguments=[*controllers, '--controller-manager', manager],
            output='screen',
        ),
    ]


def camera_drivers(d: DriversConfig) -> list[Action]:
    """Return the driver of each RealSense camera whose serial number is known."""
    serials = {'wrist': d.wrist_serial, 'third': d.third_serial}
    drivers = [
        include(
            'realsense2_camera',
            'rs_launch.py',
            {
                'camera_name': name,
                'camera_namespace': name,
                'serial_no': f'_{serial}',  # else launch takes it for a number
                'rgb_camera.color_profile': d.camera_profile,
                'enable_depth': 'false',
            },
        )
        for name, serial in serials.items()
        if serial
    ]
    return [GroupAction(drivers)] if drivers else []


def joystick(namespace: str) -> Action:
    """Return the driver of a game pad; without a pad it waits for one.

    Raises:
        MissingPackage: It is not installed.
    """
    need('drivers:=true', ['joy'])
    return Node(
        package='joy',
        executable='game_controller_node',
        namespace=namespace,
        parameters=[{'deadzone': 0.05, 'autorepeat_rate': 50.0}],
        output='screen',
    )


def include(package: str, file: str, given: Mapping[str, str]) -> Action:
    """Return another package's launch file with these arguments."""
    path = PathJoinSubstitution([FindPackageShare(package), 'launch', file])
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(path), launch_arguments=list(given.items())
    )
