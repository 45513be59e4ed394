"""CMC and mAP against oracles that are written as plain loops, from the definitions."""

import json

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ranking_by_the_book import (
    Case,
    loop_evaluate,
    matlab_evaluate,
    one_query,
    random_case,
)
from sklearn.metrics import average_precision_score

from stgcn_pyg.evaluation import evaluate_features, evaluate_ranking

SETTINGS = [(ap, cam) for ap in ("step", "trapezoid") for cam in ("person", "all")]
pytestmark = pytest.mark.filterwarnings("ignore:.*queries have no match")


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
    m_ap, cmc, per_query, penalties = loop_evaluate(case, ap, 50, same_camera)
    result = evaluate_ranking(*case, ap=ap, same_camera=same_camera)
    assert result.mAP == pytest.approx(m_ap, abs=1e-12)
    np.testing.assert_allclose(result.cmc, cmc, atol=1e-12)
    np.testing.assert_allclose(result.average_precision, per_query, atol=1e-12)
    np.testing.assert_allclose(result.inverse_negative_penalty, penalties, atol=1e-12)
    assert result.mINP == pytest.approx(np.nanmean(penalties), abs=1e-12)


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
    assert (cut.mAP, cut.mINP, cut.rank(50), cut.first_match_rank[0]) == (0.0, 0.0, 0.0, np.inf)
    assert evaluate_ranking(*case, depth=3).mINP == 1  # two matches, the last at rank 2
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
    assert step.mINP == 2 / 4  # the second of two matches stands fourth
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
    assert result.mAP == result.mINP == result.rank(1) == 1


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
        "mINP": 0.5,
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
