"""Whole numbers from the ``.mat`` files in which data sets keep their labels."""

from pathlib import Path

import numpy as np
from scipy.io import loadmat

from stgcn_pyg.errors import UserError


def read_mat_numbers(path: Path, variables: tuple[str, ...]) -> np.ndarray:
    """Reads a variable of whole numbers, which MATLAB may have saved as floats.

    Args:
        path: The file to read.
        variables: The names that the variable may have; the first that the file has is read.

    Returns:
        The numbers as int64, in MATLAB's shape.

    Raises:
        UserError: The file is damaged, has no such variable, or the variable holds something that
            is no whole number.
    """
    try:
        content = loadmat(path)
    except Exception as error:  # scipy raises half a dozen types on a damaged file
        raise UserError(f"{path}: no readable .mat file ({error})") from error
    variable = next((name for name in variables if name in content), None)
    if variable is None:
        found = ", ".join(key for key in content if not key.startswith("__")) or "none"
        raise UserError(f"{path}: has no variable {' or '.join(variables)} (it has: {found})")
    numbers = content[variable]
    if not isinstance(numbers, np.ndarray) or numbers.dtype.kind not in "iuf":
        kind = getattr(numbers, "dtype", type(numbers).__name__)
        raise UserError(
            f"{path}: {variable} is no array of real numbers ({type(numbers).__name__} of {kind}): "
            "put back the published file, or save it as integers"
        )
    # Infinite and undefined numbers are not whole either, nor are those that int64 cannot hold.
    whole = (np.abs(numbers) < 2.0**63) & (numbers == np.trunc(numbers))
    if not whole.all():
        place = np.argwhere(~whole)[0]
        row = ", ".join(str(i + 1) for i in place)
        raise UserError(
            f"{path}: {variable} holds {numbers[tuple(place)]} at ({row}), which is no whole "
            "number: put back the published file, or save it as integers"
        )
    return numbers.astype(np.int64)
