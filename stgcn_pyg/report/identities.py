"""The page of linked tracklets: a sheet of frames for each identity."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from stgcn_pyg.evaluation.clustering import ClusterScores
from stgcn_pyg.report.elements import html, percent, table, whole_page
from stgcn_pyg.report.strips import count, seen, sheets_of_strips


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
    groups = identities.groupby("identity")
    described = (
        (
            _heading(number, tracklets),
            [
                ([root / path for path in paths.get(row.tracklet, [])], _caption(row))
                for row in tracklets.sort_values("first_time", kind="stable").itertuples()
            ],
        )
        for number, tracklets in groups
    )
    sheets, gaps = sheets_of_strips(described, len(groups), "identity")
    sections = [
        ("used", "What was used", [], [html.facts(facts)]),
        ("scores", "Scores", [], [_table(scores)] if scores else []),
        ("identities", "Identities", gaps, sheets),
    ]
    kept = [section for section in sections if section[0] != "scores" or scores]
    lead = f"{count(len(identities), 'tracklet')} of {count(len(groups), 'identity')}."
    page = whole_page("link", "Identities across cameras", [title], kept, lead, gaps=gaps)
    return page, gaps


def _heading(number: int, tracklets: pd.DataFrame) -> Markup:
    sizes = f"{count(len(tracklets), 'tracklet')}, {count(tracklets['camid'].nunique(), 'camera')}"
    return html.heading(3, f"Identity {number}: {sizes}", f"identity-{number}")


def _caption(tracklet) -> str:  # type: ignore[no-untyped-def]
    parts = [f"camera {tracklet.camera or tracklet.camid}", *seen(tracklet)]
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
