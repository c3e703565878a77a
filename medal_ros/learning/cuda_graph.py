"""Steps of training as CUDA graphs: recorded once, then launched as a whole.

A step is hundreds of small kernels, which a processor takes longer to launch one by one than a
large GPU to run. A graph launches them at once. torch.compile would do so too, but it takes minutes
and needs a compiler where a robot is, and runs other kernels than were tested; a graph the same.

What is recorded reads and writes the same memory at each launch, so inputs are copied to where it
reads them, and nothing in it may wait for the device or depend on a number that only the processor
knows: schedules are tensors.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

Tensors = dict[str, Tensor]
Step = Callable[[Tensors, Tensor], Any]
EAGER = 3  # calls before a recording, in which libraries choose their ways and memory settles


class Graph(Protocol):
    """What records work on a device and repeats it."""

    def aside(self, work: Callable[[], Any]) -> Any:
        """Do work as it will be done when it is recorded; return its result."""

    def record(self, work: Callable[[], Any]) -> Any:
        """Record work, which is not done; return where its result will be."""

    def replay(self) -> None:
        """Do what was recorded."""


class CudaGraph:
    """A graph of one CUDA device.

    Args:
        device: Which one.
        stream: Where it is recorded.
        pool: Its memory.
    """

    def __init__(
        self, device: torch.device, stream: torch.cuda.Stream, pool: tuple[int, int]
    ) -> None:
        self.device, self.stream, self.pool = device, stream, pool
        self.graph = torch.cuda.CUDAGraph()

    def aside(self, work: Callable[[], Any]) -> Any:
        outer = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(outer)
        with torch.cuda.stream(self.stream):
            result = work()
        outer.wait_stream(self.stream)
        return result

    def record(self, work: Callable[[], Any]) -> Any:
        # Other threads of the process may use the device meanwhile: thread_local.
        capture = torch.cuda.graph(self.graph, self.pool, self.stream, 'thread_local')
        outer = torch.cuda.current_stream(self.device)
        # A capture that fails would leave its own stream behind: the outer one is set again.
        with torch.cuda.device(self.device), torch.cuda.stream(outer), capture:
            return work()

    def replay(self) -> None:
        with torch.cuda.device(self.device):
            self.graph.replay()


def cuda_graphs(device: torch.device, count: int) -> list[Graph]:
    """Return graphs that share memory: they must be replayed in the order of their recording."""
    stream = torch.cuda.Stream(device)
    with torch.cuda.device(device):
        pool = torch.cuda.graph_pool_handle()
    return [CudaGraph(device, stream, pool) for _ in range(count)]


class Recorded:
    """A step of a batch and one more tensor, eager at first and then repeated from a recording.

    Where it cannot be recorded it stays eager, which is slower, and says so.

    Args:
        step: It must not wait for the device. What it returns is overwritten by the next call.
        graph: Records it.
        changed: Called when weights have changed without Python's notice.
    """

    def __init__(self, step: Step, graph: Graph, changed: Callable[[], None]) -> None:
        self.step, self.graph, self.changed = step, graph, changed
        self.eager: float = EAGER  # calls that are left before it is recorded
        self._inputs: tuple[Tensors, Tensor] | None = None
        self._result: Any = None

    def __call__(self, batch: Tensors, other: Tensor) -> Any:
        if self.eager <= 0 and self._inputs is None:
            self._record(batch, other)
        if self.eager > 0:
            self.eager -= 1
            return self.graph.aside(lambda: self.step(batch, other))
        self._fill(batch, other)
        self.graph.replay()
        self.changed()
        return self._result

    def _record(self, batch: Tensors, other: Tensor) -> None:
        inputs = {name: tensor.clone() for name, tensor in batch.items()}, other.clone()
        self.changed()  # what the step derives from weights, it is to derive each time
        try:
            self._result = self.graph.record(lambda: self.step(*inputs))
            self._inputs = inputs
        except RuntimeError as error:
            self.eager = math.inf
            self.changed()  # for nothing of that was done
            warnings.warn(f'updates are slower, for none could be recorded: {error}', stacklevel=2)

    def _fill(self, batch: Tensors, other: Tensor) -> None:
        mine, last = self._inputs
        for name, tensor in batch.items():
            mine[name].copy_(tensor)
        last.copy_(other)
