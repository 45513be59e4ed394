"""Is the rendered benchmark honest: what do colours, outlines and true bodies score on it?

    python -m experiments rendered_benchmark stgcn-synth-small

No row of the table has learned anything. Colours must find clothes and must not tell look-alikes
apart; the true bodies must.

chance            a random ranking, exactly
colour stripes    histograms in horizontal stripes of the whole images, background and covers too
body's stripes    the same of those pixels alone that show the person's body
body's colours    one histogram of them, wherever in the image they are
outlines          how often each cell of the image shows the body, with nothing in front of it
joints            how high each joint is above the pelvis, over the body's height: mean and spread
true body         the person's true measures over their spread; + n %: measured anew for each
                  tracklet with an error of that share of the spread

The columns: all queries and the whole gallery under two protocols; `clothes`, where everyone in the
same clothes is a match; `look-alikes`, each query against the tracklets of its own look-alike group
alone. All but the first rank only other cameras than the query's.
"""

import json as json_format
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jsonargparse import auto_cli
from PIL import Image

from stgcn_pyg.data import TrackletDataset, load_dataset
from stgcn_pyg.evaluation import (
    CROSS_CAMERA,
    MARS_OFFICIAL,
    Protocol,
    chance_for_protocol,
    evaluate_protocol,
)
from stgcn_pyg.files import write_json
from stgcn_pyg.runs.scoring import colour_stripes
from stgcn_pyg.synthetic import VERSIONS, write_version

ERRORS = (0.0, 0.1, 0.25, 0.5, 1.0)
CROWN, TOES = 3, (13, 17)  # among the 18 joints
NOT_MEASURED = ["pid", "split", "group", "camid", "tracklet", "bag_size", "hem", "pattern_size"]
BINS = 16  # of each histogram of colours


@dataclass(frozen=True)
class Rendered:
    """A rendered data set and its ground truth.

    Args:
        dataset: Its tracklets.
        tracklets: Those of the test split, N rows, with their look-alike ``group``.
        frames: The ground truth of each of them: a table with a row a frame.
        bodies: ``[N, M]``: true measures of each of them, over their spread in the training split.
    """

    dataset: TrackletDataset
    tracklets: pd.DataFrame
    frames: list[pd.DataFrame]
    bodies: np.ndarray


def load_rendered(root: Path) -> Rendered:
    """Reads a rendered data set and the tables beside its images."""
    dataset = load_dataset("mars", root)
    tracklets = dataset.test()
    truth = pd.read_parquet(root / "ground_truth.parquet").set_index("path")
    frames = [
        truth.loc[[path.relative_to(root).as_posix() for path in dataset.paths(tracklet)]]
        for _, tracklet in tracklets.iterrows()
    ]
    first = pd.DataFrame([table.iloc[0] for table in frames])
    identities = pd.read_parquet(root / "people.parquet")
    strangers = pd.read_parquet(root / "strangers.parquet")
    measures = identities.select_dtypes("number").columns.difference(NOT_MEASURED)
    by_pid = identities.set_index("pid")[measures]
    by_tracklet = strangers.set_index(["pid", "camid", "tracklet"])[measures]
    labels = first[["pid", "camid", "tracklet"]].itertuples(index=False, name=None)
    bodies = [by_pid.loc[pid] if pid > 0 else by_tracklet.loc[(pid, c, t)] for pid, c, t in labels]
    spread = identities.loc[identities.split == "train", measures].std().to_numpy()
    tracklets = tracklets.assign(group=first.group.to_numpy())
    return Rendered(dataset, tracklets, frames, np.array(bodies, float) / spread)


def masks(bits: pd.Series) -> np.ndarray:
    """``[T, 16, 8]`` booleans of a column of masks."""
    packed = np.frombuffer(b"".join(bits), np.uint8)
    return np.unpackbits(packed).reshape(-1, 16, 8).astype(bool)


