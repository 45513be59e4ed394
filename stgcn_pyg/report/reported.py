"""A run as the page shows it: its files, and the scores of its model on the test set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd

from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import BootstrapResult, RankingResult
from stgcn_pyg.evaluation.result import REPORTED_RANKS
from stgcn_pyg.explain import EvaluatedModel
from stgcn_pyg.figures.charts import REFERENCE
from stgcn_pyg.runs.extraction import digest_of_tracklets
from stgcn_pyg.runs.scoring import score_chance, score_features, score_intervals

Section = Literal["run", "training", "results", "lists", "maps", "graphs", "errors"]
FROM_MODEL: tuple[Section, ...] = ("results", "lists", "maps", "graphs", "errors")
TOLERANCE = 0.0005  # of mAP, within which two computations may round it differently
TRAINED = "trained"


class Gaps:
    """What a page lacks, and why: lines by the section that shows them."""

    def __init__(self) -> None:
        self._lines: dict[tuple[Section, str], None] = {}

    def add(self, line: str, *sections: Section) -> None:
        """Adds a line to each of some sections, unless it is there."""
        self._lines.update({(section, line): None for section in sections})

    def of(self, section: Section) -> list[str]:
        return [line for own, line in self._lines if own == section]

    def lines(self) -> list[str]:
        """The lines of all sections, each once."""
        return list(dict.fromkeys(line for _, line in self._lines))


class Scores(NamedTuple):
    """Scores by name, as ``RankingResult.to_dict`` gives them, and their intervals if known."""

    values: dict[str, Any]
    interval: BootstrapResult | None = None


@dataclass(eq=False)
class ReportedRun:
    """A run on the page.

    Attributes:
        path: Folder of the run.
        label: Name of the run on the page, which no other run there has.
        config: Every setting; None, as all that follow, where the file is missing or damaged.
        environments: Versions and machines on which it was trained, the latest last.
        log: A row an epoch, at least one.
        metrics: Scores by protocol and method, as training wrote them.
        about: What its scores are of, by the names of :mod:`stgcn_pyg.runs.about`; empty where it
            is not known.
        gaps: What the page lacks of the run, and why.
        number: Its place among the runs of the page.
        own_test_set: Whether the page's test set is that of the run's own data set.
        model: Its model on the test set; None where there is none.
        results, intervals, chance: Scores by the name of the protocol; empty without a model.
    """

    path: Path
    label: str
    config: dict[str, Any] | None = None
    environments: list[dict[str, Any]] | None = None
    log: pd.DataFrame | None = None
    metrics: dict[str, dict[str, dict[str, Any]]] | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    gaps: Gaps = field(default_factory=Gaps)
    number: int = 0
    own_test_set: bool = True
    model: EvaluatedModel | None = None
    results: dict[str, RankingResult] = field(default_factory=dict)
    intervals: dict[str, BootstrapResult] = field(default_factory=dict)
    chance: dict[str, RankingResult] = field(default_factory=dict)

    @property
    def epochs(self) -> tuple[int, int | None]:
        """The number of epochs in the log, and the number in the settings."""
        done = 0 if self.log is None else int(self.log["epoch"].iloc[-1])
        asked = None if self.config is None else self.config.get("epochs")
        return done, asked if isinstance(asked, int) else None

    @property
    def evaluated(self) -> EvaluatedModel:
        """The model of a run that has one."""
        assert self.model is not None
        return self.model

    @property
    def style(self) -> int:
        """The style of its lines, which is never that of a reference such as chance."""
        return self.number % REFERENCE

    def use_other_test_set(self) -> None:
        """Drops the scores in its files, which are of the test set of its own data set."""
        self.own_test_set, self.metrics, self.about = False, None, {}

    def score(self, model: EvaluatedModel, about: Mapping[str, Any]) -> None:
        """Scores its model under every protocol that the test set allows.

        Args:
            model: Its model on the page's test set.
            about: What the scores of the model are of.
        """
        try:
            results = score_features(model.task, model.query_features, model.gallery_features)
            intervals = score_intervals(model.task, results, REPORTED_RANKS)
            chance = score_chance(model.task)
        except UserError as error:  # such as features that are not finite
            self.gaps.add(f"{self.label}: {error}", *FROM_MODEL)
            return
        for name, result in results.items():
            before = (self.metrics or {}).get(name, {}).get(TRAINED, {}).get("mAP")
            if isinstance(before, float) and abs(before - result.mAP) > TOLERANCE:
                self.gaps.add(
                    f"{self.path}: {name}: mAP is {100 * result.mAP:.1f} % here and "
                    f"{100 * before:.1f} % in its metrics.json: its checkpoint, its images or the "
                    "test clips are not what they were",
                    "results",
                )
        self.model, self.about = model, about
        self.results, self.intervals, self.chance = results, intervals, chance

    def protocols(self) -> list[str]:
        """The protocols that it has scores of, the usual one first."""
        return list(self.results or self.metrics or {})

    def scores(self, protocol: str) -> dict[str, Scores]:
        """The scores under a protocol by the name of the method."""
        stored = (self.metrics or {}).get(protocol, {})
        rows = {name: Scores(values) for name, values in stored.items()}
        if protocol in self.results:
            values, interval = self.results[protocol].to_dict(), self.intervals.get(protocol)
            rows[TRAINED] = Scores(values, interval)
        return rows

    def chance_scores(self, protocol: str) -> Scores | None:
        """What a random ranking scores under a protocol, where it is known."""
        if protocol in self.chance:
            return Scores(self.chance[protocol].to_dict())
        return self.scores(protocol).get("chance")


def of_run(run: ReportedRun, runs: Sequence[ReportedRun]) -> str:
    """What ends a title to say which run it is of, if the page has several."""
    return f", {run.label}" if len(runs) > 1 else ""


def require_same_test_set(runs: Sequence[ReportedRun]) -> None:
    """Checks that runs can be compared.

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
                f"{other.path}: has another test set than {first.path}: name runs on the same "
                "one, or pass --dataset and --root for all of them"
            )


def _sizes(run: ReportedRun) -> dict[str, list[tuple[Any, Any]]]:
    """The numbers of queries and gallery items of each protocol."""
    return {
        name: [(s.values["num_queries"], s.values.get("num_gallery"))]
        for name in run.protocols()
        for s in list(run.scores(name).values())[:1]
    }
