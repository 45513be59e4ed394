"""Reduced galleries: principal components in half precision, and what they lose."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from stored_embeddings import table, write_extraction

from stgcn_pyg.cli import main
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import FULL_GALLERY, compare, evaluate_protocol
from stgcn_pyg.runs.extraction import StoredEmbeddings
from stgcn_pyg.search import Gallery, Queries
from stgcn_pyg.search.evaluation import loss_of_reduction
from stgcn_pyg.search.gallery_file import REDUCTION
from stgcn_pyg.search.reduction import Reduction

WIDTH, COUNT = 12, 90


def extraction(folder, **facts):
    """Tracklets of ten people, whose embeddings differ mostly along five axes."""
    rng = np.random.default_rng(0)
    pids = np.arange(COUNT) % 10
    axes = rng.normal(size=(5, WIDTH))
    embeddings = (rng.normal(size=(10, 5))[pids] + 0.3 * rng.normal(size=(COUNT, 5))) @ axes
    embeddings += 0.05 * rng.normal(size=embeddings.shape)
    tracklets = table(pids, rng.integers(1, 4, COUNT)).assign(is_query=np.arange(COUNT) < 30)
    facts = {"dataset": "mars", "protocols": ("full-gallery",)} | facts
    return write_extraction(folder, tracklets, embeddings, **facts)


@pytest.fixture
def stored(tmp_path):
    return StoredEmbeddings(extraction(tmp_path / "embeddings"))


def index(folder, *options):
    return main(["index", f"--output={folder}", *map(str, options)])


def error_of(capsys):
    *_, line = capsys.readouterr().err.strip().splitlines()
    return line


def test_the_components_are_those_of_scikit_learn(stored):
    reduced = Reduction.of(stored.embeddings, 4).apply(stored.embeddings)
    expected = PCA(4, svd_solver="full").fit_transform(stored.embeddings.astype(np.float64))
    np.testing.assert_allclose(np.abs(reduced), np.abs(expected), atol=1e-2)
    assert reduced.dtype == np.float16


def test_all_components_keep_the_distances(stored):
    reduced = Reduction.of(stored.embeddings, WIDTH).apply(stored.embeddings).astype(np.float32)
    for values in (reduced, stored.embeddings):
        values -= values.mean(axis=0)
    np.testing.assert_allclose(
        reduced @ reduced.T, stored.embeddings @ stored.embeddings.T, atol=0.1
    )


def test_a_reduction_is_the_same_from_its_file(stored):
    reduction = Reduction.of(stored.embeddings, 4)
    again = Reduction.from_bytes("reduction", reduction.to_bytes())
    np.testing.assert_array_equal(
        again.apply(stored.embeddings), reduction.apply(stored.embeddings)
    )


@pytest.mark.parametrize("content", [b"", b"anything else"])
def test_what_is_no_file_of_a_reduction_is_told(content):
    with pytest.raises(UserError, match=r"^somewhere: damaged: index its extractions into a new"):
        Reduction.from_bytes("somewhere", content)


def test_the_loss_is_paired_on_the_same_queries(stored):
    reduction, features = Reduction.of(stored.embeddings, 2), stored.features()
    loss = loss_of_reduction(reduction, stored.task, *features, resamples=200)["full-gallery"]
    labels = stored.task.labels()
    whole = evaluate_protocol(FULL_GALLERY, *features, **labels)
    short = (reduction.apply(side).astype(np.float32) for side in features)
    reduced = evaluate_protocol(FULL_GALLERY, *short, **labels)
    expected = compare(whole, reduced, stored.task.query_pids, resamples=200)
    assert (loss.first, loss.second) == (expected.first, expected.second)
    assert (loss.low, loss.high) == (expected.low, expected.high)
    assert loss.difference["mAP"] < -0.01


def test_a_gallery_keeps_components_and_reduces_its_queries(stored, tmp_path, capsys):
    assert index(tmp_path / "gallery", stored.folder, "--reduce=5") == 0
    shown = capsys.readouterr().out
    assert "full-gallery: first all 12 numbers, second the 5 kept" in shown and "mAP" in shown
    gallery = Gallery(tmp_path / "gallery")
    assert (gallery.width, gallery.stored_width) == (WIDTH, 5)
    assert gallery.segments[0].embeddings.dtype == np.float16
    reduced = Reduction.of(stored.embeddings, 5).apply(stored.embeddings)
    ids = gallery.tracklets().index.to_numpy()
    np.testing.assert_array_equal(gallery.embeddings(ids), reduced)
    found = gallery.search(Queries(stored.embeddings), 1)
    np.testing.assert_array_equal(found.ids[:, 0], ids)
    assert (found.distances == 0).all()


def test_more_is_added_to_a_reduced_gallery_and_it_is_searched_by_codes(tmp_path):
    rng = np.random.default_rng(1)
    folder = extraction(tmp_path / "embeddings")
    embeddings = rng.normal(size=(1500, WIDTH)).astype(np.float32)
    more = write_extraction(tmp_path / "more", table(np.arange(1500), 1), embeddings)
    assert index(tmp_path / "gallery", folder, "--reduce=8") == 0
    assert index(tmp_path / "gallery", more, "--codes") == 0
    gallery = Gallery(tmp_path / "gallery")
    assert any(segment.codes is not None for segment in gallery.segments)
    exact, found = (gallery.search(Queries(embeddings[:20]), 5, exact=how) for how in (True, False))
    np.testing.assert_array_equal(found.ids, exact.ids)
    np.testing.assert_array_equal(found.distances, exact.distances)


def test_a_tracklet_of_a_reduced_gallery_is_looked_for_in_it(stored, tmp_path, capsys):
    assert index(tmp_path / "gallery", stored.folder, "--reduce=5") == 0
    assert main(["search", str(tmp_path / "gallery"), "mars:10", "--top=2"]) == 0
    assert "query" in capsys.readouterr().out


def test_a_loss_that_is_not_known_is_told(tmp_path, capsys):
    folder = extraction(tmp_path / "embeddings", protocols=())
    assert index(tmp_path / "gallery", folder, "--reduce=5") == 0
    assert "--reduce 5: what it loses is not known: " in capsys.readouterr().out


def test_more_components_than_there_are_are_refused(stored, tmp_path, capsys):
    assert index(tmp_path / "gallery", stored.folder, "--reduce=13") == 2
    assert error_of(capsys).endswith(
        "90 embeddings of 12 numbers have 12 components at most: pass fewer"
    )
    assert not (tmp_path / "gallery").exists()


def test_a_gallery_that_is_there_is_not_reduced(stored, tmp_path, capsys):
    assert index(tmp_path / "gallery", stored.folder) == 0
    assert index(tmp_path / "gallery", stored.folder, "--reduce=5") == 2
    assert "--reduce 5: is for a new gallery" in error_of(capsys)


def test_a_damaged_reduction_is_told(stored, tmp_path, capsys):
    assert index(tmp_path / "gallery", stored.folder, "--reduce=5") == 0
    path = tmp_path / "gallery" / REDUCTION
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert main(["search", str(tmp_path / "gallery"), "mars:10"]) == 2
    assert f"{path}: damaged" in error_of(capsys)
