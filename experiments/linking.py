"""How well `stgcn link` finds people across cameras that its network has never seen.

    python -m experiments linking ward data/WARD --splits '[0,1,2,3,4,5,6,7,8,9]'
    python -m experiments linking manifest data/v1/manifest.csv

For each split `stgcn train` holds 40 % of the training identities out, the threshold is chosen on
them, and the test tracklets are linked with it: plain, with `--centre-cameras`, and, as an upper
limit, with each tracklet's true identity for an embedding. Pairs and B-cubed as in docs/linking.md;
IDF1 and HOTA by TrackEval, where the boxes themselves are right. In per cent, mean and standard
deviation over the splits. Killed, the same command goes on with the split that it was at.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jsonargparse import auto_cli

from experiments.running.jobs import preset_files
from stgcn_pyg.errors import RunError, UserError, needs_extra
from stgcn_pyg.evaluation.clustering import score_clusters
from stgcn_pyg.files import write_json
from stgcn_pyg.linking import link_tracklets
from stgcn_pyg.runs.extracted_frames import frames_of_extraction
from stgcn_pyg.runs.extraction import StoredEmbeddings

with needs_extra("test"):
    import trackeval

HELD_OUT = 0.4  # share of the training identities


def stgcn(*arguments: object) -> None:
    """Runs a command in a process of its own."""
    command = [sys.executable, "-m", "stgcn_pyg.cli", *map(str, arguments)]
    if status := subprocess.run(command, check=False).returncode:
        kind = UserError if status == UserError.status else RunError
        raise kind(f"stgcn {' '.join(command[3:])}: ended with status {status}")


def prepare(dataset: str, root: Path, split: int, preset: str, seed: int, work: Path) -> None:
    """Trains a network of a split and extracts the embeddings, as far as that is not done."""
    run = work / f"{split}" / "run"
    options = ["--split", split] if dataset != "manifest" else []
    configs = [f"--config={path}" for path in preset_files(preset, dataset, gpu=False)]
    if not (run / "metrics.json").is_file():
        stgcn(
            *("train", dataset, root, *configs, "--output", run, "--seed", seed),
            *(
                "--validation-share",
                HELD_OUT,
                "--data.num-workers",
                0,
                "--baselines",
                "false",
                *options,
            ),
        )
    for part in ("test", "train"):
        stgcn("extract", run, work / f"{split}" / part, "--parts", part)


def scores_of(stored: StoredEmbeddings, identities: pd.Series) -> dict[str, float]:
    """Every figure of linked tracklets, as fractions, by name.

    Args:
        stored: The extraction of the tracklets.
        identities: The linked identity by the number of the tracklet.
    """
    truth = stored.tracklets["pid"]
    truth = truth[truth > 0]  # neither junk nor distractors
    found = identities[truth.index]
    clusters = score_clusters(found.to_numpy(), truth).estimate
    return {**clusters, **tracking_scores(frames_of_extraction(stored)[1], truth, found)}


def tracking_scores(frames: pd.DataFrame, truth: pd.Series, linked: pd.Series) -> dict[str, float]:
    """IDF1 and HOTA, all frames of one camera after those of the other as one sequence.

    The boxes themselves are right; only who is in them is scored. Frames without boxes are taken
    as moments at which nobody else is seen.

    Args:
        frames: A row a frame: `tracklet`, and `camid`, `frame`, `left`, `top`, `width` and
            `height` where there are boxes.
        truth: The true identity by the number of the tracklet, a Series.
        linked: The linked identity likewise.
    """
    rows = frames[frames["tracklet"].isin(truth.index)].reset_index(drop=True)
    true, found = (
        np.unique(ids.loc[rows["tracklet"]], return_inverse=True)[1] for ids in (truth, linked)
    )
    has_boxes = "left" in rows
    moments = rows.groupby(["camid", "frame"]) if has_boxes else rows.groupby(rows.index)
    seen = list(moments.indices.values())
    boxes = rows[["left", "top", "width", "height"]].to_numpy() if has_boxes else None
    alone = np.ones((1, 1))
    similarity = [alone if boxes is None else overlaps(boxes[which]) for which in seen]
    data: dict[str, Any] = {
        "num_timesteps": len(seen),
        "num_gt_dets": len(rows),
        "num_tracker_dets": len(rows),
        "num_gt_ids": true.max() + 1,
        "num_tracker_ids": found.max() + 1,
        "gt_ids": [true[which] for which in seen],
        "tracker_ids": [found[which] for which in seen],
        "similarity_scores": similarity,
    }
    identity = trackeval.metrics.Identity({"PRINT_CONFIG": False}).eval_sequence(data)
    hota = trackeval.metrics.HOTA().eval_sequence(data)
    return {"IDF1": float(identity["IDF1"]), "HOTA": float(hota["HOTA"].mean())}


def overlaps(boxes: np.ndarray) -> np.ndarray:
    """The intersection over union of each box with each, `[n, n]`."""
    low, size = boxes[:, :2], boxes[:, 2:]
    high = low + size
    inner = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    inside = np.clip(inner, 0, None).prod(axis=2)
    area = size.prod(axis=1)
    return inside / (area[:, None] + area - inside)


def link(folder: Path, centred: bool) -> tuple[float, pd.Series]:
    """The threshold that `stgcn link` chooses, and the identity that it gives each tracklet."""
    output = folder / ("centred" if centred else "plain")
    if not output.exists():
        centre = ["--centre-cameras"] if centred else []
        extractions = folder / "test", "--labelled", folder / "train"
        stgcn("link", *extractions, "--output", output, *centre)
    table = pd.read_csv(output / "identities.csv", index_col="tracklet")
    chosen = json.loads((output / "identities.json").read_text())
    return chosen["threshold"], table["identity"]


def oracle(stored: StoredEmbeddings) -> pd.Series:
    """The identities that are linked if each tracklet's embedding is its true identity."""
    tracklets = stored.tracklets
    times = frames_of_extraction(stored)[1]
    known: dict[str, Any] = {}
    if "time" in times:
        ends = times.groupby("tracklet")["time"].agg(["min", "max"]).loc[tracklets.index]
        known = {"cameras": tracklets["camid"], "begins": ends["min"], "ends": ends["max"]}
    one_hot = np.eye(tracklets["pid"].nunique())[pd.factorize(tracklets["pid"])[0]]
    return pd.Series(link_tracklets(one_hot, threshold=0.5, **known), tracklets.index)


