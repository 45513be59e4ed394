"""No query or an empty gallery: the same one line wherever it is met."""

from dataclasses import replace

import numpy as np
import pytest

from stgcn_pyg.evaluation import (
    PROTOCOLS,
    QUERY_FREE,
    bootstrap,
    chance,
    chance_for_protocol,
    compare,
    evaluate_features,
    evaluate_protocol,
    evaluate_ranking,
    rerank,
    rerank_rows,
)


def features(count, dtype=np.float32):
    return np.random.default_rng(count).normal(size=(count, 4)).astype(dtype)


def labels(queries, gallery, integer=np.int64):
    people = [np.arange(count).astype(integer) for count in (queries, gallery)]
    cameras = [np.zeros(queries, integer), np.ones(gallery, integer)]
    return (*people, *cameras)


def told(call):
    with pytest.raises(ValueError) as error:
        call()
    (line,) = str(error.value).splitlines()
    return line


@pytest.mark.parametrize(("queries", "gallery"), [(0, 3), (3, 0), (0, 0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("integer", [np.int64, np.float64])  # an empty list is of floats to NumPy
def test_nothing_to_rank_is_one_line_that_counts(queries, gallery, dtype, integer):
    if integer is np.float64 and (queries or gallery):
        return
    q, g = features(queries, dtype), features(gallery, dtype)
    of_both = labels(queries, gallery, integer)
    none = np.zeros(gallery, bool)
    calls = [
        lambda: evaluate_features(q, g, *of_both),
        lambda: evaluate_ranking(np.zeros((queries, gallery), dtype), *of_both),
        lambda: chance(*of_both),
        lambda: rerank(q, g),
        lambda: list(rerank_rows(q, g)),
    ]
    for protocol in PROTOCOLS:
        calls += [
            lambda p=protocol: evaluate_protocol(p, q, g, *of_both, gallery_is_query=none),
            lambda p=protocol: chance_for_protocol(p, *of_both, gallery_is_query=none),
        ]
    for call in calls:
        assert told(call).startswith(f"{queries} queries and {gallery} gallery items: give one")


def test_a_gallery_that_a_protocol_empties_is_told_too():
    q, of_both = features(2), labels(2, 2)
    every = np.ones(2, bool)
    for call in (
        lambda: evaluate_protocol(QUERY_FREE, q, q, *of_both, gallery_is_query=every),
        lambda: chance_for_protocol(QUERY_FREE, *of_both, gallery_is_query=every),
    ):
        assert "among the 0 gallery items" in told(call)


def test_a_result_of_no_query_is_told_by_intervals_and_comparisons():
    result = evaluate_features(features(2), features(2), *labels(2, 2))
    by_query = ("average_precision", "first_match_rank", "inverse_negative_penalty")
    empty = replace(result, **{name: getattr(result, name)[:0] for name in by_query})
    nobody = np.zeros(0, np.int64)
    assert "none of the 0 queries" in told(lambda: bootstrap(empty, nobody))
    assert "none of the 0 queries" in told(lambda: compare(empty, empty, nobody))
