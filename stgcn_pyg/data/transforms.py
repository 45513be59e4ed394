"""Augmentation and normalisation of whole clips, on the device, a batch at a time."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ClipAugmentation:
    """Random changes to a clip, the same for all of its frames.

    Drawing and applying are apart: a loader's worker draws the numbers of each clip from the
    clip's own seed, and the device applies those of a whole batch at once.

    Args:
        flip: The probability of a horizontal flip.
        shift: The largest shift, as a share of the height and of the width.
        zoom: The largest change of size, as a share.
        colour: The largest change of each colour's gain, as a share.
        erase: The probability that a rectangle is erased (Zhong et al., AAAI 2020): 2 to 40 % of
            the area, filled with the mean colour.
    """

    def __init__(
        self,
        flip: float = 0.5,
        shift: float = 0.0,
        zoom: float = 0.0,
        colour: float = 0.0,
        erase: float = 0.0,
    ):
        self.flip = flip
        self.shift = shift
        self.zoom = zoom
        self.colour = colour
        self.erase = erase

    @property
    def moves(self) -> bool:
        """Whether pictures are resampled, rather than at most flipped."""
        return self.shift > 0 or self.zoom > 0

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """The numbers of one clip, ``[11]``: flip sign, zoom, shift x and y, the gains of the
        three colours, and left, top, right, bottom of the erased rectangle as shares.
        """
        sign = -1.0 if rng.random() < self.flip else 1.0
        zoom = 1 + rng.uniform(-self.zoom, self.zoom)
        shift = rng.uniform(-self.shift, self.shift, size=2)
        gains = 1 + rng.uniform(-self.colour, self.colour, size=3)
        return np.array([sign, zoom, *shift, *gains, *self._draw_rectangle(rng)], np.float32)

    def _draw_rectangle(self, rng: np.random.Generator) -> Sequence[float]:
        erased, area = rng.random() < self.erase, rng.uniform(0.02, 0.4)
        aspect = math.exp(rng.uniform(math.log(0.3), math.log(1 / 0.3)))
        width, height = min(math.sqrt(area / aspect), 1.0), min(math.sqrt(area * aspect), 1.0)
        left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
        return (left, top, left + width, top + height) if erased else (0.0, 0.0, 0.0, 0.0)

    def apply(self, clips: Tensor, numbers: Tensor) -> Tensor:
        """Changes a batch of clips.

        Args:
            clips: ``[B, T, 3, H, W]``, floating, in [0, 1].
            numbers: ``[B, 11]``, one row of :meth:`draw` a clip.

        Returns:
            The changed clips, of the same shape.
        """
        clips = self._move(clips, numbers[:, :4])
        if self.colour > 0:
            clips = (clips * numbers[:, None, 4:7, None, None]).clamp(0, 1)
        if self.erase > 0:
            inside = _rectangles(numbers[:, 7:11], clips.size(3), clips.size(4))
            mean = clips.new_tensor(IMAGENET_MEAN).view(3, 1, 1)
            clips = torch.where(inside[:, None, None], mean, clips)
        return clips

    def _move(self, clips: Tensor, numbers: Tensor) -> Tensor:
        sign, zoom, shift_x, shift_y = numbers.unbind(dim=1)
        if not self.moves:
            return torch.where((sign < 0)[:, None, None, None, None], clips.flip(4), clips)
        zero = torch.zeros_like(sign)
        affine = torch.stack(
            [
                torch.stack([sign * zoom, zero, 2 * shift_x], dim=1),
                torch.stack([zero, zoom, 2 * shift_y], dim=1),
            ],
            dim=1,
        )  # [B, 2, 3]
        pictures = clips.flatten(1, 2)  # [B, T * 3, H, W]: frames as channels share one grid
        grid = F.affine_grid(affine.to(clips.dtype), list(pictures.shape), align_corners=False)
        moved = F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
        return moved.unflatten(1, clips.shape[1:3])


def normalize(clips: Tensor) -> Tensor:
    """Clips in [0, 1] to ImageNet's mean 0 and deviation 1, by colour."""
    mean = clips.new_tensor(IMAGENET_MEAN).view(3, 1, 1)
    std = clips.new_tensor(IMAGENET_STD).view(3, 1, 1)
    return (clips - mean) / std


def _rectangles(edges: Tensor, height: int, width: int) -> Tensor:
    """Which pixels lie in each rectangle: `[B, 4]` as shares to `[B, H, W]` of bool."""
    left, top, right, bottom = (edge[:, None] for edge in edges.unbind(dim=1))
    x = (torch.arange(width, device=edges.device) + 0.5) / width
    y = (torch.arange(height, device=edges.device) + 0.5) / height
    columns = (x >= left) & (x < right)
    rows = (y >= top) & (y < bottom)
    return rows[:, :, None] & columns[:, None, :]
