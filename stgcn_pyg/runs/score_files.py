"""Files of scores: JSON by protocol and row, and the table of what each query scores."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pandas as pd

from stgcn_pyg.evaluation import (
    BootstrapResult,
    OpenSetResult,
    RankingResult,
    VerificationResult,
)
from stgcn_pyg.runs.about import ABOUT
from stgcn_pyg.runs.scoring import RankingTask

Scores = Mapping[str, Mapping[str, RankingResult]]
"""By row of the table, by protocol."""

Intervals = Mapping[str, Mapping[str, BootstrapResult]]
"""By row of the table, by protocol; not every row has them."""

Verifications = Mapping[str, tuple[VerificationResult, OpenSetResult]]
"""By protocol."""


def protocols_of(scores: Scores) -> list[str]:
    """The names of the protocols, the data set's usual one first."""
    return list(next(iter(scores.values())))


def scores_as_json(
    scores: Scores,
    about: Mapping[str, Any],
    intervals: Intervals | None = None,
    verifications: Mapping[str, Verifications] = MappingProxyType({}),
) -> dict[str, Any]:
    """The content of a file of scores: ``about``, then the scores by protocol and row.

    Args:
        scores, intervals: By row and protocol.
        about: What was evaluated, by the names of :mod:`.about`.
        verifications: Verification and the open set, by row and protocol.
    """
    content: dict[str, Any] = {ABOUT: dict(about)}
    for name in protocols_of(scores):
        content[name] = {row: results[name].to_dict() for row, results in scores.items()}
    for row, by_protocol in (intervals or {}).items():
        for name, interval in by_protocol.items():
            content[name][row]["intervals"] = interval.to_dict()
    for row, found in verifications.items():
        for name, (verification, open_set) in found.items():
            content[name][row]["verification"] = verification.to_dict()
            content[name][row]["open_set"] = open_set.to_dict()
    return content


def per_query(
    task: RankingTask,
    results: Mapping[str, RankingResult],
    about: Mapping[str, Any] = MappingProxyType({}),
) -> pd.DataFrame:
    """What each query scores: a row for each protocol and query, the protocols one after the other.

    Args:
        results: Scores by the name of the protocol.
        about: What made the embeddings, by the names of :mod:`.about`.

    Returns:
        ``protocol``, ``tracklet`` (its number), ``pid``, ``camid``, ``num_matches``,
        ``average_precision`` and ``first_match_rank``. The last two are NaN where the query has no
        match; the rank is infinite where the protocol cut the list before the first match. Then a
        column for each plain value of ``about``, equal in all rows.
    """
    tables = [
        pd.DataFrame(
            {
                "protocol": name,
                "tracklet": task.query_tracklets,
                "pid": task.query_pids,
                "camid": task.query_camids,
                "num_matches": task.count_matches(name),
                "average_precision": result.average_precision,
                "first_match_rank": result.first_match_rank,
            }
        )
        for name, result in results.items()
    ]
    same = {name: value for name, value in about.items() if isinstance(value, str | int)}
    return pd.concat(tables, ignore_index=True).assign(**same)
