"""Rows of distances sorted together with the columns they stood in, as integers.

The bits of non-negative float32 numbers are in the order of the numbers. With them above and the
column below, one int64 is a sort key that remembers its column; CPUs and GPUs sort such fast.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

_COLUMN = 2**32 - 1


def sorted_keys(values: Tensor) -> Tensor:
    """Non-negative float32 ``[B, N]`` as keys, int64, ascending in each row."""
    columns = torch.arange(values.size(1), device=values.device)
    keys = values.view(torch.int32).to(torch.int64).bitwise_left_shift_(32).bitwise_or_(columns)
    if keys.device.type != "cpu":
        return keys.sort(dim=1).values
    # Several times as fast as torch's own sort on a CPU.
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda rows: rows.sort(axis=1), np.array_split(keys.numpy(), threads)))
    return keys


def first_key(value: Tensor) -> Tensor:
    """The least key of a float32 number, 0 for a negative one."""
    bits = value.float().clamp(min=0).contiguous().view(torch.int32)
    return bits.to(torch.int64).bitwise_left_shift_(32)


def last_key(value: Tensor) -> Tensor:
    """The greatest key of a float32 number."""
    return first_key(value).bitwise_or_(_COLUMN)


def column(keys: Tensor) -> Tensor:
    """The columns that keys remember."""
    return keys & _COLUMN
