"""Embeddings on disk: a folder of shards, written one after the other.

embeddings.json     what they are: data set, checkpoint, sizes
00000.safetensors   their tensor ``embedding``, float32 ``[n, D]``
00000.parquet       a row a tracklet: its number, labels and first frame

describe           the content of embeddings.json, a Description
shard_rows         which of the tracklets a shard holds
EmbeddingWriter    writes the shards that are not there yet
StoredEmbeddings   reads them all
"""

from stgcn_pyg.runs.embedding_files.description import Description, describe, shard_rows
from stgcn_pyg.runs.embedding_files.reader import StoredEmbeddings
from stgcn_pyg.runs.embedding_files.writer import EmbeddingWriter

__all__ = ["Description", "EmbeddingWriter", "StoredEmbeddings", "describe", "shard_rows"]
