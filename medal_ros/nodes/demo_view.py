"""demo_view: shows the person at the controls what the cameras see.

In a window where OpenCV can open one (apt's can, the one from PyPI cannot) and there is a display;
else as a web page of this machine, which a browser shows and `ssh -L` carries.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
from rclpy.node import Node
from std_msgs.msg import String

from medal_ros.bounded import plain
from medal_ros.msg import Observation
from medal_ros.nodes.diagnostics import Diagnostics
from medal_ros.nodes.images import arrays_from_images
from medal_ros.nodes.parameters import declare
from medal_ros.nodes.qos import LATCHED, STREAM
from medal_ros.nodes.run import run
from medal_ros.options import OptionError, option
from medal_ros.videos import enlarge

TITLE, BAR = 'medal_ros: what the cameras see', 32
BOUNDARY = b'--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n'
PAGE = (
    f'<!doctype html><title>{TITLE}</title><body style="margin:0;background:#202020">'
    '<img src="stream" style="width:100%;max-height:100vh;object-fit:contain">'
).encode()
PATIENCE = 5.0  # seconds that a browser waits for the next image before it is let go


@dataclass(frozen=True)
class DemoViewConfig:
    """Parameters of demo_view."""

    show: str = option(
        'auto', 'how; auto: a window if possible', choices=('auto', 'window', 'browser')
    )
    address: str = option('127.0.0.1', 'who may look: this machine; 0.0.0.0: everybody')
    port: int = option(8080, 'of the web page; a taken one: the next free', low=0, high=65535)


class DemoView(Node):
    """Draws each observation once, whoever looks."""

    def __init__(self) -> None:
        super().__init__('demo_view', automatically_declare_parameters_from_overrides=True)
        self.config = c = declare(self, DemoViewConfig)
        self.words, self.shown = '', 0
        self.page: Page | None = None
        if c.show == 'window' and not can_open_a_window():
            raise OptionError('demo_view: there is no display, or OpenCV has no windows: browser')
        if c.show == 'browser' or not can_open_a_window():
            self.page = Page(c.address, c.port)
            self.get_logger().info(f'the cameras are shown at {self.page.url}')
        self.create_subscription(Observation, 'observation', self.on_observation, STREAM)
        self.create_subscription(String, 'demos', self.on_words, LATCHED)
        self.diagnostics = Diagnostics(self, self.describe)

    def on_words(self, message: String) -> None:
        self.words = plain(message.data)

    def on_observation(self, message: Observation) -> None:
        try:
            images = arrays_from_images(message.images)
            drawn = compose(images, self.words)
        except ValueError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)
            return
        self.shown += 1
        if self.page is not None:
            self.page.show(drawn)
        else:
            cv2.imshow(TITLE, drawn[..., ::-1])
            cv2.waitKey(1)

    def describe(self) -> tuple[str, dict[str, object]]:
        where = self.page.url if self.page else 'a window'
        return '' if self.shown else 'waiting for observations', {'shown': self.shown, 'at': where}

    def close(self) -> None:
        if self.page is not None:
            self.page.close()


def can_open_a_window() -> bool:
    """Return whether this OpenCV was built with windows and there is a display for them."""
    built = next((s for s in cv2.getBuildInformation().splitlines() if 'GUI:' in s), 'NONE')
    display = os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')
    return 'NONE' not in built and bool(display)


def compose(images: list[np.ndarray], words: str) -> np.ndarray:
    """Return `(height, width, 3)` rgb: the images side by side, enlarged, words below.

    Raises:
        ValueError: There are no images, or they are of different heights.
    """
    row = np.concatenate([enlarge(image) for image in images], axis=1)
    bar = np.full((BAR, row.shape[1], 3), 32, np.uint8)
    cv2.putText(bar, words, (8, 21), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (245,) * 3, 1, cv2.LINE_AA)
    return np.concatenate([row, bar])


class Page:
    """A web page with one moving picture.

    Args:
        address: Where to listen.
        port: Where to listen; where it is taken, any free one.
    """

    def __init__(self, address: str, port: int) -> None:
        self.jpeg, self.number = b'', 0
        self.changed = threading.Condition()
        handler = type('Handler', (_Handler,), {'page': self})
        try:
            self.server = ThreadingHTTPServer((address, port), handler)
        except OSError:
            self.server = ThreadingHTTPServer((address, 0), handler)
        self.server.daemon_threads = True
        self.url = f'http://{address}:{self.server.server_address[1]}/'
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def show(self, image: np.ndarray) -> None:
        """Show an rgb image to everybody who looks."""
        _, data = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        with self.changed:
            self.jpeg, self.number = data.tobytes(), self.number + 1
            self.changed.notify_all()

    def next(self, after: int) -> tuple[int, bytes] | None:
        """Return the first image after a number; None: there was none for a while."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.number > after, PATIENCE):
                return None
            return self.number, self.jpeg

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    page: Page

    def do_GET(self) -> None:
        try:
            if self.path == '/':
                self._answer('text/html', PAGE)
            elif self.path == '/stream':
                self._stream()
            else:
                self.send_error(404)
        except OSError:  # the browser went away
            self.close_connection = True

    def _answer(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header('Content-Type', 'multipart/x-mixed-replace; boundary=frame')
        self.end_headers()
        number = 0
        while (found := self.page.next(number)) is not None:
            number, jpeg = found
            self.wfile.write(BOUNDARY % len(jpeg) + jpeg + b'\r\n')

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


def main() -> None:
    run(DemoView)


if __name__ == '__main__':
    main()
