"""ROS packages that are not on PyPI: the installed one, or else a small stand-in of ours.

    from medal_ros.compat import cv_bridge, message_filters, tf2_ros

A stand-in has the names and call signatures of the part that medal_ros uses, and behaves alike.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

PACKAGES = ('cv_bridge', 'message_filters', 'tf2_ros')


def __getattr__(name: str) -> ModuleType:
    """Import a package when it is first asked for, so that nobody pays for the others."""
    if name not in PACKAGES:
        raise AttributeError(f'{__name__} has {", ".join(PACKAGES)}, not {name!r}')
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:  # it is installed and something that it needs is not
            raise
    return import_module(f'{__name__}.{name}')
