"""Galleries of every kind for the tests, and the answer of plain loops."""

import itertools
import math
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from stgcn_pyg.search import Gallery, create_gallery

SHA = "c0ffee" * 10 + "abcd"
MEMORY = Path("/dev/shm")  # Qdrant in a folder waits for the disk after every point
SERVER = os.environ.get("STGCN_QDRANT")  # the address of one that runs
KINDS = ["folder", "qdrant", "postgres", *(["qdrant-server"] if SERVER else [])]
_NUMBER = itertools.count()


@contextmanager
def folder_in_memory():
    """A folder that is removed afterwards."""
    where = MEMORY if MEMORY.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="gallery-", dir=where))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def new_place(kind, folder, postgres):
    """The place of a gallery that is not there yet."""
    number = next(_NUMBER)
    if kind == "postgres":
        return postgres.replace("/postgres?", f"/postgres/people_{number}?")
    if kind == "qdrant-server":
        return f"{SERVER}/tests_{os.getpid()}_{number}"
    return {"folder": f"{folder}/{number}", "qdrant": f"qdrant://{folder}/{number}/people"}[kind]


def new_gallery(place, width, checkpoint_sha256=SHA):
    """An empty gallery."""
    return create_gallery(place, width=width, checkpoint_sha256=checkpoint_sha256)


def close(gallery):
    """Ends a connection, where there is one."""
    if not isinstance(gallery, Gallery):
        gallery.close()


def rows(numbers, dataset="station", pid=1, camid=1, first_time=np.nan, last_time=np.nan):
    """A table of tracklets with these numbers; labels may be lists."""
    labels = {"pid": pid, "camid": camid, "first_time": first_time, "last_time": last_time}
    table = pd.DataFrame({"tracklet": list(numbers)}).assign(dataset=dataset, **labels)
    return table.assign(num_frames=table["tracklet"] + 2, first_frame_path="a b/ü'\"; %s.jpg")


def by_plain_loops(known, query, pid, camid, k, where):
    """The ids and distances of the nearest k of `known`: id -> (embedding, row)."""
    found = []
    for number, (embedding, row) in known.items():
        if where.camids is not None and row["camid"] not in where.camids:
            continue
        if where.pids is not None and row["pid"] not in where.pids:
            continue
        if where.datasets is not None and row["dataset"] not in where.datasets:
            continue
        if where.after is not None and not row["last_time"] >= where.after:
            continue
        if where.before is not None and not row["first_time"] <= where.before:
            continue
        same_camera = row["camid"] == camid
        if where.same_camera == "all" and same_camera:
            continue
        if where.same_camera == "person" and same_camera and row["pid"] == pid != -1:
            continue
        squares = sum((float(a) - float(b)) ** 2 for a, b in zip(embedding, query, strict=True))
        found.append((np.float32(math.sqrt(squares)), number))
    found = sorted(found)[:k] + [(np.float32(np.inf), -1)] * (k - len(found))
    return [number for _, number in found], [distance for distance, _ in found]
