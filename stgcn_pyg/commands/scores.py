"""Scores of several methods under several protocols: to print and to keep."""

from collections.abc import Mapping
from typing import Any

from stgcn_pyg.evaluation import RankingResult, format_table

Scores = Mapping[str, Mapping[str, RankingResult]]
"""By method, by protocol."""


def print_tables(scores: Scores) -> None:
    """Prints a table a protocol, a row a method."""
    protocols = next(iter(scores.values())).keys()
    for protocol in protocols:
        print("\n" + format_table({row: results[protocol] for row, results in scores.items()}))


def scores_as_json(scores: Scores) -> dict[str, Any]:
    """By protocol, by row."""
    protocols = next(iter(scores.values())).keys()
    return {p: {row: results[p].to_dict() for row, results in scores.items()} for p in protocols}
