"""What every gallery can do, whether in a folder here or in a database elsewhere."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from numbers import Integral
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError, finite_number
from stgcn_pyg.evaluation.result import SameCamera


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which tracklets of a gallery may be found; what is None passes all.

    Attributes:
        camids: Cameras, as the data sets number them.
        pids: Identities.
        datasets: Names of the data sets, as the gallery was told them.
        after: Time in seconds; tracklets that ended before it are left out.
        before: Time in seconds; tracklets that began after it are left out.
        same_camera: What is left out for each query, by its own identity and camera, as in
            :func:`.evaluate_ranking`: ``"person"`` the same identity in the same camera,
            ``"all"`` everything in the same camera.

    A tracklet whose time is not known passes neither ``after`` nor ``before``.
    """

    camids: Sequence[int] | None = None
    pids: Sequence[int] | None = None
    datasets: Sequence[str] | None = None
    after: float | None = None
    before: float | None = None
    same_camera: SameCamera | None = None

    def __post_init__(self) -> None:
        """Raises a UserError if what has to be a list is none: a word would be its letters.

        A generator is read once, here.
        """
        for name, kinds in (("camids", Integral), ("pids", Integral), ("datasets", str)):
            values = getattr(self, name)
            if isinstance(values, Iterable) and not isinstance(values, str):
                values = list(values)
                object.__setattr__(self, name, values)
            wrong = values is not None and not isinstance(values, list)
            if wrong or not all(isinstance(value, kinds) for value in values or ()):
                of = "names" if name == "datasets" else "whole numbers"
                raise UserError(f"{name}={values!r}: pass a list of {of}")
        for name in ("after", "before"):
            if (time := getattr(self, name)) is not None:
                object.__setattr__(self, name, finite_number(name, time, least=-inf))


ANY = Filter()
"""Passes every tracklet."""


class Queries(NamedTuple):
    """The embeddings of Q queries, with what is known of each."""

    embeddings: np.ndarray
    """``[Q, D]`` of float32."""
    pids: np.ndarray | None = None
    """Identities ``[Q]``; only ``same_camera="person"`` needs them."""
    camids: np.ndarray | None = None
    """Cameras ``[Q]``; only ``same_camera`` needs them."""


class Found(NamedTuple):
    """The nearest k tracklets to each of Q queries.

    A query whose filter passes fewer than k has -1 and infinity in the rest of its row.
    """

    ids: np.ndarray
    """``[Q, k]`` int64: by distance, at equal distance the lower id first."""
    distances: np.ndarray
    """``[Q, k]`` float32: the Euclidean distances of :func:`.pairwise_distances`."""

    def within(self, threshold: float) -> "Found":
        """The same without the tracklets beyond a distance.

        Example:
            >>> found = Found(np.array([[4, 7]]), np.array([[0.2, 0.9]], dtype=np.float32))
            >>> found.within(0.5).ids
            array([[ 4, -1]])
        """
        near = self.distances <= np.float64(threshold)
        infinity = self.distances.dtype.type(np.inf)
        return Found(np.where(near, self.ids, -1), np.where(near, self.distances, infinity))


class Engine(Protocol):
    """A gallery: embeddings with ids and labels, which can be searched, added to and removed from.

    Attributes:
        place: The folder, or the address of the database without what is secret in it.
        width: Length D of an embedding.
        checkpoint_sha256: SHA-256 of the checkpoint that made the embeddings.
        facts: Both, what else is known of the model, and ``sources``: where the frames are.
    """

    place: str
    width: int
    checkpoint_sha256: str

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is known of the model, and the ``sources``."""
        ...

    def __len__(self) -> int:
        """The number of tracklets."""
        ...

    def add(self, embeddings: np.ndarray, tracklets: pd.DataFrame) -> np.ndarray:
        """Adds tracklets; one that is there already, by its data set and number, is replaced.

        Args:
            embeddings: ``[N, D]`` of float32.
            tracklets: A row for each, with ``dataset``, ``tracklet``, ``pid`` (-1: unknown or
                junk), ``camid``, ``num_frames``, ``first_frame_path``, ``first_time`` and
                ``last_time`` (seconds, NaN where they are not known).

        Returns:
            The ids ``[N]`` of the tracklets, which are never used for others. A tracklet that is
            replaced keeps its id in a database and gets a new one in a folder.
        """
        ...

    def add_pieces(
        self,
        pieces: Iterable[tuple[np.ndarray, pd.DataFrame]],
        sources: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> np.ndarray:
        """Adds tracklets piece by piece, so that not all embeddings are in memory at a time.

        Args:
            pieces: Embeddings and tracklets, as :meth:`add` takes them.
            sources: Where the frames of data sets are, by the name of the data set: its
                ``dataset``, ``root`` and ``split``, as for ``stgcn train``.

        Returns:
            The ids of all, in order.
        """
        ...

    def require_same_model(self, source: str, facts: Mapping[str, Any]) -> None:
        """Raises a UserError if embeddings are of another model than the gallery's.

        Args:
            source: Where they come from, for the message.
            facts: What is known of them, as in an extraction's ``embeddings.json``.
        """
        ...

    def remove(self, ids: np.ndarray) -> int:
        """Removes tracklets by id and gives the number of those that were there."""
        ...

    def search(self, queries: Queries, k: int, where: Filter = ANY, *, exact: bool = True) -> Found:
        """The nearest k tracklets that the filter passes, for each query.

        Args:
            queries: The queries.
            k: Number of tracklets to find, at least 1.
            where: What may be found.
            exact: Whether all tracklets are compared. Otherwise codes or an index may choose
                candidates, if the gallery has some; their distances are exact.
        """
        ...

    def tracklets(self, ids: np.ndarray | None = None) -> pd.DataFrame:
        """The rows of tracklets by id, in the order asked for; all of them if not given."""
        ...

    def embeddings(self, ids: np.ndarray) -> np.ndarray:
        """The embeddings of tracklets by id: ``[N, D]``, in the order asked for."""
        ...

    def index(self) -> None:
        """Makes what chooses candidates for a search that need not be exact."""
        ...

    def compact(self) -> None:
        """Frees the space of what was removed."""
        ...

    def close(self) -> None:
        """Ends the connection to a database, if there is one."""
        ...
