"""Small rendered data sets that several test files look at, and how they read them."""

import hashlib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from scipy.io import loadmat

from stgcn_pyg.synthetic import Benchmark, write_benchmark

SMALL = {"height": 64, "width": 32, "progress": False}
PARTS = ("head", "torso", "left_arm", "right_arm", "left_leg", "right_leg")

_FOLDER = TemporaryDirectory(prefix="rendered-")


def tiny(root, **options) -> Benchmark:
    """A benchmark small enough to write many times."""
    few = {"train_people": 1, "test_people": 2, "cameras": 2, "tracklets_per_camera": 1}
    few |= {"frames": (3, 4), "distractors": 1, "junk": 2}
    return write_benchmark(root, **(few | SMALL | options))


@cache
def covered() -> Benchmark:
    """Look-alikes, occlusion, distractors and junk."""
    return write_benchmark(
        Path(_FOLDER.name) / "covered",
        train_people=5,
        test_people=8,
        cameras=4,
        cameras_per_person=3,
        frames=(6, 10),
        occlusion=0.3,
        distractors=7,
        junk=12,
        seed=3,
        **SMALL,
    )


@cache
def bare() -> Benchmark:
    """Look-alikes before plain backgrounds, nothing in front of them."""
    return write_benchmark(
        Path(_FOLDER.name) / "bare",
        train_people=1,
        test_people=24,
        cameras=3,
        cameras_per_person=3,
        tracklets_per_camera=1,
        frames=(6, 6),
        occlusion=0,
        clutter=0,
        distractors=0,
        junk=0,
        seed=5,
        **SMALL,
    )


def files(root: Path) -> dict[str, str]:
    """The SHA-256 of every file by its path."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def truth_of(benchmark: Benchmark) -> pd.DataFrame:
    """The ground truth, a row a frame."""
    return pd.read_parquet(benchmark.path / "ground_truth.parquet")


def lists(root: Path, split: str) -> tuple[list[str], np.ndarray]:
    """The names and the tracklets of a split, as `info` has them."""
    text = (root / "info" / f"{split}_name.txt").read_bytes()
    assert text.endswith(b"\r\n") and text.count(b"\n") == text.count(b"\r\n")
    tracks = loadmat(root / "info" / f"tracks_{split}_info.mat")[f"track_{split}_info"]
    return text.decode().split("\r\n")[:-1], tracks
