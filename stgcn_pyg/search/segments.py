"""Segments of a gallery: some tracklets each, in files that never change.

00000003.npy       their embeddings, float32 ``[n, D]``
00000003.parquet   their rows, with their ids, which ascend
00000003.codes     short codes of the embeddings to search fast by, where there are any
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from tokenize import TokenError
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UnreadableFileError, UserError, needs_extra
from stgcn_pyg.files import errors_of_writing, written_aside
from stgcn_pyg.search.exact import require_usable

if TYPE_CHECKING:
    from stgcn_pyg.search.codes import Codes

with needs_extra("search"):
    import pyarrow as pa
    from pyarrow import parquet

# NumPy reads a file's header with Python's parser, which in Python 3.11 may raise a SystemError
# where two threads use it at once. A server opens and searches galleries in many.
ONE_AT_A_TIME = Lock()

SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "dataset": pa.dictionary(pa.int32(), pa.string()),
        **dict.fromkeys(("tracklet", "pid", "camid", "num_frames"), pa.int64()),
        "first_frame_path": pa.string(),
        **dict.fromkeys(("first_time", "last_time"), pa.float64()),
    }
)
COLUMNS = SCHEMA.names[1:]
MOST_BYTES = 2**30  # of a segment's embeddings
FULL = ": make room there; the gallery is as it was before"
AGAIN = "index its extractions into a new gallery"

Piece = tuple[np.ndarray, pd.DataFrame]
Runs = Sequence[Sequence[int]]


@dataclass(frozen=True)
class SegmentFacts:
    """What a gallery's ``gallery.json`` says of a segment.

    Attributes:
        name: What the names of its files begin with; no other segment ever has it.
        rows: Number of tracklets, n.
        embeddings_bytes: Size of the file of embeddings.
        tracklets_sha256: SHA-256 of the file of rows.
        removed: The rows that count as removed, as runs: the first, and the one past the last.
        codes: Name of the file of codes, if there is one.
        codes_sha256: Its SHA-256.
    """

    name: str
    rows: int
    embeddings_bytes: int
    tracklets_sha256: str
    removed: Runs = ()
    codes: str | None = None
    codes_sha256: str | None = None

    @property
    def num_alive(self) -> int:
        """Number of tracklets that are not removed."""
        return self.rows - sum(last - first for first, last in self.removed)

    @property
    def files(self) -> set[str]:
        """The names of its files."""
        return {f"{self.name}.npy", f"{self.name}.parquet"} | (
            {self.codes} if self.codes else set()
        )


class Segment:
    """A segment that is open; it stays readable when its files are removed.

    Attributes:
        facts: What is known of it without its files.
        embeddings: ``[n, D]`` float32, or float16 where they are reduced, mapped into memory.

    Raises:
        FileNotFoundError: A file is missing.
        UserError: One is damaged, or of another segment.
    """

    def __init__(self, folder: Path, facts: SegmentFacts, width: int, dtype: type = np.float32):
        self.facts = facts
        path = folder / f"{facts.name}.npy"
        try:
            # Private to the process, for torch takes no array that cannot be written to.
            with ONE_AT_A_TIME:
                self.embeddings: np.ndarray = np.load(path, mmap_mode="c", allow_pickle=False)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UnreadableFileError.of(path, error) from error
        except (ValueError, EOFError, SyntaxError, TokenError) as error:
            raise UserError(f"{path}: damaged or no array of NumPy's: {AGAIN}") from error
        size, (rows, wide) = path.stat().st_size, (*self.embeddings.shape, 0, 0)[:2]
        if (size, rows, wide) != (facts.embeddings_bytes, facts.rows, width) or (
            self.embeddings.dtype != dtype
        ):
            raise UserError(
                f"{path}: damaged or of another gallery ({size:,} bytes, "
                f"{self.embeddings.dtype} {list(self.embeddings.shape)}): {AGAIN}"
            )
        self._path = path.with_suffix(".parquet")
        try:
            self._table: bytes | pd.DataFrame = self._path.read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UnreadableFileError.of(self._path, error) from error
        if hashlib.sha256(self._table).hexdigest() != facts.tracklets_sha256:
            raise UserError(f"{self._path}: damaged or of another gallery: {AGAIN}")

    @property
    def tracklets(self) -> pd.DataFrame:
        """All its rows; the index is their id."""
        with ONE_AT_A_TIME:
            if isinstance(self._table, bytes):
                try:
                    table = parquet.read_table(pa.BufferReader(self._table)).cast(SCHEMA)
                except (pa.ArrowException, ValueError) as error:
                    raise UserError(f"{self._path}: no rows of tracklets: {AGAIN}") from error
                self._table = table.to_pandas().set_index("id")
            return self._table

    @cached_property
    def ids(self) -> np.ndarray:
        """The ids of all its rows, ascending: ``[n]`` int64."""
        return self.tracklets.index.to_numpy()

    @cached_property
    def alive(self) -> np.ndarray:
        """The rows that are not removed: a boolean ``[n]``."""
        mask = np.ones(self.facts.rows, dtype=bool)
        for first, last in self.facts.removed:
            mask[first:last] = False
        return mask

    @cached_property
    def codes(self) -> "Codes | None":
        """Its codes, if there are any; raises a UserError if they are damaged."""
        if self.facts.codes is None:
            return None
        from stgcn_pyg.search.codes import AGAIN as CODES_AGAIN
        from stgcn_pyg.search.codes import Codes

        path = self._path.with_name(self.facts.codes)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnreadableFileError.of(path, error) from error
        if hashlib.sha256(content).hexdigest() != self.facts.codes_sha256:
            raise UserError(f"{path}: damaged{CODES_AGAIN}")
        return Codes.from_bytes(str(path), content)

    def has_codes(self) -> bool:
        """Whether it has codes that can be used."""
        try:
            return self.codes is not None
        except UnreadableFileError:
            raise
        except UserError:  # damaged, or of another version
            return False

    def rows_of(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of some ids are here and not removed, a boolean ``[N]``, and the rows of those."""
        rows = np.searchsorted(self.ids, ids).clip(max=len(self.ids) - 1)
        here = (self.ids[rows] == ids) & self.alive[rows]
        return here, rows[here]

    def pieces(self, most_rows: int) -> Iterator[Piece]:
        """What is not removed, as embeddings and rows of so many tracklets at a time."""
        rows = np.flatnonzero(self.alive)
        for first in range(0, len(rows), most_rows):
            some = rows[first : first + most_rows]
            yield self.embeddings[some], self.tracklets.iloc[some].reset_index()


