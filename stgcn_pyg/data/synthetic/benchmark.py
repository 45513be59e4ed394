"""A rendered person re-identification benchmark on disk."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from stgcn_pyg.data.synthetic.mars_layout import person_folder, write_lists, write_queries
from stgcn_pyg.data.synthetic.options import check_options
from stgcn_pyg.data.synthetic.plan import Person, Plan, TrackletPlan, make_people, make_plan
from stgcn_pyg.data.synthetic.tracklets import PictureOptions, render_tracklet
from stgcn_pyg.errors import UserError
from stgcn_pyg.progress import bar_options
from stgcn_pyg.version import __version__


@dataclass(frozen=True)
class Benchmark:
    """What was written.

    Attributes:
        path: The benchmark's folder.
        train_tracklets: Tracklets to train on.
        test_tracklets: Tracklets in the gallery, queries, distractors and junk included.
        queries: How many of them are queries.
        frames: Pictures in all.
        occlusion: Mean share of the body hidden, measured over all frames but junk.
    """

    path: Path
    train_tracklets: int
    test_tracklets: int
    queries: int
    frames: int
    occlusion: float


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
    box error, and what share of each body part is hidden), `people.parquet` (a row a person: true
    body, gait and clothes) and `benchmark.json` (the options and a SHA-256 of all pictures). The
    same options and seed give the same bytes, whatever the number of workers.

    Args:
        root: Folder to write; it must be new or empty.
        train_people: Number of people to train on.
        test_people: Number of other people to test on.
        cameras: Number of cameras, 2 to 9.
        cameras_per_person: In how many of the cameras, drawn at random, each person is seen.
        tracklets_per_camera: Number of tracklets of a person in each of those cameras.
        frames: Least and most number of frames of a tracklet, 25 to the second.
        look_alikes: How many people share the same clothes and hair, differing in body and gait.
        occlusion: Mean share of the body that passing things hide, 0 to 0.9.
        clutter: How busy the backgrounds are, 0 for plain to 1 for crowded.
        distractors: Number of tracklets of strangers in the gallery, with pid 0.
        junk: Number of tracklets of bad boxes in the gallery, with pid -1.
        height: Height of the pictures in pixels, a multiple of 32.
        width: Width of the pictures in pixels, a multiple of 16.
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
    check_options(workers=workers, **options)
    root = Path(root)
    _check_folder(root)
    people = make_people(seed, train_people, test_people, look_alikes)
    plan = make_plan(
        seed,
        people,
        cameras,
        cameras_per_person,
        tracklets_per_camera,
        frames,
        occlusion,
        distractors,
        junk,
    )
    pictures = PictureOptions(seed, height, width, clutter, quality)

    root.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        rows = list(_render(unfinished, pictures, plan, workers, progress))
        truth = pd.DataFrame([row for tracklet in rows for row in tracklet])
        _write_info(unfinished, plan, truth)
        _write_truth(unfinished, people, truth, options)
        unfinished.chmod(0o755)
        if root.exists():
            root.rmdir()
        unfinished.rename(root)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return Benchmark(
        path=root,
        train_tracklets=len(plan.train),
        test_tracklets=len(plan.test),
        queries=len(plan.queries),
        frames=len(truth),
        occlusion=float(truth.loc[truth.pid >= 0, "hidden"].mean()),
    )


def _check_folder(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise UserError(f"{root} is a file: name a folder that is new or empty")
    if root.exists() and any(root.iterdir()):
        raise UserError(f"{root} is not empty: remove it or name another folder")


def _render(
    root: Path, pictures: PictureOptions, plan: Plan, workers: int, progress: bool
) -> Iterator[list[dict]]:
    """The rows of each tracklet in the order of the plan, its pictures written."""
    tracklets: Sequence[TrackletPlan] = plan.train + plan.test
    for tracklet in tracklets:
        folder = person_folder(tracklet.person.split, tracklet.person.pid)
        (root / folder).mkdir(parents=True, exist_ok=True)
    render = partial(render_tracklet, root, pictures)
    total = sum(tracklet.frames for tracklet in tracklets)
    style = bar_options() | {"desc": "rendering", "unit": "frame", "disable": not progress}
    with tqdm(total=total, **style) as bar:
        if workers == 1:
            yield from _counted(map(render, tracklets), bar)
            return
        # Fresh processes: to fork one that already runs threads is not safe.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            try:
                yield from _counted(pool.map(render, tracklets, chunksize=4), bar)
            finally:
                pool.shutdown(cancel_futures=True)


def _counted(results: Iterator[list[dict]], bar: tqdm) -> Iterator[list[dict]]:
    for rows in results:
        bar.update(len(rows))
        yield rows


def _write_info(root: Path, plan: Plan, truth: pd.DataFrame) -> None:
    for split, tracklets in (("train", plan.train), ("test", plan.test)):
        paths = truth.loc[truth.split == split, "path"]
        names = [path.rsplit("/", 1)[1] for path in paths]
        tracks = [(one.frames, one.person.pid, one.camera) for one in tracklets]
        write_lists(root, split, names, tracks)
    write_queries(root, plan.queries)


def _write_truth(root: Path, people: list[Person], truth: pd.DataFrame, options: dict) -> None:
    truth.drop(columns="sha256").to_parquet(root / "ground_truth.parquet", index=False)
    persons = [
        {"pid": one.pid, "split": one.split, "group": one.group}
        | asdict(one.body)
        | asdict(one.clothes)
        for one in people
    ]
    pd.DataFrame(persons).to_parquet(root / "people.parquet", index=False)
    pictures = truth[["path", "sha256"]].sort_values("path")
    manifest = "".join(f"{path} {digest}\n" for path, digest in pictures.itertuples(index=False))
    about = {
        "options": options,
        "stgcn_pyg_version": __version__,
        "pictures": len(truth),
        "manifest_sha256": sha256(manifest.encode()).hexdigest(),
    }
    (root / "benchmark.json").write_text(json.dumps(about, indent=2) + "\n")
