"""Extractions of embeddings that a test has made up, as `stgcn extract` writes them."""

import numpy as np
import pandas as pd

from stgcn_pyg.runs.extraction import EmbeddingWriter, describe


def write_extraction(folder, tracklets, embeddings, **facts):
    """Writes embeddings `[N, D]` of a table with `pid`, `camid` and `num_frames`; gives the folder.

    `facts` are those of the description that are not as usual here.
    """
    embeddings = np.asarray(embeddings, np.float32)
    usual = {"first_frame_path": "", "is_query": False, "is_gallery": True, "is_train": False}
    tracklets = tracklets.assign(**{k: v for k, v in usual.items() if k not in tracklets})
    facts = {
        "run": "runs/any",
        "dataset": "manifest",
        "root": "nowhere",
        "split": 0,
        "protocols": (),
        "parts": "test",
        "test_clips": "all",
        "num_frames": 4,
        "embedding": "normalized",
        "checkpoint_sha256": "a" * 64,
        "width": embeddings.shape[1],
    } | facts
    description = describe(tracklets, len(tracklets), **facts)
    EmbeddingWriter(folder, description, tracklets, lambda rows, faults: False).write(0, embeddings)
    return folder


def table(pids, camids, num_frames=3):
    """A table of tracklets, numbered from 10."""
    number = pd.RangeIndex(10, 10 + len(pids))
    return pd.DataFrame({"pid": pids, "camid": camids, "num_frames": num_frames}, number)
