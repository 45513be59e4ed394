"""What the runs score: headline, a table a protocol, CMC, and paired differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stgcn_pyg.evaluation import ComparisonResult, compare, protocol
from stgcn_pyg.evaluation.result import REPORTED_RANKS
from stgcn_pyg.report.charts import CHANCE_STYLE, LineChart, Series, line_chart
from stgcn_pyg.report.reported import TRAINED, ReportedRun, Scores
from stgcn_pyg.report.tables import Cell, Table, label, percent, words

STATISTICS = ("mAP", "mINP", *(f"rank-{k}" for k in REPORTED_RANKS))
HEADLINE = ("mAP", "rank-1", "rank-5", "rank-10")
DRAWN_RANKS = 20
SHOWN_RANKS = (1, 5, 10, 15, 20)  # on the axis


@dataclass(frozen=True)
class Headline:
    """The main scores of a run: of each statistic its name, value, interval and chance."""

    label: str
    figures: Sequence[tuple[str, str, str, str]]

    @property
    def sure(self) -> bool:
        """Whether there are intervals."""
        return any(interval for _, _, interval, _ in self.figures)


@dataclass(frozen=True)
class ProtocolScores:
    """What stands about a protocol."""

    name: str
    description: str
    sizes: str
    table: Table
    chart: LineChart | None
    differences: Sequence["Difference"]


@dataclass(frozen=True)
class Difference:
    """A run beside the first one.

    Attributes:
        first, second: Which runs.
        rows: Of each statistic: its name, the two values, their difference with its interval, the
            p-value, and the queries that are better, worse and equal.
        bars: Of each statistic: the difference and the ends of its interval, from 0 to 100 with
            zero at 50, all on one scale.
        scale: The difference at an end of the bars, in per cent.
        caption: How the intervals were had.
    """

    first: str
    second: str
    rows: Sequence[Sequence[Cell]]
    bars: Sequence[tuple[float, float, float]]
    scale: float
    caption: str


def headline(run: ReportedRun, name: str) -> Headline | None:
    """The main scores of a run's trained model under a protocol; None where there are none."""
    rows = run.scores(name)
    if TRAINED not in rows:
        return None
    trained, chance = rows[TRAINED], _chance(run, name)
    return Headline(
        run.label,
        [
            (
                statistic,
                percent(trained.values[statistic]).shown,
                _interval(trained, statistic),
                "" if chance is None else percent(chance[statistic]).shown,
            )
            for statistic in HEADLINE
            if statistic in trained.values
        ],
    )


def protocol_scores(runs: Sequence[ReportedRun], name: str) -> ProtocolScores:
    """The table, the CMC and the differences under a protocol.

    Args:
        runs: At least one of them has scores under it.
        name: Of the protocol.
    """
    rows = _rows(runs, name)
    first = next(iter(rows.values())).values
    without = first.get("num_queries_without_match", 0)
    sure = any(one.interval is not None for one in rows.values())
    ends = ", with 95 % intervals over the test people" if sure else ""
    sizes = f"{first['num_queries']:,} queries"
    if without:
        sizes += f", {without:,} of them without a match"
    if first.get("num_gallery") is not None:
        sizes += f"; {first['num_gallery']:,} in the gallery"
    return ProtocolScores(
        name,
        _description(name),
        sizes,
        Table(
            f"Scores under {name}, in per cent{ends}",
            ("", *STATISTICS),
            [[words(title), *(_cell(one, s) for s in STATISTICS)] for title, one in rows.items()],
            sortable=False,
        ),
        _cmc(runs, name),
        _differences(runs, name),
    )


def _rows(runs: Sequence[ReportedRun], name: str) -> dict[str, Scores]:
    """Chance and what the runs score, by the title of the row."""
    if len(runs) == 1:
        rows = runs[0].scores(name)
        chance = _chance(runs[0], name)
        return ({"chance": Scores(chance)} if chance is not None else {}) | rows
    chances = [chance for run in runs if (chance := _chance(run, name)) is not None]
    rows = {"chance": Scores(chances[0])} if chances else {}
    return rows | {run.label: s for run in runs if (s := run.scores(name).get(TRAINED))}


