"""A run as the page sees it: its files, and what its model makes of the test set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Any

from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import BootstrapResult, RankingResult
from stgcn_pyg.evaluation.result import REPORTED_RANKS
from stgcn_pyg.explain.subject import Subject
from stgcn_pyg.report.charts import CHANCE_STYLE
from stgcn_pyg.report.gaps import Gaps
from stgcn_pyg.report.run_files import RunFiles
from stgcn_pyg.runs.extraction import digest_of_tracklets
from stgcn_pyg.runs.scoring import score_chance, score_features, score_intervals

SAME = 0.0005  # of mAP, within which two computations may round it differently
TRAINED = "trained"


@dataclass(frozen=True, eq=False)
class Scores:
    """What a method scores under a protocol.

    Attributes:
        values: As ``RankingResult.to_dict`` gives them.
        interval: Of its statistics, if it has one.
    """

    values: dict[str, Any]
    interval: BootstrapResult | None = None


@dataclass(frozen=True, eq=False)
class ReportedRun:
    """A run on the page.

    Attributes:
        label: What tells it from the others there.
        number: Its place among them.
        files: Of the run.
        subject: Its model and what it makes of the test set; None where that cannot be had.
        results, intervals, chance: By the name of the protocol; empty without a subject.
        stored: Whether the scores in its files hold for the test set of the page.
        gaps: What it lacks, those of its files among them.
        about: What its scores are of, by the names of :mod:`stgcn_pyg.runs.about`, as far
            as is known.
    """

    label: str
    number: int
    files: RunFiles
    subject: Subject | None
    results: dict[str, RankingResult]
    intervals: dict[str, BootstrapResult]
    chance: dict[str, RankingResult]
    stored: bool
    gaps: Gaps = field(default_factory=Gaps)
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def style(self) -> int:
        """Of its lines; the last style is that of chance."""
        return self.number % CHANCE_STYLE

    def protocols(self) -> list[str]:
        """The protocols that it has scores of, the usual one first."""
        return list(self.results or self._stored())

    def scores(self, protocol: str) -> dict[str, Scores]:
        """What each method scores under a protocol, by the name of the method."""
        rows = {name: Scores(values) for name, values in self._stored().get(protocol, {}).items()}
        if protocol in self.results:
            values, interval = self.results[protocol].to_dict(), self.intervals.get(protocol)
            rows[TRAINED] = Scores(values, interval)
        return rows

    def _stored(self) -> dict[str, dict[str, dict[str, Any]]]:
        return (self.files.metrics or {}) if self.stored else {}


def report_run(
    label: str,
    number: int,
    files: RunFiles,
    subject: Subject | None,
    stored: bool,
    about: Mapping[str, Any] = MappingProxyType({}),
) -> ReportedRun:
    """Scores a run under every protocol that its test set allows.

    Args:
        label: As in :class:`ReportedRun`.
        number: The same.
        files: The same.
        subject: The same.
        stored: The same.
        about: What the subject's scores are of.
    """
    gaps = Gaps()
    gaps.add_all(files.gaps)
    results, intervals, chance = {}, {}, {}
    if subject is not None:
        try:
            results = score_features(subject.task, subject.query_features, subject.gallery_features)
            intervals = score_intervals(subject.task, results, REPORTED_RANKS)
            chance = score_chance(subject.task)
        except UserError as error:  # such as of features that are not finite
            gaps.add_without_model(f"{label}: {error}")
            subject = None
    told = about if results else files.about if stored else {}
    run = ReportedRun(label, number, files, subject, results, intervals, chance, stored, gaps, told)
    for name, result in results.items():
        before = run._stored().get(name, {}).get(TRAINED, {}).get("mAP")
        if isinstance(before, float) and isfinite(before) and abs(before - result.mAP) > SAME:
            gaps.add(
                "results",
                f"{files.path}: {name}: mAP is {100 * result.mAP:.1f} % here and "
                f"{100 * before:.1f} % in its metrics.json: its checkpoint, its pictures or the "
                "test clips are not what they were",
            )
    return run


def require_same_test_set(runs: list[ReportedRun]) -> None:
    """Looks whether runs can stand beside each other.

    Raises:
        UserError: They are tested on other tracklets, or under other protocols.
    """
    first, *others = runs
    for other in others:
        if first.subject is not None and other.subject is not None:
            digests = [digest_of_tracklets(s.tracklets) for s in (first.subject, other.subject)]
            same = digests[0] == digests[1]
        else:
            same = not (first.protocols() and other.protocols()) or _sizes(first) == _sizes(other)
        if not same:
            raise UserError(
                f"{other.files.path}: has another test set than {first.files.path}: name runs on "
                "the same one, or pass --dataset and --root for all of them"
            )


def _sizes(run: ReportedRun) -> dict[str, list[tuple[Any, Any]]]:
    """How many queries and gallery items each protocol has."""
    return {
        name: [(s.values["num_queries"], s.values.get("num_gallery"))]
        for name in run.protocols()
        for s in list(run.scores(name).values())[:1]
    }
