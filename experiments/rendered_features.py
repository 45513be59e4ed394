"""What the rows of `experiments.rendered_benchmark` know of a rendered data set's tracklets."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from stgcn_pyg.data import TrackletDataset, load_dataset
from stgcn_pyg.runs.baselines import colour_stripes

ERRORS = (0.0, 0.1, 0.25, 0.5, 1.0)
CROWN, TOES = 3, (13, 17)  # among the 18 joints
NOT_MEASURED = ["pid", "split", "group", "camid", "tracklet", "bag_size", "hem", "pattern_size"]


@dataclass(frozen=True)
class Rendered:
    """A rendered data set and its ground truth.

    Attributes:
        dataset: Its tracklets.
        tracklets: Those of the test split, N rows, with `group`.
        frames: The ground truth of each of them: a table with a row a frame.
        bodies: (N, M) true measures of each of them, over their spread in the training split.
    """

    dataset: TrackletDataset
    tracklets: pd.DataFrame
    frames: list[pd.DataFrame]
    bodies: np.ndarray


def load_rendered(root: Path) -> Rendered:
    """Reads the tables that lie beside the pictures."""
    dataset = load_dataset("mars", root)
    tracklets = dataset.test()
    truth = pd.read_parquet(root / "ground_truth.parquet").set_index("path")
    frames = [
        truth.loc[[path.relative_to(root).as_posix() for path in dataset.paths(tracklet)]]
        for _, tracklet in tracklets.iterrows()
    ]
    first = pd.DataFrame([table.iloc[0] for table in frames])
    people = pd.read_parquet(root / "people.parquet")
    strangers = pd.read_parquet(root / "strangers.parquet")
    measures = people.select_dtypes("number").columns.difference(NOT_MEASURED)
    by_pid = people.set_index("pid")[measures]
    by_tracklet = strangers.set_index(["pid", "camid", "tracklet"])[measures]
    labels = first[["pid", "camid", "tracklet"]].itertuples(index=False, name=None)
    bodies = [by_pid.loc[pid] if pid > 0 else by_tracklet.loc[(pid, c, t)] for pid, c, t in labels]
    spread = people.loc[people.split == "train", measures].std().to_numpy()
    tracklets = tracklets.assign(group=first.group.to_numpy())
    return Rendered(dataset, tracklets, frames, np.array(bodies, float) / spread)


def read_frames(root: Path, frames: pd.DataFrame) -> np.ndarray:
    """(T, H, W, 3) of uint8."""
    pictures = []
    for path in frames.index:
        with Image.open(root / path) as picture:
            pictures.append(np.asarray(picture))
    return np.stack(pictures)


def masks(bits: pd.Series) -> np.ndarray:
    """(T, 16, 8) booleans of a column of masks."""
    packed = np.frombuffer(b"".join(bits), np.uint8)
    return np.unpackbits(packed).reshape(-1, 16, 8).astype(bool)


def body_colours(pictures: np.ndarray, seen: np.ndarray, stripes: int, bins: int = 16):
    """Square roots of the histograms of hue, saturation and value where the body is seen.

    Args:
        pictures: (T, H, W, 3) of uint8.
        seen: (T, 16, 8) booleans.
        stripes: From top to bottom; a divisor of 16.
        bins: Of each histogram.

    Returns:
        (stripes * 3 * bins,); zeros in a stripe where nothing of the body is ever seen.
    """
    _, height, width, _ = pictures.shape
    counts = np.zeros((stripes, 3, bins))
    cell = np.ones((height // 16, width // 8), bool)
    for picture, mask in zip(pictures, seen, strict=True):
        hsv = np.asarray(Image.fromarray(picture).convert("HSV")) // (256 // bins)
        shown = np.kron(mask, cell)
        for stripe, rows in enumerate(np.split(np.arange(height), stripes)):
            levels = hsv[rows][shown[rows]]
            for channel in range(3):
                counts[stripe, channel] += np.bincount(levels[:, channel], minlength=bins)
    shares = counts / np.maximum(counts.sum(axis=2, keepdims=True), 1)
    return np.sqrt(shares).ravel()


def joint_heights(frames: pd.DataFrame) -> np.ndarray:
    """(36,) means and spreads over the frames of each joint's height above the pelvis.

    Over the body's height in the picture: what a perfect pose estimator would see of proportions
    and gait.
    """
    if frames.joints.isna().any():  # junk that shows nobody
        return np.zeros(36)
    y = np.stack(frames.joints.tolist()).reshape(len(frames), 18, 2)[..., 1]
    whole = (y[:, TOES].max(axis=1) - y[:, CROWN]).max()
    above = (y[:, :1] - y) / whole
    return np.concatenate([above.mean(axis=0), above.std(axis=0)])


def standardised(features: np.ndarray) -> np.ndarray:
    """Each column to mean 0 and spread 1 over all test tracklets."""
    return (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-9)


def features_of(rendered: Rendered, num_frames: int, seed: int) -> dict[str, np.ndarray]:
    """The features of all test tracklets by the name of their row, each (N, D)."""
    root = rendered.dataset.root
    features: dict[str, list[np.ndarray]] = {
        name: []
        for name in ("colour stripes", "body's stripes", "body's colours", "outlines", "joints")
    }
    for frames in rendered.frames:
        some = np.unique(np.linspace(0, len(frames) - 1, num_frames).round().astype(int))
        pictures = read_frames(root, frames.iloc[some])
        clips = torch.from_numpy(pictures).permute(0, 3, 1, 2)[None]
        seen = masks(frames.seen_mask.iloc[some])
        features["colour stripes"].append(colour_stripes(clips)[0].numpy())
        features["body's stripes"].append(body_colours(pictures, seen, 8))
        features["body's colours"].append(body_colours(pictures, seen, 1))
        features["outlines"].append(masks(frames.body_mask).mean(axis=0).ravel())
        features["joints"].append(joint_heights(frames))
    arrays = {name: np.stack(rows).astype(float) for name, rows in features.items()}
    arrays["joints"] = standardised(arrays["joints"])
    rng = np.random.default_rng(seed)
    for error in ERRORS:
        name = f"true body + {error:.0%}" if error else "true body"
        noise = error * rng.standard_normal(rendered.bodies.shape)
        arrays[name.replace("%", " %")] = rendered.bodies + noise
    return arrays
