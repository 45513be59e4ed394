"""Results as a table to print."""

from collections.abc import Mapping

import pandas as pd

from stgcn_pyg.evaluation.bootstrap import BootstrapResult
from stgcn_pyg.evaluation.result import REPORTED_RANKS, RankingResult


def format_table(
    results: Mapping[str, RankingResult],
    ranks: tuple[int, ...] = REPORTED_RANKS,
    intervals: Mapping[str, BootstrapResult] | None = None,
) -> str:
    """Methods in rows, mAP and rank-k in columns, in per cent with one decimal.

    The caption names the protocol and the sizes. Where these differ, and the rows must not be
    compared with each other, the caption says so and every row names its own.

    Args:
        results: Results by the name of their row.
        ranks: The k of the columns; one beyond the CMC of a row is left blank in it.
        intervals: Intervals of some of the rows, by name; their ends are two more rows below.

    Raises:
        ValueError: There are no results.

    Example:
        >>> from stgcn_pyg.evaluation import FULL_GALLERY, evaluate_protocol
        >>> features, gallery = [[0.0]], [[0.1], [0.2], [0.3], [0.9]]
        >>> labels = ([7], [7, 5, 7, -1], [1], [2, 2, 3, 2])
        >>> result = evaluate_protocol(FULL_GALLERY, features, gallery, *labels)
        >>> print(format_table({"ours": result}, ranks=(1, 5)))
        full-gallery; queries 1 (0 without a match), gallery 3; in per cent
               mAP rank-1 rank-5
        ours  83.3  100.0  100.0
    """
    if not results:
        raise ValueError("no results to print: give one row at least")
    settings = {name: setting(result) for name, result in results.items()}
    shared = len(set(settings.values())) == 1
    rows: dict[str, list[str]] = {}
    for name, result in results.items():
        values = [f"{100 * result.mAP:.1f}", *(_percent(result, k) for k in ranks)]
        rows[name] = values if shared else [*values, settings[name]]
        if intervals is not None and name in intervals:
            rows |= _ends(name, intervals[name], ranks)
    columns = ["mAP", *(f"rank-{k}" for k in ranks), *([] if shared else ["setting"])]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns).fillna("")
    caption = next(iter(settings.values())) if shared else "settings differ: do not compare rows"
    return f"{caption}; in per cent\n{table.to_string()}"


def _ends(name: str, interval: BootstrapResult, ranks: tuple[int, ...]) -> dict[str, list[str]]:
    """The rows of an interval's two ends."""
    statistics = ["mAP", *(f"rank-{k}" for k in ranks)]
    share = f"{100 * interval.confidence:g} %"
    return {
        f"{name}, {share} {side}": [
            f"{100 * end[statistic]:.1f}" if statistic in end else "" for statistic in statistics
        ]
        for side, end in (("from", interval.low), ("to", interval.high))
    }


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
