"""A gallery in a folder: many readers, one writer, and never a half-written state.

gallery.json       whose embeddings they are, and the segments that make up the gallery
gallery.lock       held by the process that writes
00000000.npy ...   the segments (:mod:`stgcn_pyg.search.segments`)

A change writes new segments first and replaces ``gallery.json`` last. Files that it does not name
are left over from a writer that was killed; the next one removes them.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError, whole_number
from stgcn_pyg.files import PART, errors_of_writing, written_aside
from stgcn_pyg.search.engine import ANY, Filter, Found, Queries
from stgcn_pyg.search.exact import nearest
from stgcn_pyg.search.filters import as_float32, check_queries, passing
from stgcn_pyg.search.gallery_file import (
    LOCK,
    MODEL,
    REDUCTION,
    commit,
    locked,
    read_gallery,
    read_reduction,
    require_same_model,
    stored_form,
)
from stgcn_pyg.search.reduction import Reduction
from stgcn_pyg.search.rows import KEY, checked_ids, checked_rows, plain_sources, twice_given
from stgcn_pyg.search.segment_search import Chosen, found_by_codes, parts_of
from stgcn_pyg.search.segments import (
    AGAIN,
    COLUMNS,
    Piece,
    Segment,
    SegmentFacts,
    largest_segment,
    runs_of,
    write_segments,
)

OF_A_SEGMENT = re.compile(rf"\d{{8}}[\w-]*\.(npy|parquet|codes)({re.escape(PART)})?")
NUMBERS = 2**23  # of a part of the embeddings that is searched or copied at a time


class Gallery:
    """The embeddings of tracklets in a folder, which can be searched, added to and removed from.

    An open gallery stays as it is while another process writes: :meth:`refresh` shows the news. One
    process writes at a time, the others are refused meanwhile. A change is there as a whole or not
    at all, also after a kill.

    Args:
        folder: A folder that :meth:`create` made.

    Attributes:
        folder, place: The folder.
        width: Length D of an embedding.
        checkpoint_sha256: SHA-256 of the checkpoint that made the embeddings.
        reduction: What is kept of the embeddings instead of all, if so.
        facts: The content of its ``gallery.json``.
        segments: Its open segments, by ascending ids.

    Raises:
        UserError: It is no gallery, or damaged.

    Example:
        >>> folder = Path(getfixture("tmp_path")) / "gallery"
        >>> gallery = Gallery.create(folder, width=2, checkpoint_sha256="a" * 64)
        >>> tracklets = pd.DataFrame({"tracklet": [4, 5], "pid": [1, 2], "camid": [1, 1]})
        >>> tracklets = tracklets.assign(dataset="mars", num_frames=8, first_frame_path="",
        ...                              first_time=np.nan, last_time=np.nan)
        >>> gallery.add(np.float32([[0, 0], [3, 4]]), tracklets)
        array([0, 1])
        >>> Gallery(folder).search(Queries(np.float32([[3, 3]])), k=1)
        Found(ids=array([[1]]), distances=array([[1.]], dtype=float32))
    """

    def __init__(self, folder: str | Path):
        self.folder, self.place = Path(folder), str(folder)
        self.facts: Mapping[str, Any] = {}
        self.segments: list[Segment] = []
        self.refresh()
        self.width: int = self.facts["width"]
        self.reduction = read_reduction(self.folder, self.facts)
        self.checkpoint_sha256: str = self.facts["checkpoint_sha256"]

    @classmethod
    def create(
        cls,
        folder: str | Path,
        *,
        width: int,
        checkpoint_sha256: str,
        embedding: str | None = None,
        num_frames: int | None = None,
        test_clips: str | None = None,
        reduction: Reduction | None = None,
    ) -> "Gallery":
        """Makes an empty gallery.

        Args:
            folder: Folder to make; there may be an empty one.
            width: Length D of an embedding.
            checkpoint_sha256: SHA-256 of the checkpoint that makes the embeddings.
            embedding: What the embedding is, as in an extraction's ``embeddings.json``; None: not
                known, also of the next two.
            num_frames: The frames T of a clip.
            test_clips: The clips of a tracklet that are averaged.
            reduction: What to keep of embeddings instead of all; None: all.

        Raises:
            UserError: There is something, or it cannot be made.
        """
        width = whole_number("width", width)
        if num_frames is not None:
            num_frames = whole_number("num_frames", num_frames)
        folder = Path(folder)
        if folder.exists() and not (folder.is_dir() and set(os.listdir(folder)) <= {LOCK}):
            raise UserError(f"{folder}: holds something already: choose another folder")
        model = (width, checkpoint_sha256, embedding, num_frames, test_clips)
        facts = dict(zip(MODEL, model, strict=True))
        with errors_of_writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            if reduction is not None:
                content = reduction.to_bytes()
                with errors_of_writing(folder), written_aside(folder / REDUCTION) as file:
                    file.write(content)
                digest = hashlib.sha256(content).hexdigest()
                facts |= {"reduced": reduction.width, "reduction_sha256": digest}
            commit(folder, facts | {"sources": {}, "next_id": 0, "next_segment": 0}, [])
        return cls(folder)

    @property
    def stored_width(self) -> int:
        """Length of the embeddings that are kept: D, or that of the reduction."""
        return stored_form(self.facts)[0]

    def __len__(self) -> int:
        return sum(segment.facts.num_alive for segment in self.segments)

    def close(self) -> None:
        """Does nothing: a folder needs no connection."""

    def refresh(self) -> None:
        """Shows the gallery as it is in the folder now."""
        before = None
        while True:
            read = facts, described = read_gallery(self.folder)
            try:
                width, dtype = stored_form(facts)
                self.segments = [Segment(self.folder, one, width, dtype) for one in described]
                break
            except FileNotFoundError as error:
                if read == before:  # no writer has removed it
                    raise UserError(f"{error.filename}: missing: {AGAIN}") from error
                before = read
        self.facts = facts

    def require_same_model(self, source: str, facts: Mapping[str, Any]) -> None:
        """Raises a UserError if embeddings are of another model than the gallery's.

        Args:
            source: Where they come from, for the message.
            facts: What is known of them, as in an extraction's ``embeddings.json``.
        """
        require_same_model(str(self.folder), self.facts, source, facts)

    def add(self, embeddings: np.ndarray, tracklets: pd.DataFrame) -> np.ndarray:
        """Adds tracklets, as :class:`.Engine` says."""
        return self.add_pieces([(embeddings, tracklets)])

    def add_pieces(
        self, pieces: Iterable[Piece], sources: Mapping[str, Mapping[str, Any]] | None = None
    ) -> np.ndarray:
        """Adds tracklets piece by piece, so that not all embeddings are in memory at a time.

        All of them are there afterwards, or none.

        Args:
            pieces: Embeddings and tracklets, as :meth:`add` takes them.
            sources: Where the frames of data sets are, by the name of the data set: its
                ``dataset``, ``root`` and ``split``, as for ``stgcn train``.

        Returns:
            The ids of all, in order.

        Raises:
            UserError: They are of another width, not finite, or lack a column; a tracklet is there
                twice; another process is writing; the disk is full.
        """
        added: list[pd.DataFrame] = []
        with self._writing():
            start, number = self.facts["next_id"], self.facts["next_segment"]
            numbered = _numbered(self.place, pieces, start, self.width, added, self.reduction)
            new = write_segments(self.folder, number, self.stored_width, numbered)
            if not new:
                return np.empty(0, dtype=np.int64)
            keys = pd.concat(added)
            if (twice := keys.duplicated().to_numpy()).any():
                raise UserError(f"{self.place}: {twice_given(*keys[twice].iloc[0])}")
            kept = [_without(segment, _same(segment, keys)) for segment in self.segments]
            sources = self.facts["sources"] | plain_sources(sources)
            self._replace(kept + new, next_id=start + len(keys), sources=sources)
            self._merge_small()
        return np.arange(start, start + len(keys))

    def remove(self, ids: np.ndarray) -> int:
        """Removes tracklets, as :class:`.Engine` says; :meth:`compact` frees their space."""
        wanted = checked_ids(ids)
        with self._writing():
            before, kept = len(self), []
            for segment in self.segments:
                mask = np.zeros(segment.facts.rows, dtype=bool)
                mask[segment.rows_of(wanted)[1]] = True
                kept.append(_without(segment, mask))
            self._replace(kept)
            return before - len(self)

    def compact(self) -> None:
        """Writes segments with removed tracklets, and small ones, anew; ids stay."""
        with self._writing():
            self._rewrite(self.segments)

    def search(
        self,
        queries: Queries,
        k: int,
        where: Filter = ANY,
        part_rows: int | None = None,
        exact: bool = True,
        among: np.ndarray | None = None,
    ) -> Found:
        """The nearest k tracklets that the filter passes, for each query.

        Args:
            queries: The queries.
            k: Number of tracklets to find, at least 1.
            where: What may be found.
            part_rows: Number of tracklets to compare at a time, which changes memory and time, not
                the answer; some that take 32 MB if not given.
            exact: Whether all distances are compared exactly, and not only those of candidates
                where there are codes (:meth:`make_codes`).
            among: Ids that may be found; None: all.

        Raises:
            UserError: The queries have another width, are not finite, or lack the labels that the
                filter needs.
        """
        k = whole_number("k", k)
        if part_rows is None:
            part_rows = max(1, NUMBERS // self.stored_width)
        part_rows = whole_number("part_rows", part_rows)
        wanted = None if among is None else checked_ids(among)
        if self.reduction is not None and np.shape(queries.embeddings)[1:] == (self.width,):
            reduced = self.reduction.apply(as_float32("queries", queries.embeddings))
            queries = queries._replace(embeddings=reduced)
        checked = check_queries(queries, self.stored_width, where)
        coded: list[Chosen] = []
        others: list[Chosen] = []
        for segment in self.segments:
            allowed = segment.alive & passing(segment.tracklets, where)
            if wanted is not None:
                allowed &= np.isin(segment.ids, wanted)
            by_codes = not exact and segment.codes is not None
            (coded if by_codes else others).append((segment, allowed))
        parts = parts_of(others, checked, where, part_rows)
        found = nearest(checked.embeddings, parts, k)
        return found_by_codes(coded, checked, where, k, found) if coded else found

    def tracklets(self, ids: np.ndarray | None = None) -> pd.DataFrame:
        """The rows of tracklets, as :class:`.Engine` says; the index is the id."""
        wanted = None if ids is None else checked_ids(ids)
        tables = []
        for segment in self.segments:
            rows = segment.alive if wanted is None else segment.rows_of(wanted)[1]
            tables.append(segment.tracklets.iloc[rows].astype({"dataset": str}))
        tables = [table for table in tables if len(table)]
        empty = pd.DataFrame(columns=COLUMNS, index=pd.Index([], dtype=np.int64, name="id"))
        table = pd.concat(tables) if tables else empty
        if wanted is None:
            return table
        self._require(wanted, table.index)
        return table[~table.index.duplicated()].loc[wanted]

    def embeddings(self, ids: np.ndarray) -> np.ndarray:
        """The embeddings of tracklets by id, as they are kept: ``[N, D]``, in that order."""
        wanted = checked_ids(ids)
        result, found = np.empty((len(wanted), self.stored_width), dtype=np.float32), [wanted[:0]]
        for segment in self.segments:
            here, rows = segment.rows_of(wanted)
            result[here] = segment.embeddings[rows]
            found.append(wanted[here])
        self._require(wanted, np.concatenate(found))
        return result

    def write_codes(self, codes: Mapping[str, bytes]) -> None:
        """Writes a file of codes for some segments, by the name of the segment.

        Those that another process has replaced meanwhile get none.
        """
        with self._writing():
            described, number = [], self.facts["next_segment"]
            for facts in (segment.facts for segment in self.segments):
                if (content := codes.get(facts.name)) is not None:
                    name = f"{facts.name}-{number:08d}.codes"
                    with errors_of_writing(self.folder), written_aside(self.folder / name) as file:
                        file.write(content)
                    digest = hashlib.sha256(content).hexdigest()
                    facts = replace(facts, codes=name, codes_sha256=digest)
                described.append(facts)
            self._replace(described, next_segment=number + 1)

    def _require(self, ids: np.ndarray, found: Any) -> None:
        missing = ids[~np.isin(ids, found)]
        if len(missing):
            raise UserError(f"{self.folder}: has no tracklet with the id {missing[0]}")

    def segments_without_codes(self) -> list[Segment]:
        """The segments that have no codes, or damaged ones, and are large enough to need them."""
        from stgcn_pyg.search.codes import FEWEST_ROWS

        large = [one for one in self.segments if one.facts.rows >= FEWEST_ROWS]
        return [one for one in large if not one.has_codes()]

    def make_codes(self, segments: Iterable[Segment] | None = None) -> None:
        """Makes the codes of some segments; of those without codes if none are given."""
        from stgcn_pyg.search.codes import Codes

        for one in self.segments_without_codes() if segments is None else segments:
            self.write_codes({one.facts.name: Codes.of(one.embeddings).to_bytes()})

    def index(self) -> None:
        """Makes codes where there are none yet, as :meth:`make_codes`."""
        self.make_codes()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Keeps other writers out, begins with the newest state, and leaves no file unnamed."""
        with locked(self.folder):
            self.refresh()
            self._remove_unnamed()
            try:
                yield
            finally:
                self._remove_unnamed()

    def _remove_unnamed(self) -> None:
        _, described = read_gallery(self.folder)
        named = set().union(*(facts.files for facts in described))
        for path in self.folder.iterdir():
            if OF_A_SEGMENT.fullmatch(path.name) and path.name not in named:
                with suppress(OSError):
                    path.unlink()

    def _replace(self, described: list[SegmentFacts], **changes: Any) -> None:
        """Makes these the segments of the gallery, all at once."""
        numbers = [int(facts.name) + 1 for facts in described]
        following = max([self.facts["next_segment"], *numbers])
        facts = {**self.facts, "next_segment": following, **changes}
        commit(self.folder, facts, [one for one in described if one.num_alive])
        self.refresh()

    def _merge_small(self) -> None:
        """Merges the last segments while they are no longer than what comes after them.

        So the number of segments grows with the logarithm of the number of additions.
        """
        rows = [segment.facts.rows for segment in self.segments]
        first, most = len(rows) - 1, largest_segment(self.stored_width)
        while first > 0 and rows[first - 1] <= sum(rows[first:]) <= most - rows[first - 1]:
            first -= 1
        if first < len(rows) - 1:
            self._rewrite(self.segments[first:])

    def _rewrite(self, segments: list[Segment]) -> None:
        """Writes neighbours of some segments together, but for those that are large and whole."""
        most = largest_segment(self.stored_width)
        described: list[SegmentFacts] = []
        number = self.facts["next_segment"]

        def stays(segment: Segment) -> bool:
            large = 2 * segment.facts.rows > most
            return segment not in segments or (large and not segment.facts.removed)

        for kept, some in groupby(self.segments, stays):
            group = list(some)
            if kept or (len(group) == 1 and not group[0].facts.removed):
                described += [segment.facts for segment in group]
                continue
            pieces = chain.from_iterable(s.pieces(NUMBERS // self.stored_width + 1) for s in group)
            new = write_segments(self.folder, number, self.stored_width, pieces)
            described, number = described + new, number + len(new)
        self._replace(described)


def _numbered(
    place: str,
    pieces: Iterable[Piece],
    start: int,
    width: int,
    added: list[pd.DataFrame],
    reduction: Reduction | None,
) -> Iterator[Piece]:
    """The pieces with ids from ``start``; adds the data set and number of each to ``added``."""
    for given, tracklets in pieces:
        embeddings, rows = checked_rows(place, width, given, tracklets)
        ids = np.arange(start, start + len(rows))
        start += len(rows)
        added.append(rows[KEY])
        if reduction is not None:
            embeddings = reduction.apply(embeddings)
        yield embeddings, rows.assign(id=ids)


def _same(segment: Segment, keys: pd.DataFrame) -> np.ndarray:
    """The rows of a segment that have the data set and number of one of the keys."""
    mask = np.zeros(segment.facts.rows, dtype=bool)
    for dataset, some in keys.groupby("dataset"):
        of_dataset = (segment.tracklets["dataset"] == dataset).to_numpy()
        mask |= of_dataset & segment.tracklets["tracklet"].isin(some["tracklet"]).to_numpy()
    return mask


def _without(segment: Segment, mask: np.ndarray) -> SegmentFacts:
    """What is known of a segment once the rows of a mask are removed from it, too."""
    return replace(segment.facts, removed=runs_of(~segment.alive | mask))
