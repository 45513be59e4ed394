"""A gallery in Qdrant: on a server, in a cluster, or in a folder without a server."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError, needs_extra, whole_number
from stgcn_pyg.evaluation.arrays import slices
from stgcn_pyg.search.answers import Candidates, nearest
from stgcn_pyg.search.engine import ANY, Filter, Found, Queries
from stgcn_pyg.search.exact import require_usable
from stgcn_pyg.search.gallery_file import of_same_model, require_same_model
from stgcn_pyg.search.rows import (
    KEY,
    TYPES,
    checked_ids,
    checked_queries,
    checked_rows,
    plain_sources,
)
from stgcn_pyg.search.segments import COLUMNS, Piece

with needs_extra("qdrant"):
    from qdrant_client import models

    from stgcn_pyg.search.qdrant_connection import connect, in_one_line, without_secrets
    from stgcn_pyg.search.qdrant_points import (
        FORMAT,
        INDEXES,
        any_of,
        filter_of,
        make_collection,
        payloads,
    )

_NUMBERS = 700_000  # sent at a time: a server takes 32 MB, and a number in JSON about 20 bytes
_POINTS = 1_000  # at a time, where no embeddings are sent


class QdrantGallery:
    """A collection of Qdrant as a gallery, which one process at a time may add to.

    The collection's metadata name the checkpoint and the next id; its points hold the embeddings
    with the columns of the tracklets. Opened in a folder, it compares every tracklet and takes more
    time and memory than :class:`.Gallery`: it is for trying out what a server will do. **Its files
    there are pickled: open no folder that somebody else has written.**

    Args:
        place: ``qdrant://host:port/collection``, ``qdrant+https://...``, or without a server
            ``qdrant:///folder/collection`` (``qdrant:folder/collection`` from here). The
            environment variable ``QDRANT_API_KEY`` holds the key, where the server wants one.

    Attributes:
        width: Length D of an embedding.
        checkpoint_sha256: SHA-256 of the checkpoint that made the embeddings.
        facts: Both, what else is known of the model, and ``sources``: where the frames are.

    Raises:
        UserError: No such collection, one of something else, or no server that answers.

    Example:
        >>> place = f"qdrant://{getfixture('tmp_path')}/people"
        >>> gallery = QdrantGallery.create(place, width=2, checkpoint_sha256="ab12")
        >>> labels = {"dataset": "station", "pid": -1, "camid": 1, "num_frames": 8}
        >>> labels |= {"first_frame_path": "", "first_time": 0.0, "last_time": 1.0}
        >>> gallery.add(np.float32([[0, 0], [3, 4]]), pd.DataFrame({"tracklet": [5, 6], **labels}))
        array([0, 1])
        >>> gallery.search(Queries(np.float32([[3, 0]])), k=1)
        Found(ids=array([[0]]), distances=array([[3.]], dtype=float32))
        >>> gallery.close()
    """

    def __init__(self, place: str):
        self.place = without_secrets(place)
        self._client, self._name, self._is_local = connect(place, create=False)
        try:
            self._read_about()
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(cls, place: str, *, width: int, **facts: Any) -> "QdrantGallery":
        """Makes an empty gallery, or opens the one that is there if it is of the same model.

        Args:
            place: The place.
            width: Length D of an embedding, at most 65,536.
            **facts: ``checkpoint_sha256``, and others as :meth:`.Gallery.create` takes them.

        Raises:
            UserError: Another model's gallery, or what opening one raises.
        """
        width = whole_number("width", width)
        client, name, is_local = connect(place, create=True)
        try:
            with in_one_line(without_secrets(place)):
                make_collection(client, name, width, facts, indexes={} if is_local else INDEXES)
        finally:
            client.close()
        return of_same_model(cls(place), {"width": width, **facts})

    def close(self) -> None:
        """Ends the connection, and lets others open a gallery in a folder."""
        self._client.close()

    def require_same_model(self, source: str, facts: Mapping[str, Any]) -> None:
        """As :meth:`.Gallery.require_same_model`."""
        require_same_model(self.place, self.facts, source, facts)

    def __len__(self) -> int:
        with in_one_line(self.place):
            return self._client.count(self._name, exact=True).count

    def add(self, embeddings: np.ndarray, tracklets: pd.DataFrame) -> np.ndarray:
        """Adds or replaces tracklets, as :class:`.Engine` says; a replaced one keeps its id.

        If it is interrupted, some are there; adding the same again continues.
        """
        embeddings, rows = checked_rows(self.place, self.width, embeddings, tracklets)
        require_usable(f"{self.place}: embeddings", embeddings)
        ids = np.full(len(rows), -1, dtype=np.int64)
        with in_one_line(self.place, ": run the same command again, which continues"):
            for part in slices(0, len(rows), _POINTS):
                ids[part] = self._known_ids(rows.iloc[part])
            new = ids < 0
            ids[new] = self._take_ids(int(new.sum()))
            for part in slices(0, len(rows), max(1, _NUMBERS // self.width)):
                columns = ids[part].tolist(), embeddings[part].tolist(), payloads(rows.iloc[part])
                points = [
                    models.PointStruct(id=i, vector=vector, payload=payload)
                    for i, vector, payload in zip(*columns, strict=True)
                ]
                self._client.upsert(self._name, points, wait=True)
        return ids

    def add_pieces(
        self,
        pieces: Iterable[Piece],
        sources: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> np.ndarray:
        """Adds tracklets as :meth:`.Gallery.add_pieces`, but each piece by itself.

        If it is interrupted, some are there; the same again adds the others.
        """
        if sources:
            self._set_facts(sources=self.facts["sources"] | plain_sources(sources))
        return np.concatenate([np.empty(0, np.int64), *(self.add(*piece) for piece in pieces)])

    def remove(self, ids: np.ndarray) -> int:
        """Removes tracklets by id and gives the number of those that were there."""
        count, chosen_ids = 0, np.unique(checked_ids(ids))
        with in_one_line(self.place):
            for part in _parts(chosen_ids):
                there = [p.id for p in self._client.retrieve(self._name, part, with_payload=False)]
                count += len(there)
                if there:
                    chosen = models.PointIdsList(points=there)
                    self._client.delete(self._name, chosen, wait=True)
        return count

    def search(self, queries: Queries, k: int, where: Filter = ANY, *, exact: bool = True) -> Found:
        """The nearest k tracklets that the filter passes, for each query, as :class:`.Engine` says.

        With ``exact=False`` and an index, a near one may be missed.
        """
        queries = checked_queries(self.place, self.width, queries, where)

        def ask(rows: np.ndarray, limit: int, every: bool) -> list[Candidates]:
            # In a folder every tracklet is compared anyhow, and a setting brings a warning.
            setting = models.SearchParams(exact=every, hnsw_ef=None if every else 2 * limit)
            requests = [
                models.QueryRequest(
                    query=queries.embeddings[row].tolist(),
                    filter=filter_of(where, queries, row),
                    params=None if self._is_local else setting,
                    limit=limit,
                    with_vector=True,
                    with_payload=False,
                )
                for row in rows
            ]
            size = max(1, _NUMBERS // (self.width * limit))
            found: list[Candidates] = []
            with in_one_line(self.place):
                for part in slices(0, len(requests), size):
                    answers = self._client.query_batch_points(self._name, requests[part])
                    found += [self._candidates(answer.points) for answer in answers]
            return found

        return nearest(ask, queries.embeddings, k, exact or not self.facts.get("index"))

    def tracklets(self, ids: np.ndarray | None = None) -> pd.DataFrame:
        """The rows of tracklets by id, in the order asked for; all of them if not given."""
        with in_one_line(self.place):
            points = list(self._scroll(None)) if ids is None else self._points(ids)
        rows = pd.DataFrame(
            [{name: point.payload.get(name) for name in COLUMNS} for point in points],
            index=pd.Index([point.id for point in points], dtype="int64", name="id"),
            columns=COLUMNS,
        ).astype(TYPES)
        return rows.sort_index() if ids is None else rows.loc[ids]

    def embeddings(self, ids: np.ndarray) -> np.ndarray:
        """The embeddings of tracklets by id: ``[N, D]``, in the order asked for."""
        with in_one_line(self.place):
            points = self._points(ids, with_vectors=True)
        known = {point.id: point.vector for point in points}
        found = [known[number] for number in checked_ids(ids).tolist()]
        return np.array(found, dtype=np.float32).reshape(-1, self.width)

    def index(self) -> None:
        """Lets searches that need not be exact take candidates from the server's own index."""
        self._set_facts(index=True)

    def compact(self) -> None:
        """Does nothing: Qdrant frees the space of what was removed by itself."""

    def _read_about(self) -> None:
        with in_one_line(self.place):
            if not self._client.collection_exists(self._name):
                raise UserError(f"{self.place}: no such collection: `stgcn index` makes one")
            config = self._client.get_collection(self._name).config
        about = config.metadata or {}
        if about.get("stgcn_gallery") != FORMAT:
            raise UserError(
                f"{self.place}: is a collection of something else, or on a server before Qdrant "
                "1.16, which keeps no metadata: name another"
            )
        self.facts: dict[str, Any] = about["facts"]
        self.width: int = self.facts["width"]
        self.checkpoint_sha256: str = self.facts["checkpoint_sha256"]

    def _set_facts(self, **changes: Any) -> None:
        self.facts |= changes
        with in_one_line(self.place):
            self._client.update_collection(self._name, metadata={"facts": self.facts})

    def _take_ids(self, count: int) -> range:
        """So many ids that no tracklet has had; they are taken even if a kill follows."""
        about = self._client.get_collection(self._name).config.metadata or {}
        first = about["next_id"]
        if count:
            self._client.update_collection(self._name, metadata={"next_id": first + count})
        return range(first, first + count)

    def _known_ids(self, rows: pd.DataFrame) -> np.ndarray:
        known = {}
        for dataset, group in rows.groupby("dataset"):
            condition = any_of("dataset", [dataset]), any_of("tracklet", group["tracklet"])
            for point in self._scroll(models.Filter(must=list(condition))):
                known[dataset, point.payload["tracklet"]] = point.id
        keys = rows[KEY].itertuples(index=False, name=None)
        return np.array([known.get(key, -1) for key in keys], dtype=np.int64)

    def _points(self, ids: np.ndarray, with_vectors: bool = False) -> list[Any]:
        """The points of these ids, each once, in any order."""
        points: list[Any] = []
        for part in _parts(np.unique(checked_ids(ids))):
            points += self._client.retrieve(self._name, part, with_vectors=with_vectors)
        missing = np.setdiff1d(ids, [point.id for point in points])
        if len(missing):
            raise UserError(f"{self.place}: has no tracklet with the id {missing[0]}")
        return points

    def _scroll(self, condition: models.Filter | None) -> Iterator[Any]:
        offset = None
        while True:
            points, offset = self._client.scroll(
                self._name, condition, limit=_POINTS, offset=offset, with_payload=True
            )
            yield from points
            if offset is None:
                return

    def _candidates(self, points: Sequence[Any]) -> Candidates:
        embeddings = np.array([point.vector for point in points], dtype=np.float32)
        return Candidates(
            np.array([point.id for point in points], dtype=np.int64),
            embeddings.reshape(-1, self.width),
            points[-1].score if points else 0.0,
        )


def _parts(ids: np.ndarray) -> list[list[int]]:
    return [ids[part].tolist() for part in slices(0, len(ids), _POINTS)]
