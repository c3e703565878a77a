"""Random shift against values worked out by hand."""

import numpy as np
import pytest
import torch

from medal_ros.learning.augment import (
    draw_offsets,
    random_shift,
    random_shift_tensor,
    shift_by_index,
)

IMAGE = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.uint8)


def shifted(row, column, pad=1, image=IMAGE):
    frames = image[None, :, :, None]
    out = random_shift(frames, pad, np.random.default_rng(0), np.array([[row, column]]))
    return out[0, :, :, 0].tolist()


@pytest.mark.parametrize(
    ('offset', 'expected'),
    [
        ((1, 1), [[1, 2, 3], [4, 5, 6], [7, 8, 9]]),
        ((0, 1), [[1, 2, 3], [1, 2, 3], [4, 5, 6]]),
        ((2, 1), [[4, 5, 6], [7, 8, 9], [7, 8, 9]]),
        ((1, 0), [[1, 1, 2], [4, 4, 5], [7, 7, 8]]),
        ((2, 0), [[4, 4, 5], [7, 7, 8], [7, 7, 8]]),
    ],
)
def test_shift_by_one_repeats_the_edge(offset, expected):
    assert shifted(*offset) == expected


def test_shift_by_more_repeats_the_edge_as_often():
    assert shifted(0, 4, pad=2) == [[3, 3, 3], [3, 3, 3], [3, 3, 3]]
    assert shifted(4, 3, pad=2) == [[8, 9, 9], [8, 9, 9], [8, 9, 9]]


def test_a_shift_beyond_the_image_leaves_its_edge():
    assert shifted(0, 5, pad=5) == [[1, 2, 3], [1, 2, 3], [1, 2, 3]]
    assert shifted(9, 10, pad=5) == [[9, 9, 9], [9, 9, 9], [9, 9, 9]]


def test_every_frame_has_its_own_shift_and_channels_share_it():
    frames = np.stack([np.stack([IMAGE, IMAGE + 100], -1)] * 2)
    offsets = np.array([[0, 1], [1, 2]])
    out = random_shift(frames, 1, np.random.default_rng(0), offsets)
    assert out.dtype == np.uint8
    assert out[0, :, :, 0].tolist() == [[1, 2, 3], [1, 2, 3], [4, 5, 6]]
    assert out[1, :, :, 0].tolist() == [[2, 3, 3], [5, 6, 6], [8, 9, 9]]
    assert (out[..., 1] == out[..., 0] + 100).all()


def test_drawn_shifts_reach_every_offset_equally_often():
    """Where the middle pixel comes from tells the shift."""
    image = np.arange(49, dtype=np.uint8).reshape(7, 7)
    frames = np.broadcast_to(image[None, :, :, None], (5000, 7, 7, 1))
    middle = random_shift(frames, 2, np.random.default_rng(0))[:, 3, 3, 0].astype(int)
    sources, counts = np.unique(middle, return_counts=True)
    assert sources.tolist() == [7 * (3 + r) + 3 + c for r in range(-2, 3) for c in range(-2, 3)]
    assert counts.min() > 130 and counts.max() < 270  # 200 expected, deviation 14


def test_the_seed_decides_and_no_shift_is_the_identity():
    frames = np.random.default_rng(0).integers(0, 256, (9, 5, 5, 3), np.uint8)
    before = frames.copy()
    a, b, c = (random_shift(frames, 2, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (a == b).all() and (a != c).any()
    assert (frames == before).all()
    assert random_shift(frames, 0, np.random.default_rng(0)) is frames


@pytest.mark.parametrize('pad', [1, 4, 9])  # the last one is further than a frame is high
def test_shifts_by_index_are_the_same(pad):
    frames = np.random.default_rng(0).integers(0, 256, (50, 7, 5, 3), np.uint8)
    expected = random_shift(frames, pad, np.random.default_rng(1))
    offsets = torch.from_numpy(draw_offsets(50, pad, np.random.default_rng(1)))
    shifted = shift_by_index(torch.from_numpy(frames), pad, offsets)
    assert np.array_equal(shifted.numpy(), expected)
    assert shifted.is_contiguous()  # the encoder takes the bytes as they lie
    here = random_shift_tensor(torch.from_numpy(frames), pad, np.random.default_rng(1))
    assert np.array_equal(here.numpy(), expected)


def test_frames_on_a_device_draw_as_many_numbers_as_in_memory():
    rngs = [np.random.default_rng(3), np.random.default_rng(3)]
    for rng, device in zip(rngs, ('cpu', 'meta'), strict=True):
        frames = torch.zeros(6, 8, 8, 3, dtype=torch.uint8, device=device)
        for pad in (2, 0, 4):
            assert random_shift_tensor(frames, pad, rng).shape == frames.shape
    assert rngs[0].bit_generator.state == rngs[1].bit_generator.state
