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
_ROWS = 1024  # that become float64 at a time


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
    a = to_tensor(a)
    b = to_tensor(b, a.device)
    check_features(a, b, metric)
    a, b = a.double(), b.double()
    return distances_from_products(a @ b.T, lengths(a)[:, None], lengths(b), metric)


def distances_from_products(
    products: torch.Tensor, length_a: torch.Tensor, length_b: torch.Tensor, metric: Metric
) -> torch.Tensor:
    """Distances, float32, from inner products and lengths, float64 that broadcast.

    The products are overwritten.
    """
    if metric == "cosine":
        products.div_(length_a.clamp(min=_TINY)).div_(length_b.clamp(min=_TINY))
        return (1 - products.round_(decimals=_DECIMALS)).float()
    total = length_a.square() + length_b.square()
    total.clamp_(min=_TINY)
    products.mul_(2).div_(total).round_(decimals=_DECIMALS)  # at most 1
    return (1 - products).mul_(total).sqrt_().float()


def lengths(features: torch.Tensor) -> torch.Tensor:
    """The length of each row, float64, without a copy of all rows in float64."""
    parts = [torch.linalg.vector_norm(rows.double(), dim=1) for rows in features.split(_ROWS)]
    return torch.cat(parts)


def to_tensor(features: Array, device: torch.device | str | None = None) -> torch.Tensor:
    """The features as float32 or float64, without a copy where it can be had without one."""
    if not isinstance(features, torch.Tensor):
        array = np.asarray(features)
        # Integers and half floats too; what is no number fails here.
        array = array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
        array = array if array.flags.writeable else array.copy()
        features = torch.from_numpy(np.ascontiguousarray(array))
    features = features.detach().to(device)
    if features.dtype in (torch.float32, torch.float64):
        return features
    return features.float() if features.is_floating_point() else features.double()


def check_features(a: torch.Tensor, b: torch.Tensor, metric: str) -> None:
    """Raise a ValueError for an unknown metric, or for features of other shapes or widths."""
    if metric not in ("euclidean", "cosine"):
        raise ValueError(f"metric={metric!r} is unknown: give 'euclidean' or 'cosine'")
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(
            f"features must be [A, D] and [B, D], got {list(a.shape)} and {list(b.shape)}"
        )
