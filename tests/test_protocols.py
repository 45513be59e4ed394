"""The named protocols: what they keep, what they score, and how they are printed."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import loadmat

from stgcn_pyg.evaluation import (
    AGRL,
    CROSS_CAMERA,
    DUKE,
    FULL_GALLERY,
    MARS_OFFICIAL,
    PROTOCOLS,
    QUERY_FREE,
    Protocol,
    Reranking,
    chance_for_protocol,
    evaluate_features,
    evaluate_protocol,
    evaluate_ranking,
    format_table,
    protocol,
    rerank,
    select_gallery,
)

ROOT = Path(__file__).resolve().parents[1]
MARS_INFO = Path(os.environ.get("STGCN_DATA", ROOT / "../shared/data")) / "mars_info"

# One dimension; the query is person 4 in camera 1 at 0.
# Gallery: junk, the query itself, a distractor, a match, another person in camera 1.
QUERY = ([[0.0]], [4], [1])
FEATURES = [[0.1], [0.0], [0.2], [0.3], [0.25]]
PIDS, CAMIDS = [-1, 4, 0, 4, 5], [2, 1, 2, 3, 1]
IS_QUERY = [False, True, False, False, False]


def evaluate(chosen, **options):
    features, pids, camids = QUERY
    options.setdefault("gallery_is_query", IS_QUERY)
    return evaluate_protocol(chosen, features, FEATURES, pids, PIDS, camids, CAMIDS, **options)


@pytest.mark.parametrize("chosen", PROTOCOLS, ids=lambda chosen: chosen.name)
def test_every_protocol_is_found_by_its_name(chosen):
    assert protocol(chosen.name) is chosen


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'mars' is unknown.*mars-official, full-gallery, query-"):
        protocol("mars")


@pytest.mark.parametrize(
    ("chosen", "size", "m_ap"),
    [
        (MARS_OFFICIAL, 5, (0 + 1 / 3) / 2),  # other, other, match: precision 0 before, 1/3 at
        (FULL_GALLERY, 4, 1 / 3),
        (QUERY_FREE, 3, 1 / 3),
        (AGRL, 5, (0 + 1 / 3) / 2),
        (DUKE, 4, 1 / 3),
        (CROSS_CAMERA, 4, 1 / 2),  # person 5 stands in the query's camera
    ],
    ids=lambda value: value.name if isinstance(value, Protocol) else None,
)
def test_each_protocol_on_a_gallery_worked_by_hand(chosen, size, m_ap):
    result = evaluate(chosen)
    assert result.mAP == pytest.approx(m_ap)
    assert (result.protocol, result.num_gallery, result.num_queries) == (chosen.name, size, 1)
    written = result.to_dict()
    assert (written["protocol"], written["num_gallery"]) == (chosen.name, size)
    assert written["num_queries_without_match"] == 0


def test_reranking_is_that_of_the_gallery_which_the_protocol_keeps():
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(5, 4)), rng.normal(size=(40, 4))
    pids, camids = rng.integers(-1, 5, 40), rng.integers(1, 4, 40)
    keep = pids != -1
    parameters = Reranking(k1=5, k2=3)
    labels = (np.arange(5), pids, np.full(5, 4), camids)
    kept = (np.arange(5), pids[keep], np.full(5, 4), camids[keep])
    a = evaluate_protocol(FULL_GALLERY, queries, gallery, *labels, reranking=parameters)
    distances = rerank(queries, gallery[keep], k1=5, k2=3)
    assert a.to_dict() == evaluate_ranking(distances, *kept).to_dict() | {
        "protocol": "full-gallery"
    }
    plain = evaluate_protocol(FULL_GALLERY, queries, gallery, *labels)
    assert a.mAP != plain.mAP
    with pytest.raises(ValueError, match="k2=6: give 1 to k1=2"):
        evaluate_protocol(FULL_GALLERY, queries, gallery, *labels, reranking=Reranking(k1=2))


def test_select_gallery_drops_junk_and_queries_as_told():
    assert select_gallery(MARS_OFFICIAL, PIDS).tolist() == [True] * 5
    assert select_gallery(FULL_GALLERY, PIDS).tolist() == [False, True, True, True, True]
    assert select_gallery(QUERY_FREE, torch.tensor(PIDS), torch.tensor(IS_QUERY)).tolist() == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_a_protocol_of_one_s_own_is_a_protocol():
    own = Protocol("own", "Junk kept, one place.", keep_junk=True, depth=1)
    result = evaluate(own)
    assert (result.protocol, result.mAP, result.depth) == ("own", 0.0, 1)


def test_a_protocol_equals_evaluate_features_on_what_it_selects():
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(5, 4)), rng.normal(size=(40, 4))
    pids, camids = rng.integers(-1, 5, 40), rng.integers(1, 4, 40)
    keep = pids != -1
    labels = (np.arange(5), pids, np.full(5, 4), camids)
    kept = (np.arange(5), pids[keep], np.full(5, 4), camids[keep])
    a = evaluate_protocol(FULL_GALLERY, queries, torch.from_numpy(gallery), *labels, max_rank=5)
    b = evaluate_features(queries, gallery[keep], *kept, max_rank=5)
    assert a.to_dict() == b.to_dict() | {"protocol": "full-gallery"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gallery_is_query": None}, "query-free takes the queries out.*pass gallery_is_query"),
        ({"gallery_is_query": [True]}, r"must be 5 booleans.*got bool of shape \[1\]"),
        ({"gallery_is_query": [0, 1, 0, 0, 0]}, "must be 5 booleans.*got int64"),
        ({"metric": "dot"}, "metric='dot' is unknown"),
    ],
)
def test_a_mistake_is_told(options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(QUERY_FREE, **options)


def test_lengths_are_checked_before_the_gallery_is_selected():
    with pytest.raises(ValueError, match="gallery: 5 rows, 5 identities and 2 cameras"):
        evaluate_protocol(FULL_GALLERY, [[0.0]], FEATURES, [4], PIDS, [1], [2, 3])


def test_the_warning_names_the_caller():
    features, _, _ = QUERY
    with pytest.warns(UserWarning, match="1 of 2 queries have no match") as caught:
        result = evaluate_protocol(
            FULL_GALLERY, features * 2, FEATURES, [4, 9], PIDS, [1, 1], CAMIDS
        )
    assert caught[0].filename == __file__
    assert result.num_queries_without_match == 1


@pytest.mark.filterwarnings("ignore:.*queries have no match")
def test_the_table_names_protocol_and_sizes_once():
    features, _, _ = QUERY
    labels = ([4, 9], PIDS, [1, 1], CAMIDS)
    ours = evaluate_protocol(FULL_GALLERY, features * 2, FEATURES, *labels)
    random = chance_for_protocol(FULL_GALLERY, *labels)
    assert format_table({"ours": ours, "chance": random}).splitlines() == [
        "full-gallery; queries 2 (1 without a match), gallery 4; in per cent",
        "         mAP rank-1 rank-5 rank-10 rank-20",
        "ours    33.3    0.0  100.0   100.0   100.0",
        "chance  61.1   33.3  100.0   100.0   100.0",
    ]


def test_a_table_of_several_protocols_says_so():
    table = format_table({chosen.name: evaluate(chosen) for chosen in PROTOCOLS}, ranks=(1, 60))
    lines = table.splitlines()
    assert lines[0] == "settings differ: do not compare rows; in per cent"
    assert lines[1].split() == ["mAP", "rank-1", "rank-60", "setting"]
    assert lines[2].endswith("mars-official; queries 1 (0 without a match), gallery 5")
    assert len(lines) == 8


def test_a_table_without_rows_is_a_mistake():
    with pytest.raises(ValueError, match="no results"):
        format_table({})


@pytest.fixture(scope="module")
def mars():
    """MARS's true labels with random features: queries, gallery, four labels, is_query."""
    if not MARS_INFO.is_dir():
        pytest.skip(f"MARS's labels are not at {MARS_INFO}; set STGCN_DATA to their parent")
    tracklets = loadmat(MARS_INFO / "tracks_test_info.mat")["track_test_info"]
    query = loadmat(MARS_INFO / "query_IDX.mat")["query_IDX"].ravel() - 1
    pids, camids = tracklets[:, 2].astype(np.int64), tracklets[:, 3].astype(np.int64)
    rng = np.random.default_rng(0)
    centres = 3 * rng.normal(size=(pids.max() + 2, 8))
    features = (centres[pids] + rng.normal(size=(len(pids), 8))).astype(np.float32)
    is_query = np.isin(np.arange(len(pids)), query)
    return features[query], features, (pids[query], pids, camids[query], camids), is_query


