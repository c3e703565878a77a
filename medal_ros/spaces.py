"""What an observation and an action look like: the one shape that every part agrees on."""

from __future__ import annotations

from dataclasses import dataclass

from medal_ros.options import option

AGENTS = ('forward', 'backward')


@dataclass(frozen=True)
class Spaces:
    """Shapes of one task's observations and actions.

    A frame is one `(height, width, 3 * len(cameras))` uint8 array: the images of all cameras,
    in the order of `cameras`, stacked on the channel axis.
    """

    cameras: tuple[str, ...] = option(
        ('third',), "names of the images, in channel order; 'goal' is the image of a goal"
    )
    height: int = option(48, 'rows of every image', low=1)
    width: int = option(48, 'columns of every image', low=1)
    proprio: int = option(3, 'numbers the robot measures of itself, in [-1, 1]', low=1)
    action: int = option(3, 'numbers of an action, in [-1, 1]', low=1)

    @property
    def channels(self) -> int:
        return 3 * len(self.cameras)

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels
