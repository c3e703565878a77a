"""The element that shows the live pictures; what it does in the browser is camera.js."""

from __future__ import annotations

from nicegui.element import Element


class Camera(Element, component='camera.js'):
    """The newest picture of all cameras, side by side."""
