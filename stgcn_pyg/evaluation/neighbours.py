"""Exact squared distances and nearest neighbours, without a matrix of everything to everything.

A matrix product proposes, with a bound on its rounding; where the bound leaves a doubt, the sum of
squared differences in float64 decides. So every result is a function of the features alone: no
block size, number of threads or device changes a bit of it, and equal pairs tie.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

_PAIR_ELEMENTS = 2**16  # float64 differences held at a time: half a megabyte, for the cache
_CHANNELS = 8192  # added up at a time: a BLAS splits more among its threads, and rounds otherwise


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest of N items to each of them, and how far away the farthest is.

    Attributes:
        index: ``[N, k]``: the item itself, then by distance, at equal distance the lower index.
        distance: ``[N, k]`` float64, squared.
        farthest: ``[N]`` float64, squared: the largest distance to any item.
    """

    index: np.ndarray
    distance: np.ndarray
    farthest: np.ndarray


class SquaredDistances:
    r"""Squared Euclidean distances among N items, exact, computed when asked for.

    .. math::
        d_{ij} = \sum_k (x_{ik} - x_{jk})^2

    Args:
        features: ``[N, D]``, finite, float32 or float64; not all rows the same.
        device: where the matrix products run. Doubts are decided on the host.
    """

    def __init__(self, features: np.ndarray, device: torch.device | str = "cpu"):
        self.features = features
        self.device = torch.device(device)
        # Differences do not change when all is shifted, but the rounding of a product shrinks.
        self._mean = features.mean(axis=0, dtype=np.float64)

    def __len__(self) -> int:
        return len(self.features)

    def of_pairs(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The distances of P pairs of items: ``[P]``, float64."""
        distances = np.empty(len(rows))
        step = max(1, _PAIR_ELEMENTS // self.features.shape[1])
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            difference = np.subtract(
                self.features[rows[part]], self.features[columns[part]], dtype=np.float64
            )
            channels = range(0, difference.shape[1], _CHANNELS)
            pieces = [difference[:, first : first + _CHANNELS] for first in channels]
            # Unlike einsum and sum, vecdot adds in an order that their length alone decides.
            distances[part] = sum(np.linalg.vecdot(piece, piece) for piece in pieces)
        return distances

    def centred(self, items: slice, dtype: torch.dtype) -> "Centred":
        """Some items less the mean of all, on the device."""
        part = self.features[items]
        values = np.empty(part.shape, dtype=np.float32 if dtype == torch.float32 else np.float64)
        np.subtract(part, self._mean, out=values, casting="same_kind")
        on_device = torch.from_numpy(values).to(self.device)
        return Centred(on_device, torch.linalg.vector_norm(on_device, dim=1))

    def of_block(self, rows: slice, others: "Centred", first: int, scale: np.ndarray) -> np.ndarray:
        """``d[rows, first:] / scale[rows]``, rounded to float32: ``[B, M]``.

        Args:
            rows: which items, with a start and a stop.
            others: the items from ``first`` on, centred in float64.
            first: the index of the first of the others.
            scale: ``[N]``, positive.
        """
        rough, error = rough_distances(self.centred(rows, torch.float64), others)
        divisor = torch.from_numpy(scale[rows])[:, None].to(self.device)
        low = ((rough - error) / divisor).float()
        high = rough.add_(error).div_(divisor).float()
        row, column = (array.cpu().numpy() for array in (low != high).nonzero(as_tuple=True))
        block = low.cpu().numpy()
        row_item = row + rows.start
        block[row, column] = self.of_pairs(row_item, column + first) / scale[row_item]
        return block


class Centred(NamedTuple):
    """Values ``[M, D]`` on the device, and their lengths ``[M]``."""

    values: torch.Tensor
    lengths: torch.Tensor


def rough_distances(a: Centred, b: Centred) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Squared distances by a matrix product, and a bound on what they are off.

    With u the unit roundoff, D products added in any order are off by at most
    :math:`\gamma_D \lVert a \rVert \lVert b \rVert`, :math:`\gamma_D \approx D u` (Higham,
    Accuracy and Stability of Numerical Algorithms, section 3.1), and so are both squared lengths.

    Returns:
        Distances ``[A, B]``, and for each row, ``[A, 1]``, a bound on the error of any of them.
    """
    rough = torch.addmm(b.lengths.square()[None], a.values, b.values.T, alpha=-2)
    rough.add_(a.lengths.square()[:, None])
    unit = torch.finfo(rough.dtype).eps / 2
    dimensions = a.values.shape[1] + 32  # for centring, squaring, the last two sums and divisions
    error = 1.01 * dimensions * unit * (a.lengths + b.lengths.max()).square()
    return rough, error[:, None]


def nearest_neighbours(
    distances: SquaredDistances, count: int, block_size: int = 256
) -> Neighbours:
    """The ``count`` nearest of all N items to each item, itself among them.

    Args:
        distances: among the items.
        count: how many neighbours to keep, from 1 to N.
        block_size: items whose distances are held at a time. It changes no result.
    """
    everything = distances.centred(slice(None), _proposing_dtype(distances.device))
    index = np.empty((len(distances), count), dtype=np.int64)
    distance = np.empty((len(distances), count))
    farthest = np.empty(len(distances))
    for start in range(0, len(distances), block_size):
        block = slice(start, min(start + block_size, len(distances)))
        row, column = _in_doubt(Centred(*(part[block] for part in everything)), everything, count)
        item = row + start
        exact = distances.of_pairs(item, column)
        first = np.searchsorted(row, np.arange(block.stop - start))  # [B]
        farthest[block] = np.maximum.reduceat(exact, first)
        order = np.lexsort((column, exact, column != item, row))
        kept = order[first[:, None] + np.arange(count)]  # [B, count]
        index[block], distance[block] = column[kept], exact[kept]
    return Neighbours(index, distance, farthest)


def _proposing_dtype(device: torch.device) -> torch.dtype:
    """float32 where it is sure to be float32: a user may have allowed TF32 or bfloat16 instead."""
    precision = torch.backends.mkldnn.matmul.fp32_precision  # type: ignore[attr-defined]
    full = precision in ("none", "ieee")
    return torch.float32 if device.type == "cpu" and full else torch.float64


def _in_doubt(block: Centred, everything: Centred, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs that may be among the nearest ``count`` of a row, or its farthest."""
    rough, error = rough_distances(block, everything)
    near = rough.topk(count, largest=False, sorted=False).values.amax(dim=1, keepdim=True)
    far = rough.amax(dim=1, keepdim=True)
    doubt = (rough <= near + 2 * error) | (rough >= far - 2 * error)
    if doubt.device.type == "cpu":
        return np.divmod(np.flatnonzero(doubt.numpy()), doubt.shape[1])  # 15 times torch's speed
    row, column = doubt.nonzero(as_tuple=True)
    return row.cpu().numpy(), column.cpu().numpy()
