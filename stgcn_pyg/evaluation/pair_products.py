"""Inner products of single pairs of features, in float64."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor


def pair_products(a: Tensor, b: Tensor, row: np.ndarray, column: np.ndarray) -> Tensor:
    """The products of ``a[row]`` with ``b[column]``, pair by pair: ``[M]``, float64.

    Args:
        a: ``[A, D]``, float32 or float64.
        b: ``[B, D]`` on the same device.
        row: M rows of ``a`` in ascending order, so that each is converted once.
        column: M rows of ``b``.
    """
    edges = np.flatnonzero(np.diff(row, prepend=-1, append=-1)).tolist()  # of each row's pairs
    if a.device.type != "cpu":
        columns = torch.as_tensor(column, device=a.device)
        products = torch.empty(len(row), dtype=torch.float64, device=a.device)
        for first, last in pairwise(edges):
            products[first:last] = b[columns[first:last]].double() @ a[row[first]].double()
        return products

    # NumPy is quicker than torch at such small products, and lets the threads run side by side.
    left, right, found = a.numpy(), b.numpy(), np.empty(len(row))

    def multiply(some: list[tuple[int, int]]) -> None:
        for first, last in some:
            one = left[row[first]].astype(np.float64)
            found[first:last] = right[column[first:last]].astype(np.float64) @ one

    threads, each = torch.get_num_threads(), list(pairwise(edges))
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(multiply, (each[part::threads] for part in range(threads))))
    return torch.from_numpy(found)
