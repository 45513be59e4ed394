"""Results as a table to print."""

from collections.abc import Mapping

import pandas as pd

from stgcn_pyg.evaluation.result import REPORTED_RANKS, RankingResult


def format_table(
    results: Mapping[str, RankingResult], ranks: tuple[int, ...] = REPORTED_RANKS
) -> str:
    """Methods in rows, mAP and rank-k in columns, in per cent with one decimal.

    The caption names the protocol and the sizes. Where the rows do not share them, and so must
    not be compared with each other, the caption says so and every row names its own.

    Args:
        results: results by the name of their row.
        ranks: the k of the columns; one beyond the CMC of a row is left blank in it.

    Raises:
        ValueError: no results.

    Example:
        >>> from stgcn_pyg.evaluation import evaluate_ranking
        >>> result = evaluate_ranking([[0.1, 0.2, 0.3]], [7], [7, 5, 7], [1], [2, 2, 3])
        >>> print(format_table({"ours": result}, ranks=(1, 5)))
        unnamed protocol (step AP, same camera: person); queries 1 (0 without a match), gallery 3; in per cent
               mAP rank-1 rank-5
        ours  83.3  100.0  100.0
    """
    if not results:
        raise ValueError("no results to print: give one row at least")
    settings = {name: setting(result) for name, result in results.items()}
    shared = len(set(settings.values())) == 1
    columns = {"mAP": {name: f"{100 * result.mAP:.1f}" for name, result in results.items()}}
    for k in ranks:
        columns[f"rank-{k}"] = {name: _percent(result, k) for name, result in results.items()}
    if not shared:
        columns["setting"] = settings
    caption = next(iter(settings.values())) if shared else "settings differ: do not compare rows"
    return f"{caption}; in per cent\n{pd.DataFrame(columns).to_string()}"


def setting(result: RankingResult) -> str:
    """The protocol and the sizes that a result holds for, in one line."""
    name = result.protocol
    if name is None:
        cut = "" if result.depth is None else f", cut after {result.depth} places"
        name = f"unnamed protocol ({result.ap} AP, same camera: {result.same_camera}{cut})"
    return (
        f"{name}; queries {result.num_queries:,} ({result.num_queries_without_match:,} without a "
        f"match), gallery {result.num_gallery:,}"
    )


def _percent(result: RankingResult, k: int) -> str:
    return f"{100 * result.rank(k):.1f}" if k <= len(result.cmc) else ""
