"""Features and labels of any model, from one ``.npz`` file."""

import hashlib
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.npyio import NpzFile

from stgcn_pyg import __version__
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation.candidates import check_labels
from stgcn_pyg.runs.scoring import RankingTask

FEATURES = ("query_features", "gallery_features")
LABELS = ("query_pids", "gallery_pids", "query_camids", "gallery_camids")
OPTIONAL = "gallery_is_query"
DAMAGE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)


class FeatureArrays:
    """Features ``[Q, D]`` and ``[G, D]`` with their labels.

    They are scored under ``mars-official`` and ``full-gallery``, and under ``query-free`` where the
    file says which of the gallery are queries and a query has a match among the others.

    Args:
        path: An ``.npz`` with ``query_features``, ``gallery_features``, ``query_pids``,
            ``gallery_pids``, ``query_camids``, ``gallery_camids`` and, optionally,
            ``gallery_is_query``, as for :func:`stgcn_pyg.evaluation.evaluate_protocol`.

    Raises:
        UserError: It is missing, damaged, lacks an array, or holds pickled objects, which are
            never loaded.

    Example:
        >>> file = Path(getfixture("tmp_path")) / "features.npz"
        >>> np.savez(file, query_features=[[0.0]], query_pids=[4], query_camids=[1],
        ...          gallery_features=[[0.1], [0.2]], gallery_pids=[4, 0], gallery_camids=[2, 2])
        >>> FeatureArrays(file).task.protocols
        ('mars-official', 'full-gallery')
    """

    method = "features"

    def __init__(self, path: Path):
        self.path = path
        self.arrays, self.sha256 = _read(path)
        for name in FEATURES:
            shape = self.arrays[name].shape
            if len(shape) != 2:
                raise UserError(f"{path}: {name} must be [tracklets, D], got {list(shape)}")
            if not shape[0]:
                raise UserError(f"{path}: {name} holds no tracklet: there is nothing to rank")
        try:
            given = {name: self.arrays[name] for name in LABELS}
            labels = check_labels(**given, rows_of=self.features())
        except ValueError as error:
            raise UserError(f"{path}: {error}") from error
        self.task = RankingTask(
            str(path),
            ("mars-official", "full-gallery"),
            **{name: getattr(labels, name) for name in LABELS},
            gallery_is_query=self.arrays.get(OPTIONAL),
            query_tracklets=np.arange(len(self.arrays["query_features"])),
        )
        if OPTIONAL in self.arrays and _may_be_scored(self.task, "query-free"):
            self.task = replace(self.task, protocols=(*self.task.protocols, "query-free"))

    @property
    def about(self) -> dict[str, Any]:
        """The file, by the names of :mod:`.about`."""
        return {"version": __version__, "file": str(self.path), "file_sha256": self.sha256}

    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """The features of the queries and of the gallery."""
        return self.arrays["query_features"], self.arrays["gallery_features"]


def _may_be_scored(task: RankingTask, name: str) -> bool:
    """Whether a query has a match under a protocol, or the labels are wrong, which raises later."""
    try:
        return bool(task.count_matches(name).any())
    except ValueError:
        return True


def _read(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """The arrays, and the SHA-256 of the file."""
    try:
        # Opened here: np.load leaves the file of a damaged zip open.
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0)
            return _arrays(path, stream), digest
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file: pass one that numpy.savez wrote") from error
    except (*DAMAGE, TypeError) as error:  # the latter of a lone array, which opens no file
        raise UserError(f"{path}: damaged, or not written by numpy.savez") from error


def _arrays(path: Path, stream: BinaryIO) -> dict[str, np.ndarray]:
    with np.load(stream, allow_pickle=False) as file:
        missing = [name for name in (*FEATURES, *LABELS) if name not in file]
        if missing:
            raise UserError(
                f"{path}: lacks the arrays {', '.join(missing)} (it has: "
                f"{', '.join(file.files) or 'none'})"
            )
        names = [name for name in (*FEATURES, *LABELS, OPTIONAL) if name in file]
        return {name: _array(path, file, name) for name in names}


def _array(path: Path, file: NpzFile, name: str) -> np.ndarray:
    try:
        array = file[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise UserError(
            f"{path}: {name} holds pickled objects, which could run code and are never loaded: "
            "save numbers"
        ) from error
    array = array.astype(array.dtype.newbyteorder("="), copy=False)  # torch knows no other
    if name.endswith("features") and array.dtype.kind not in "fiub":
        raise UserError(f"{path}: {name} must be real numbers, got {array.dtype}: save floats")
    return array
