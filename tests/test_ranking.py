"""CMC and mAP against oracles that are written as plain loops, from the definitions."""

import json
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from stgcn_pyg.evaluation import evaluate_features, evaluate_ranking, pairwise_distances

SETTINGS = [(ap, cam) for ap in ("step", "trapezoid") for cam in ("person", "all")]
pytestmark = pytest.mark.filterwarnings("ignore:.*queries have no match")


class Case(NamedTuple):
    """The five positional arguments of evaluate_ranking."""

    distances: np.ndarray
    query_pids: np.ndarray
    gallery_pids: np.ndarray
    query_camids: np.ndarray
    gallery_camids: np.ndarray


def loop_ranking(distances, query_pid, gallery_pids, query_camid, gallery_camids, same_camera):
    """Match or not, down one query's list, without what is left out."""
    entries = []
    for distance, pid, camid in zip(distances, gallery_pids, gallery_camids, strict=True):
        same_view = camid == query_camid and (pid == query_pid or same_camera == "all")
        if pid != -1 and not same_view:
            entries.append((distance, bool(pid == query_pid)))
    return [match for _, match in sorted(entries)]  # at equal distance the match comes last


def loop_evaluate(case, ap="step", max_rank=50, same_camera="person"):
    """mAP, CMC and per-query AP by the definitions, or None where no query has a match."""
    aps, hits = [], []
    for q in range(len(case.query_pids)):
        kept = loop_ranking(
            case.distances[q],
            case.query_pids[q],
            case.gallery_pids,
            case.query_camids[q],
            case.gallery_camids,
            same_camera,
        )
        if not any(kept):
            aps.append(float("nan"))
            continue
        terms = []
        for position in range(len(kept)):
            if kept[position]:
                at = sum(kept[: position + 1]) / (position + 1)
                before = sum(kept[:position]) / position if position else 1.0
                terms.append(at if ap == "step" else (before + at) / 2)
        aps.append(sum(terms) / len(terms))
        hits.append([any(kept[:k]) for k in range(1, max_rank + 1)])
    if not hits:
        return None
    return np.nanmean(aps), np.mean(hits, axis=0), np.array(aps)


def matlab_compute_ap(good, junk, index):
    """MARS's compute_AP: down the whole list, adding up the area under recall and precision."""
    old_recall, old_precision, area, found, place = 0.0, 1.0, 0.0, 0, 0
    cmc, junk_seen = [0] * len(index), 0
    for n, item in enumerate(index):
        if item in junk:
            junk_seen += 1
            continue
        if item in good:
            found += 1
            for k in range(n - junk_seen, len(cmc)):
                cmc[k] = 1
        recall, precision = found / len(good), found / (place + 1)
        area += (recall - old_recall) * (old_precision + precision) / 2
        old_recall, old_precision, place = recall, precision, place + 1
        if found == len(good):
            break
    return area, cmc


def matlab_evaluate(case, cut=None):
    """Mean AP and CMC by the MATLAB walk; ``cut`` keeps so many places first, as AGRL does."""
    aps, cmcs = [], []
    for q in range(len(case.query_pids)):
        same_person = case.gallery_pids == case.query_pids[q]
        same_camera = case.gallery_camids == case.query_camids[q]
        good = set(np.flatnonzero(same_person & ~same_camera))
        junk = set(np.flatnonzero((case.gallery_pids == -1) | (same_person & same_camera)))
        ap, cmc = matlab_compute_ap(good, junk, list(np.argsort(case.distances[q])[:cut]))
        aps.append(ap)
        cmcs.append(cmc)
    return np.mean(aps), np.mean(cmcs, axis=0)


def random_case(seed, num_queries=12, num_gallery=60, ties=False):
    rng = np.random.default_rng(seed)
    distances = rng.random((num_queries, num_gallery))
    if ties:
        distances = rng.integers(0, 6, (num_queries, num_gallery)).astype(float)
    return Case(
        distances,
        rng.integers(0, 5, num_queries),
        rng.integers(-1, 5, num_gallery),
        rng.integers(0, 4, num_queries),
        rng.integers(0, 3, num_gallery),  # camera 3 is nobody's: every query keeps a match
    )


