"""Every parser of files, as targets."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fuzz_mutations as mutations
import numpy as np
import rclpy
from fuzz_target import TASK, Target

from medal_ros.bench.results import Result, load_result
from medal_ros.config import load_config
from medal_ros.demos import look
from medal_ros.errors import UserError
from medal_ros.evaluation import best_steps
from medal_ros.hardware import load_laboratory
from medal_ros.learning import weights
from medal_ros.learning.checkpoint import agent_tensors, restore_agent
from medal_ros.learning.demonstrations import check, load_demonstration
from medal_ros.options import parse_assignment
from medal_ros.resources import share
from medal_ros.sim import spaces_of


def files(folder: Path, config: Any, run: Any, made: dict[str, Any]) -> Iterator[Target]:
    """Yield a target for each parser of files."""
    spaces = spaces_of(TASK)
    learner = made['trainer'].learner
    demonstration = next(run.demonstrations.glob('*.safetensors')).read_bytes()
    policy = learner.agents['forward'].policy
    policy_file = weights.save_tensors(policy.state_dict(), folder / 'policy.safetensors')
    agent = learner.agents['backward']
    state = weights.save_tensors(
        agent_tensors(agent), folder / 'agent.safetensors', {'caller': '{}'}
    )
    result = Result('laptop', TASK, 'medalpp', 0, 'x', 10).save(folder / 'result').read_text()
    summary = json.dumps({'best_steps': 100, 'success': 0.5})

    def demonstrate(path: Path) -> None:
        found = load_demonstration(path)
        look.summary(found), list(look.table(found)), look.verdict(found)
        check(found, TASK, spaces, 8, path.name)

    def restore(path: Path) -> None:
        restore_agent(agent, weights.load_tensors(path))

    def best(path: Path) -> None:
        if best_steps(SimpleNamespace(summary=path), 'forward') is None:
            raise UserError('it says nothing')

    def store(path: Path) -> None:
        read_replay(learner.replay.store, path, folder)

    def parameters(path: Path) -> None:
        context = rclpy.Context()
        try:
            rclpy.init(args=['--ros-args', '--params-file', str(path)], context=context)
        except RuntimeError as error:  # what nodes.run shows
            raise UserError(str(error)) from None
        context.try_shutdown()

    tensors = mutations.mutate_tensors
    yaml_ = lambda text: lambda rng: mutations.mutate_text(rng, text, mutations.YAML)  # noqa: E731
    json_ = lambda text: lambda rng: mutations.mutate_text(rng, text, mutations.JSON)  # noqa: E731
    laboratory = share('config', 'franka', 'laboratory.yaml').read_text()
    node = (folder / 'parameters' / 'nodes.yaml').read_text()
    policy_bytes, state_bytes = policy_file.path.read_bytes(), state.path.read_bytes()
    for name, draw, take in (
        ('weights', lambda r: tensors(r, policy_bytes), lambda p: weights.load_into(policy, p)),
        ('text of weights', lambda r: tensors(r, state_bytes), weights.load_text),
        ('training state', lambda r: tensors(r, state_bytes), restore),
        ('demonstration', lambda r: tensors(r, demonstration), demonstrate),
        ('replay store', draw_indices, store),
        ('config.yaml', yaml_(run.config.read_text()), load_config),
        ('laboratory', yaml_(laboratory), load_laboratory),
        ('parameter file', yaml_(node), parameters),
        ('result.json', json_(result), load_result),
        ('summary.json', json_(summary), best),
    ):
        yield Target('file', name, _or_no_file(draw), _written(folder, take))
    words = yaml_('graph.rate=10')
    yield Target('text', '--set', words, lambda t: parse_assignment(t.decode(errors='replace')))


def _or_no_file(draw: Callable[[np.random.Generator], bytes]) -> Callable[..., Any]:
    """Now and then ask for what is no file, or for far too large a one."""
    others = ('folder', 'pipe', 'device', 'nothing', 'large')

    def drawn(rng: np.random.Generator) -> Any:
        return draw(rng) if rng.random() > 0.03 else others[rng.integers(len(others))]

    return drawn


def _written(folder: Path, take: Callable[[Path], object]) -> Callable[[Any], object]:
    """Return a reader of what is first written to a file."""
    path, number = folder / 'input', [0]

    def read(data: Any) -> object:
        number[0] += 1
        place = path.with_name(f'input{number[0]}.safetensors')
        try:
            return take(_make(place, data))
        finally:
            with suppress(OSError):
                place.rmdir() if place.is_dir() else place.unlink(missing_ok=True)

    return read


def _make(place: Path, data: Any) -> Path:
    if isinstance(data, bytes):
        place.write_bytes(data)
    elif data == 'folder':
        place.mkdir()
    elif data == 'pipe':
        os.mkfifo(place)
    elif data == 'device':
        return Path('/dev/zero')
    elif data == 'large':
        place.touch()
        os.truncate(place, weights.MAX_BYTES + 1)  # sparse
    return place


INDICES = np.arange(64, dtype=np.int64).tobytes()


def draw_indices(rng: np.random.Generator) -> bytes:
    data = mutations.mutate_bytes(rng, INDICES)
    return data if rng.random() < 0.3 else data[: len(INDICES)].ljust(len(INDICES), b'\xff')


def read_replay(good: Any, path: Path, folder: Path) -> None:
    """Open a small store whose list of forward steps is the file, and draw a batch from it."""
    from medal_ros.learning.replay import Counts, FrameStore, Replay

    place = folder / 'store'
    if not place.exists():
        FrameStore(spaces_of(TASK), 64, place).flush()
    target = place / 'forward.bin'
    target.unlink(missing_ok=True)
    target.symlink_to(path)
    store = FrameStore(spaces_of(TASK), 64, place, 'r')
    replay = Replay(store)
    replay.counts = Counts(64, 63, 0)
    replay.batch(replay.choose(('forward',), 8, np.random.default_rng(0)))
