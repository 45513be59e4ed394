"""Ranked lists against plain sorting and against what evaluation scores."""

import numpy as np
import pandas as pd
import pytest

from stgcn_pyg.evaluation import PROTOCOLS, evaluate_protocol, pairwise_distances
from stgcn_pyg.evaluation import protocol as named
from stgcn_pyg.explain import choose_queries, ranked_list

NAMES = [protocol.name for protocol in PROTOCOLS]


def case(seed=0, num_queries=12, num_gallery=80, ties=False):
    """Features on a line, some at the same place, and their labels."""
    rng = np.random.default_rng(seed)
    places = rng.integers(0, 12, (num_queries + num_gallery, 1)).astype(float)
    features = places if ties else rng.normal(size=places.shape)
    return {
        "query_features": features[:num_queries],
        "gallery_features": features[num_queries:],
        "query_pids": rng.integers(1, 6, num_queries),
        "gallery_pids": rng.integers(-1, 6, num_gallery),
        "query_camids": rng.integers(1, 4, num_queries),
        "gallery_camids": rng.integers(1, 4, num_gallery),
        "gallery_is_query": rng.random(num_gallery) < 0.2,
    }


def list_of(of, name, query, top):
    distances = pairwise_distances(of["query_features"][[query]], of["gallery_features"])[0]
    return ranked_list(
        named(name),
        distances.numpy(),
        of["query_pids"][query],
        of["query_camids"][query],
        of["gallery_pids"],
        of["gallery_camids"],
        of["gallery_is_query"],
        top,
    )


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_list_has_the_ranks_that_evaluation_scores(name, ties):
    of = case(seed=3, ties=ties)
    result = evaluate_protocol(named(name), **of)
    for query in range(12):
        ranked = list_of(of, name, query, top=80)
        ranks = ranked.loc[ranked["kind"] == "right", "rank"].astype(float)
        first = result.first_match_rank[query]
        if np.isfinite(first):
            assert ranks.iloc[0] == first
        else:  # there is none, or agrl has cut it off
            assert not len(ranks)
        if named(name).ap == "step" and len(ranks):
            precision = np.mean(np.arange(1, len(ranks) + 1) / ranks)
            assert precision == pytest.approx(result.average_precision[query])


def test_a_list_is_the_gallery_by_distance_each_marked():
    of = case(seed=5)
    for query in range(12):
        ranked = list_of(of, "mars-official", query, top=80)
        distances = np.abs(of["query_features"][query] - of["gallery_features"][:, 0])
        assert ranked["item"].tolist() == np.argsort(distances).tolist()
        np.testing.assert_allclose(ranked["distance"], np.sort(distances), rtol=1e-5, atol=1e-6)
        rank = 0
        for row in ranked.itertuples():
            pid, camid = of["gallery_pids"][row.item], of["gallery_camids"][row.item]
            if pid == -1:
                expected = "junk"
            elif pid != of["query_pids"][query]:
                expected = "wrong"
            else:
                same = camid == of["query_camids"][query]
                expected = "same-camera" if same else "right"
            assert row.kind == expected
            if expected in ("right", "wrong"):
                rank += 1
                assert row.rank == rank
            else:
                assert pd.isna(row.rank)


def test_across_cameras_all_of_the_querys_camera_is_left_out():
    of = case(seed=6)
    ranked = list_of(of, "cross-camera", 0, top=80)
    own = of["gallery_camids"][ranked["item"]] == of["query_camids"][0]
    junk = of["gallery_pids"][ranked["item"]] == -1
    np.testing.assert_array_equal((ranked["kind"] == "same-camera")[~junk], own[~junk])


def test_a_protocol_with_a_depth_cuts_the_list_before_anything_is_left_out():
    of = case(seed=8)
    whole, cut = (list_of(of, name, 4, top=80) for name in ("mars-official", "agrl"))
    assert len(whole) == 80 and len(cut) == 50
    pd.testing.assert_frame_equal(cut, whole[:50])


def test_a_list_ends_at_the_last_rank_that_is_asked_for():
    of = case(seed=7)
    whole = list_of(of, "mars-official", 2, top=80)
    for top in (1, 2, 5):
        ranked = list_of(of, "mars-official", 2, top)
        assert ranked["rank"].max() == top == ranked["rank"].iloc[-1]
        pd.testing.assert_frame_equal(ranked, whole[: len(ranked)])
    with pytest.raises(ValueError, match="top=0"):
        list_of(of, "mars-official", 2, top=0)


def test_queries_are_chosen_by_what_they_score():
    precision = np.array([0.5, np.nan, 0.1, 1.0, 0.1, 0.7])
    assert choose_queries(precision, "worst", 3).tolist() == [2, 4, 0]
    assert choose_queries(precision, "best", 2).tolist() == [3, 5]
    assert choose_queries(precision, "best", 99).tolist() == [3, 5, 0, 2, 4]
    other = np.array([0.5, np.nan, 0.9, 0.9, 0.0, 0.1])
    assert choose_queries(precision, "change", 2, other).tolist() == [2, 5]


def test_random_queries_have_a_match_and_hang_on_the_seed():
    precision = np.where(np.arange(100) % 3, 0.5, np.nan)
    chosen = [choose_queries(precision, "random", 10, seed=seed) for seed in (0, 0, 1)]
    assert chosen[0].tolist() == chosen[1].tolist() != chosen[2].tolist()
    assert len(set(chosen[0])) == 10 and (chosen[0] % 3 > 0).all()


def test_an_unknown_rule_and_a_change_from_nothing_are_told():
    with pytest.raises(ValueError, match="rule 'first' is unknown: give worst, best"):
        choose_queries(np.array([0.5]), "first", 1)
    with pytest.raises(ValueError, match="needs the other model's score of the same queries"):
        choose_queries(np.array([0.5]), "change", 1)