def body_colours(images: np.ndarray, seen: np.ndarray, stripes: int) -> np.ndarray:
    """Square roots of the histograms of hue, saturation and value where the body is seen.

    Args:
        images: ``[T, H, W, 3]`` of uint8.
        seen: ``[T, 16, 8]`` booleans.
        stripes: Number of stripes from top to bottom; a divisor of 16.

    Returns:
        ``[stripes * 3 * BINS]``; zeros in a stripe where nothing of the body is ever seen.
    """
    _, height, width, _ = images.shape
    counts = np.zeros((stripes, 3, BINS))
    cell = np.ones((height // 16, width // 8), bool)
    for image, mask in zip(images, seen, strict=True):
        hsv = np.asarray(Image.fromarray(image).convert("HSV")) // (256 // BINS)
        shown = np.kron(mask, cell)
        for stripe, rows in enumerate(np.split(np.arange(height), stripes)):
            levels = hsv[rows][shown[rows]]
            for channel in range(3):
                counts[stripe, channel] += np.bincount(levels[:, channel], minlength=BINS)
    shares = counts / np.maximum(counts.sum(axis=2, keepdims=True), 1)
    return np.sqrt(shares).ravel()


def joint_heights(frames: pd.DataFrame) -> np.ndarray:
    """Mean and spread over the frames of each joint's height above the pelvis, ``[36]``.

    Over the body's height in the image: what a perfect pose estimator would see of proportions
    and gait.
    """
    if frames.joints.isna().any():  # junk that shows nobody
        return np.zeros(36)
    y = np.stack(frames.joints.tolist()).reshape(len(frames), 18, 2)[..., 1]
    whole = (y[:, TOES].max(axis=1) - y[:, CROWN]).max()
    above = (y[:, :1] - y) / whole
    return np.concatenate([above.mean(axis=0), above.std(axis=0)])


def features_of(rendered: Rendered, num_frames: int, seed: int) -> dict[str, np.ndarray]:
    """The features ``[N, D]`` of all test tracklets by the name of their row."""
    root = rendered.dataset.root
    names = ("colour stripes", "body's stripes", "body's colours", "outlines", "joints")
    features: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for frames in rendered.frames:
        some = np.unique(np.linspace(0, len(frames) - 1, num_frames).round().astype(int))
        images = np.stack([_read(root / path) for path in frames.index[some]])
        clips = torch.from_numpy(images).permute(0, 3, 1, 2)[None]
        seen = masks(frames.seen_mask.iloc[some])
        features["colour stripes"].append(colour_stripes(clips)[0].numpy())
        features["body's stripes"].append(body_colours(images, seen, 8))
        features["body's colours"].append(body_colours(images, seen, 1))
        features["outlines"].append(masks(frames.body_mask).mean(axis=0).ravel())
        features["joints"].append(joint_heights(frames))
    arrays = {name: np.stack(rows).astype(float) for name, rows in features.items()}
    heights = arrays["joints"]
    arrays["joints"] = (heights - heights.mean(axis=0)) / np.maximum(heights.std(axis=0), 1e-9)
    rng = np.random.default_rng(seed)
    for error in ERRORS:
        name = f"true body + {100 * error:.0f} %" if error else "true body"
        arrays[name] = rendered.bodies + error * rng.standard_normal(rendered.bodies.shape)
    return arrays


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def scores(rendered: Rendered, rule: Protocol, features: np.ndarray | None) -> pd.DataFrame:
    """What each query scores against the whole gallery: ``pid``, ``ap`` and ``hit`` at rank 1.

    Without features: what is expected of a random ranking.
    """
    return _scores(rendered, rule, features, rendered.dataset.query, rendered.dataset.gallery)


def clothes_scores(rendered: Rendered, features: np.ndarray | None) -> pd.DataFrame:
    """The same in other cameras, where every look-alike is a match."""
    group = rendered.tracklets["group"]
    query, gallery = (
        table.assign(pid=np.where(table.pid > 0, group.loc[table.index] + 1, table.pid))
        for table in (rendered.dataset.query, rendered.dataset.gallery)
    )
    return _scores(rendered, CROSS_CAMERA, features, query, gallery)


def scores_within_groups(rendered: Rendered, features: np.ndarray | None) -> pd.DataFrame:
    """The same in other cameras, each query against its look-alikes alone."""
    tables = (rendered.dataset.query, rendered.dataset.gallery)
    query, gallery = (
        table.groupby(rendered.tracklets["group"].loc[table.index]) for table in tables
    )
    parts = [
        _scores(rendered, CROSS_CAMERA, features, of_group, gallery.get_group(group))
        for group, of_group in query
    ]
    return pd.concat(parts, ignore_index=True)


def _scores(
    rendered: Rendered,
    rule: Protocol,
    features: np.ndarray | None,
    query: pd.DataFrame,
    gallery: pd.DataFrame,
) -> pd.DataFrame:
    sides = (query, gallery)
    labels = [table[name].to_numpy(copy=True) for name in ("pid", "camid") for table in sides]
    if features is None:
        result = chance_for_protocol(rule, *labels)
        query_pids, gallery_pids, query_camids, gallery_camids = labels
        hit = [
            chance_for_protocol(rule, pid, gallery_pids, camid, gallery_camids).rank(1)
            for pid, camid in zip(query_pids[:, None], query_camids[:, None], strict=True)
        ]
    else:
        index = rendered.tracklets.index
        both = [features[index.get_indexer(table.index)] for table in sides]
        result = evaluate_protocol(rule, *both, *labels)
        hit = (result.first_match_rank <= 1).astype(float)
    return pd.DataFrame({"pid": labels[0], "ap": result.average_precision, "hit": hit})


def beyond_chance(queries: pd.DataFrame, chance: pd.DataFrame) -> tuple[float, float]:
    """How far the mean AP of an identity lies above chance: mean and standard error."""
    excess = (queries.ap - chance.ap).groupby(queries.pid).mean()
    return float(excess.mean()), float(excess.std() / np.sqrt(len(excess)))


def table_of(rendered: Rendered, features: dict[str, np.ndarray]) -> pd.DataFrame:
    """All figures in per cent, a row a method."""
    settings = {
        "mars-official": lambda x: scores(rendered, MARS_OFFICIAL, x),
        "cross-camera": lambda x: scores(rendered, CROSS_CAMERA, x),
        "clothes": lambda x: clothes_scores(rendered, x),
        "look-alikes": lambda x: scores_within_groups(rendered, x),
    }
    chance = {name: score(None) for name, score in settings.items()}
    rows = {}
    for method, values in {"chance": None, **features}.items():
        row: dict[str, float] = {}
        for name, score in settings.items():
            queries = chance[name] if values is None else score(values)
            row[f"{name} mAP"] = 100 * queries.ap.mean()
            row[f"{name} rank-1"] = 100 * queries.hit.mean()
        mean, error = beyond_chance(queries, chance["look-alikes"])  # the last of the settings
        row |= {"beyond chance": 100 * mean, "+-": 100 * error}
        rows[method] = row
    return pd.DataFrame(rows).T


def main(
    source: str, frames: int = 8, seed: int = 0, workers: int = 2, json: Path | None = None
) -> None:
    """Scores colours, outlines and true bodies.

    Args:
        source: A named version, which is rendered for the purpose, or the folder of a rendered one.
        frames: How many frames of a tracklet the colours are taken from, spread over it.
        seed: Of the errors of measurement.
        workers: Processes that render.
        json: Where to write the figures.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(source)
        if source in VERSIONS:
            root = Path(folder) / source
            write_version(root, source, workers)
        rendered = load_rendered(root)
        table = table_of(rendered, features_of(rendered, frames, seed))
    queries, gallery = len(rendered.dataset.query), len(rendered.dataset.gallery)
    print(f"{source}: {queries:,} queries, {gallery:,} in the gallery; in per cent")
    print(table.round(1).to_string())
    if json is not None:
        write_json(json, json_format.loads(table.round(3).to_json(orient="index")))


if __name__ == "__main__":
    auto_cli(main)
