"""Embeddings without what all tracklets of a camera have in common."""

import numpy as np

from stgcn_pyg.evaluation.arrays import Array, to_numpy


def centred_by_camera(embeddings: Array, cameras: Array) -> np.ndarray:
    """The embeddings less the mean of their camera's.

    Light and background move all tracklets of a camera the same way. This helps where each camera
    sees many people, about the same ones as the others; where a camera sees few, its mean is of
    who they are, and taking it away makes them alike.

    Args:
        embeddings: Embeddings of N tracklets, ``[N, D]``.
        cameras: Camera of each tracklet, ``[N]``.

    Returns:
        The centred embeddings, ``[N, D]`` in the type of the embeddings; float64 for integers.

    Raises:
        ValueError: There is not one camera for each tracklet.

    Example:
        >>> centred_by_camera([[1.0], [3.0], [10.0], [14.0]], [1, 1, 2, 2]).ravel()
        array([-1.,  1., -2.,  2.])
    """
    rows, cameras = to_numpy(embeddings), to_numpy(cameras)
    if cameras.ndim != 1 or cameras.shape != rows.shape[:1]:
        raise ValueError(
            f"cameras {list(cameras.shape)} for embeddings {list(rows.shape)}: give one for each "
            "tracklet"
        )
    if rows.dtype.kind != "f":
        rows = rows.astype(np.float64)
    centred = np.empty_like(rows)
    numbers, of_row = np.unique(cameras, return_inverse=True)
    for number in range(len(numbers)):
        own = of_row == number
        centred[own] = rows[own] - rows[own].mean(axis=0)
    return centred
