"""A gallery's tracklets: added, replaced, removed, and always the whole of a change or nothing."""

import os
import time
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
import torch
from full_disk import largest_file
from galleries import CHECKPOINT, alike, found_by_loops, gallery_of, rows
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pandas.testing import assert_frame_equal

import stgcn_pyg.search.segments as segments
from stgcn_pyg.errors import UserError
from stgcn_pyg.search import Gallery, Queries

RNG = np.random.default_rng(0)
BEGIN = RNG.bit_generator.state
ONE = np.float32([[1, 2]])


@pytest.fixture(autouse=True)
def _alike_and_quick(monkeypatch):
    RNG.bit_generator.state = BEGIN
    # Only a loss of power would show it, and a busy disk takes seconds for each.
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def gallery(tmp_path):
    """Six tracklets of width 2 in two segments."""
    return gallery_of(tmp_path / "gallery", alike(6, 2, RNG), rows(6, RNG), cuts=[4])


def said_by(function, *arguments, **options):
    """The one line of a UserError."""
    with pytest.raises(UserError, match=r"^[^\n]+$") as caught:
        function(*arguments, **options)
    return str(caught.value)


def files(gallery):
    return {path.name: path.read_bytes() for path in gallery.folder.iterdir()}


class Changes(RuleBasedStateMachine):
    """Any order of changes, beside a plain dictionary that is changed likewise."""

    @initialize(seed=st.integers(0, 2**32 - 1), most=st.sampled_from([4, 40, 2**30]))
    def begin(self, seed, most):
        self.rng = np.random.default_rng(seed)
        self.usual, segments.MOST_BYTES = segments.MOST_BYTES, most
        self.folder = TemporaryDirectory()
        path = f"{self.folder.name}/gallery"
        self.gallery = Gallery.create(path, width=2, checkpoint_sha256=CHECKPOINT)
        self.expected, self.following = {}, 0

    @rule(count=st.integers(0, 7), first=st.integers(0, 9), pieces=st.integers(1, 3))
    def add(self, count, first, pieces):
        """Numbers that are there already are replaced."""
        table = rows(count, self.rng, self.rng.choice(["mars", "ward"]), first)
        embeddings = alike(count, 2, self.rng)
        cut = np.array_split(np.arange(count), pieces)
        ids = self.gallery.add_pieces((embeddings[part], table.iloc[part]) for part in cut)
        assert ids.tolist() == list(range(self.following, self.following + count))
        self.following += count
        for number, embedding, row in zip(ids, embeddings, table.to_dict("records"), strict=True):
            key = row["dataset"], row["tracklet"]
            same = [
                i for i, (_, r) in self.expected.items() if (r["dataset"], r["tracklet"]) == key
            ]
            for one in same:
                del self.expected[one]
            self.expected[int(number)] = (embedding, row)

    @rule(share=st.floats(0, 1))
    def remove(self, share):
        ids = np.flatnonzero(self.rng.random(self.following + 1) < share)
        assert self.gallery.remove(ids) == len(set(ids.tolist()) & set(self.expected))
        for number in ids:
            self.expected.pop(int(number), None)

    @rule()
    def compact(self):
        self.gallery.compact()
        assert not any(segment.facts.removed for segment in self.gallery.segments)

    @rule()
    def write_codes(self):
        names = [segment.facts.name for segment in self.gallery.segments]
        self.gallery.write_codes({name: name.encode() for name in names})
        for segment in self.gallery.segments:
            path = self.gallery.folder / segment.facts.codes
            assert path.read_bytes() == segment.facts.name.encode()

    @rule()
    def open_again(self):
        self.gallery = Gallery(self.gallery.folder)

    @invariant()
    def holds_what_the_dictionary_holds(self):
        gallery, ids = self.gallery, list(self.expected)
        assert len(gallery) == len(ids)
        table = gallery.tracklets()
        assert table.index.tolist() == ids
        assert_frame_equal(table, gallery.tracklets(ids))
        if ids:
            expected = pd.DataFrame([row for _, row in self.expected.values()], table.index)
            assert_frame_equal(table, expected, check_dtype=False)
            embeddings = np.stack([embedding for embedding, _ in self.expected.values()])
            np.testing.assert_array_equal(gallery.embeddings(np.array(ids)), embeddings)
            found = gallery.search(Queries(ONE), 3)
            expected = found_by_loops(Queries(ONE), embeddings, table, 3)
            np.testing.assert_array_equal(found.ids, expected[0])
        named = {name for segment in gallery.segments for name in segment.facts.files}
        there = {path.name for path in gallery.folder.iterdir()}
        assert there - {"gallery.lock"} == named | {"gallery.json"}

    def teardown(self):
        segments.MOST_BYTES = self.usual
        self.folder.cleanup()


