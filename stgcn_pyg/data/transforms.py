"""Augmentation and normalisation of whole clips, on the device, a batch at a time.

Where all of a batch changes alike, torchvision does it. Its functions take one factor, rectangle or
affine map for everything that they are given; here each clip has its own, so those changes are
written for a batch, and the tests hold them to torchvision's, clip by clip.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from stgcn_pyg.errors import finite_number, require_known, share

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Augment = Literal["clip", "frame"]


@dataclass(frozen=True)
class ClipAugmentation:
    """Random changes of a training clip, the same for all its frames or other ones for each.

    Drawing and applying are apart: a loader's worker draws the numbers of each clip from the
    clip's own seed, and the device applies those of a whole batch at once.

    Args:
        flip: Probability that a training clip is flipped horizontally.
        shift: Largest shift of a training clip, as a share of its height and width: its border
            is repeated outwards and a crop is taken at a random place, which may lie between two
            pixels.
        zoom: Largest change of the size of a training clip, as a share.
        colour: Largest change of the gain of each colour channel in a training clip, as a share.
        erase: Probability that a rectangle of a training clip is erased (Zhong et al., AAAI 2020):
            2 to 40 % of the area, filled with the mean colour.
        brightness: Largest change of the brightness of a training clip, as a share.
        contrast: Largest change of the contrast of a training clip, as a share; contrast is
            measured from the mean grey of each frame.
        saturation: Largest change of the saturation of a training clip, as a share; saturation is
            measured from the grey of each pixel.
        augment: ``"clip"``: one random change for all frames of a training clip; ``"frame"``: one
            for each frame.

    Raises:
        UserError: ``augment`` is another word, a number is negative or not finite, or one of
            ``flip``, ``shift``, ``zoom`` and ``erase`` is too large.
    """

    flip: float = 0.5
    shift: float = 0.0
    zoom: float = 0.0
    colour: float = 0.0
    erase: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    augment: Augment = "clip"

    def __post_init__(self) -> None:
        require_known(augment=(self.augment, Augment))
        for name in ("flip", "shift", "erase"):
            share(name, getattr(self, name))
        share("zoom", self.zoom, below_one=True)
        for name in ("colour", "brightness", "contrast", "saturation"):
            finite_number(name, getattr(self, name))

    def draw(self, num_frames: int, rng: np.random.Generator) -> np.ndarray:
        """The numbers of one clip, ``[1 or T, 14]``: a row for all T frames or one for each.

        A row holds the flip's sign, the zoom, the shift in x and y, the gains of the three
        colours, left, top, right, bottom of the erased rectangle as shares, and the factors of
        brightness, contrast and saturation.
        """
        rows = num_frames if self.augment == "frame" else 1
        return np.array([self._draw_row(rng) for _ in range(rows)], np.float32)

    def _draw_row(self, rng: np.random.Generator) -> list[float]:
        # The order of the draws is part of what a seed means: new ones go to the end.
        sign = -1.0 if rng.random() < self.flip else 1.0
        zoom = 1 + rng.uniform(-self.zoom, self.zoom)
        shift = rng.uniform(-self.shift, self.shift, size=2)
        gains = 1 + rng.uniform(-self.colour, self.colour, size=3)
        rectangle = self._draw_rectangle(rng)
        factors = (
            rng.uniform(max(0.0, 1 - largest), 1 + largest)
            for largest in (self.brightness, self.contrast, self.saturation)
        )
        return [sign, zoom, *shift, *gains, *rectangle, *factors]

    def _draw_rectangle(self, rng: np.random.Generator) -> Sequence[float]:
        erased, area = rng.random() < self.erase, rng.uniform(0.02, 0.4)
        aspect = math.exp(rng.uniform(math.log(0.3), math.log(1 / 0.3)))
        width, height = min(math.sqrt(area / aspect), 1.0), min(math.sqrt(area * aspect), 1.0)
        left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
        return (left, top, left + width, top + height) if erased else (0.0, 0.0, 0.0, 0.0)

    def apply(
        self, clips: Tensor, numbers: Tensor, mean: Sequence[float] = IMAGENET_MEAN
    ) -> Tensor:
        """Changes a batch of clips.

        Args:
            clips: ``[B, T, 3, H, W]``, floating, in [0, 1].
            numbers: ``[B, 1 or T, 14]``, the rows of :meth:`draw` for each clip.
            mean: Colour that fills erased rectangles.
        """
        # Frames that change each by itself are clips of one frame.
        rows = numbers.flatten(0, 1)
        parts = clips.reshape(len(rows), -1, *clips.shape[2:])
        parts = self._move(parts, rows[:, :4])
        parts = self._recolour(parts, rows[:, 4:7], rows[:, 11:14])
        if self.erase > 0:
            inside = _rectangles(rows[:, 7:11], parts.size(3), parts.size(4))
            parts = torch.where(inside[:, None, None], _by_colour(mean, parts), parts)
        return parts.reshape(clips.shape)

    def _move(self, clips: Tensor, numbers: Tensor) -> Tensor:
        sign, zoom, shift_x, shift_y = numbers.unbind(dim=1)
        if self.shift <= 0 and self.zoom <= 0:
            flipped = (sign < 0)[:, None, None, None, None]
            return torch.where(flipped, tv.horizontal_flip(clips), clips)
        zero = torch.zeros_like(sign)
        rows = [sign * zoom, zero, 2 * shift_x, zero, zoom, 2 * shift_y]
        affine = torch.stack(rows, dim=1).view(-1, 2, 3)
        frames = clips.flatten(1, 2)  # [B, T * 3, H, W]: frames as channels share one grid
        grid = F.affine_grid(affine.to(clips.dtype), list(frames.shape), align_corners=False)
        moved = F.grid_sample(frames, grid, padding_mode="border", align_corners=False)
        return moved.unflatten(1, clips.shape[1:3])

    def _recolour(self, clips: Tensor, gains: Tensor, factors: Tensor) -> Tensor:
        if self.colour > 0:
            clips = (clips * gains[:, None, :, None, None]).clamp(0, 1)
        brightness, contrast, saturation = factors[..., None, None, None, None].unbind(dim=1)
        if self.brightness > 0:
            clips = (clips * brightness).clamp(0, 1)
        if self.contrast > 0:
            mean = tv.rgb_to_grayscale(clips).mean(dim=(2, 3, 4), keepdim=True)  # of each frame
            clips = torch.lerp(mean, clips, contrast).clamp(0, 1)
        if self.saturation > 0:
            clips = torch.lerp(tv.rgb_to_grayscale(clips), clips, saturation).clamp(0, 1)
        return clips


def normalize(
    clips: Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD
) -> Tensor:
    """Clips in [0, 1] less a mean and over a deviation, by colour: ImageNet's if not given."""
    return clips.sub(_by_colour(mean, clips)).div_(_by_colour(std, clips))


def _by_colour(values: Sequence[float], clips: Tensor) -> Tensor:
    """`[3, 1, 1]`, made where the clips are: torchvision's copies them there, and a GPU waits."""
    return torch.stack([clips.new_full((1, 1), value) for value in values])


def _rectangles(edges: Tensor, height: int, width: int) -> Tensor:
    """Which pixels lie in each rectangle: `[B, 4]` as shares to `[B, H, W]` of bool."""
    left, top, right, bottom = (edge[:, None] for edge in edges.unbind(dim=1))
    x = (torch.arange(width, device=edges.device) + 0.5) / width
    y = (torch.arange(height, device=edges.device) + 0.5) / height
    columns = (x >= left) & (x < right)
    rows = (y >= top) & (y < bottom)
    return rows[:, :, None] & columns[:, None, :]
