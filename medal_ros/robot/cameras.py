"""Which images of a camera can be used, and what of them is kept. No ROS here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medal_ros.options import OptionError, group, option
from medal_ros.scheduling import LoopConfig

ENCODINGS = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1}  # bytes of a pixel


@dataclass(frozen=True)
class CameraSyncConfig:
    """Parameters of camera_sync.

    Raises:
        OptionError: Times of arrival are to be equal.
    """

    cameras: tuple[str, ...] = option(
        ('third',), 'names of the cameras, read from camera/<name>/image_raw'
    )
    height: int = option(100, 'rows of every image in an observation', source='paper A.2', low=1)
    width: int = option(100, 'columns', source='paper A.2', low=1)
    crop: tuple[float, ...] = option(
        (),
        'what to keep: top, left, height, width as fractions of the image; four numbers, or four '
        'for each camera; empty: everything',
        low=0,
        high=1,
    )
    source_size: tuple[int, ...] = option(
        (),
        'rows and columns that the cameras must send; two numbers, or two for each camera; '
        'empty: those of the first image',
        low=1,
    )
    slop: float = option(
        0.0,
        'seconds by which the stamps of images that belong together may differ; 0: images and '
        'robot state have equal stamps, as in the stand-in',
        low=0,
    )
    queue: int = option(5, 'messages of each topic that wait for their match', low=1, high=100)
    fresh: float = option(
        0.02, 'slop > 0: seconds; older images wait for the next at a control tick', low=0
    )
    patience: float = option(
        0.04, 'slop > 0: seconds that a control tick waits for its images', low=0.001
    )
    oldest: float = option(
        0.1, 'slop > 0: seconds from the control tick at which images are of no use', low=0
    )
    stamps: str = option(
        'header',
        "slop > 0: whose time counts: the header's; that of arrival; auto: that of arrival for "
        'topics stamped by another clock',
        choices=('header', 'auto', 'arrival'),
    )
    clock_within: float = option(
        0.1, "slop > 0: seconds by which a stamp of this machine's clock may be off", low=0
    )
    reliability: str = option(
        'reliable', 'of the image subscriptions', choices=('reliable', 'best_effort')
    )
    stale_after: float = option(2.0, 'seconds of silence on a topic before a warning', low=0)
    frozen_after: float = option(
        0.0,
        'seconds after which an image that never changes withholds observations; 0: never '
        '(a simulated camera has no noise)',
        low=0,
    )
    clocked: bool = option(
        False, 'whether the arm goes by the clock: then pictures and stamps are watched, as follows'
    )
    frozen_pictures: int = option(
        10, 'same pictures in a row, while the arm moves, that are a frozen camera; 0: any', low=0
    )
    frozen_moved: float = option(
        0.05, 'how far proprioception must go meanwhile, of [-1, 1]', low=0
    )
    swapped_beyond: float = option(
        60.0,
        'levels of 255 by which pictures may differ from those of the beginning; 0: any',
        low=0,
    )
    jump_beyond: float = option(
        1.0, 'seconds by which stamps may leap ahead; they may never go back; 0: any', low=0
    )
    folder: str = option('', "the run's folder, where the first pictures are kept; empty: nowhere")
    resume: bool = option(False, "compare with the pictures that the run's folder holds")
    loop: LoopConfig = group(LoopConfig)

    def __post_init__(self) -> None:
        if self.slop == 0 and self.stamps != 'header':
            raise OptionError(
                f'stamps {self.stamps} needs a slop above 0: times of arrival are never equal'
            )


class ImageFormat:
    """What every image of one camera must be like.

    A camera that restarts with other settings shows another part of the world, or the same one
    turned: the size of its first usable image holds for all.

    Args:
        least: Rows and columns that must be left after the crop.
        crop: Top, left, height and width as fractions of the image, or empty.
        size: Rows and columns that the camera must send; None: those of its first usable image.
    """

    def __init__(
        self,
        least: tuple[int, int],
        crop: Sequence[float] = (),
        size: tuple[int, int] | None = None,
    ) -> None:
        self.least, self.crop = least, tuple(crop)
        self.size = size
        self.demanded = size is not None

    def check(self, encoding: str, height: int, width: int, step: int, bytes_: int) -> None:
        """Accept an image by what its message says of it.

        Raises:
            ValueError: It cannot be used; the sentence says what is allowed.
        """
        if encoding not in ENCODINGS:
            raise ValueError(f'encoding {encoding!r} is none of {", ".join(ENCODINGS)}')
        if height * width == 0 or bytes_ != height * step:
            raise ValueError(f'{bytes_} bytes are not an image of {height} rows of {step} bytes')
        if step < width * ENCODINGS[encoding]:
            raise ValueError(f'rows of {step} bytes are too short for {width} {encoding} pixels')
        if self.size not in (None, (height, width)):
            raise ValueError(self._other_size(height, width))
        rows, columns = cut(self.crop, height, width)
        kept = rows.stop - rows.start, columns.stop - columns.start
        if kept[0] < self.least[0] or kept[1] < self.least[1]:
            raise ValueError(
                f'{kept[1]}x{kept[0]} pixels (after the crop) are fewer than '
                f'{self.least[1]}x{self.least[0]}'
            )
        self.size = height, width

    def _other_size(self, height: int, width: int) -> str:
        wanted = f'{self.size[1]}x{self.size[0]}'
        swapped = ': rows and columns are swapped' if self.size == (width, height) else ''
        rule = 'must have' if self.demanded else 'began with'
        return f'the image has {width}x{height} pixels and {rule} {wanted}{swapped}'


def cut(crop: Sequence[float], height: int, width: int) -> tuple[slice, slice]:
    """Return the rows and columns that a crop keeps; all of them where it is empty."""
    if not crop:
        return slice(0, height), slice(0, width)
    top, left = round(crop[0] * height), round(crop[1] * width)
    return slice(top, top + round(crop[2] * height)), slice(left, left + round(crop[3] * width))


def crops(config: CameraSyncConfig) -> list[tuple[float, ...]]:
    """Return one crop for each camera, empty for none.

    Raises:
        OptionError: Not four numbers for all or for each camera, or not inside the image.
    """
    each = per_camera('crop', config.crop, len(config.cameras), 4)
    for crop in each:
        inside = not crop or (crop[0] + crop[2] <= 1 and crop[1] + crop[3] <= 1)
        if not inside or 0 in crop[2:]:
            raise OptionError(f'camera_sync: parameter crop must lie in the image, not {crop}')
    return each


def sizes(config: CameraSyncConfig) -> list[tuple[int, int] | None]:
    """Return rows and columns that each camera must send, None for any.

    Raises:
        OptionError: Not two numbers for all or for each camera.
    """
    each = per_camera('source_size', config.source_size, len(config.cameras), 2)
    return [size or None for size in each]


def per_camera(name: str, numbers: Sequence[float], cameras: int, each: int) -> list[tuple]:
    """Return each camera's numbers of a parameter that states them once for all or in turn.

    Raises:
        OptionError: Another count of numbers.
    """
    counts = sorted({0, each, each * cameras})
    if len(numbers) not in counts:
        *words, last = ['no', *map(str, counts[1:])]
        raise OptionError(
            f'camera_sync: parameter {name} must have {", ".join(words)} or {last} numbers, '
            f'not {len(numbers)}'
        )
    if len(numbers) <= each:
        return [tuple(numbers)] * cameras
    return [tuple(numbers[i : i + each]) for i in range(0, len(numbers), each)]