def main(
    dataset: str,
    root: Path,
    splits: list[int] = [0],  # noqa: B006
    preset: str = "finetune",
    seed: int = 0,
    work: Path = Path("runs/linking"),
    output: Path = Path("runs/linking/linking.json"),
) -> None:
    """Trains, links, scores, and prints a table.

    Args:
        dataset: Name of a data set, as `stgcn train` takes it.
        root: Folder of the data set.
        splits: Splits of the data set, a network each.
        preset: Settings by name: finetune, small or smoke.
        seed: Seed of the trainings.
        work: Folder for the networks and embeddings.
        output: JSON file of the figures by split.
    """
    rows = []
    for split in splits:
        folder = work / f"{split}"
        prepare(dataset, root, split, preset, seed, work)
        stored = StoredEmbeddings(folder / "test")
        for name in ("plain", "centred"):
            threshold, identities = link(folder, name == "centred")
            found = scores_of(stored, identities)
            rows.append({"split": split, "embeddings": name, "threshold": threshold, **found})
        rows.append({"split": split, "embeddings": "oracle", **scores_of(stored, oracle(stored))})
    table = pd.DataFrame(rows)
    write_json(output, table.astype(object).where(table.notna(), None).to_dict("records"))
    groups = table.drop(columns=["split", "threshold"]).groupby("embeddings", sort=False)
    print(groups.agg(_in_words).T.to_string())


def _in_words(scores: pd.Series) -> str:
    spread = f" ± {100 * scores.std():.1f}" if len(scores) > 1 else ""
    return f"{100 * scores.mean():.1f}{spread}"


if __name__ == "__main__":
    auto_cli(main)
