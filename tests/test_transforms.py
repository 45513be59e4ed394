"""Augmentation of clips, held against plain slicing."""

import numpy as np
import pytest
import torch

from stgcn_pyg.data.transforms import IMAGENET_MEAN, ClipAugmentation, normalize

STILL = [1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0]


def numbers(**changes):
    names = ["sign", "zoom", "x", "y", "red", "green", "blue", "left", "top", "right", "bottom"]
    values = dict(zip(names, STILL, strict=True)) | changes
    return torch.tensor([list(values.values())], dtype=torch.float32)


@pytest.fixture
def clips():
    return torch.rand(1, 2, 3, 8, 4)


ALL = {"shift": 0.1, "zoom": 0.1, "colour": 0.1, "erase": 0.5}


def test_nothing_drawn_changes_nothing(clips):
    torch.testing.assert_close(ClipAugmentation(**ALL).apply(clips, numbers()), clips)


@pytest.mark.parametrize("options", [{}, ALL])
def test_a_flip_turns_every_frame_of_its_clip_alone(clips, options):
    both = torch.cat([clips, clips])
    changed = ClipAugmentation(**options).apply(both, torch.cat([numbers(), numbers(sign=-1)]))
    torch.testing.assert_close(changed[0], clips[0])
    torch.testing.assert_close(changed[1], clips[0].flip(3))


def test_a_shift_moves_the_picture_and_repeats_its_border(clips):
    changed = ClipAugmentation(shift=0.5).apply(clips, numbers(x=0.25, y=-0.25))
    torch.testing.assert_close(changed[..., 2:, :3], clips[..., :-2, 1:])
    torch.testing.assert_close(changed[..., 2:, 3], clips[..., :-2, 3])


def test_gains_act_on_their_own_colour(clips):
    changed = ClipAugmentation(colour=0.5).apply(clips, numbers(green=0.5, blue=3))
    torch.testing.assert_close(changed[:, :, 0], clips[:, :, 0])
    torch.testing.assert_close(changed[:, :, 1], clips[:, :, 1] / 2)
    torch.testing.assert_close(changed[:, :, 2], (3 * clips[:, :, 2]).clamp(max=1))


def test_an_erased_rectangle_has_the_mean_colour(clips):
    changed = ClipAugmentation(erase=1).apply(
        clips, numbers(left=0.25, top=0.5, right=0.75, bottom=1)
    )
    expected = clips.clone()
    for channel, mean in enumerate(IMAGENET_MEAN):
        expected[:, :, channel, 4:, 1:3] = mean
    torch.testing.assert_close(changed, expected)


def test_draws_stay_in_their_ranges_and_reach_their_ends():
    augmentation = ClipAugmentation(flip=0.5, shift=0.1, zoom=0.2, colour=0.3, erase=0.5)
    rng = np.random.default_rng(0)
    drawn = np.stack([augmentation.draw(rng) for _ in range(2000)])
    sign, zoom, x, y, *rest = drawn.T
    assert set(sign.tolist()) == {-1.0, 1.0}
    assert abs((sign < 0).mean() - 0.5) < 0.05
    for values, centre, reach in (
        (zoom, 1, 0.2),
        (x, 0, 0.1),
        (y, 0, 0.1),
        *((g, 1, 0.3) for g in rest[:3]),
    ):
        assert np.abs(values - centre).max() == pytest.approx(reach, rel=0.02)
    left, top, right, bottom = rest[3:]
    area = (right - left) * (bottom - top)
    assert abs((area > 0).mean() - 0.5) < 0.05
    assert area.max() < 0.41
    assert min(left.min(), top.min()) >= 0
    assert max(right.max(), bottom.max()) <= 1 + 1e-6


def test_normalize_gives_imagenets_mean_0():
    mean = torch.tensor(IMAGENET_MEAN).view(3, 1, 1).expand(1, 1, 3, 2, 2)
    torch.testing.assert_close(normalize(mean), torch.zeros_like(mean))
