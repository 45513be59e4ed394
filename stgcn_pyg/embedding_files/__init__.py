"""Embeddings on disk: a folder of shards, written one after the other.

embeddings.json     what they are: data set, checkpoint, sizes
00000.safetensors   their tensor ``embedding``, float32 ``[n, D]``
00000.parquet       a row a tracklet: its number, labels and first frame

describe           the content of embeddings.json
EmbeddingWriter    writes the shards that are not there yet
StoredEmbeddings   reads them all
"""

from stgcn_pyg.embedding_files.description import describe
from stgcn_pyg.embedding_files.reader import StoredEmbeddings
from stgcn_pyg.embedding_files.writer import EmbeddingWriter

__all__ = ["EmbeddingWriter", "StoredEmbeddings", "describe"]
