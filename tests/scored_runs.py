"""Runs that were scored but never trained: random features of a small data set's labels."""

import numpy as np
import pandas as pd

from experiments.running.results import RunResult
from stgcn_pyg.runs.scoring import RankingTask, score_features

PEOPLE, CAMERAS = 12, 3


def task() -> RankingTask:
    """Each person in each camera; the first two cameras' tracklets are queries."""
    pids = np.repeat(np.arange(1, PEOPLE + 1), CAMERAS)
    camids = np.tile(np.arange(1, CAMERAS + 1), PEOPLE)
    is_query = camids < CAMERAS
    return RankingTask(
        "a test",
        ("mars-official", "full-gallery"),
        pids[is_query],
        pids,
        camids[is_query],
        camids,
        is_query,
        np.flatnonzero(is_query),
    )


def features(seed: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Of queries and gallery: a person's own vector, and noise."""
    rng = np.random.default_rng(seed)
    of_task = task()
    gallery = rng.normal(size=(PEOPLE + 1, 8))[of_task.gallery_pids]
    gallery = gallery + noise * rng.normal(size=gallery.shape)
    return gallery[of_task.gallery_is_query], gallery


def scored(seed: int, noise: float) -> RunResult:
    """What such features score."""
    of_task = task()
    queries = pd.DataFrame({"pid": of_task.query_pids})
    about = {"key": f"{seed}-{noise}"}
    return RunResult(about, queries, score_features(of_task, *features(seed, noise)))