TestChanges = Changes.TestCase
TestChanges.settings = settings(max_examples=8, stateful_step_count=10, deadline=None)


def test_few_pieces_are_in_memory_at_a_time(tmp_path):
    gallery = Gallery.create(tmp_path / "gallery", width=2, checkpoint_sha256=CHECKPOINT)
    alive, most = weakref.WeakSet(), 0

    class Piece(np.ndarray):  # plain arrays have no weak references in a set
        __hash__ = object.__hash__

    def pieces():
        nonlocal most
        for first in range(20):
            piece = np.zeros((1, 2), np.float32).view(Piece)
            alive.add(piece)
            most = max(most, len(alive))
            yield piece, rows(1, RNG, first=first)
            del piece

    gallery.add_pieces(pieces())
    assert len(gallery) == 20
    assert most <= 4


def test_ids_are_never_used_again(gallery):
    assert gallery.remove(np.arange(6)) == 6
    assert len(gallery) == 0
    gallery.compact()
    assert gallery.add(ONE, rows(1, RNG)).tolist() == [6]
    assert Gallery(gallery.folder).tracklets().index.tolist() == [6]


def test_many_small_additions_leave_few_segments(tmp_path):
    gallery = gallery_of(tmp_path / "gallery", alike(15, 2, RNG), rows(15, RNG), range(1, 15))
    assert len(gallery) == 15
    assert len(gallery.segments) <= 4


def test_an_addition_writes_little_beside_a_large_segment(tmp_path):
    gallery = gallery_of(tmp_path / "gallery", alike(300, 2, RNG), rows(300, RNG))
    large = gallery.folder / f"{gallery.segments[0].facts.name}.npy"
    before = large.stat().st_ino
    gallery.add(alike(20, 2, RNG), rows(20, RNG, first=300))
    gallery.remove(np.arange(3))
    assert large.stat().st_ino == before


def test_a_segment_has_a_largest_size(tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "MOST_BYTES", 10 * 2 * 4)
    embeddings = alike(34, 2, RNG)
    gallery = gallery_of(tmp_path / "gallery", embeddings, rows(34, RNG))
    assert [segment.facts.rows for segment in gallery.segments] == [10, 10, 10, 4]
    gallery.remove(np.array([12]))
    kept = [segment.facts.name for segment in gallery.segments if not segment.facts.removed][:2]
    gallery.compact()
    assert [segment.facts.rows for segment in gallery.segments] == [10, 9, 10, 4]
    assert {segment.facts.name for segment in gallery.segments} >= set(kept)
    assert [len(np.load(path)) for path in sorted(gallery.folder.glob("*.npy"))] == [10, 10, 4, 9]
    gallery.remove(np.arange(12, 29))
    gallery.compact()  # what is small is put together
    assert [segment.facts.rows for segment in gallery.segments] == [10, 7]
    np.testing.assert_array_equal(gallery.embeddings([11, 29, 33]), embeddings[[11, 29, 33]])


def test_the_files_are_read_by_numpy_and_pandas(gallery):
    for segment in gallery.segments:
        embeddings = np.load(gallery.folder / f"{segment.facts.name}.npy")
        table = pd.read_parquet(gallery.folder / f"{segment.facts.name}.parquet")
        np.testing.assert_array_equal(embeddings, segment.embeddings)
        assert table["id"].tolist() == segment.ids.tolist()


def test_an_open_gallery_stays_as_it_was_while_another_writes(gallery):
    reader = Gallery(gallery.folder)
    before = reader.search(Queries(ONE), 6)
    gallery.remove(np.array([0, 3]))
    gallery.compact()
    gallery.add(ONE, rows(1, RNG, first=50))
    after = reader.search(Queries(ONE), 6)
    np.testing.assert_array_equal(before.ids, after.ids)
    np.testing.assert_array_equal(before.distances, after.distances)
    assert sorted(reader.tracklets().index) == list(range(6))
    reader.refresh()
    assert reader.tracklets().index.tolist() == [1, 2, 4, 5, 6]


def test_a_gallery_opens_while_the_files_it_was_told_of_go(tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "MOST_BYTES", 2 * 2 * 4)
    embeddings = alike(60, 2, RNG)
    gallery = gallery_of(tmp_path / "gallery", embeddings, rows(60, RNG))

    def write():
        for last in range(59, 39, -1):
            gallery.remove(np.arange(last, 60, 2))
            gallery.compact()

    opened = 0
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(write)
        while not writing.done():
            opened += len(Gallery(gallery.folder)) > 0
        writing.result()
    assert opened > 10


def test_threads_read_the_headers_of_files_one_after_the_other(gallery, monkeypatch):
    inside, load = [], np.load

    def slowly(*arguments, **options):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return load(*arguments, **options)

    most = []
    monkeypatch.setattr(segments.np, "load", slowly)
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(Gallery, [gallery.folder] * 8))) == 8
    assert max(most) == 1


