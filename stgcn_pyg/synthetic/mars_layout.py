"""The file names and lists of the MARS data set."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.io import savemat


def person_folder(split: str, pid: int) -> str:
    """The folder of a person's pictures, relative to the root.

    Example:
        >>> person_folder("train", 1), person_folder("test", -1)
        ('bbox_train/0001', 'bbox_test/00-1')
    """
    return f"bbox_{split}/{pid:0>4d}"


def picture_path(split: str, pid: int, camera: int, tracklet: int, frame: int) -> str:
    """The path of a picture, relative to the root.

    Example:
        >>> picture_path("test", 2, 1, 3, 14)
        'bbox_test/0002/0002C1T0003F014.jpg'
    """
    return f"{person_folder(split, pid)}/{pid:0>4d}C{camera}T{tracklet:04d}F{frame:03d}.jpg"


def write_lists(
    root: Path, split: str, names: Sequence[str], tracks: Sequence[tuple[int, int, int]]
) -> None:
    """Write the names and tracklets of one split to `info`.

    Args:
        root: The benchmark's folder.
        split: `train` or `test`.
        names: File names in the order of the tracklets.
        tracks: Number of frames, pid and camera of each tracklet.
    """
    info = root / "info"
    info.mkdir(exist_ok=True)
    text = "".join(f"{name}\r\n" for name in names)
    (info / f"{split}_name.txt").write_bytes(text.encode("ascii"))
    table = np.array(tracks, np.int32).reshape(-1, 3)
    last = np.cumsum(table[:, 0])
    first = last - table[:, 0] + 1
    columns = np.stack([first, last, table[:, 1], table[:, 2]], axis=1).astype(np.int32)
    _write_mat(info / f"tracks_{split}_info.mat", f"track_{split}_info", columns)


def write_queries(root: Path, queries: Sequence[int]) -> None:
    """Write the queries, 1-based indices of test tracklets, to `info`."""
    indices = np.array(queries, np.uint32).reshape(1, -1)
    if indices.max(initial=0) < 2**16:
        indices = indices.astype(np.uint16)  # as MARS has them
    _write_mat(root / "info" / "query_IDX.mat", "query_IDX", indices)


def _write_mat(path: Path, name: str, value: np.ndarray) -> None:
    savemat(path, {name: value}, do_compression=True)
    # The header's text holds the date, which would make equal benchmarks differ.
    header = b"MATLAB 5.0 MAT-file, a rendered benchmark in the layout of MARS".ljust(116)
    with path.open("r+b") as file:
        file.write(header)
