"""Scores of several methods under several protocols: to print and to keep."""

from collections.abc import Mapping
from typing import Any

from stgcn_pyg.evaluation import RankingResult, format_table

Scores = Mapping[str, Mapping[str, RankingResult]]
"""By method, by protocol."""


def print_table(scores: Scores, protocol: str) -> None:
    """Prints what every method scores under one protocol."""
    print("\n" + format_table({row: results[protocol] for row, results in scores.items()}))


def scores_as_json(scores: Scores) -> dict[str, Any]:
    """By protocol, by row."""
    return {
        p: {row: results[p].to_dict() for row, results in scores.items()} for p in protocols(scores)
    }


def protocols(scores: Scores) -> list[str]:
    """The names of the protocols, the data set's usual one first."""
    return list(next(iter(scores.values())))
