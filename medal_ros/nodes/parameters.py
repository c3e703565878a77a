"""ROS parameters from configuration dataclasses: one definition, checked and described."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from medal_ros.options import OptionError, build, flatten, walk

T = TypeVar('T')

ROS_OWN = ('use_sim_time', 'start_type_description_service')
ARRAYS = {
    int: Parameter.Type.INTEGER_ARRAY,
    float: Parameter.Type.DOUBLE_ARRAY,
    str: Parameter.Type.STRING_ARRAY,
    bool: Parameter.Type.BOOL_ARRAY,
}


def declare(node: Node, cls: type[T]) -> T:
    """Declare every option of a configuration class as a parameter and return the values.

    Nested options have dotted names, tuples are arrays; all are read-only once declared.

    Args:
        node: A node made with `automatically_declare_parameters_from_overrides=True`, so that
            names that nobody declares are seen and refused.
        cls: The configuration dataclass.

    Raises:
        OptionError: A parameter that does not exist or a value that is not allowed.
    """
    given = {
        name: parameter.value
        for name, parameter in node.get_parameters_by_prefix('').items()
        if name not in ROS_OWN and not name.startswith('qos_overrides.')
    }
    try:
        config = build(cls, given, 'parameter')
    except OptionError as error:
        raise OptionError(f'{node.get_name()}: {error}') from None
    for name in given:
        node.undeclare_parameter(name)
    values = flatten(config)
    for key, field, hint in walk(cls):
        _declare_one(node, key, values[key], _descriptor(field, hint), hint)
    return config


def _declare_one(
    node: Node, key: str, value: Any, descriptor: ParameterDescriptor, hint: Any
) -> None:
    if value != []:
        node.declare_parameter(key, value, descriptor, ignore_override=True)
        return
    # rclpy takes an empty list for bytes unless it is told the type first.
    kind = ARRAYS[hint.__args__[0]]
    node.declare_parameter(key, kind, ignore_override=True)
    node.set_parameters([Parameter(key, kind, [])])
    descriptor.type = kind.value
    node.set_descriptor(key, descriptor)


def _descriptor(field: dataclasses.Field, hint: Any) -> ParameterDescriptor:
    about = field.metadata
    descriptor = ParameterDescriptor(description=about.get('doc', ''), read_only=True)
    if about.get('choices') is not None:
        choices = ', '.join(str(choice) for choice in about['choices'])
        descriptor.additional_constraints = f'one of {choices}'
    low, high = about.get('low'), about.get('high')
    if low is None and high is None:
        return descriptor
    if hint is int:
        limits = (-(2**63) if low is None else int(low), 2**63 - 1 if high is None else int(high))
        descriptor.integer_range = [IntegerRange(from_value=limits[0], to_value=limits[1])]
    elif hint is float:
        big = sys.float_info.max
        limits = (-big if low is None else float(low), big if high is None else float(high))
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=limits[0], to_value=limits[1])
        ]
    return descriptor
