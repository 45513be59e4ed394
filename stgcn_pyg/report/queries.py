"""Which queries the page shows, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stgcn_pyg.explain.ranked_lists import Rule, choose_queries
from stgcn_pyg.explain.subject import Subject
from stgcn_pyg.runs.scoring import RankingTask

TITLES: dict[Rule, str] = {
    "change": "Largest change",
    "worst": "Worst",
    "best": "Best",
    "random": "Random",
}


@dataclass(frozen=True, eq=False)
class ShownQuery:
    """A query on the page.

    Attributes:
        rule: Why it is shown.
        row: Its row among the queries.
        tracklet: Its row of the table of tracklets; the name is its number.
    """

    rule: Rule
    row: int
    tracklet: pd.Series

    @property
    def title(self) -> str:
        """Who it is."""
        return f"Tracklet {self.tracklet.name}: {who(self.tracklet)}"


def shown_queries(subjects: Sequence[Subject], count: int, seed: int) -> list[ShownQuery]:
    """The queries of each rule, each query once.

    Args:
        subjects: The models on the same queries; the first one's scores decide, and ``"change"``
            is between the first and the one that differs most.
        count: Of each rule, at most.
        seed: Of the random ones.
    """
    scores = subjects[0].result.average_precision
    others = [other.result.average_precision for other in subjects[1:]]
    shown: dict[int, ShownQuery] = {}
    for rule in TITLES:
        if rule == "change" and not others:
            continue
        other = _farthest(scores, others) if rule == "change" else None
        # More than asked for, since some may be there by another rule.
        rows = choose_queries(scores, rule, count + len(shown), other, seed).tolist()
        if rule == "random":
            np.random.default_rng(seed).shuffle(rows)
        for row in [row for row in rows if row not in shown][:count]:
            shown[row] = ShownQuery(rule, row, subjects[0].queries.iloc[row])
    return list(shown.values())


def who(tracklet: pd.Series, task: RankingTask | None = None) -> str:
    """A tracklet's person and camera.

    Args:
        tracklet: With ``pid`` and ``camid``.
        task: In which number 0 is nobody who is searched for, but MARS's distractors, unless a
            query has it.
    """
    pid = int(tracklet["pid"])
    distracts = task is not None and pid == 0 and not (task.query_pids == 0).any()
    return f"{'a distractor' if distracts else f'person {pid}'}, camera {int(tracklet['camid'])}"


def _farthest(scores: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """Of each query, the score that lies farthest from the first one's."""
    stack = np.stack(others)
    distances = np.abs(stack - scores)
    best = np.argmax(np.where(np.isnan(distances), -1, distances), axis=0)
    return stack[best, np.arange(len(scores))]