def one_query(relevance):
    """A case of one query whose list shows ``relevance``, in order."""
    pids = np.where(relevance, 7, 5)
    n = len(pids)
    return Case(np.arange(n)[None] / n, np.array([7]), pids, np.array([1]), np.full(n, 2))


@st.composite
def cases(draw):
    return random_case(
        draw(st.integers(0, 2**31)), draw(st.integers(1, 5)), draw(st.integers(1, 25)), ties=True
    )


@pytest.mark.parametrize(("ap", "same_camera"), SETTINGS)
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_loops_agree(ap, same_camera, ties, seed):
    case = random_case(seed, ties=ties)
    m_ap, cmc, per_query = loop_evaluate(case, ap, 50, same_camera)
    result = evaluate_ranking(*case, ap=ap, same_camera=same_camera)
    assert result.mAP == pytest.approx(m_ap, abs=1e-12)
    np.testing.assert_allclose(result.cmc, cmc, atol=1e-12)
    np.testing.assert_allclose(result.average_precision, per_query, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_scikit_learn_agrees_on_the_step_average_precision(seed):
    case = random_case(seed)
    result = evaluate_ranking(*case)
    for q, average_precision in enumerate(result.average_precision):
        same_person = case.gallery_pids == case.query_pids[q]
        same_camera = case.gallery_camids == case.query_camids[q]
        keep = (case.gallery_pids != -1) & ~(same_person & same_camera)
        oracle = average_precision_score(same_person[keep], -case.distances[q][keep])
        assert average_precision == pytest.approx(oracle, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_official_matlab_walk_agrees_on_the_trapezoid(seed):
    case = random_case(seed)
    m_ap, cmc = matlab_evaluate(case)
    result = evaluate_ranking(*case, ap="trapezoid", max_rank=len(cmc))
    assert result.mAP == pytest.approx(m_ap, abs=1e-12)
    np.testing.assert_allclose(result.cmc, cmc, atol=1e-12)


@pytest.mark.parametrize("cut", [1, 3, 10, 50])
@pytest.mark.parametrize("seed", range(5))
def test_depth_cuts_before_junk_is_left_out_as_agrl_does(seed, cut):
    case = random_case(seed)
    m_ap, cmc = matlab_evaluate(case, cut)
    result = evaluate_ranking(*case, ap="trapezoid", max_rank=cut, depth=cut)
    assert result.mAP == pytest.approx(m_ap, abs=1e-12)
    np.testing.assert_allclose(result.cmc, cmc, atol=1e-12)


def test_junk_takes_places_of_the_depth_but_not_ranks():
    pids = [-1, 7, 7, 5]
    case = ([[0.1, 0.2, 0.3, 0.4]], [7], pids, [1], [2, 2, 2, 2])
    assert evaluate_ranking(*case, depth=2).mAP == 0.5  # one of two matches, at rank 1
    cut = evaluate_ranking(*case, depth=1)
    assert (cut.mAP, cut.rank(50), cut.first_match_rank[0]) == (0.0, 0.0, np.inf)
    assert cut.num_valid_queries == 1


def test_two_worked_lists_give_the_published_mean():
    first, second = np.zeros(10, dtype=bool), np.zeros(10, dtype=bool)
    first[[0, 2, 5, 8, 9]] = second[[1, 4, 6]] = True
    scores = [evaluate_ranking(*one_query(relevance)).mAP for relevance in (first, second)]
    assert 100 * np.mean(scores) == pytest.approx(53.25396825396825, abs=1e-12)


def test_a_list_worked_by_hand_with_junk_and_the_same_camera():
    # The list of person 7 in camera 1: junk, same view, other, match, distractor, match.
    case = Case(
        np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]]),
        np.array([7]),
        np.array([-1, 7, 5, 7, 0, 7]),
        np.array([1]),
        np.array([2, 1, 1, 2, 3, 3]),
    )
    step = evaluate_ranking(*case, max_rank=3)
    assert step.mAP == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert step.cmc.tolist() == [0.0, 1.0, 1.0]
    assert step.first_match_rank.tolist() == [2.0]
    trapezoid = evaluate_ranking(*case, ap="trapezoid")
    assert trapezoid.mAP == pytest.approx(((0 / 1 + 1 / 2) / 2 + (1 / 3 + 2 / 4) / 2) / 2)
    # Camera 1 left out as a whole, the other person there goes, too.
    assert evaluate_ranking(*case, same_camera="all").mAP == pytest.approx((1 + 2 / 3) / 2)


