"""Distances between features."""

from typing import Literal

import numpy as np
import torch

from stgcn_pyg.evaluation.labels import Array

Metric = Literal["euclidean", "cosine"]

# A BLAS may add the same products in another order at the edge of a block, so that equal pairs
# differ in the 16th digit. Similarities are rounded to this many decimals, so that they tie.
_DECIMALS = 12
_TINY = torch.finfo(torch.float64).tiny  # stands in for a length of 0


def pairwise_distances(a: Array, b: Array, metric: Metric = "euclidean") -> torch.Tensor:
    r"""The distance of every row of ``a`` to every row of ``b``.

    .. math::
        d_\text{euclidean} = \lVert a_i - b_j \rVert_2, \qquad
        d_\text{cosine} = 1 - \frac{a_i \cdot b_j}{\lVert a_i \rVert \lVert b_j \rVert}

    The matrix product runs in float64, so that near-duplicates do not drown in the cancellation
    of :math:`\lVert a \rVert^2 + \lVert b \rVert^2 - 2 a \cdot b`, and on a grid of 1e-12 of that
    sum, so that equal pairs get equal distances wherever they stand in the matrix: rows nearer
    than about 1e-6 of their length are at distance 0. A row of zeros has cosine distance 1.

    Args:
        a: features ``[A, D]``, array or tensor of any float type.
        b: features ``[B, D]``; the distances are computed on the device of ``a``.
        metric: ``"euclidean"`` or ``"cosine"``.

    Returns:
        Distances ``[A, B]``, float32, never negative.

    Raises:
        ValueError: an unknown metric, or features that are not ``[A, D]`` and ``[B, D]``.

    Example:
        >>> pairwise_distances([[0.0, 0.0]], [[3.0, 4.0], [0.0, 0.0]])
        tensor([[5., 0.]])
    """
    if metric not in ("euclidean", "cosine"):
        raise ValueError(f"metric={metric!r} is unknown: give 'euclidean' or 'cosine'")
    a = to_double(a)
    b = to_double(b, a.device)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(
            f"features must be [A, D] and [B, D], got {list(a.shape)} and {list(b.shape)}"
        )
    length_a, length_b = torch.linalg.vector_norm(a, dim=1), torch.linalg.vector_norm(b, dim=1)
    similarity = a @ b.T  # [A, B]
    if metric == "cosine":
        similarity.div_(length_a.clamp(min=_TINY)[:, None]).div_(length_b.clamp(min=_TINY))
        return (1 - similarity.round_(decimals=_DECIMALS)).float()
    total = length_a.square()[:, None] + length_b.square()
    total.clamp_(min=_TINY)
    similarity.mul_(2).div_(total).round_(decimals=_DECIMALS)  # at most 1
    return (1 - similarity).mul_(total).sqrt_().float()


def to_double(features: Array, device: torch.device | str | None = None) -> torch.Tensor:
    """The features as a float64 tensor, on ``device`` where one is given."""
    if not isinstance(features, torch.Tensor):
        features = torch.from_numpy(np.array(features, dtype=np.float64))
    return features.detach().to(device=device, dtype=torch.float64)
