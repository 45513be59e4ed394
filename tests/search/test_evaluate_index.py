"""Scores of a gallery's lists: those of the protocols, but what is not found is never found."""

import json

import numpy as np
import pytest
from stored_embeddings import table, write_extraction

from stgcn_pyg.cli import main
from stgcn_pyg.evaluation import PROTOCOLS, evaluate_protocol
from stgcn_pyg.runs.extraction import StoredEmbeddings
from stgcn_pyg.search import Found, Gallery
from stgcn_pyg.search.evaluation import recall, score_gallery, score_lists

NAMES = tuple(protocol.name for protocol in PROTOCOLS)


def extraction(folder, seed=0, count=60, width=3):
    """Tracklets of few people, some at equal distances; a fifth are queries."""
    rng = np.random.default_rng(seed)
    tracklets = table(rng.integers(-1, 6, count), rng.integers(1, 4, count))
    is_query = (rng.random(count) < 0.2) & (tracklets["pid"] >= 0)
    embeddings = rng.integers(0, 4, (count, width)) + 0.1 * tracklets[["pid"]].to_numpy()
    tracklets = tracklets.assign(is_query=is_query)
    return write_extraction(folder, tracklets, embeddings, dataset="mars", protocols=NAMES)


@pytest.fixture
def stored(tmp_path):
    return StoredEmbeddings(extraction(tmp_path / "embeddings"))


@pytest.fixture
def gallery(stored, tmp_path):
    others = extraction(tmp_path / "others", seed=1)
    output = str(tmp_path / "gallery")
    assert main(["index", str(others), f"--output={output}", "--name", "others"]) == 0
    assert main(["index", str(stored.folder), f"--output={output}"]) == 0
    return Gallery(output)


def exact_scores(stored, task, name):
    [protocol] = [one for one in PROTOCOLS if one.name == name]
    return evaluate_protocol(protocol, *stored.features(), **task.labels())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "agrl"])
def test_lists_of_the_whole_gallery_score_what_the_protocol_scores(stored, gallery, name):
    task = stored.task
    scores, recalls = score_gallery(gallery, "mars", stored, task, [1, 5], top=1000)
    expected = exact_scores(stored, task, name)
    for field in ("average_precision", "first_match_rank", "inverse_negative_penalty", "cmc"):
        np.testing.assert_allclose(getattr(scores[name], field), getattr(expected, field))
    assert scores[name].num_gallery == expected.num_gallery
    assert recalls[name] == {"recall-1": 1.0, "recall-5": 1.0}


def by_loops(found, ids, task, protocol):
    """The average precision of each query, place by place."""
    places = {number: place for place, number in enumerate(ids)}
    matches, result = task.count_matches(protocol.name), []
    for query, (row, distances) in enumerate(zip(*found, strict=True)):
        listed = []
        for number, distance in zip(row, distances, strict=True):
            if number >= 0:
                pid = task.gallery_pids[places[number]]
                same = pid == task.query_pids[query]
                view = task.gallery_camids[places[number]] == task.query_camids[query]
                if pid != -1 and not (view and (same or protocol.same_camera == "all")):
                    listed.append((distance, same))
        hits, total = 0, 0.0
        for rank, (_, same) in enumerate(sorted(listed), start=1):
            if same:
                hits += 1
                before = 1.0 if rank == 1 else (hits - 1) / (rank - 1)
                step = hits / rank
                total += (before + step) / 2 if protocol.ap == "trapezoid" else step
        result.append(total / matches[query] if matches[query] else np.nan)
    return result


@pytest.mark.parametrize("top", [1, 3, 10])
@pytest.mark.parametrize("name", NAMES)
def test_a_match_that_is_not_in_the_list_counts_as_never_found(stored, gallery, name, top):
    task = stored.task
    [protocol] = [one for one in PROTOCOLS if one.name == name]
    rows = gallery.tracklets()
    ids = rows.index[rows["dataset"] == "mars"].to_numpy()
    rng = np.random.default_rng(top)
    chosen = np.stack([rng.permutation(ids)[:top] for _ in task.query_pids])
    found = Found(chosen, np.sort(rng.integers(0, 4, chosen.shape), axis=1).astype(np.float32))
    result = score_lists(found, ids, task, protocol)
    np.testing.assert_allclose(result.average_precision, by_loops(found, ids, task, protocol))
    assert result.mAP < exact_scores(stored, task, name).mAP