def test_a_second_writer_is_refused_while_one_writes(gallery):
    other = Gallery(gallery.folder)

    def pieces():
        yield ONE, rows(1, RNG, first=20)
        assert "another process is writing there" in said_by(other.remove, np.array([1]))

    gallery.add_pieces(pieces())
    # It sees what was written before it.
    assert other.remove(np.array([6])) == 1


def test_an_addition_that_fails_midway_leaves_nothing(gallery):
    before = files(gallery)

    def pieces():
        yield ONE, rows(1, RNG, first=20)
        raise UserError("no more")

    assert said_by(gallery.add_pieces, pieces()) == "no more"
    assert files(gallery) == before
    assert len(gallery) == 6


@pytest.mark.parametrize(
    ("embeddings", "change", "message"),
    [
        (np.zeros((2, 3)), {}, "embeddings of shape [2, 3]"),
        (np.zeros((1, 2)), {}, "embeddings of shape [1, 2]: those of 2 tracklets"),
        (np.zeros(2), {}, "embeddings of shape [2]"),
        (np.zeros((2, 2), complex), {}, "embeddings: of type complex128"),
        ([[0, 0], [np.nan, 0]], {}, "embeddings: row 1 is not finite"),
        ([[0, 0], [np.inf, 0]], {}, "embeddings: row 1 is not finite"),
        ([[0, 0], [1.1e9, 0]], {}, "embeddings: row 1 is not finite or longer than 2^30"),
        (np.zeros((2, 2)), {"camid": None}, "the tracklets have 0 columns camid"),
        (np.zeros((2, 2)), {"tracklet": [1, 1]}, "tracklet 1 of mars is given twice"),
        (np.zeros((2, 2)), {"pid": ["x", "y"]}, "pid of the tracklets is no whole number"),
        (np.zeros((2, 2)), {"tracklet": ["0", "1"]}, "tracklet of the tracklets is no whole"),
        (np.zeros((2, 2)), {"tracklet": [False, True]}, "tracklet of the tracklets is no whole"),
        (np.zeros((2, 2)), {"pid": [1.5, 2]}, "tracklets: "),
        (np.zeros((2, 2)), {"dataset": [4, 5]}, "dataset of the tracklets is no text"),
        (np.zeros((2, 2)), {"pid": [None, 2]}, "tracklets: pid is missing"),
        (np.zeros((2, 2)), {"dataset": [None, "mars"]}, "dataset is missing"),
    ],
)
def test_what_cannot_be_added_is_refused_and_leaves_nothing(gallery, embeddings, change, message):
    before = files(gallery)
    table = rows(2, RNG).assign(**change)
    table = table.drop(columns=[name for name, values in change.items() if values is None])
    assert message in said_by(gallery.add, embeddings, table)
    assert files(gallery) == before


def test_a_column_that_stands_twice_is_refused(gallery):
    table = rows(2, RNG)
    with pytest.raises(UserError, match="have 2 columns pid: give one"):
        gallery.add(np.zeros((2, 2)), pd.concat([table, table[["pid"]]], axis=1))


def test_numbers_of_numpy_and_paths_are_taken(tmp_path):
    facts = {"width": np.int64(2), "num_frames": np.int64(4), "checkpoint_sha256": CHECKPOINT}
    gallery = Gallery.create(tmp_path / "gallery", **facts)
    gallery.add_pieces(
        [(ONE, rows(1, RNG))], sources={"mars": {"root": tmp_path, "split": np.int64(0)}}
    )
    again = Gallery(tmp_path / "gallery")
    assert again.facts["sources"] == {"mars": {"root": str(tmp_path), "split": 0}}
    assert again.search(Queries(ONE), np.int64(1), part_rows=np.int64(1)).ids.tolist() == [[0]]


def test_tensors_are_embeddings_too(gallery):
    one = torch.ones(1, 2, dtype=torch.bfloat16, requires_grad=True)
    (added,) = gallery.add(one, rows(1, RNG, first=50))
    assert added in gallery.search(Queries(one), 6).ids


def test_threads_that_search_a_gallery_just_opened_find_what_is_there(gallery):
    for _ in range(20):
        opened = Gallery(gallery.folder)
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(opened.search, [Queries(ONE)] * 16, [6] * 16))
        assert all(sorted(one.ids[0]) == [*range(6)] for one in found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"among": {1, 2}}, "ids: of type object"),
        ({"part_rows": -1}, "part_rows=-1: pass a whole number"),
        ({"part_rows": 0}, "part_rows=0: pass a whole number"),
    ],
)
def test_what_would_find_nothing_is_refused(gallery, options, message):
    assert message in said_by(gallery.search, Queries(ONE), 1, **options)


