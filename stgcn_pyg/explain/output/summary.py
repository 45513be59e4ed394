"""What is written of maps and graphs over a whole test set."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from stgcn_pyg.errors import UserError
from stgcn_pyg.explain.activation_maps import towards_tracklets
from stgcn_pyg.explain.figures import draw_averages, save
from stgcn_pyg.explain.graphs import weight_by_stripe, weight_by_time
from stgcn_pyg.explain.rendered_truth import RenderedTruth, has_truth
from stgcn_pyg.explain.subject import Subject
from stgcn_pyg.explain.summary import (
    distance_between_patches,
    mass_on_person,
    weight_from_uncovered,
)
from stgcn_pyg.explain.tracklets import ExplainedTracklets, explain_tracklets
from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.embedding import embed_tracklets


def write_summary(folder: Path, subject: Subject) -> dict[str, pd.DataFrame]:
    """Draws the mean graphs, and writes what maps and graphs do, beside an untrained network.

    Every query with a match counts that has no fewer frames than a clip, by its first clip; maps
    are towards its nearest match. The untrained network has the same shape, random weights, and
    the same queries and matches.

    Args:
        folder: That receives ``averages.png`` and CSV files: ``weight_by_time``,
            ``weight_by_stripe``, ``distance_between_patches`` and, on a rendered data set,
            ``mass_on_person`` and ``weight_from_uncovered``.
        subject: Whose maps and graphs.

    Returns:
        The tables by their names; their first index is the model.

    Raises:
        UserError: No query has a match and as many frames as a clip.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = _queries(subject)
    queries = subject.queries.iloc[rows]
    matches = subject.gallery.iloc[[subject.nearest_match(row) for row in rows]]
    models = {"trained": subject.model, "untrained": untrained(subject.model)}
    found = {name: _explain(subject, model, queries, matches) for name, model in models.items()}
    tables = {
        name: _tables(subject, explained, queries["pid"].to_numpy())
        for name, explained in found.items()
    }
    joined = {
        name: pd.concat({model: of[name] for model, of in tables.items()}, names=["model"])
        for name in tables["trained"]
    }
    for name, table in joined.items():
        table.to_csv(folder / f"{name}.csv")
    _draw(folder, found["trained"], subject.model)
    return joined


def untrained(model: STGCN, seed: int = 0) -> STGCN:
    """A model of the same shape with random weights, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return STGCN(**model.options).eval()


def _queries(subject: Subject) -> np.ndarray:
    long_enough = subject.queries["num_frames"].to_numpy() >= subject.model.num_frames
    matched = ~np.isnan(subject.result.average_precision)
    rows = np.flatnonzero(long_enough & matched)
    if not len(rows):
        raise UserError(
            f"{subject.task.title}: no query has a match and {subject.model.num_frames} frames, "
            "as a clip has; leave out the summary"
        )
    return rows


def _explain(
    subject: Subject, model: STGCN, queries: pd.DataFrame, matches: pd.DataFrame
) -> ExplainedTracklets:
    data, device = subject.data, subject.device
    others = matches[~matches.index.duplicated()]
    embeddings = embed_tracklets(model, data, others, device, "embedding matches")
    towards = embeddings[others.index.get_indexer(matches.index)]
    return explain_tracklets(
        model, data, queries, lambda rows: towards_tracklets(model, towards[rows]), device
    )


def _tables(
    subject: Subject, explained: ExplainedTracklets, pids: np.ndarray
) -> dict[str, pd.DataFrame]:
    tables = {}
    num_frames, dataset = subject.model.num_frames, subject.data.dataset
    if "temporal" in explained.graphs:
        tables["weight_by_time"] = weight_by_time(explained.graphs["temporal"], num_frames)
    stripes = _by_stripe(explained, num_frames)
    if stripes:
        tables["weight_by_stripe"] = pd.concat(stripes, names=["graph"])
    if explained.distances:
        tables["distance_between_patches"] = distance_between_patches(explained, pids)
    if has_truth(dataset.root):
        given = explained, RenderedTruth(dataset.root), dataset.frames, pids
        if len(np.unique(pids)) > 1:
            tables["mass_on_person"] = mass_on_person(*given)
        if explained.graphs:
            tables["weight_from_uncovered"] = weight_from_uncovered(*given)
    return tables


def _by_stripe(explained: ExplainedTracklets, num_frames: int) -> dict[str, pd.DataFrame]:
    stripes = {}
    for name, weights in explained.graphs.items():
        nodes = weights.shape[-1]
        patches = nodes // num_frames if name == "temporal" else nodes
        stripes[name] = weight_by_stripe(weights.reshape(-1, nodes, nodes), patches)
    return stripes


def _draw(folder: Path, explained: ExplainedTracklets, model: STGCN) -> None:
    stripes = _by_stripe(explained, model.num_frames)
    if stripes:
        temporal = explained.graphs.get("temporal")
        by_time = None if temporal is None else weight_by_time(temporal, model.num_frames)
        save(draw_averages(by_time, stripes), folder / "averages.png")
