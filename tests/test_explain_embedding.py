"""The embedding as a whole against plain loops over pairs and the literal ranking."""

import numpy as np
import pytest
import torch
from ranking_by_the_book import Case, loop_evaluate

from stgcn_pyg.evaluation import evaluate_ranking
from stgcn_pyg.evaluation import protocol as named
from stgcn_pyg.explain import (
    distance_histogram,
    scores_by_camera_pair,
    scores_by_quartile,
    tsne,
)
from stgcn_pyg.runs.scoring import RankingTask


@pytest.fixture
def task():
    rng = np.random.default_rng(2)
    return RankingTask(
        "random",
        ("mars-official", "full-gallery", "query-free"),
        query_pids=rng.integers(1, 5, 20),
        gallery_pids=rng.integers(-1, 5, 50),
        query_camids=rng.integers(1, 4, 20),
        gallery_camids=rng.integers(1, 4, 50),
        gallery_is_query=rng.random(50) < 0.3,
        query_tracklets=np.arange(20),
    )


@pytest.fixture
def features():
    rng = torch.Generator().manual_seed(3)
    return torch.randn(20, 5, generator=rng), torch.randn(50, 5, generator=rng)


def pairs_by_hand(task, features, name, camera=None, other=None):
    """Distance and match of each ranked pair, by query."""
    found = []
    for q, query in enumerate(features[0]):
        pairs = []
        for g, item in enumerate(features[1]):
            pid, camid = task.gallery_pids[g], task.gallery_camids[g]
            same_person = pid == task.query_pids[q]
            if pid == -1 or (name == "query-free" and task.gallery_is_query[g]):
                continue
            if camid == task.query_camids[q] and (same_person or name == "cross-camera"):
                continue
            if camera is not None and (task.query_camids[q], camid) != (camera, other):
                continue
            pairs.append((float((query.double() - item.double()).norm()), bool(same_person)))
        found.append(pairs)
    return found


@pytest.mark.parametrize("name", ["mars-official", "query-free", "cross-camera"])
def test_the_histogram_counts_each_ranked_pair_once(task, features, name):
    table = distance_histogram(task, named(name), *features, bins=7)
    pairs = [pair for pairs in pairs_by_hand(task, features, name) for pair in pairs]
    assert table["to"].iloc[-1] == pytest.approx(max(distance for distance, _ in pairs))
    for row in table.itertuples():
        low, high = row[1], row[2]
        inside = [m for d, m in pairs if low <= d < high or (row[0] == 6 and d >= low)]
        assert (row.matching, row.other) == (sum(inside), len(inside) - sum(inside))


def test_the_histogram_of_many_blocks_is_that_of_one(task, features, monkeypatch):
    whole = distance_histogram(task, named("mars-official"), *features)
    monkeypatch.setattr("stgcn_pyg.explain.embedding_space.QUERIES", 3)
    parts = distance_histogram(task, named("mars-official"), *features)
    assert whole.equals(parts) and whole["matching"].sum() > 0


@pytest.mark.parametrize("name", ["full-gallery", "query-free"])
def test_a_pair_of_cameras_is_ranked_by_itself(task, features, name):
    table = scores_by_camera_pair(task, named(name), *features)
    assert len(table) == 6
    for row in table.itertuples():
        query = task.query_camids == row.query_camid
        gallery = (task.gallery_camids == row.gallery_camid) & (task.gallery_pids != -1)
        gallery &= ~task.gallery_is_query | (name == "full-gallery")
        case = Case(
            torch.cdist(features[0][query].double(), features[1][gallery].double()).numpy(),
            task.query_pids[query],
            task.gallery_pids[gallery],
            task.query_camids[query],
            task.gallery_camids[gallery],
        )
        mean, cmc, aps, _ = loop_evaluate(case, max_rank=1)
        assert row.mAP == pytest.approx(mean)
        assert row.rank_1 == pytest.approx(cmc[0])
        assert row.queries == np.isfinite(aps).sum()


def test_quarters_hold_all_queries_with_a_match_in_order(task, features):
    distances = torch.cdist(*features).numpy()
    labels = task.query_pids, task.gallery_pids, task.query_camids, task.gallery_camids
    result = evaluate_ranking(distances, *labels)
    values = np.random.default_rng(1).permutation(20).astype(float)
    values[3] = np.nan
    table = scores_by_quartile(result, values)
    assert table["queries"].tolist() == [5, 5, 4, 5] or table["queries"].sum() == 19
    for row in table.itertuples():
        some = (values >= row[1]) & (values <= row.to)
        assert row.queries == some.sum()
        assert row.mAP == pytest.approx(result.average_precision[some].mean())
        assert row.rank_1 == pytest.approx((result.first_match_rank[some] == 1).mean())
    assert len(scores_by_quartile(result, np.ones(20))) == 1
    with pytest.raises(ValueError, match=r"\[20\], one a query, got \[3\]"):
        scores_by_quartile(result, np.ones(3))


def test_clusters_stay_together_in_the_plane():
    rng = np.random.default_rng(0)
    centres = np.repeat(8 * rng.normal(size=(3, 16)), 12, axis=0)
    points = tsne(centres + rng.normal(size=centres.shape), perplexity=8)
    assert points.shape == (36, 2)
    distances = np.linalg.norm(points[:, None] - points, axis=2) + np.diag(np.full(36, np.inf))
    assert (distances.argmin(axis=1) // 12 == np.arange(36) // 12).all()


def test_the_plane_is_the_same_each_time_and_needs_three_points():
    embeddings = np.random.default_rng(0).normal(size=(10, 4))
    np.testing.assert_array_equal(tsne(embeddings), tsne(embeddings))
    with pytest.raises(ValueError, match="3 embeddings at least, got 2"):
        tsne(embeddings[:2])