def test_a_query_that_finds_no_match_has_no_rank(stored):
    task, protocol = stored.task, PROTOCOLS[1]
    nothing = Found(
        np.full((len(task.query_pids), 2), -1), np.full((len(task.query_pids), 2), np.inf)
    )
    result = score_lists(nothing, np.arange(len(task.gallery_pids)), task, protocol)
    valid = task.count_matches(protocol.name) > 0
    assert result.mAP == 0 and result.cmc.max() == 0
    assert np.isinf(result.first_match_rank[valid]).all()
    assert result.num_valid_queries == valid.sum()


def test_equal_distances_count_as_found_whichever_tracklet_was():
    exact = Found(np.array([[4, 7, -1]]), np.float32([[0.1, 0.3, np.inf]]))
    found = Found(np.array([[4, 9, -1]]), np.float32([[0.1, 0.3, np.inf]]))
    assert recall(found, exact, [1, 2, 3, 4]) == {"recall-1": 1, "recall-2": 1, "recall-3": 1}
    missed = Found(np.array([[7, 9, -1]]), np.float32([[0.3, 0.4, np.inf]]))
    assert recall(missed, exact, [1, 2]) == {"recall-1": 0, "recall-2": 0.5}


def test_the_command_shows_the_gallery_beside_the_exact_scores(stored, gallery, tmp_path, capsys):
    written = tmp_path / "scores.json"
    options = [f"--index={gallery.folder}", "--index-top=8", f"--json={written}", "--resamples=50"]
    assert main(["evaluate", str(stored.folder), *options]) == 0
    scores, shown = json.loads(written.read_text()), capsys.readouterr().out
    about = scores["about"]["index"]
    assert about["top"] == 8 and about["recall"]["full-gallery"]["recall-5"] == 1
    of_index, whole = (scores["full-gallery"][row] for row in ("index", "trained"))
    assert 0 < of_index["mAP"] < whole["mAP"]
    assert of_index["rank-1"] == whole["rank-1"]
    assert "\nindex, full-gallery: of the nearest by an exact search: recall at 1 100.00" in shown


def error_of(capsys):
    *_, line = capsys.readouterr().err.strip().splitlines()
    return line


def test_an_extraction_that_is_not_in_the_gallery_is_named(stored, gallery, tmp_path, capsys):
    gallery.remove(gallery.tracklets().index[-1:].to_numpy())
    assert main(["evaluate", str(stored.folder), f"--index={gallery.folder}"]) == 2
    assert error_of(capsys).endswith(f"lacks tracklet mars:69 of {stored.folder}: index it first")


def test_only_an_extraction_is_looked_for_in_a_gallery(gallery, tmp_path, capsys):
    arrays = {
        name: np.array([[1.0], [2.0]]) if "features" in name else np.array([1, 2])
        for name in ("query_features", "query_pids", "gallery_features", "gallery_pids")
    }
    cameras = {"query_camids": np.array([1, 1]), "gallery_camids": np.array([2, 2])}
    np.savez(tmp_path / "features.npz", **arrays, **cameras)
    assert main(["evaluate", str(tmp_path / "features.npz"), f"--index={gallery.folder}"]) == 2
    assert "is no extraction: extract and index it first" in error_of(capsys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--index=nowhere"], "nowhere: no gallery"),
        (["--index=postgresql://me@localhost/a/b"], "--index: is for a gallery in a folder"),
        (["--index-name=mars"], "--index-name mars: is for --index: pass it as well"),
        (["--index-top=5"], "--index-top 5: is for --index: pass it as well"),
        (["--json={stored}/embeddings.json"], "is among the files of {stored}"),
    ],
)
def test_what_cannot_be_meant_is_one_line(stored, capsys, options, message):
    given = [option.format(stored=stored.folder) for option in options]
    assert main(["evaluate", str(stored.folder), *given]) == 2
    assert message.format(stored=stored.folder) in error_of(capsys)
    StoredEmbeddings(stored.folder)  # is as it was


def test_other_tracklets_with_the_same_numbers_are_not_scored(stored, gallery, capsys):
    command = ["evaluate", str(stored.folder), f"--index={gallery.folder}"]
    assert main([*command, "--index-name=others"]) == 2
    said = error_of(capsys)
    assert f"{gallery.folder}: tracklet others:" in said
    assert f"is another one than in {stored.folder} (pid is " in said
