"""Search by codes: the answers of the exact search, whatever k, the filter and the data."""

import shutil

import numpy as np
import pytest
from galleries import gallery_of, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from stgcn_pyg.cli import main
from stgcn_pyg.errors import UserError
from stgcn_pyg.search import Filter, Gallery, Queries
from stgcn_pyg.search.candidates import CodedPart, nearest_by_codes
from stgcn_pyg.search.codes import Codes
from stgcn_pyg.search.exact import Part, nearest

WIDTH = 96


def clustered(count, rng, people=200):
    """Embeddings as a network's: never negative, of length 1, near to others of their identity."""
    centres = np.random.default_rng(0).normal(size=(people, WIDTH))
    values = np.maximum(
        centres[rng.integers(0, people, count)] + rng.normal(size=(count, WIDTH)), 0
    )
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def assert_same(found, exact):
    np.testing.assert_array_equal(found.ids, exact.ids)
    np.testing.assert_array_equal(found.distances, exact.distances)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A gallery of two segments with codes and, between them, one that is too small for codes."""
    rng = np.random.default_rng(1)
    tracklets = rows(6600, rng)
    folder = tmp_path_factory.mktemp("codes") / "gallery"
    gallery = gallery_of(folder, clustered(6600, rng), tracklets, [4000, 4500])
    gallery.make_codes()
    assert [segment.codes is not None for segment in gallery.segments] == [True, True]
    gallery.add(clustered(300, rng), rows(300, rng, "ward"))
    assert [segment.codes is not None for segment in gallery.segments] == [True, True, False]
    return gallery


@pytest.fixture
def copy(built, tmp_path):
    return Gallery(shutil.copytree(built.folder, tmp_path / "copy"))


def some_queries(count, seed):
    rng = np.random.default_rng(seed)
    return Queries(clustered(count, rng), rng.integers(0, 5, count), rng.integers(1, 4, count))


@pytest.mark.parametrize("k", [1, 20, 300])
def test_the_nearest_are_those_of_the_exact_search(built, k):
    queries = some_queries(100, seed=2)
    assert_same(built.search(queries, k, exact=False), built.search(queries, k))


def test_few_of_the_gallery_are_compared(built):
    queries = some_queries(20, seed=3).embeddings
    part = built.segments[0]
    allowed = np.ones(len(part.ids), dtype=bool)
    coded = CodedPart(part.ids, part.embeddings, part.codes, allowed)
    found, compared = nearest_by_codes(queries, [coded], 5)
    assert_same(found, nearest(queries, [Part(part.ids, part.embeddings)], 5))
    assert (compared >= 5).all() and compared.mean() < len(part.ids) / 4


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    k=st.integers(1, 40),
    passing=st.sampled_from(["none", "one", "k - 1", "k", "half"]),
)
def test_k_are_found_wherever_the_filter_passes_k(built, seed, k, passing):
    rng = np.random.default_rng(seed)
    numbers = {"none": 0, "one": 1, "k - 1": k - 1, "k": k, "half": 3000}
    queries = some_queries(2, seed).embeddings
    parts, coded = [], []
    chosen = rng.choice(6600, numbers[passing], replace=False)
    for segment in built.segments[:2]:
        allowed = np.isin(segment.ids, chosen)
        left_out = rng.random((2, len(allowed))) < 0.3
        ids, embeddings = segment.ids, segment.embeddings
        parts.append(Part(ids[allowed], embeddings[allowed], left_out[:, allowed]))
        coded.append(CodedPart(ids, embeddings, segment.codes, allowed, left_out))
    found, _ = nearest_by_codes(queries, coded, k)
    assert_same(found, nearest(queries, parts, k))


@pytest.mark.parametrize(
    "where",
    [
        Filter(camids=[2], pids=[3]),
        Filter(datasets=["ward"]),
        Filter(datasets=["nowhere"]),
        Filter(after=12, same_camera="person"),
        Filter(same_camera="all"),
    ],
)
def test_filters_are_those_of_the_exact_search(built, where):
    queries = some_queries(10, seed=4)
    assert_same(built.search(queries, 20, where, exact=False), built.search(queries, 20, where))


def test_what_was_removed_is_not_found(copy):
    queries = some_queries(5, seed=5)
    nearest_ids = copy.search(queries, 3).ids
    copy.remove(np.unique(nearest_ids))
    found = copy.search(queries, 3, exact=False)
    assert not np.isin(found.ids, nearest_ids).any()
    assert_same(found, copy.search(queries, 3))


@pytest.mark.parametrize("equal", [2000, 1500, 40])
def test_of_equal_embeddings_the_lower_ids_are_found(equal):
    rng = np.random.default_rng(6)
    embeddings = clustered(2000, rng)
    embeddings[rng.choice(2000, equal, replace=False)] = embeddings[0]
    coded = CodedPart(np.arange(2000), embeddings, Codes.of(embeddings), np.ones(2000, dtype=bool))
    queries = np.concatenate([embeddings[:1], clustered(5, rng), 5 * embeddings[:1]])
    found, _ = nearest_by_codes(queries, [coded], 10)
    assert_same(found, nearest(queries, [Part(np.arange(2000), embeddings)], 10))


@pytest.mark.parametrize("within", [0.01, 0.2, 1.0])
@pytest.mark.parametrize("k", [1, 20, 70])
def test_far_neighbours_are_found_as_well_as_near_ones(within, k):
    """Of people whom the gallery does not have, and beyond all tracklets of one whom it has."""
    rng = np.random.default_rng(12)
    centres = rng.normal(size=(90, 256))
    people = np.concatenate([np.repeat(np.arange(60), 25), np.arange(90)])  # 30 are strangers
    embeddings = centres[people] + within * rng.normal(size=(len(people), 256))
    embeddings = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32)
    gallery, queries, ids = embeddings[:1500], embeddings[1500:], np.arange(1500)
    coded = CodedPart(ids, gallery, Codes.of(gallery), np.ones(1500, dtype=bool))
    found, _ = nearest_by_codes(queries, [coded], k)
    assert_same(found, nearest(queries, [Part(ids, gallery)], k))


@pytest.mark.parametrize("factor", [1e-12, 1e6])
def test_embeddings_of_any_length_are_found(factor):
    rng = np.random.default_rng(7)
    embeddings, queries = (clustered(n, rng) * np.float32(factor) for n in (2000, 20))
    coded = CodedPart(np.arange(2000), embeddings, Codes.of(embeddings), np.ones(2000, dtype=bool))
    found, _ = nearest_by_codes(queries, [coded], 10)
    assert_same(found, nearest(queries, [Part(np.arange(2000), embeddings)], 10))


def test_the_recall_that_was_measured_is_kept_in_the_file():
    embeddings = clustered(2000, np.random.default_rng(8))
    codes = Codes.of(embeddings)
    assert Codes.from_bytes("codes", codes.to_bytes()).facts == codes.facts
    assert (codes.facts.rows, codes.facts.queries) == (2000, 100)
    assert codes.facts.recall >= 0.999


def test_codes_take_a_bit_for_each_channel():
    codes = Codes.of(clustered(2000, np.random.default_rng(8)))
    assert len(codes.to_bytes()) < 2000 * (WIDTH / 8 + 12)


def test_damaged_codes_are_told_and_an_exact_search_does_without_them(copy):
    path = copy.folder / copy.segments[0].facts.codes
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    queries = some_queries(3, seed=9)
    gallery = Gallery(copy.folder)
    with pytest.raises(
        UserError, match=f"^{path}: damaged: make .* again with .* --codes`, or .*--exact"
    ) as error:
        gallery.search(queries, 3, exact=False)
    assert "\n" not in str(error.value)
    assert gallery.search(queries, 3).ids.min() >= 0


def test_a_file_of_codes_that_is_gone_is_searched_exactly(copy):
    (copy.folder / copy.segments[0].facts.codes).unlink()
    gallery, queries = Gallery(copy.folder), some_queries(3, seed=10)
    assert_same(gallery.search(queries, 3, exact=False), copy.search(queries, 3))


@pytest.mark.parametrize("content", [b"", b"no codes", b"\x08" + bytes(7) + b"{}      "])
def test_what_is_no_file_of_codes_is_told_in_one_line(content):
    with pytest.raises(UserError, match=r"^some\.codes: damaged or no codes: [^\n]*$"):
        Codes.from_bytes("some.codes", content)


def test_the_command_makes_the_codes_that_are_missing(copy, capsys):
    assert main(["index", f"--output={copy.folder}", "--codes"]) == 0
    shown = capsys.readouterr().out
    assert "codes of 6,600 tracklets; " in shown and "measured on 200 tracklets" in shown
    tracklet = copy.tracklets()["tracklet"].iloc[0]
    tables = []
    for options in ([], ["--exact"]):
        assert main(["search", str(copy.folder), f"mars:{tracklet}", *options]) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1]


@pytest.mark.parametrize("fault", ["damaged", "gone", "of another version"])
def test_the_command_makes_codes_again_that_cannot_be_used(copy, capsys, monkeypatch, fault):
    path = copy.folder / copy.segments[0].facts.codes
    if fault == "gone":
        path.unlink()
    elif fault == "damaged":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        monkeypatch.setattr("stgcn_pyg.search.codes.FORMAT", 1)
        copy.make_codes(copy.segments[:1])
        monkeypatch.undo()
        with pytest.raises(UserError, match=r"codes of another version than 2: make .* again"):
            Gallery(copy.folder).search(some_queries(1, seed=13), 3, exact=False)
    assert main(["index", f"--output={copy.folder}", "--codes"]) == 0
    assert "codes of 6,600 tracklets; " in capsys.readouterr().out
    gallery, queries = Gallery(copy.folder), some_queries(5, seed=13)
    assert all(segment.codes is not None for segment in gallery.segments if len(segment.ids) > 1000)
    assert_same(gallery.search(queries, 3, exact=False), gallery.search(queries, 3))


def test_a_small_gallery_gets_no_codes(tmp_path, capsys):
    rng = np.random.default_rng(11)
    gallery = gallery_of(tmp_path / "gallery", clustered(50, rng), rows(50, rng))
    assert main(["index", f"--output={gallery.folder}", "--codes"]) == 0
    assert "too small for codes: it is searched exactly" in capsys.readouterr().out


def test_a_search_by_the_command_ends_with_one_line_at_damaged_codes(copy, capsys):
    path = copy.folder / copy.segments[0].facts.codes
    path.write_bytes(path.read_bytes()[:-1])
    tracklet = copy.tracklets()["tracklet"].iloc[0]
    assert main(["search", str(copy.folder), f"mars:{tracklet}"]) == 2
    assert f"{path}: damaged: " in capsys.readouterr().err.splitlines()[-1]
    assert main(["search", str(copy.folder), f"mars:{tracklet}", "--exact"]) == 0
