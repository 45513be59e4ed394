"""`stgcn link`: identities across cameras, out of embeddings of tracklets."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jsonargparse import Namespace
from jsonargparse.typing import OpenUnitInterval

from stgcn_pyg.cli.arguments import Distance, Parser
from stgcn_pyg.data.tracked_frames import BOX
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation.clustering import score_clusters
from stgcn_pyg.evaluation.thresholds import ThresholdInterval
from stgcn_pyg.files import new_folder, write_json, write_output
from stgcn_pyg.linking import (
    centred_by_camera,
    choose_threshold,
    link_tracklets,
)
from stgcn_pyg.linking.tables import identity_table, mot_files
from stgcn_pyg.report.identities import render_identities
from stgcn_pyg.runs.about import in_words
from stgcn_pyg.runs.extracted_frames import frames_of_extraction, tracklets_of
from stgcn_pyg.runs.extraction import StoredEmbeddings
from stgcn_pyg.runs.labelled import (
    choose_at_fpr,
    has_identity,
    require_identities,
    require_same_model,
)

DESCRIPTION = """Finds which tracklets of an extraction show one person, across cameras.

Tracklets whose embeddings are near are merged. Two tracklets of one camera that overlap in time
are never merged, where the data set is a manifest with times.

Examples:
  stgcn link embeddings/station --labelled embeddings/mars --output identities/station
  stgcn link embeddings/station --labelled embeddings/mars --fpr 0.001 --output identities/few
  stgcn link embeddings/station --threshold 0.75 --output identities/station"""

NO_TIMES = "no times are known: two tracklets of one camera at one time may get one identity"
Times = tuple[np.ndarray, np.ndarray, np.ndarray] | tuple[()]


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    options = parser().parse_args(arguments)
    if (options.threshold is None) == (options.labelled is None):
        raise UserError("--threshold, --labelled: give one of the two")
    if options.fpr is not None and options.labelled is None:
        raise UserError("--fpr: is for a threshold chosen on tracklets: pass --labelled as well")
    stored = StoredEmbeddings(options.embeddings)
    labelled = None
    if options.labelled is not None:
        labelled = StoredEmbeddings(options.labelled)
        require_same_model(stored, labelled)
    if options.centre_cameras:
        for some in filter(None, (stored, labelled)):
            some.embeddings = centred_by_camera(some.embeddings, some.tracklets["camid"])
    with new_folder(options.output) as folder:
        lines = _link(stored, labelled, options, folder)
    print("\n".join([*lines, f"written to {options.output}"]))
    return 0


def parser() -> Parser:
    """The options of the command."""
    parser = Parser(prog="stgcn link", description=DESCRIPTION)
    add = parser.add_argument
    add("embeddings", type=Path, help="the folder that `stgcn extract` wrote")
    add("--output", type=Path, required=True, help="the folder to write, which must not exist")
    threshold = "largest mean distance at which two clusters are merged"
    add("--threshold", type=Distance, default=None, help=threshold)
    labelled = "extraction of labelled tracklets by the same model, to choose the threshold on"
    add("--labelled", type=Path, default=None, help=labelled)
    fpr = "choose the threshold at which this share of pairs of two different people is merged"
    add("--fpr", type=OpenUnitInterval, default=None, help=fpr)
    centre = "take the mean of its camera from each embedding; for cameras that see many people"
    add("--centre_cameras", type=bool, default=False, nargs="?", const=True, help=centre)
    manifest = "the manifest of the tracklets; manifest.csv of their data set if not given"
    add("--manifest", type=Path, default=None, help=manifest)
    return parser


def _link(
    stored: StoredEmbeddings,
    labelled: StoredEmbeddings | None,
    options: Namespace,
    folder: Path,
) -> list[str]:
    """Writes the files of the folder, and gives the lines to print."""
    # Other data sets have no times: their frames are only shown.
    required = options.manifest is not None or stored.description["dataset"] == "manifest"
    root, frames, lines = _frames(stored, options.manifest, required)
    times = _times(stored, frames)
    if not times:
        lines.append(NO_TIMES)
    chosen = None if labelled is None else _choose(labelled, options.fpr, lines)
    threshold = options.threshold if chosen is None else chosen.threshold
    try:
        labels = link_tracklets(stored.embeddings, *times, threshold=threshold)
    except ValueError as error:  # embeddings that are not finite
        raise UserError(f"{stored.folder}: {error}") from error
    known = has_identity(stored.tracklets)
    scores = None
    if stored.tracklets["pid"][known].nunique() > 1:
        scores = score_clusters(labels[known], stored.tracklets["pid"][known])
    table = identity_table(stored.tracklets, frames, labels)
    count = int(table["identity"].max())
    alone = int((table["identity"].value_counts() == 1).sum())
    write_output(folder / "identities.csv", table.to_csv(index=False).encode())
    if times and set(BOX) <= set(frames):
        for name, content in _named(mot_files(table, frames), table).items():
            write_output(folder / "mot" / name, content.encode())
    facts = {
        "about": stored.about,
        "threshold": threshold,
        "chosen": None if chosen is None else chosen.to_dict(),
        "centre_cameras": options.centre_cameras,
        "times": bool(times),
        "scores": None if scores is None else scores.to_dict(),
        "num_tracklets": len(table),
        "num_identities": count,
        "num_alone": alone,
    }
    write_json(folder / "identities.json", facts)
    said = f"threshold {threshold:g}" if chosen is None else str(chosen)
    used = {"Embeddings": in_words(stored.about), "Threshold": str(chosen or f"{threshold:g}")}
    if options.centre_cameras:
        used["Embeddings"] += "; less the mean of their camera"
    used["Times"] = "two tracklets of one camera at one time are two people" if times else NO_TIMES
    title = stored.folder.name
    page, gaps = render_identities(title, table, root, frames, used, scores)
    write_output(folder / "identities.html", page.encode())
    lines += [f"on the page: {line}" for line in gaps]
    lines.append(f"{len(table):,} tracklets, {count:,} identities; {said}")
    lines.append(f"identities of a single tracklet, which was merged with no other: {alone:,}")
    return lines + ([str(scores)] if scores else [])


def _frames(
    stored: StoredEmbeddings, manifest: Path | None, required: bool
) -> tuple[Path, pd.DataFrame, list[str]]:
    """The frames; if they are not required, there may be none, and a line that says why."""
    try:
        return *frames_of_extraction(stored, manifest), []
    except UserError as error:
        if required:
            raise
        nothing = pd.DataFrame(columns=["path", "camid", "tracklet", "frame"])
        return Path(), nothing, [f"the frames are not known: {error}"]


def _times(stored: StoredEmbeddings, frames: pd.DataFrame) -> Times:
    """Cameras, begins and ends of the tracklets, where times are known."""
    if "time" not in frames:
        return ()
    times = tracklets_of(frames).reindex(stored.tracklets.index)
    begins, ends = times["first_time"].to_numpy(), times["last_time"].to_numpy()
    return stored.tracklets["camid"].to_numpy(), begins, ends


def _choose(labelled: StoredEmbeddings, fpr: float | None, lines: list[str]) -> ThresholdInterval:
    """The threshold of the labelled tracklets; a line is added where their times are not known."""
    if fpr is not None:
        return choose_at_fpr(labelled, fpr)
    _, frames, gaps = _frames(labelled, None, required=False)
    lines += gaps
    known = has_identity(labelled.tracklets)
    pids = labelled.tracklets["pid"].to_numpy()[known]
    require_identities(labelled, pids)
    times = (values[known] for values in _times(labelled, frames))
    try:
        return choose_threshold(labelled.embeddings[known], pids, *times)
    except ValueError as error:
        raise UserError(f"--labelled {labelled.folder}: {error}") from error


def _named(contents: dict[int, str], table: pd.DataFrame) -> dict[str, str]:
    """The files by name: the number of the camera, and its own name where that is known."""
    names = table.drop_duplicates("camid").set_index("camid")["camera"]
    files = {}
    for camid, content in contents.items():
        # The number alone tells cameras apart; a file's name has at most 255 bytes.
        name = "-".join([str(camid), *re.findall(r"[\w.]+", names[camid])]).encode()[:200]
        files[name.decode(errors="ignore") + ".txt"] = content
    return files
