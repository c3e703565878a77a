"""A terminal whose keys are read one by one, and pictures drawn in it. No ROS import."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import termios
from typing import Self

import cv2
import numpy as np

from medal_ros.errors import UserError

CLEAR, HOME, REST, PLAIN = '\x1b[2J', '\x1b[H', '\x1b[J', '\x1b[0m'
# Runs beside us until our end of a pipe closes, however we end, and then puts the terminal back.
# It may be in the background by then, where SIGTTOU would stop it.
# The pipe is its input and the terminal its output.
GUARD = 'trap "" INT TERM HUP QUIT TSTP TTOU; cat >/dev/null; stty {modes} <&1'
RESTORED = 2.0  # seconds that putting back may take


class Terminal:
    """Standard input, one key at a time, without echo; a context manager.

    Ctrl-C, Ctrl-Z and the like come as keys too, so that no signal leaves something held. The
    terminal is put back by a process of its own, even when this one is killed.

    Raises:
        UserError: Standard input is no terminal.
    """

    def __init__(self) -> None:
        self.file = sys.stdin.fileno() if sys.stdin else -1
        if not os.isatty(self.file):
            raise UserError(
                'the keyboard is read from a terminal, and this has none: run the node by itself '
                '(medal_ros teleop_keyboard), not from a launch file or with its input redirected'
            )
        modes = termios.tcgetattr(self.file)
        self._guard, self._pipe = _guard(self.file)
        modes[0] &= ~(termios.IXON | termios.ICRNL)
        modes[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
        modes[6][termios.VMIN], modes[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self.file, termios.TCSADRAIN, modes)

    def read(self) -> str | None:
        """Return all keys pressed since the last call, at once; None: the terminal went away."""
        text = b''
        try:
            while select.select([self.file], [], [], 0.0)[0]:
                piece = os.read(self.file, 4096)
                if not piece:
                    return None
                text += piece
        except OSError:
            return None
        return text.decode(errors='ignore')

    def write(self, text: str) -> None:
        """Write to standard output; nobody minds a reader that went away."""
        try:
            os.write(sys.stdout.fileno(), text.encode())
        except OSError:
            return

    def size(self) -> tuple[int, int]:
        """Return columns and rows."""
        try:
            size = os.get_terminal_size(self.file)
        except OSError:
            return 80, 24
        return size.columns or 80, size.lines or 24

    def close(self) -> None:
        """Put the terminal back; again does nothing."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
            try:
                self._guard.wait(RESTORED)
            except subprocess.TimeoutExpired:
                self._guard.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _guard(file: int) -> tuple[subprocess.Popen, int]:
    modes = subprocess.check_output(['stty', '-g'], stdin=file, text=True).strip()
    reads, writes = os.pipe()
    guard = subprocess.Popen(['sh', '-c', GUARD.format(modes=modes)], stdin=reads, stdout=file)
    os.close(reads)
    return guard, writes


def true_colour() -> bool:
    """Return whether the terminal says that it has all colours; else it is taken to have 256."""
    return os.environ.get('COLORTERM') in ('truecolor', '24bit')


def picture(images: list[np.ndarray], columns: int, rows: int, full: bool) -> list[str]:
    """Return lines of text that show images side by side, two pixels to a character.

    Args:
        images: `(height, width, 3)` uint8 rgb, all of one size.
        columns: Characters that there are in a line.
        rows: Lines that there are.
        full: Whether to use 24-bit colours instead of 256.
    """
    height, width = images[0].shape[:2]
    scale = min((columns - len(images) + 1) / len(images) / width, 2 * rows / height, 1.0)
    size = max(int(width * scale), 1), max(int(height * scale) // 2 * 2, 2)
    small = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images]
    lines = []
    for row in range(0, size[1], 2):
        parts = (_line(image[row], image[row + 1], full) for image in small)
        lines.append(f'{PLAIN} '.join(parts) + PLAIN)
    return lines


def _line(upper: np.ndarray, lower: np.ndarray, full: bool) -> str:
    pieces, before = [], None
    for pair in zip(upper.tolist(), lower.tolist(), strict=True):
        top, bottom = (_colour(pixel, full) for pixel in pair)
        if (top, bottom) != before:
            pieces.append(f'\x1b[38;{top};48;{bottom}m')
            before = top, bottom
        pieces.append('▀')
    return ''.join(pieces)


def _colour(pixel: list[int], full: bool) -> str:
    if full:
        return '2;{};{};{}'.format(*pixel)
    red, green, blue = (round(value / 255 * 5) for value in pixel)
    return f'5;{16 + 36 * red + 6 * green + blue}'
