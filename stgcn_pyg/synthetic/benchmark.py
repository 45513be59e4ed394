"""Writes a rendered person re-identification benchmark to disk."""

import warnings
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from stgcn_pyg.data.workers import map_in_workers
from stgcn_pyg.errors import UserError
from stgcn_pyg.files import new_folder
from stgcn_pyg.progress import bar_options
from stgcn_pyg.synthetic.files import identity_folder, library_versions, write_files
from stgcn_pyg.synthetic.plan import make_plan
from stgcn_pyg.synthetic.tracklets import render_tracklet
from stgcn_pyg.synthetic.versions import PINNED_WITH, VERSIONS, Version

MAX_IDENTITIES = 9999  # the layout of MARS gives a pid four digits, a camera one, a frame three
RANGES = {
    "train_people": (1, MAX_IDENTITIES - 1),
    "test_people": (1, MAX_IDENTITIES),  # less those to train on
    "cameras": (2, 9),
    "cameras_per_person": (2, 9),
    "tracklets_per_camera": (1, 9999),
    "look_alikes": (1, MAX_IDENTITIES),
    "occlusion": (0, 0.9),
    "clutter": (0, 1),
    "distractors": (0, 9999),
    "junk": (0, 9999),
    "height": (32, 4096),
    "width": (16, 2048),
    "quality": (1, 95),
    "seed": (0, 2**63),
    "workers": (1, 1024),
}


@dataclass(frozen=True)
class Benchmark:
    """What was written.

    Attributes:
        path: The benchmark's folder.
        train_tracklets: Tracklets to train on.
        test_tracklets: Tracklets in the gallery, queries, distractors and junk included.
        queries: How many of them are queries.
        frames: Images in all.
        occlusion: Mean share of the body that is occluded, over all frames but junk.
        manifest_sha256: The hash of all that it holds.
    """

    path: Path
    train_tracklets: int
    test_tracklets: int
    queries: int
    frames: int
    occlusion: float
    manifest_sha256: str


def write_benchmark(
    root: str | Path,
    train_people: int = 64,
    test_people: int = 64,
    cameras: int = 6,
    cameras_per_person: int = 4,
    tracklets_per_camera: int = 2,
    frames: tuple[int, int] = (24, 48),
    look_alikes: int = 4,
    occlusion: float = 0.3,
    clutter: float = 0.5,
    distractors: int = 100,
    junk: int = 40,
    height: int = 256,
    width: int = 128,
    quality: int = 92,
    seed: int = 0,
    workers: int = 1,
    progress: bool = True,
) -> Benchmark:
    """Draw walking people and write them to disk in the layout of the MARS data set.

    Beside the layout of MARS the folder holds `ground_truth.parquet` (a row a frame: pose, heading,
    joints, box error, and what share of each body part is occluded), `people.parquet` (a row an
    identity: true body, gait and clothes), `strangers.parquet` (body, gait and clothes of whoever
    walks in each tracklet of distractors and junk), `manifest.csv` (the same data set as a
    manifest, with the time of each frame on a clock that the cameras share) and `benchmark.json`
    (the options and a SHA-256 of all else). Equal options and seeds give equal bytes, whatever the
    number of workers.

    Args:
        root: Folder to write; it must be new or empty.
        train_people: Number of identities to train on.
        test_people: Number of other identities to test on.
        cameras: Number of cameras, 2 to 9.
        cameras_per_person: In how many of the cameras, drawn at random, each identity is seen.
        tracklets_per_camera: Number of tracklets of an identity in each of those cameras.
        frames: Smallest and largest number of frames of a tracklet, at 25 frames a second.
        look_alikes: How many identities share clothes and hair and differ in body and gait.
        occlusion: Mean share of the body that passing things occlude, 0 to 0.9.
        clutter: How busy the backgrounds are, 0 for plain to 1 for crowded.
        distractors: Number of tracklets of strangers in the gallery, with pid 0.
        junk: Number of tracklets of bad boxes in the gallery, with pid -1.
        height: Height of the images in pixels, a multiple of 32.
        width: Width of the images in pixels, a multiple of 16.
        quality: JPEG quality, 1 to 95.
        seed: Seed of everything random, not negative.
        workers: Number of processes that draw.
        progress: Show a progress bar on stderr.

    Returns:
        The folder and the counts of what it holds.

    Raises:
        UserError: If the folder is not empty or an option makes no sense.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     benchmark = write_benchmark(
        ...         f"{folder}/tiny", train_people=1, test_people=1, cameras=2, frames=(2, 2),
        ...         distractors=0, junk=0, height=64, width=32, progress=False,
        ...     )
        >>> benchmark.train_tracklets, benchmark.queries, benchmark.frames
        (4, 2, 16)
    """
    options = dict(locals())
    for name in ("root", "workers", "progress"):  # these do not change what is drawn
        del options[name]
    return _write(Path(root), options, workers, progress)


