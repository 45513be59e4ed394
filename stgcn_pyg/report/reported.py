"""A run as the page shows it: its files, and the scores of its model on the test set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import BootstrapResult, RankingResult
from stgcn_pyg.evaluation.result import REPORTED_RANKS
from stgcn_pyg.explain import EvaluatedModel
from stgcn_pyg.figures.charts import REFERENCE
from stgcn_pyg.report.run_files import FROM_MODEL, Gaps, RunFiles
from stgcn_pyg.runs.extraction import digest_of_tracklets
from stgcn_pyg.runs.scoring import score_chance, score_features, score_intervals

TOLERANCE = 0.0005  # of mAP, within which two computations may round it differently
TRAINED = "trained"


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of a method under a protocol, with their intervals where there are any.

    Attributes:
        values: Statistics by name, as ``RankingResult.to_dict`` gives them.
        interval: Their intervals.
    """

    values: dict[str, Any]
    interval: BootstrapResult | None = None


@dataclass(frozen=True, eq=False)
class ReportedRun:
    """A run on the page.

    Attributes:
        label: Name that tells it from the other runs of the page.
        number: Its place among them.
        files: Files of the run.
        model: Its model on the test set; None where that cannot be had.
        stored: Whether the scores in its files hold for the test set of the page.
        about: What its scores are of, by the names of :mod:`stgcn_pyg.runs.about`, as far as it
            is known.
        results, intervals, chance: Scores by the name of the protocol; empty without a model.
        gaps: What it lacks, with the gaps of its files.
    """

    label: str
    number: int
    files: RunFiles
    model: EvaluatedModel | None
    stored: bool
    about: Mapping[str, Any] = field(default_factory=dict)
    results: dict[str, RankingResult] = field(default_factory=dict)
    intervals: dict[str, BootstrapResult] = field(default_factory=dict)
    chance: dict[str, RankingResult] = field(default_factory=dict)
    gaps: Gaps = field(default_factory=Gaps)

    @property
    def style(self) -> int:
        """The style of its lines; that of references, such as chance, is never among them."""
        return self.number % REFERENCE

    def protocols(self) -> list[str]:
        """The protocols that it has scores of, the usual one first."""
        return list(self.results or self._stored())

    def scores(self, protocol: str) -> dict[str, Scores]:
        """The scores under a protocol by the name of the method."""
        rows = {name: Scores(values) for name, values in self._stored().get(protocol, {}).items()}
        if protocol in self.results:
            values, interval = self.results[protocol].to_dict(), self.intervals.get(protocol)
            rows[TRAINED] = Scores(values, interval)
        return rows

    def chance_scores(self, protocol: str) -> Scores | None:
        """What a random ranking scores under a protocol, where it is known."""
        if protocol in self.chance:
            return Scores(self.chance[protocol].to_dict())
        return self.scores(protocol).get("chance")

    def _stored(self) -> dict[str, dict[str, dict[str, Any]]]:
        return (self.files.metrics or {}) if self.stored else {}


def report_run(
    label: str,
    number: int,
    files: RunFiles,
    model: EvaluatedModel | None,
    stored: bool,
    about: Mapping[str, Any],
) -> ReportedRun:
    """Scores a run under every protocol that its test set allows.

    Args:
        label: Name of the run on the page.
        number: Place of the run among those of the page.
        files: Files of the run.
        model: Its model on the test set; None where that cannot be had.
        stored: Whether the scores in its files hold for the test set of the page.
        about: What the scores of the model are of.
    """
    if model is None:
        known = files.about if stored else {}
        return ReportedRun(label, number, files, None, stored, known, gaps=files.gaps)
    try:
        results = score_features(model.task, model.query_features, model.gallery_features)
        intervals = score_intervals(model.task, results, REPORTED_RANKS)
        chance = score_chance(model.task)
    except UserError as error:  # such as features that are not finite
        files.gaps.add(f"{label}: {error}", *FROM_MODEL)
        return report_run(label, number, files, None, stored, about)
    run = ReportedRun(
        label, number, files, model, stored, about, results, intervals, chance, files.gaps
    )
    for name, result in results.items():
        before = run._stored().get(name, {}).get(TRAINED, {}).get("mAP")
        if isinstance(before, float) and isfinite(before) and abs(before - result.mAP) > TOLERANCE:
            files.gaps.add(
                f"{files.path}: {name}: mAP is {100 * result.mAP:.1f} % here and "
                f"{100 * before:.1f} % in its metrics.json: its checkpoint, its images or the "
                "test clips are not what they were",
                "results",
            )
    return run


def require_same_test_set(runs: list[ReportedRun]) -> None:
    """Checks that runs can stand beside each other.

    Raises:
        UserError: They are tested on other tracklets, or under other protocols.
    """
    first, *others = runs
    for other in others:
        if first.model is not None and other.model is not None:
            digests = [digest_of_tracklets(s.tracklets) for s in (first.model, other.model)]
            same = digests[0] == digests[1]
        else:
            same = not (first.protocols() and other.protocols()) or _sizes(first) == _sizes(other)
        if not same:
            raise UserError(
                f"{other.files.path}: has another test set than {first.files.path}: name runs on "
                "the same one, or pass --dataset and --root for all of them"
            )


def _sizes(run: ReportedRun) -> dict[str, list[tuple[Any, Any]]]:
    """The numbers of queries and gallery items of each protocol."""
    return {
        name: [(s.values["num_queries"], s.values.get("num_gallery"))]
        for name in run.protocols()
        for s in list(run.scores(name).values())[:1]
    }