def test_cameras_of_query_and_gallery_are_not_interchangeable():
    # As many queries as gallery items, so that no length tells: only person 5 is in one camera.
    result = evaluate_ranking([[0.1, 0.2], [0.1, 0.2]], [7, 5], [5, 7], [1, 3], [3, 2])
    np.testing.assert_array_equal(result.first_match_rank, [2.0, np.nan])


@given(cases(), st.sampled_from(SETTINGS), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_gallery_changes_nothing_not_even_with_ties(case, options, random):
    assume(loop_evaluate(case, same_camera=options[1]) is not None)
    order = list(range(len(case.gallery_pids)))
    random.shuffle(order)
    shuffled = case._replace(
        distances=case.distances[:, order],
        gallery_pids=case.gallery_pids[order],
        gallery_camids=case.gallery_camids[order],
    )
    assert_same(case, shuffled, *options)


@given(cases(), st.sampled_from(SETTINGS), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_junk_changes_nothing(case, options, extra):
    assume(loop_evaluate(case, same_camera=options[1]) is not None)
    assert_same(case, with_items(case, pid=-1, camid=9, count=extra), *options)


@given(cases(), st.sampled_from(SETTINGS), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_the_query_s_own_view_changes_nothing(case, options, extra):
    case = case._replace(
        distances=case.distances[:1],
        query_pids=case.query_pids[:1],
        query_camids=case.query_camids[:1],
    )
    assume(loop_evaluate(case, same_camera=options[1]) is not None)
    pid, camid = case.query_pids[0], case.query_camids[0]
    assert_same(case, with_items(case, pid, camid, extra), *options)


@given(cases(), st.sampled_from(SETTINGS))
@settings(max_examples=60, deadline=None)
def test_scores_are_fractions_and_the_cmc_never_falls(case, options):
    assume(loop_evaluate(case, same_camera=options[1]) is not None)
    result = evaluate_ranking(*case, ap=options[0], same_camera=options[1])
    assert 0 < result.mAP <= 1
    assert (np.diff(result.cmc) >= 0).all()
    assert result.cmc[-1] == 1  # the gallery is smaller than max_rank


@given(cases(), st.sampled_from(["step", "trapezoid"]))
@settings(max_examples=60, deadline=None)
def test_a_perfect_ranking_scores_one(case, ap):
    different = case.query_pids[:, None] != case.gallery_pids
    case = case._replace(distances=different.astype(float))
    assume(loop_evaluate(case) is not None)
    result = evaluate_ranking(*case, ap=ap)
    assert result.mAP == result.rank(1) == 1


def with_items(case, pid, camid, count):
    """The case with ``count`` more gallery items, nearer to every query than anything else."""
    return case._replace(
        distances=np.hstack([case.distances, np.full((len(case.distances), count), -1.0)]),
        gallery_pids=np.append(case.gallery_pids, [pid] * count),
        gallery_camids=np.append(case.gallery_camids, [camid] * count),
    )


def assert_same(case, other, ap, same_camera):
    a = evaluate_ranking(*case, ap=ap, same_camera=same_camera)
    b = evaluate_ranking(*other, ap=ap, same_camera=same_camera)
    np.testing.assert_array_equal(a.average_precision, b.average_precision)
    np.testing.assert_array_equal(a.first_match_rank, b.first_match_rank)
    np.testing.assert_array_equal(a.cmc, b.cmc)


def test_a_constant_embedding_gets_the_worst_score():
    case = one_query([True, False, False, True])
    worst = evaluate_ranking(*one_query([False, False, True, True]))
    tied = evaluate_ranking(*case._replace(distances=np.zeros((1, 4))))
    assert tied.mAP == worst.mAP == pytest.approx((1 / 3 + 2 / 4) / 2)
    assert tied.rank(2) == 0


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("block_size", [1, 7, 64])
def test_a_constant_embedding_gets_the_worst_score_by_features_too(metric, block_size):
    # 1,037 columns: the edge of a BLAS tile must not tell equal pairs apart.
    rng = np.random.default_rng(0)
    feature = rng.normal(size=(1, 513)).astype(np.float32)
    queries, gallery = np.repeat(feature, 20, 0), np.repeat(feature, 1037, 0)
    pids = np.arange(1037) % 20
    labels = (np.arange(20), pids, np.zeros(20, dtype=int), np.ones(1037, dtype=int))
    result = evaluate_features(queries, gallery, *labels, metric=metric, block_size=block_size)
    non_matches = [(pids != q).sum() for q in range(20)]
    np.testing.assert_array_equal(result.first_match_rank, np.array(non_matches) + 1)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("block_size", [1, 5, 12, 100])
@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_features_give_what_their_distances_give_for_every_block_size(metric, block_size, convert):
    case = random_case(3)
    rng = np.random.default_rng(4)
    queries = rng.normal(size=(12, 8)).astype(np.float32)
    gallery = rng.normal(size=(60, 8)).astype(np.float32)
    gallery[::3] = gallery[0]  # duplicates tie
    whole = case._replace(distances=pairwise_distances(queries, gallery, metric))
    options = {"ap": "trapezoid", "same_camera": "all", "depth": 9, "max_rank": 10}
    a = evaluate_ranking(*whole, **options)
    b = evaluate_features(
        convert(queries), convert(gallery), *case[1:], metric, block_size=block_size, **options
    )
    np.testing.assert_array_equal(a.average_precision, b.average_precision)
    np.testing.assert_array_equal(a.first_match_rank, b.first_match_rank)
    assert a.to_dict() == b.to_dict()


def test_distances_are_those_of_the_definition_also_between_near_duplicates():
    rng = np.random.default_rng(0)
    a = 10 * rng.normal(size=(6, 300))
    b = np.concatenate([a[:3] + 1e-3 * rng.normal(size=(3, 300)), rng.normal(size=(4, 300))])
    oracle = np.sqrt(((a[:, None] - b) ** 2).sum(-1))
    np.testing.assert_allclose(pairwise_distances(a, b), oracle, rtol=1e-4)
    assert (pairwise_distances(a, a).diagonal() == 0).all()
    cosine = 1 - (a @ b.T) / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    np.testing.assert_allclose(pairwise_distances(a, b, "cosine"), cosine, atol=1e-7)
    assert pairwise_distances(np.zeros((1, 4)), np.zeros((1, 4))).item() == 0
    assert pairwise_distances(np.zeros((1, 4)), np.ones((1, 4)), "cosine").item() == 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_tensors_of_every_float_type_are_ranked(dtype):
    case = random_case(0, num_gallery=30)
    distances = torch.from_numpy(case.distances).to(dtype).requires_grad_()
    oracle = loop_evaluate(case._replace(distances=distances.detach().float().numpy()))
    assert oracle is not None
    assert evaluate_ranking(distances, *case[1:]).mAP == pytest.approx(oracle[0], abs=1e-12)


def test_the_input_is_left_as_it_was():
    case = random_case(0)
    distances = case.distances.copy()
    evaluate_ranking(*case, depth=5)
    np.testing.assert_array_equal(case.distances, distances)


def test_the_cmc_has_max_rank_entries_also_for_a_small_gallery():
    result = evaluate_ranking(*one_query([False, True]), max_rank=6)
    assert result.cmc.tolist() == [0, 1, 1, 1, 1, 1]


def test_the_result_is_plain_json():
    result = evaluate_ranking(*one_query([False, True]), max_rank=5)
    assert json.loads(json.dumps(result.to_dict())) == {
        "protocol": None,
        "mAP": 0.5,
        "rank-1": 0.0,
        "rank-5": 1.0,
        "num_queries": 1,
        "num_valid_queries": 1,
        "num_queries_without_match": 0,
        "num_gallery": 2,
        "ap": "step",
        "same_camera": "person",
        "depth": None,
        "cmc": [0.0, 1.0, 1.0, 1.0, 1.0],
    }
    with pytest.raises(ValueError, match="ranks 1 to 5"):
        result.rank(6)


@pytest.mark.filterwarnings("default")
def test_queries_without_a_match_are_counted_in_a_warning_that_names_the_caller():
    with pytest.warns(UserWarning, match="1 of 2 queries have no match") as caught:
        result = evaluate_ranking([[0.1, 0.2]] * 2, [7, 8], [7, 5], [1, 1], [2, 2])
    assert caught[0].filename == __file__
    assert (result.num_queries, result.num_valid_queries) == (2, 1)
    assert result.mAP == result.rank(1) == 1
    assert np.isnan(result.average_precision[1]) and np.isnan(result.first_match_rank[1])
    with pytest.warns(UserWarning, match="1 of 2 queries") as caught:
        evaluate_features([[0.0], [0.0]], [[0.0], [1.0]], [7, 8], [7, 5], [1, 1], [2, 2])
    assert caught[0].filename == __file__


GOOD = {
    "distances": [[0.1, 0.2]],
    "query_pids": [7],
    "gallery_pids": [7, 5],
    "query_camids": [1],
    "gallery_camids": [2, 2],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gallery_camids": [2] * 60}, "gallery: 2 rows, 2 people and 60 cameras"),
        ({"query_camids": [1, 1]}, "query: 1 rows, 1 people and 2 cameras"),
        ({"distances": [[0.1, 0.2, 0.3]]}, "gallery: 3 rows, 2 people and 2 cameras"),
        ({"distances": [0.1, 0.2]}, r"\[Q, G\], got \[2\]"),
        ({"distances": [[0.1, np.nan]]}, r"distances: 1 rows are not finite, first at \[0\]"),
        ({"distances": [[0.1, np.inf]]}, "not finite"),
        ({"gallery_pids": [7.0, 5.0]}, "gallery_pids must be a 1-D array of integers, got float64"),
        ({"query_camids": [True]}, "query_camids must be a 1-D array of integers, got bool"),
        ({"query_pids": [[7]]}, "query_pids must be a 1-D array"),
        ({"query_pids": [-1]}, r"query_pids: 1 queries are junk \(pid -1\), first at \[0\]"),
        ({"query_pids": [9]}, "none of the 1 queries has a match among the 2"),
        ({"ap": "voc"}, "ap='voc' is unknown"),
        ({"same_camera": "none"}, "same_camera='none' is unknown"),
        ({"max_rank": 0}, "max_rank=0"),
        ({"depth": 0}, "depth=0"),
    ],
)
def test_a_mistake_is_told(change, message):
    with pytest.raises(ValueError, match=message):
        evaluate_ranking(**{**GOOD, **change})


@pytest.mark.parametrize(
    ("queries", "gallery", "options", "message"),
    [
        ([[np.nan]], [[0.0], [1.0]], {}, r"query_features: 1 rows are not finite, first at \[0\]"),
        ([[0.0]], [[0.0], [np.inf]], {}, r"gallery_features: 1 rows .* first at \[1\]"),
        ([[0.0]], [[0.0, 1.0], [1.0, 1.0]], {}, r"got \[1, 1\] and \[2, 2\]"),
        ([[0.0]], [[0.0], [1.0]], {"metric": "dot"}, "metric='dot' is unknown"),
        ([[0.0]], [[0.0], [1.0]], {"block_size": 0}, "block_size=0"),
        ([[0.0]], [[0.0]], {}, "gallery: 1 rows, 2 people and 2 cameras"),
    ],
)
def test_a_mistake_in_features_is_told(queries, gallery, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate_features(queries, gallery, [7], [7, 5], [1], [2, 2], **options)
