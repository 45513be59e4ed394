"""A gallery whose writer is killed at any moment: the last good state is there, for any reader."""

import os
import random
import signal
import time

import numpy as np
from command_server import serving
from galleries import CHECKPOINT, found_by_loops

from stgcn_pyg.search import Filter, Gallery, Queries

WRITER = """
import sys
import numpy as np
sys.path.insert(0, {tests!r})
from galleries import rows
from stgcn_pyg.search import Gallery

rng = np.random.default_rng({seed})
gallery = Gallery({folder!r})
print("writes", flush=True)
while True:
    made = rng.integers(1, 10**6)
    def pieces(name):
        for first in (0, 100):
            embeddings = np.full((100, 3), made, np.float32)
            embeddings[:, 0] = np.arange(first, first + 100)
            yield embeddings, rows(100, rng, name, first).assign(num_frames=made)
    gallery.add_pieces(pieces(f"set-{{rng.integers(4)}}"))
    if rng.random() < 0.3:
        table = gallery.tracklets()
        gallery.remove(table.index[table["dataset"] == f"set-{{rng.integers(4)}}"])
    if rng.random() < 0.3:
        gallery.compact()
"""


def require_whole(folder):
    """Opens the gallery: of each data set all tracklets are there or none, made at one time."""
    gallery = Gallery(folder)
    table = gallery.tracklets()
    for name, some in table.groupby("dataset"):
        assert sorted(some["tracklet"]) == list(range(200)), name
        assert some["num_frames"].nunique() == 1
    if len(table):
        embeddings = gallery.embeddings(table.index)
        assert (embeddings == table[["tracklet", "num_frames", "num_frames"]]).all(axis=None)
        queries = Queries(np.float32([[3, 0, 0]]))
        found = gallery.search(queries, 5, Filter(before=10))
        expected = found_by_loops(queries, embeddings, table, 5, Filter(before=10))
        np.testing.assert_array_equal(found.ids, expected[0])
    return gallery


def test_readers_go_on_while_a_writer_is_killed_20_times(tmp_path):
    folder = tmp_path / "gallery"
    Gallery.create(folder, width=3, checkpoint_sha256=CHECKPOINT)
    moments = random.Random(0)
    states = set()
    with serving() as begin:
        for kill in range(20):
            script = WRITER.format(tests=os.path.dirname(__file__), seed=kill, folder=str(folder))
            writer = begin(script, tmp_path / "log")
            while "writes" not in writer.log.read_text():
                assert "Traceback" not in writer.log.read_text()
                time.sleep(0.005)
            until = time.monotonic() + moments.uniform(0, 0.25)
            while time.monotonic() < until:
                require_whole(folder)
            assert writer.pid in writer.processes(), writer.log.read_text()
            os.kill(writer.pid, signal.SIGKILL)
            assert writer.status() == -signal.SIGKILL
            require_whole(folder)
            states.add((folder / "gallery.json").read_bytes())
    assert len(states) > 10
    # What is left over from the killed ones goes with the next change.
    gallery = require_whole(folder)
    gallery.remove(gallery.tracklets().index[:1])
    named = {name for segment in gallery.segments for name in segment.facts.files}
    assert {path.name for path in folder.iterdir()} == named | {"gallery.json", "gallery.lock"}