def largest_segment(width: int) -> int:
    """The largest number of tracklets of a segment, for embeddings of a width."""
    return max(1, MOST_BYTES // (4 * width))


def runs_of(mask: np.ndarray) -> list[list[int]]:
    """The runs of true values: the first, and the one past the last.

    Example:
        >>> runs_of(np.array([True, True, False, True]))
        [[0, 2], [3, 4]]
    """
    edges = np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return np.stack([starts, ends], axis=1).tolist()


def write_segments(
    folder: Path, first: int, width: int, pieces: Iterable[Piece]
) -> list[SegmentFacts]:
    """Writes pieces into as few segments as their size allows, and gives what is known of them.

    Args:
        folder: Folder of the gallery.
        first: Number of the first segment, after which it is named.
        width: Length D of an embedding.
        pieces: Embeddings ``[n, D]`` with their rows, which have the column ``id``, ascending.

    Raises:
        UserError: The files cannot be written, or a piece is not usable.
    """
    most = largest_segment(width)
    rest, found = _cut(pieces, most), list[SegmentFacts]()
    for piece in rest:
        name = f"{first + len(found):08d}"
        with errors_of_writing(folder / name, FULL):
            found.append(_write_segment(folder, name, piece, rest, most))
    return found


def _cut(pieces: Iterable[Piece], most: int) -> Iterator[Piece]:
    """The pieces, and after each ``most`` rows a new one."""
    done = 0
    for embeddings, rows in pieces:
        start = 0
        while start < len(rows):
            stop = min(len(rows), start + most - done % most)
            yield embeddings[start:stop], rows.iloc[start:stop]
            done, start = done + stop - start, stop


def _write_segment(
    folder: Path, name: str, piece: Piece, rest: Iterator[Piece], most: int
) -> SegmentFacts:
    """Writes a piece, and those of the rest that belong to the same segment."""
    tables, count, width = [], 0, piece[0].shape[1]
    dtype = np.dtype(np.float16 if piece[0].dtype == np.float16 else np.float32)
    with written_aside(folder / f"{name}.npy") as file:
        file.write(_header(0, width, dtype))
        following: Piece | None = piece
        while following is not None:
            embeddings, rows = following
            require_usable("embeddings", embeddings)
            file.write(np.ascontiguousarray(embeddings, dtype=dtype).data)
            tables.append(as_table(rows))
            count += len(rows)
            following = next(rest, None) if count < most else None
        size = file.tell()
        file.seek(0)
        file.write(_header(count, width, dtype))
    buffer = pa.BufferOutputStream()
    table = pa.concat_tables(tables).unify_dictionaries()
    parquet.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    content = buffer.getvalue().to_pybytes()
    with written_aside(folder / f"{name}.parquet") as file:
        file.write(content)
    return SegmentFacts(name, count, size, hashlib.sha256(content).hexdigest())


def _header(rows: int, width: int, dtype: np.dtype) -> bytes:
    """How an ``.npy`` begins: as long for any number of rows, as NumPy leaves room."""
    buffer = io.BytesIO()
    facts = {"descr": dtype.newbyteorder("<").str, "fortran_order": False, "shape": (rows, width)}
    np.lib.format.write_array_header_1_0(buffer, facts)
    return buffer.getvalue()


def as_table(rows: pd.DataFrame) -> pa.Table:
    """Rows of tracklets in the types of a gallery; raises a UserError where one has no such."""
    try:
        table = pa.Table.from_pandas(rows[SCHEMA.names], SCHEMA, preserve_index=False)
    except pa.ArrowException as error:
        raise UserError(f"tracklets: {' '.join(str(error).split())}") from error
    for name in SCHEMA.names:
        if not name.endswith("_time") and table[name].null_count:
            raise UserError(f"tracklets: {name} is missing in a row: give one to each")
    return table
