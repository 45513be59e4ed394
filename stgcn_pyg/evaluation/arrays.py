"""Arrays and tensors as callers give them, and work on their rows in parts."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.ArrayLike | Tensor

_WORTH_THREADS = 2**21  # numbers; fewer are worked through before a thread has started


def to_tensor(features: Array, device: torch.device | str | None = None) -> Tensor:
    """The features as float32 or float64, without a copy where none is needed."""
    if not isinstance(features, Tensor):
        array = np.asarray(features)
        # Integers and half floats too; what is no number fails here.
        dtype = array.dtype if array.dtype in (np.float32, np.float64) else np.float64
        features = torch.from_numpy(np.require(array, dtype, ["C", "W"]))
    features = features.detach().to(device)
    if features.dtype in (torch.float32, torch.float64):
        return features
    return features.float() if features.is_floating_point() else features.double()


def to_numpy(array: Array) -> np.ndarray:
    """The array on the host, without a copy where none is needed."""
    if not isinstance(array, Tensor):
        return np.asarray(array)
    array = array.detach().cpu()
    return array.float().numpy() if array.dtype == torch.bfloat16 else array.numpy()


def to_integers(name: str, values: Array) -> np.ndarray:
    """Labels ``[N]`` as int64; a ValueError where they are of another type, shape or size."""
    array = to_numpy(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(
            f"{name} must be a 1-D array of integers, "
            f"got {array.dtype} of shape {list(array.shape)}"
        )
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(
            f"{name} holds {array.max()}, more than 64 bits with a sign can hold: give identities "
            "and cameras smaller numbers"
        )
    return np.require(array, np.int64, "W")  # torch takes none that cannot be written to


def check_known(**choices: tuple[object, object]) -> None:
    """Raises a ValueError if an argument is not among the words of its ``Literal``."""
    for name, (value, kinds) in choices.items():
        words = get_args(kinds)
        if not isinstance(value, str) or value not in words:
            raise ValueError(f"{name}={value!r} is unknown: give {' or '.join(map(repr, words))}")


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """The same values with NumPy's numbers as Python's, which alone JSON takes."""
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in values.items()
    }


def check_rows(name: str, bad: npt.ArrayLike, what: str, cause: str) -> None:
    """Raises a ValueError that counts and names the rows where ``bad`` is true."""
    rows = np.flatnonzero(bad)
    if len(rows):
        raise ValueError(
            f"{name}: {len(rows)} rows {what}, first at {rows[:5].tolist()}; "
            f"check the model's output for {cause}"
        )


def slices(start: int, stop: int, size: int) -> list[slice]:
    """Slices of at most ``size`` that together are ``start`` to ``stop``."""
    return [slice(first, min(first + size, stop)) for first in range(start, stop, size)]


def in_threads(
    function: Callable[[Any], Any], parts: Sequence[Any], numbers: int = _WORTH_THREADS
) -> list[Any]:
    """The function of each part, in threads if there are so many ``numbers`` that it pays.

    NumPy releases the interpreter's lock, so that the threads run at the same time.
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(parts) < 2 or numbers < _WORTH_THREADS:
        return [function(part) for part in parts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, parts))
