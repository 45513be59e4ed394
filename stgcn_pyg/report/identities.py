"""The page of linked tracklets: a sheet of frames for each identity."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup
from tqdm import tqdm

from stgcn_pyg.data.decoding import read_image
from stgcn_pyg.data.sampling import even_frames
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation.clustering import ClusterScores
from stgcn_pyg.figures import webp_address
from stgcn_pyg.figures.canvas import beside
from stgcn_pyg.progress import bar_options
from stgcn_pyg.report.elements import html, percent, table, whole_page

FRAMES, HEIGHT, WIDTH = 4, 128, 64  # of each tracklet
MOST_BYTES = 14_000_000  # that the frames may take


def render_identities(
    title: str,
    identities: pd.DataFrame,
    root: Path,
    frames: pd.DataFrame,
    facts: Mapping[str, str],
    scores: ClusterScores | None = None,
) -> tuple[str, list[str]]:
    """The page of linked tracklets, as HTML that needs no other file.

    Args:
        title: Title of the page.
        identities: What :func:`.identity_table` gives.
        root: Folder that the paths of the frames start from.
        frames: Frames of the tracklets, as :func:`.read_tracked_frames` gives them; may be empty.
        facts: What was used, by name.
        scores: Scores against the true identities, where they are known.

    Returns:
        The page, and a line for each kind of thing that it lacks.
    """
    paths = frames.groupby("tracklet")["path"].agg(list)
    sheets, unread, size = [], [], 0
    groups = identities.groupby("identity")
    for number, tracklets in tqdm(groups, desc="drawing", unit="identity", **bar_options()):
        rows = []
        for tracklet in tracklets.sort_values("first_time", kind="stable").itertuples():
            strip, faults = _strip(root, paths.get(tracklet.tracklet, []))
            unread += faults
            rows.append((strip, _caption(tracklet)))
        cameras = tracklets["camid"].nunique()
        heading = f"Identity {number}: {_count(len(rows), 'tracklet')}, {_count(cameras, 'camera')}"
        sheet = html.heading(3, heading, f"identity-{number}") + html.strips(rows)
        size += len(sheet)
        if size > MOST_BYTES:
            break
        sheets.append(sheet)
    gaps = []
    if len(sheets) < len(groups):
        gaps.append(f"the first {len(sheets):,} of {len(groups):,} identities are shown")
    if unread:
        gaps.append(f"{len(unread):,} frames cannot be shown, the first: {unread[0]}")
    sections = [
        ("used", "What was used", [], [html.facts(facts)]),
        ("scores", "Scores", [], [_table(scores)] if scores else []),
        ("identities", "Identities", gaps, sheets),
    ]
    kept = [section for section in sections if section[0] != "scores" or scores]
    lead = f"{_count(len(identities), 'tracklet')} of {_count(len(groups), 'identity')}."
    page = whole_page("link", "Identities across cameras", [title], kept, lead, gaps=gaps)
    return page, gaps


def _strip(root: Path, paths: list[str]) -> tuple[str, list[str]]:
    """Some frames of a tracklet beside each other, and what is wrong with those left out."""
    images, faults = [], []
    for place in np.unique(even_frames(len(paths), FRAMES)) if paths else ():
        try:
            images.append(read_image(root / paths[place], HEIGHT, WIDTH))
        except UserError as error:
            faults.append(str(error))
    return webp_address(beside(np.stack(images))) if images else "", faults


def _caption(tracklet) -> str:  # type: ignore[no-untyped-def]
    parts = [f"camera {tracklet.camera or tracklet.camid}"]
    if np.isfinite(tracklet.first_time):
        parts.append(f"{tracklet.first_time:.1f} to {tracklet.last_time:.1f} s")
    if tracklet.track:
        parts.append(f"track {tracklet.track}")
    return ", ".join([*parts, f"tracklet {tracklet.tracklet}"])


def _table(scores: ClusterScores) -> Markup:
    rows = {
        "Score": list(scores.estimate),
        "Per cent": [percent(value) for value in scores.estimate.values()],
        "Interval": [
            f"{percent(scores.low[name])} – {percent(scores.high[name])}" for name in scores.low
        ],
    }
    caption = (
        f"{scores.num_tracklets:,} tracklets of {scores.num_people:,} identities in "
        f"{scores.num_clusters:,} clusters; {100 * scores.confidence:g} % intervals"
    )
    return table(caption, pd.DataFrame(rows))


def _count(number: int, noun: str) -> str:
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"
