"""A shard of an extraction: some tracklets' embeddings and labels, in two files that fit together.

00000.safetensors   the tensor ``embedding``, float32 ``[n, D]``
00000.parquet       a row a tracklet: its number, labels and first frame
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from stgcn_pyg.errors import UserError

AGAIN = "run the same `stgcn extract` again, which writes it anew"
SCHEMA = pa.schema(
    {
        **dict.fromkeys(("tracklet", "pid", "camid", "num_frames"), pa.int64()),
        "first_frame_path": pa.string(),
        **dict.fromkeys(("is_query", "is_gallery", "is_train"), pa.bool_()),
    }
)


class Shard(NamedTuple):
    """What a shard holds.

    Attributes:
        tracklets: A row a tracklet, n of them; the index is its number.
        embeddings: Their embeddings, ``[n, D]`` of float32.
        passed_over: What was wrong with images that other frames of their tracklets replaced.
    """

    tracklets: pd.DataFrame
    embeddings: np.ndarray
    passed_over: Sequence[str] = ()


def shard_paths(folder: Path, number: int) -> tuple[Path, Path]:
    """Where a shard's embeddings and its table lie."""
    return folder / f"{number:05d}.safetensors", folder / f"{number:05d}.parquet"


def encode_shard(key: str, number: int, shard: Shard) -> tuple[bytes, bytes]:
    """The content of a shard's two files; the same arguments always give the same bytes."""
    # A single entry: safetensors writes several in an order that changes from run to run.
    tensors = save({"embedding": shard.embeddings}, {"extraction": key})
    table = pa.Table.from_pandas(shard.tracklets.rename_axis("tracklet").reset_index(), SCHEMA)
    table = table.replace_schema_metadata(
        {
            "extraction": key,
            "shard": str(number),
            "embedding_sha256": _digest(shard.embeddings),
            **({"passed_over": json.dumps(sorted(shard.passed_over))} if shard.passed_over else {}),
        }
    )
    rows = pa.BufferOutputStream()
    parquet.write_table(table, rows, write_page_checksum=True)
    return tensors, rows.getvalue().to_pybytes()


def read_shard(folder: Path, description: Mapping[str, Any], number: int, size: int) -> Shard:
    """Reads a shard of ``size`` tracklets and compares it with its checksums.

    Raises:
        UserError: It is missing, damaged, of another extraction, or of another size or width.
    """
    tensor_path, table_path = shard_paths(folder, number)
    for path in (tensor_path, table_path):
        if not path.is_file():
            raise UserError(f"{path}: missing: {AGAIN}")
    try:
        with safe_open(tensor_path, framework="np") as file:
            _require_key(tensor_path, (file.metadata() or {}).get("extraction"), description)
            embeddings = file.get_tensor("embedding")
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{tensor_path}: damaged or no safetensors of embeddings: {AGAIN}"
        ) from error
    width = description["width"]
    if embeddings.dtype != np.float32 or embeddings.ndim != 2 or embeddings.shape[1] != width:
        raise UserError(
            f"{tensor_path}: holds {embeddings.dtype} {list(embeddings.shape)}, not float32 "
            f"embeddings of width {width}: {AGAIN}"
        )
    try:
        with parquet.ParquetFile(table_path, page_checksum_verification=True) as file:
            found = {k.decode(): v.decode() for k, v in (file.schema_arrow.metadata or {}).items()}
            _require_key(table_path, found.get("extraction"), description)
            table = file.read()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{table_path}: damaged or no Parquet: {AGAIN}") from error
    if found.get("shard") != str(number):
        raise UserError(f"{table_path}: is shard {found.get('shard')}, not {number}: {AGAIN}")
    if len(table) != size or len(embeddings) != size:
        raise UserError(
            f"{tensor_path}: {len(embeddings)} embeddings of {len(table)} tracklets, "
            f"not of {size}: {AGAIN}"
        )
    if found.get("embedding_sha256") != _digest(embeddings):
        raise UserError(
            f"{tensor_path}: damaged (not the embeddings that {table_path.name} goes with): {AGAIN}"
        )
    tracklets = table.to_pandas().set_index("tracklet").rename_axis(None)
    return Shard(tracklets, embeddings, json.loads(found.get("passed_over", "[]")))


def holds_same(paths: tuple[Path, Path], contents: tuple[bytes, bytes]) -> bool:
    """Whether the files of a shard that :func:`read_shard` has read hold these bytes.

    A table in the bytes of another version of pyarrow counts as the same, since what is in it was
    compared with its checksums before.
    """
    tensors, table = (path.read_bytes() for path in paths)
    writers = {
        parquet.ParquetFile(pa.BufferReader(written)).metadata.created_by
        for written in (table, contents[1])
    }
    return tensors == contents[0] and (table == contents[1] or len(writers) == 2)


def _require_key(path: Path, found: str | None, description: Mapping[str, Any]) -> None:
    if found != description["key"]:
        raise UserError(
            f"{path}: of another extraction (its key is {(found or 'none')[:12]}, not "
            f"{description['key'][:12]}): {AGAIN}"
        )


def _digest(embeddings: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(embeddings).data).hexdigest()
