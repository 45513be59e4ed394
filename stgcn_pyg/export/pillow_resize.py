"""Pillow's bilinear resizing with antialiasing, in operators that every runtime has."""

import PIL
import torch
from torch import Tensor, nn

DIGIT = 2**11  # Pillow's weights are whole numbers of two such digits, over DIGIT squared
TALL_FIRST = int(PIL.__version__.partition(".")[0]) >= 13


class PillowResize(nn.Module):
    """Resizes pictures as ``Image.resize(size, Image.Resampling.BILINEAR)`` of Pillow does.

    Each row is resized and rounded to whole numbers, then each column; from Pillow 13 on, columns
    come first where a picture loses more than twice as many rows as columns. All numbers are whole
    and below 2**24, so that float32 is exact, up to pictures of ten times the wanted size.

    Args:
        height: Height of the result, in pixels.
        width: Width of the result, in pixels.

    Shapes:
        - Input: ``[F, 3, h, w]``, whole numbers from 0 to 255 of any type.
        - Output: ``[F, 3, height, width]``, whole numbers from 0 to 255 as float32.

    Example:
        >>> PillowResize(1, 2)(torch.tensor([[[[10, 20, 30, 60]]]], dtype=torch.uint8))
        tensor([[[[17., 41.]]]])
    """

    def __init__(self, height: int, width: int):
        super().__init__()
        self.height, self.width = height, width

    def forward(self, pictures: Tensor) -> Tensor:
        """The resized pictures."""
        x = pictures.float()
        if not TALL_FIRST:
            return self._rows_first(x)
        # Both, for OpenVINO's If gives wrong pixels at the first batch of a new size.
        rows, columns = x.size(2) - self.height, x.size(3) - self.width
        tall = torch.scalar_tensor(rows) > torch.scalar_tensor(2 * columns).clamp(min=0)
        return torch.where(tall, self._columns_first(x), self._rows_first(x))

    def _rows_first(self, x: Tensor) -> Tensor:
        return self._resize_columns(_resize_rows(x, self.width))

    def _columns_first(self, x: Tensor) -> Tensor:
        return _resize_rows(self._resize_columns(x), self.width)

    def _resize_columns(self, x: Tensor) -> Tensor:
        return _resize_rows(x.mT, self.height).mT


def _resize_rows(x: Tensor, wanted: int) -> Tensor:
    high, low = (x @ _weights(x.size(3), wanted).mT).chunk(2, dim=3)
    whole = (high / DIGIT).floor()
    rest = (high - whole * DIGIT) * DIGIT + low  # of DIGIT squared
    return whole + (rest / DIGIT**2 + 0.5).floor()


def _weights(given: int, wanted: int) -> Tensor:
    """The shares of each given pixel in each wanted one: two digits, ``[2 * wanted, given]``.

    A triangle over the pixels, two of the coarser grid wide.
    """
    middles = 2 * torch.arange(given) + 1
    distance = ((2 * torch.arange(wanted) + 1)[:, None] * given - middles * wanted).abs()
    reach = (middles[-1] + 1).clamp(min=2 * wanted)
    triangle = (reach - distance).clamp(min=0).float()
    total = triangle.sum(dim=1, keepdim=True)
    high = (triangle * DIGIT / total).floor()
    low = ((triangle * DIGIT - high * total) * DIGIT / total + 0.5).floor()
    return torch.cat([high, low])
