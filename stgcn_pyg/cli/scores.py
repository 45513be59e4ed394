"""Scores of several methods under several protocols: to print and to keep."""

from collections.abc import Mapping
from typing import Any

from stgcn_pyg.evaluation import BootstrapResult, RankingResult, format_table
from stgcn_pyg.runs.about import ABOUT, in_words

Scores = Mapping[str, Mapping[str, RankingResult]]
"""By method, by protocol."""

Intervals = Mapping[str, Mapping[str, BootstrapResult]]
"""The same; not every method has them."""


def print_table(scores: Scores, protocol: str, about: Mapping[str, Any]) -> None:
    """Prints what every method scores under one protocol, and above it what the scores are of."""
    table = format_table({row: results[protocol] for row, results in scores.items()})
    print(f"\n{in_words(about)}\n{table}")


def scores_as_json(
    scores: Scores, about: Mapping[str, Any], intervals: Intervals | None = None
) -> dict[str, Any]:
    """What the scores are of, under ``about``; then they by protocol, by row.

    Args:
        scores: By row, by protocol.
        about: By the names of :mod:`stgcn_pyg.runs.about`.
        intervals: Of some of the rows.
    """
    content: dict[str, Any] = {ABOUT: dict(about)}
    content |= {
        p: {row: results[p].to_dict() for row, results in scores.items()} for p in protocols(scores)
    }
    for row, by_protocol in (intervals or {}).items():
        for p, interval in by_protocol.items():
            content[p][row]["intervals"] = interval.to_dict()
    return content


def protocols(scores: Scores) -> list[str]:
    """The names of the protocols, the data set's usual one first."""
    return list(next(iter(scores.values())))