def test_another_models_embeddings_are_refused(tmp_path):
    facts = {"width": 2, "checkpoint_sha256": CHECKPOINT, "test_clips": "all"}
    gallery = Gallery.create(tmp_path / "gallery", **facts)
    gallery.require_same_model("these", facts)
    gallery.require_same_model("these", facts | {"embedding": "raw"})  # not known of the gallery
    for other in ({"width": 3}, {"checkpoint_sha256": "b" * 64}, {"test_clips": "first"}):
        said = said_by(gallery.require_same_model, "these", facts | other)
        assert said.startswith(
            f"these: is of another model than {gallery.folder} ({next(iter(other))}"
        )


def test_an_unknown_id_is_named(gallery):
    assert "has no tracklet with the id 17" in said_by(gallery.tracklets, [1, 17])
    assert "has no tracklet with the id 17" in said_by(gallery.embeddings, [1, 17])
    gallery.remove(np.array([4]))
    assert "has no tracklet with the id 4" in said_by(gallery.tracklets, [4])
    assert "has no tracklet with the id 4" in said_by(gallery.embeddings, [4])
    assert gallery.tracklets([3, 1, 3]).index.tolist() == [3, 1, 3]
    assert gallery.tracklets([]).empty
    assert gallery.embeddings([]).shape == (0, 2)


def edit(name, change):
    def edited(folder):
        path = next(folder.glob(name))
        path.write_bytes(change(path.read_bytes()))

    return edited


def forget(name):
    return lambda folder: next(folder.glob(name)).unlink()


def in_place_of(name):
    def changed(folder):
        path = next(folder.glob(name))
        path.unlink()
        path.mkdir()

    return changed


def foreign(folder):
    np.save(folder / "00000000.npy", np.zeros((4, 2)))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (forget("gallery.json"), "no gallery (it has no gallery.json)"),
        (forget("*.npy"), ".npy: missing"),
        (forget("*.parquet"), ".parquet: missing"),
        (in_place_of("*.parquet"), ".parquet: cannot be read: Is a directory"),
        (in_place_of("*.npy"), ".npy: cannot be read: Is a directory"),
        (edit("gallery.json", lambda b: b[:-40]), "gallery.json: damaged"),
        (edit("gallery.json", lambda b: b"\xff\xfe" + b), "gallery.json: damaged"),
        (edit("gallery.json", lambda b: b"[]"), "gallery.json: of another version"),
        (edit("gallery.json", lambda b: b'{"format": 9}'), "gallery.json: of another version"),
        (
            edit("gallery.json", lambda b: b.replace(b'"width": 2', b'"width": 3')),
            "gallery.json: altered since it was written",
        ),
        (edit("*.npy", lambda b: b[:-4]), ".npy: damaged"),
        (edit("*.npy", lambda b: b + b"more"), ".npy: damaged"),
        (edit("*.npy", lambda b: b""), ".npy: damaged"),
        (edit("*.npy", lambda b: b"PK" + b), ".npy: damaged"),
        (edit("*.npy", lambda b: b[:20] + b"{" + b[21:]), ".npy: damaged"),
        (foreign, ".npy: damaged or of another gallery"),
        (edit("*.parquet", lambda b: b[:100] + bytes([b[100] ^ 1]) + b[101:]), ".parquet: damaged"),
        (edit("*.parquet", lambda b: b""), ".parquet: damaged"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(gallery, damage, message):
    damage(gallery.folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert message in said_by(Gallery, gallery.folder)


def test_what_is_no_gallery_is_refused(tmp_path):
    (tmp_path / "notes").write_text("mine")
    assert "no gallery" in said_by(Gallery, tmp_path / "nowhere")
    assert "no gallery" in said_by(Gallery, tmp_path / "notes")
    for place in (tmp_path, tmp_path / "notes"):
        said = said_by(Gallery.create, place, width=2, checkpoint_sha256=CHECKPOINT)
        assert "holds something already" in said
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_a_full_disk_loses_nothing(gallery):
    before, found = files(gallery), gallery.search(Queries(ONE), 6)
    with largest_file(20_000):
        said = said_by(gallery.add, np.zeros((9000, 2)), rows(9000, RNG, first=20))
    assert "cannot be written (File too large): make room there" in said
    assert files(gallery) == before
    with largest_file(500):  # not even gallery.json
        assert "cannot be written (File too large)" in said_by(gallery.remove, np.array([1]))
    with largest_file(200):
        assert "cannot be written (File too large)" in said_by(gallery.compact)
    assert files(gallery) == before
    for one in (gallery, Gallery(gallery.folder)):
        np.testing.assert_array_equal(one.search(Queries(ONE), 6).ids, found.ids)
