"""Augmentation of clips, held against plain slicing and against torchvision, clip by clip."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from stgcn_pyg.data.sampling import restricted_random
from stgcn_pyg.data.transforms import IMAGENET_MEAN, IMAGENET_STD, ClipAugmentation, normalize

NAMES = (
    *("sign", "zoom", "x", "y", "red", "green", "blue", "left", "top", "right", "bottom"),
    *("brightness", "contrast", "saturation"),
)
STILL = dict(zip(NAMES, (1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1), strict=True))


def numbers(**changes):
    return torch.tensor([[list((STILL | changes).values())]], dtype=torch.float32)


@pytest.fixture
def clips():
    return torch.rand(1, 2, 3, 8, 4)


MOVES = {"shift": 0.1, "zoom": 0.1}
JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4}
ALL = MOVES | JITTER | {"colour": 0.1, "erase": 0.5}


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


def batch(augmentation, clips=6, num_frames=4, height=32, width=16):
    """A batch of clips that differ, and numbers for each from a seed of its own."""
    drawn = [augmentation.draw(num_frames, np.random.default_rng(i)) for i in range(clips)]
    pictures = torch.rand(clips, num_frames, 3, height, width)
    return pictures, torch.from_numpy(np.stack(drawn))


def by_torchvision(change, clips, numbers):
    """One call a frame, with its own numbers or those of its clip."""
    rows = numbers.expand(-1, clips.size(1), -1).flatten(0, 1).tolist()
    changed = [
        change(frame, dict(zip(NAMES, row, strict=True)))
        for frame, row in zip(clips.flatten(0, 1), rows, strict=True)
    ]
    return torch.stack(changed).view(clips.shape)


EACH = pytest.mark.parametrize("augment", ["clip", "frame"])


@EACH
def test_flips_are_torchvisions(augment):
    augmentation = ClipAugmentation(augment=augment)
    clips, drawn = batch(augmentation)
    assert set(drawn[..., 0].unique().tolist()) == {-1, 1}
    expected = by_torchvision(
        lambda frame, n: tv.horizontal_flip(frame) if n["sign"] < 0 else frame, clips, drawn
    )
    assert torch.equal(augmentation.apply(clips, drawn), expected)


@EACH
def test_shift_zoom_and_flip_are_torchvisions_affine_map_within_a_padded_border(augment):
    augmentation = ClipAugmentation(shift=0.2, zoom=0.2, augment=augment)
    clips, drawn = batch(augmentation)
    height, width = clips.shape[3:]

    def change(frame, n):
        # A point x of the result shows zoom * x + shift of the picture: torchvision, whose map goes
        # from picture to result, scales by 1 / zoom, then moves by -shift / zoom.
        padded = tv.pad(frame, [width, height], padding_mode="edge")
        moved = tv.affine(
            padded,
            angle=0.0,
            translate=[-n["x"] * width / n["zoom"], -n["y"] * height / n["zoom"]],
            scale=1 / n["zoom"],
            shear=[0.0, 0.0],
            interpolation=tv.InterpolationMode.BILINEAR,
        )
        moved = tv.crop(moved, height, width, height, width)
        return tv.horizontal_flip(moved) if n["sign"] < 0 else moved

    expected = by_torchvision(change, clips, drawn)
    torch.testing.assert_close(augmentation.apply(clips, drawn), expected, rtol=0, atol=1e-4)


@EACH
def test_a_shift_by_whole_pixels_is_torchvisions_pad_and_crop(augment):
    augmentation = ClipAugmentation(shift=0.25, flip=0.0, augment=augment)
    clips, drawn = batch(augmentation)
    height, width = clips.shape[3:]
    drawn[..., 2] = (drawn[..., 2] * width).round() / width
    drawn[..., 3] = (drawn[..., 3] * height).round() / height

    def change(frame, n):
        padded = tv.pad(frame, [width, height], padding_mode="edge")
        top, left = height + round(n["y"] * height), width + round(n["x"] * width)
        return tv.crop(padded, top, left, height, width)

    expected = by_torchvision(change, clips, drawn)
    torch.testing.assert_close(augmentation.apply(clips, drawn), expected, rtol=0, atol=1e-4)


@EACH
@pytest.mark.parametrize("chosen", [[name] for name in JITTER] + [list(JITTER)], ids="-".join)
def test_colour_jitter_is_torchvisions(augment, chosen):
    augmentation = ClipAugmentation(augment=augment, flip=0.0, **dict.fromkeys(chosen, 0.8))
    clips, drawn = batch(augmentation)

    def change(frame, n):
        for name in chosen:
            frame = getattr(tv, f"adjust_{name}")(frame, n[name])
        return frame

    expected = by_torchvision(change, clips, drawn)
    assert (expected - clips).abs().max() > 0.1
    torch.testing.assert_close(augmentation.apply(clips, drawn), expected)


@EACH
def test_erased_rectangles_are_torchvisions(augment):
    augmentation = ClipAugmentation(erase=0.7, flip=0.0, augment=augment)
    clips, drawn = batch(augmentation)
    height, width = clips.shape[3:]
    mean = torch.tensor(IMAGENET_MEAN).view(3, 1, 1)

    def change(frame, n):
        # A pixel is inside if its middle is.
        top, bottom = (round(n[edge] * height) for edge in ("top", "bottom"))
        left, right = (round(n[edge] * width) for edge in ("left", "right"))
        return tv.erase(frame, top, left, bottom - top, right - left, mean)

    expected = by_torchvision(change, clips, drawn)
    assert not torch.equal(expected, clips)
    assert torch.equal(augmentation.apply(clips, drawn), expected)


def test_frames_that_change_each_by_itself_are_clips_of_one_frame():
    by_frame = ClipAugmentation(**ALL, augment="frame")
    clips, drawn = batch(by_frame)
    assert drawn.shape == (6, 4, 14)
    assert (drawn.std(dim=1)[:, 1:7] > 0).all()
    alone = ClipAugmentation(**ALL).apply(
        clips.flatten(0, 1)[:, None], drawn.flatten(0, 1)[:, None]
    )
    changed = by_frame.apply(clips, drawn)
    torch.testing.assert_close(changed, alone.view(clips.shape))


def test_the_first_frame_changes_as_the_whole_clip_would():
    for seed in range(20):
        by_clip, by_frame = (
            ClipAugmentation(**ALL, augment=augment).draw(4, np.random.default_rng(seed))
            for augment in ("clip", "frame")
        )
        assert by_clip.shape == (1, 14)
        assert by_frame.shape == (4, 14)
        assert np.array_equal(by_clip[0], by_frame[0])


def test_draws_are_those_of_earlier_versions():
    augmentation = ClipAugmentation(flip=0.5, shift=0.05, zoom=0.05, colour=0.1, erase=0.2)
    rng = np.random.default_rng((0, 0, 0))
    restricted_random(29, 8, rng)  # the frames come first
    [drawn] = augmentation.draw(8, rng)
    expected = [1.0, 1.0412755012512207, 0.010663577355444431, 0.02294965647161007]
    expected += [1.0087250471115112, 1.0870144367218018, 1.0631706714630127]
    expected += [0.0, 0.11674346774816513, 1.0, 0.4521278738975525]
    assert drawn.tolist() == [*expected, 1.0, 1.0, 1.0]


def test_at_the_defaults_no_colour_is_touched(clips):
    plain, jittered = ClipAugmentation(), ClipAugmentation(**JITTER)
    changes = numbers(brightness=0.5, contrast=0.5, saturation=0.5, red=0.5)
    assert torch.equal(plain.apply(clips, changes), clips)
    assert not torch.equal(jittered.apply(clips, changes), clips)


def test_draws_stay_in_their_ranges_and_reach_their_ends():
    reaches = {"brightness": 0.4, "contrast": 0.5, "saturation": 0.6}
    augmentation = ClipAugmentation(flip=0.5, shift=0.1, zoom=0.2, colour=0.3, erase=0.5, **reaches)
    rng = np.random.default_rng(0)
    drawn = np.concatenate([augmentation.draw(8, rng) for _ in range(2000)])
    sign, zoom, x, y, *rest = drawn.T
    assert set(sign.tolist()) == {-1.0, 1.0}
    assert abs((sign < 0).mean() - 0.5) < 0.05
    for values, centre, reach in (
        (zoom, 1, 0.2),
        (x, 0, 0.1),
        (y, 0, 0.1),
        *((g, 1, 0.3) for g in rest[:3]),
        *((factor, 1, reach) for factor, reach in zip(rest[7:], reaches.values(), strict=True)),
    ):
        assert np.abs(values - centre).max() == pytest.approx(reach, rel=0.02)
    left, top, right, bottom = rest[3:7]
    area = (right - left) * (bottom - top)
    assert abs((area > 0).mean() - 0.5) < 0.05
    assert area.max() < 0.41
    assert min(left.min(), top.min()) >= 0
    assert max(right.max(), bottom.max()) <= 1 + 1e-6


def test_normalize_subtracts_imagenets_mean_and_divides_by_its_deviation():
    clips = torch.rand(2, 3, 3, 8, 4)
    for channel, (mean, std) in enumerate(zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)):
        expected = (clips[:, :, channel] - mean) / std
        torch.testing.assert_close(normalize(clips)[:, :, channel], expected)


def test_factors_stay_above_zero():
    augmentation = ClipAugmentation(brightness=2.0, contrast=2.0, saturation=2.0)
    rng = np.random.default_rng(0)
    factors = np.concatenate([augmentation.draw(1, rng) for _ in range(300)])[:, 11:]
    assert 0 <= factors.min() < 0.1
    assert 2.9 < factors.max() <= 3