def _chance(run: ReportedRun, name: str) -> dict[str, Any] | None:
    """What a random ranking scores."""
    if name in run.chance:
        return run.chance[name].to_dict()
    stored = run.scores(name).get("chance")
    return None if stored is None else stored.values


def _cmc(runs: Sequence[ReportedRun], name: str) -> LineChart | None:
    curves = {
        run.label if len(runs) > 1 else TRAINED: (run.style, scores.values["cmc"])
        for run in runs
        if (scores := run.scores(name).get(TRAINED))
    }
    chances = [chance for run in runs if (chance := _chance(run, name)) is not None]
    if chances:
        curves["chance"] = CHANCE_STYLE, chances[0]["cmc"]
    if not curves:
        return None
    ranks = range(1, min(DRAWN_RANKS, *(len(cmc) for _, cmc in curves.values())) + 1)
    table = Table(
        f"CMC under {name}: queries with a match within the first k ranks, in per cent",
        ("k", *curves),
        [[label(k), *(percent(cmc[k - 1]) for _, cmc in curves.values())] for k in ranks],
        sortable=False,
    )
    return line_chart(
        f"cmc-{name}",
        f"CMC, {name}",
        "rank k",
        "% of the queries with a match by rank k",
        [
            Series(title, list(ranks), [100 * cmc[k - 1] for k in ranks], style)
            for title, (style, cmc) in curves.items()
        ],
        (0, 100),
        [k for k in SHOWN_RANKS if k in ranks],
        table,
    )


def _differences(runs: Sequence[ReportedRun], name: str) -> list[Difference]:
    first, *others = runs
    differences = []
    for other in others:
        if first.subject is None or name not in first.results or name not in other.results:
            continue
        pids = first.subject.task.query_pids
        try:
            found = compare(first.results[name], other.results[name], pids, REPORTED_RANKS)
        except ValueError as error:  # such as for a single person
            first.gaps.add("results", f"{other.files.path}: {name}: no paired difference ({error})")
            continue
        differences.append(_difference(first.label, other.label, found))
    return differences


def _difference(first: str, second: str, found: ComparisonResult) -> Difference:
    scale = max(*map(abs, found.low.values()), *map(abs, found.high.values()), 0.01)
    rows, bars = [], []
    for name, value in found.difference.items():
        low, high = found.low[name], found.high[name]
        rows.append(
            [
                words(name),
                percent(found.first[name]),
                percent(found.second[name]),
                Cell(f"{100 * value:+z.1f}", value, f"[{100 * low:+z.1f}, {100 * high:+z.1f}]"),
                Cell(f"{found.p_value[name]:.4f}", found.p_value[name]),
                *(
                    Cell(f"{counts[name]:,}", counts[name])
                    for counts in (found.better, found.worse, found.equal)
                ),
            ]
        )
        bars.append((_place(value, scale), _place(low, scale), _place(high, scale)))
    return Difference(first, second, rows, bars, 100 * scale, found.caption())


def _place(value: float, scale: float) -> float:
    """Where a difference stands on a bar from 0 to 100."""
    return round(50 + 50 * value / scale, 2)


def _cell(scores: Scores, statistic: str) -> Cell:
    if statistic not in scores.values:
        return Cell("–")
    shown = percent(scores.values[statistic])
    return shown._replace(below=_interval(scores, statistic))


def _interval(scores: Scores, statistic: str) -> str:
    found = scores.interval
    if found is None or statistic not in found.low:
        return ""
    return f"[{100 * found.low[statistic]:.1f}, {100 * found.high[statistic]:.1f}]"


def _description(name: str) -> str:
    try:
        return protocol(name).description
    except ValueError:  # of another version's run
        return ""
