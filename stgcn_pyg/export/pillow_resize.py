"""Pillow's bilinear resizing with antialiasing, in operators that every runtime has."""

import PIL
import torch
from torch import Tensor, nn

FRACTION = 2**22  # Pillow's weights are whole numbers of this part
TALL_FIRST = int(PIL.__version__.partition(".")[0]) >= 13


class PillowResize(nn.Module):
    """Resizes pictures as ``Image.resize(size, Image.Resampling.BILINEAR)`` of Pillow does.

    Each row is resized and rounded to whole numbers, then each column; from Pillow 13 on, columns
    come first where a picture loses more than twice as many rows as columns.

    Args:
        height: Height of the result, in pixels.
        width: Width of the result, in pixels.

    Shapes:
        - Input: ``[F, 3, h, w]``, whole numbers from 0 to 255 of any type.
        - Output: ``[F, 3, height, width]``, whole numbers from 0 to 255 as float32.

    Example:
        >>> PillowResize(1, 2)(torch.tensor([[[[10, 20, 30, 60]]]], dtype=torch.uint8))
        tensor([[[[18., 39.]]]])
    """

    def __init__(self, height: int, width: int):
        super().__init__()
        self.height, self.width = height, width

    def forward(self, pictures: Tensor) -> Tensor:
        """The resized pictures."""
        rows, columns = pictures.size(2) - self.height, pictures.size(3) - self.width
        x = pictures.double()
        if not TALL_FIRST:
            return self._rows_first(x).float()
        # A tensor, so that an exported network decides it anew for each size.
        tall = torch.scalar_tensor(rows) > torch.scalar_tensor(2 * columns).clamp(min=0)
        return torch.cond(tall, self._columns_first, self._rows_first, (x,)).float()

    def _rows_first(self, x: Tensor) -> Tensor:
        return self._resize_columns(self._resize_rows(x))

    def _columns_first(self, x: Tensor) -> Tensor:
        return self._resize_rows(self._resize_columns(x))

    def _resize_rows(self, x: Tensor) -> Tensor:
        return (x @ _weights(x.size(3), self.width).mT + 0.5).floor()

    def _resize_columns(self, x: Tensor) -> Tensor:
        return (_weights(x.size(2), self.height) @ x + 0.5).floor()


def _weights(given: int, wanted: int) -> Tensor:
    """The share of each given pixel in each wanted one, ``[wanted, given]`` of float64.

    A triangle over the pixels, two of the coarser grid wide, in whole numbers until it is divided.
    """
    middles = 2 * torch.arange(given) + 1
    distance = ((2 * torch.arange(wanted) + 1)[:, None] * given - middles * wanted).abs()
    reach = (middles[-1] + 1).clamp(min=2 * wanted)
    triangle = (reach - distance).clamp(min=0).double()
    return (triangle / triangle.sum(dim=1, keepdim=True) * FRACTION + 0.5).floor() / FRACTION