@pytest.mark.filterwarnings("ignore:140 of 1980 queries have no match")
@pytest.mark.parametrize(
    ("chosen", "gallery", "without_match"),
    [
        (MARS_OFFICIAL, 12180, 0),
        (FULL_GALLERY, 11310, 0),
        (QUERY_FREE, 9330, 140),
        (AGRL, 12180, 0),
    ],
    ids=lambda value: value.name if isinstance(value, Protocol) else None,
)
def test_on_mars_the_sizes_are_those_of_the_field(mars, chosen, gallery, without_match):
    queries, features, labels, is_query = mars
    result = evaluate_protocol(chosen, queries, features, *labels, is_query)
    assert (result.num_queries, result.num_gallery) == (1980, gallery)
    assert result.num_queries_without_match == without_match
    expected = chance_for_protocol(chosen, *labels, is_query)
    assert (expected.num_gallery, expected.num_queries_without_match) == (gallery, without_match)
    assert expected.mAP < 0.02 < 0.1 < result.mAP


def test_on_mars_mars_official_is_the_trapezoid_without_junk(mars):
    queries, features, labels, _ = mars
    some = slice(None, None, 60)
    q_pids, pids, q_camids, camids = labels
    official = evaluate_protocol(
        MARS_OFFICIAL, queries[some], features, q_pids[some], pids, q_camids[some], camids
    )
    distances = np.linalg.norm(queries[some, None].astype(float) - features, axis=-1)
    oracle = evaluate_ranking(distances, q_pids[some], pids, q_camids[some], camids, ap="trapezoid")
    assert official.mAP == pytest.approx(oracle.mAP, abs=1e-6)
    np.testing.assert_array_equal(official.cmc, oracle.cmc)