def write_version(
    root: str | Path, name: str, workers: int = 1, progress: bool = True
) -> Benchmark:
    """Draw a named version of the benchmark and hold it against its pinned SHA-256.

    Args:
        root: Folder to write; it must be new or empty.
        name: `stgcn-synth-v1`, `stgcn-synth-small` or `stgcn-synth-tiny`.
        workers: Number of processes that draw.
        progress: Show a progress bar on stderr.

    Returns:
        The folder and the counts of what it holds.

    Raises:
        UserError: If no version has that name, or the folder is not empty.

    Warns:
        UserWarning: The result is not what the name stands for; `benchmark.json` says so as well.
    """
    if name not in VERSIONS:
        raise UserError(f"version {name!r} is unknown: use one of {', '.join(VERSIONS)}")
    pinned = VERSIONS[name]
    benchmark = _write(Path(root), pinned.options, workers, progress, pinned)
    if benchmark.manifest_sha256 != pinned.manifest_sha256:
        libraries = ", ".join(f"{name} {of}" for name, of in library_versions().items())
        warnings.warn(
            f"{benchmark.path} is not {name}: its SHA-256 is {benchmark.manifest_sha256[:16]}..., "
            f"that of {name} {pinned.manifest_sha256[:16]}... Do not compare results on it with "
            f"others'. It was drawn with {libraries}; the pinned one with {PINNED_WITH}",
            stacklevel=2,
        )
    return benchmark


def _write(
    root: Path,
    options: dict[str, Any],
    workers: int,
    progress: bool,
    pinned: Version | None = None,
) -> Benchmark:
    _check_options(options | {"workers": workers})
    plan = make_plan(options)
    tracklets = plan.train + plan.test
    style = bar_options() | {"desc": "rendering", "unit": "frame", "disable": not progress}
    rows: list[dict] = []
    with new_folder(root) as unfinished:
        for tracklet in tracklets:
            folder = identity_folder(tracklet.identity.split, tracklet.identity.pid)
            (unfinished / folder).mkdir(parents=True, exist_ok=True)
        render = partial(render_tracklet, unfinished, options)
        with (
            tqdm(total=sum(tracklet.frames for tracklet in tracklets), **style) as bar,
            closing(map_in_workers(render, tracklets, workers)) as rendered,
        ):
            for tracklet_rows in rendered:
                rows += tracklet_rows
                bar.update(len(tracklet_rows))
        manifest = write_files(unfinished, plan, rows, options, pinned)
    return Benchmark(
        path=root,
        train_tracklets=len(plan.train),
        test_tracklets=len(plan.test),
        queries=len(plan.queries),
        frames=len(rows),
        occlusion=float(np.nanmean([row["hidden"] for row in rows if row["pid"] >= 0])),
        manifest_sha256=manifest,
    )


def _check_options(options: dict[str, Any]) -> None:
    for name, (least, most) in RANGES.items():
        if name == "test_people":
            most -= options["train_people"]
        if not least <= options[name] <= most:
            raise UserError(f"{name} is {options[name]}: give a number from {least} to {most}")
    frames, height, width = options["frames"], options["height"], options["width"]
    if len(frames) != 2 or not 1 <= frames[0] <= frames[1] <= 999:
        raise UserError(
            f"frames is {tuple(frames)}: give the least and the most, in that order, from 1 to 999"
        )
    if height % 32 or width % 16:
        raise UserError(
            f"height x width is {height} x {width}: give multiples of 32 and 16, like 256 x 128"
        )
