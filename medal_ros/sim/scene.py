"""What every MuJoCo world here has: a compiled model, its state, cameras, one renderer."""

from __future__ import annotations

import os

import mujoco
import numpy as np
from mujoco.rendering.classic import gl_context

if os.environ.get('MUJOCO_GL') == 'egl':
    # MuJoCo chose how to draw when somebody first imported it, which may have been before us.
    from mujoco.egl import GLContext

    gl_context.GLContext = GLContext


def camera(name: str, position: tuple, target: tuple, up: tuple, fovy: float) -> str:
    """Return the MJCF of a camera at `position` that looks at `target`, in its body's frame."""
    backward = np.subtract(position, target)
    right = np.cross(up, backward)
    above = np.cross(backward, right)
    axes = ' '.join(f'{value:.6g}' for value in (*right, *above))
    place = ' '.join(f'{value:.6g}' for value in position)
    return f'<camera name="{name}" pos="{place}" xyaxes="{axes}" fovy="{fovy}"/>'


class Scene:
    """A compiled model and its state.

    Args:
        mjcf: The model, as XML.

    Attributes:
        model: The compiled model.
        data: Its state.
    """

    def __init__(self, mjcf: str) -> None:
        self.model = mujoco.MjModel.from_xml_string(mjcf)
        self.data = mujoco.MjData(self.model)
        self._renderer: mujoco.Renderer | None = None

    def advance(self, substeps: int) -> None:
        """Run physics, and leave poses and contacts those of the state it arrives at."""
        mujoco.mj_step(self.model, self.data, substeps)
        self.settle()

    def settle(self) -> None:
        """Bring poses, contacts and cameras up to the joints; `mj_step` leaves them behind."""
        mujoco.mj_fwdPosition(self.model, self.data)

    @property
    def state(self) -> np.ndarray:
        """All that the simulation depends on, `(n,)` float64; setting it goes back there."""
        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        state = np.empty(mujoco.mj_stateSize(self.model, kind))
        mujoco.mj_getState(self.model, self.data, state, kind)
        return state

    @state.setter
    def state(self, state: np.ndarray) -> None:
        mujoco.mj_setState(self.model, self.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        self.settle()

    def image(self, camera: str, height: int, width: int) -> np.ndarray:
        """Render a camera, `(height, width, 3)` uint8.

        The OpenGL context is made on the first call, and belongs to the thread that made it.
        """
        if self._renderer is None:
            self._renderer = mujoco.Renderer(self.model, height, width)
        self._renderer.update_scene(self.data, camera)
        return self._renderer.render()

    def close(self) -> None:
        """Release the OpenGL context; call it from the thread that rendered."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
