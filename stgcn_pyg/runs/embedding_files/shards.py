"""A shard: some tracklets' embeddings and labels, in two files that hold together."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from stgcn_pyg.errors import UserError
from stgcn_pyg.files import written_aside
from stgcn_pyg.runs.embedding_files.description import Description, shard_rows

ANEW = "run the same `stgcn extract` again, which writes it anew"
SCHEMA = pa.schema(
    {
        "tracklet": pa.int64(),
        "pid": pa.int64(),
        "camid": pa.int64(),
        "num_frames": pa.int64(),
        "first_frame_path": pa.string(),
        "is_query": pa.bool_(),
        "is_gallery": pa.bool_(),
        "is_train": pa.bool_(),
    }
)


class Shard(NamedTuple):
    """What a shard holds.

    Attributes:
        tracklets: A row a tracklet, n of them; the index is its number.
        embeddings: Theirs, ``[n, D]`` of float32.
        passed_over: What was wrong with pictures for which other frames of their tracklets stand.
    """

    tracklets: pd.DataFrame
    embeddings: np.ndarray
    passed_over: list[str]


def encode_shard(
    description: Description,
    shard: int,
    tracklets: pd.DataFrame,
    embeddings: np.ndarray,
    passed_over: Sequence[str] = (),
) -> tuple[bytes, bytes]:
    """The content of a shard's two files; the same arguments always give the same bytes.

    Args:
        description: Of the extraction.
        shard: Its number.
        tracklets: Its n tracklets; the index is their number.
        embeddings: Theirs, ``[n, D]`` of float32.
        passed_over: What was wrong with pictures for which other frames stand.
    """
    # A single entry: safetensors writes several in an order that changes from run to run.
    tensors = save({"embedding": embeddings}, {"extraction": description["key"]})
    table = pa.Table.from_pandas(tracklets.rename_axis("tracklet").reset_index(), SCHEMA)
    table = table.replace_schema_metadata(
        {
            "extraction": description["key"],
            "shard": str(shard),
            "embedding_sha256": _digest(embeddings),
            **({"passed_over": json.dumps(sorted(passed_over))} if passed_over else {}),
        }
    )
    rows = pa.BufferOutputStream()
    parquet.write_table(table, rows, write_page_checksum=True)
    return tensors, rows.getvalue().to_pybytes()


def read_shard(folder: Path, description: Description, shard: int) -> Shard:
    """What a shard holds, held against its checksums.

    Raises:
        UserError: It is missing, damaged, of another extraction, or of another width.
    """
    for path in paths(folder, shard):
        if not path.is_file():
            raise UserError(f"{path}: missing: {ANEW}")
    tensor_path, table_path = paths(folder, shard)
    embeddings = _read_embeddings(tensor_path, description)
    table = _read_table(table_path, description)
    told = {name.decode(): value.decode() for name, value in table.schema.metadata.items()}
    if told.get("shard") != str(shard):
        raise UserError(f"{table_path}: is shard {told.get('shard')}, not {shard}: {ANEW}")
    size = len(range(description["num_tracklets"])[shard_rows(description, shard)])
    if len(table) != size or embeddings.shape[0] != size:
        raise UserError(
            f"{tensor_path}: {len(embeddings)} embeddings of {len(table)} tracklets, "
            f"not of {size}: {ANEW}"
        )
    if told.get("embedding_sha256") != _digest(embeddings):
        raise UserError(
            f"{tensor_path}: damaged (not the embeddings that {table_path.name} goes with): {ANEW}"
        )
    tracklets = table.to_pandas().set_index("tracklet").rename_axis(None)
    return Shard(tracklets, embeddings, json.loads(told.get("passed_over", "[]")))


def are_same(files: tuple[Path, Path], contents: tuple[bytes, bytes]) -> bool:
    """Whether two files of a shard hold these bytes.

    Another version of pyarrow writes the same table in other bytes, which counts as the same; what
    is in it was held against its checksums before.

    Args:
        files: What :func:`read_shard` has read.
        contents: What :func:`encode_shard` gives for the same shard.
    """
    tensors, table = (path.read_bytes() for path in files)
    writers = [
        parquet.ParquetFile(pa.BufferReader(written)).metadata.created_by
        for written in (table, contents[1])
    ]
    return tensors == contents[0] and (table == contents[1] or writers[0] != writers[1])


def paths(folder: Path, shard: int) -> tuple[Path, Path]:
    """Where a shard's embeddings and its table are."""
    return folder / f"{shard:05d}.safetensors", folder / f"{shard:05d}.parquet"


def write_aside(path: Path, content: bytes) -> None:
    """Writes a file such that it is whole wherever it is seen, also after the power fails.

    Raises:
        UserError: It cannot be written; nothing half-written is left.
    """
    try:
        with written_aside(path) as file:
            file.write(content)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}): mend that and run the same command "
            "again, which goes on here"
        ) from error


def _read_embeddings(path: Path, description: Description) -> np.ndarray:
    try:
        with safe_open(path, framework="np") as file:
            key = (file.metadata() or {}).get("extraction")
            embeddings = file.get_tensor("embedding")
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: damaged or no safetensors of embeddings: {ANEW}") from error
    _require_key(path, key, description)
    width = description["width"]
    if embeddings.dtype != np.float32 or embeddings.ndim != 2 or embeddings.shape[1] != width:
        raise UserError(
            f"{path}: holds {embeddings.dtype} {list(embeddings.shape)}, not float32 embeddings "
            f"of width {width}: {ANEW}"
        )
    return embeddings


def _read_table(path: Path, description: Description) -> pa.Table:
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            metadata = file.schema_arrow.metadata or {}
            _require_key(path, metadata.get(b"extraction", b"").decode(), description)
            return file.read()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: damaged or no Parquet: {ANEW}") from error


def _require_key(path: Path, found: str | None, description: Description) -> None:
    if found != description["key"]:
        raise UserError(
            f"{path}: of another extraction (its key is {(found or 'none')[:12]}, not "
            f"{description['key'][:12]}): {ANEW}"
        )


def _digest(embeddings: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(embeddings).data).hexdigest()
