"""Figures and tables of single queries, of the embedding and of a whole test set, as files."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from stgcn_pyg.errors import UserError
from stgcn_pyg.explain.embedding_space import (
    distance_histogram,
    scores_by_camera_pair,
    scores_by_quartile,
    tsne,
)
from stgcn_pyg.explain.evaluated_model import EvaluatedModel
from stgcn_pyg.explain.graphs import strongest_edges, weight_by_stripe, weight_by_time
from stgcn_pyg.explain.rendered_truth import RenderedTruth, has_truth, mean_hidden
from stgcn_pyg.explain.summary import (
    distance_between_patches,
    mass_on_person,
    weight_from_uncovered,
)
from stgcn_pyg.explain.tracklets import ExplainedTracklets
from stgcn_pyg.figures import (
    draw_activation_maps,
    draw_averages,
    draw_distances,
    draw_edges,
    draw_points,
    draw_ranked_list,
    draw_spatial_graphs,
    draw_temporal_graph,
    save,
)
from stgcn_pyg.models import STGCN
from stgcn_pyg.progress import bar_options

FRAMES = 2  # of each tracklet of a list
EDGES = 12  # that are drawn


def write_queries(
    folder: Path,
    model: EvaluatedModel,
    rows: Sequence[int],
    parts: Collection[str] = ("lists", "maps", "graphs"),
    top: int = 5,
    name: str = "list",
) -> None:
    """Draws ranked lists, activation maps and learned graphs of queries, and writes their numbers.

    ``folder/query-<tracklet>/`` receives ``<name>.png``; ``maps.png`` and ``maps.npz``; where the
    model has such graphs ``temporal.png``, ``edges.png``, ``edges.csv``, ``spatial.png`` and
    ``graphs.npz``. ``folder/<name>s.csv`` receives the lists of all queries. Each query, given by
    its row, must have a match.
    """
    explained = model.explain(rows) if {"maps", "graphs"} & set(parts) else None
    tables = []
    for i, row in enumerate(tqdm(rows, desc="drawing queries", unit="query", **bar_options())):
        query = model.queries.iloc[row]
        own = folder / f"query-{query.name}"
        if "lists" in parts:
            title = f"{model.protocol.name}: {model.score(row)}"
            figure, ranked = draw_list(model, row, top, title)
            save(figure, own / f"{name}.png")
            labels = model.gallery[["pid", "camid"]].iloc[ranked["item"]]
            ranked = ranked.drop(columns="item").set_index(labels.index)
            tables.append(pd.concat([labels, ranked], axis=1).assign(query=query.name))
        if explained is None:
            continue
        frames = model.clip(row, explained.frames[i])
        if "maps" in parts:
            maps = {name: array[i] for name, array in explained.maps.items()}
            match = model.gallery.iloc[model.nearest_match(row)]
            title = (
                f"Grad-CAM of tracklet {query.name} ({model.name(query)})\n"
                f"towards its nearest match, {match.name} ({model.name(match)})"
            )
            save(draw_activation_maps(frames, maps, title), own / "maps.png")
            np.savez_compressed(own / "maps.npz", **maps)  # type: ignore[arg-type]
        if "graphs" in parts:
            graphs = {name: array[i] for name, array in explained.graphs.items()}
            _write_graphs(own, graphs, frames, f"of tracklet {query.name} ({model.name(query)})")
    if tables:
        table = pd.concat(tables).reset_index(names="tracklet")
        columns = ["query", *table.columns.drop("query")]
        table[columns].to_csv(folder / f"{name}s.csv", index=False)


def _write_graphs(
    folder: Path, graphs: dict[str, np.ndarray], frames: np.ndarray, of_query: str
) -> None:
    if "temporal" in graphs:
        patches = len(graphs["temporal"]) // len(frames)
        edges = strongest_edges(graphs["temporal"], patches, EDGES)
        title = f"Weights between the patches of all frames {of_query}"
        save(draw_temporal_graph(frames, graphs["temporal"], title), folder / "temporal.png")
        title = f"Strongest edges between frames {of_query}"
        save(draw_edges(frames, edges, patches, title), folder / "edges.png")
        edges.to_csv(folder / "edges.csv", index=False)
    if "spatial" in graphs:
        title = f"Weights between the patches of each frame {of_query}"
        save(draw_spatial_graphs(frames, graphs["spatial"], title), folder / "spatial.png")
    if graphs:
        np.savez_compressed(folder / "graphs.npz", **graphs)  # type: ignore[arg-type]


def draw_list(
    model: EvaluatedModel, row: int, top: int, title: str = "", size: float = 0.85
) -> tuple[Figure, pd.DataFrame]:
    """Draws the ranked list of a query, given by its row, and returns the list as well."""
    query, ranked = model.queries.iloc[row], model.ranked(row, top)
    items = [item for _, item in model.gallery.iloc[ranked["item"]].iterrows()]
    labels = [f"{model.name(item, chr(10))}\ntracklet {item.name}" for item in [query, *items]]
    images = [model.images(item, FRAMES) for item in [query, *items]]
    return draw_ranked_list(
        images[0], ranked, images[1:], labels[1:], labels[0], title, size
    ), ranked


def write_embedding(folder: Path, model: EvaluatedModel) -> dict[str, pd.DataFrame]:
    """Draws t-SNE and distances, writes their tables, and returns those of groups of queries.

    The folder receives ``people.png``, ``cameras.png`` and ``distances.png``, ``points.csv``,
    ``distances.csv``, and each table of :func:`scores_by_group` as a CSV file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_points(folder, model)
    histogram = distance_histogram(
        model.task, model.protocol, model.query_features, model.gallery_features
    )
    histogram.to_csv(folder / "distances.csv", index=False)
    save(draw_distances(histogram), folder / "distances.png")
    tables = scores_by_group(model)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return tables


def scores_by_group(model: EvaluatedModel) -> dict[str, pd.DataFrame]:
    """What queries score by pair of cameras, by length and, on a rendered data set, by occlusion.

    The tables' names are ``by_camera_pair``, ``by_length`` and ``by_hidden``.
    """
    queries, dataset = model.queries, model.data.dataset
    tables = {
        "by_camera_pair": scores_by_camera_pair(
            model.task, model.protocol, model.query_features, model.gallery_features
        ),
        "by_length": scores_by_quartile(model.result, queries["num_frames"].to_numpy()),
    }
    if has_truth(dataset.root):
        hidden = mean_hidden(RenderedTruth(dataset.root), queries, dataset.frames)
        tables["by_hidden"] = scores_by_quartile(model.result, hidden)
    return tables


def _write_points(folder: Path, model: EvaluatedModel) -> None:
    """Draws each tracklet once: one that is both query and gallery is drawn as a query."""
    queries, gallery = model.queries, model.gallery
    others = ~gallery.index.isin(queries.index)
    tracklets = pd.concat([queries, gallery[others]])
    features = torch.cat([model.query_features, model.gallery_features[torch.from_numpy(others)]])
    points = tsne(features.cpu().numpy())
    table = tracklets[["pid", "camid", "is_query"]].assign(x=points[:, 0], y=points[:, 1])
    table.to_csv(folder / "points.csv", index_label="tracklet")
    is_query = tracklets["is_query"].to_numpy()
    for name, column, file in (("identity", "pid", "people"), ("camera", "camid", "cameras")):
        figure = draw_points(points, tracklets[column].to_numpy(), is_query, name)
        save(figure, folder / f"{file}.png")


def write_summary(folder: Path, model: EvaluatedModel) -> dict[str, pd.DataFrame]:
    """Draws the mean graphs, and writes tables of maps and graphs beside an untrained network.

    They are means over the first clips of :func:`whole_queries`, with maps towards the nearest
    match. The untrained network has the same layers with random weights, and the same queries and
    matches. The folder receives ``averages.png`` and a CSV file of each table; the tables' first
    index is the model, ``trained`` or ``untrained``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = whole_queries(model)
    if not rows:
        raise UserError(
            f"{model.task.title}: no query has a match and {model.model.num_frames} frames, "
            "as many as a clip; leave out --parts summary"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        untrained = STGCN(**model.model.options).eval()
    trained = model.explain(rows)
    tables = {
        "trained": _means(model, rows, trained),
        "untrained": _means(model, rows, model.explain(rows, untrained)),
    }
    joined = {
        name: pd.concat({which: of[name] for which, of in tables.items()}, names=["model"])
        for name in tables["trained"]
    }
    for name, table in joined.items():
        table.to_csv(folder / f"{name}.csv")
    figure = draw_mean_graphs(trained)
    if figure is not None:
        save(figure, folder / "averages.png")
    return joined


def whole_queries(model: EvaluatedModel) -> list[int]:
    """The rows of the queries that have a match and no fewer frames than a clip."""
    long_enough = model.queries["num_frames"].to_numpy() >= model.model.num_frames
    return np.flatnonzero(long_enough & ~np.isnan(model.result.average_precision)).tolist()


def draw_mean_graphs(explained: ExplainedTracklets) -> Figure | None:
    """Draws the mean weights of the graphs of some tracklets; None where there is no graph."""
    by_stripe, by_time = _by_stripe(explained), None
    if "temporal" in explained.graphs:
        by_time = weight_by_time(explained.graphs["temporal"], explained.frames.shape[1])
    return draw_averages(by_time, by_stripe) if by_stripe else None


def _means(
    model: EvaluatedModel, rows: Sequence[int], explained: ExplainedTracklets
) -> dict[str, pd.DataFrame]:
    tables: dict[str, pd.DataFrame] = {}
    pids, dataset = model.queries["pid"].to_numpy()[rows], model.data.dataset
    if "temporal" in explained.graphs:
        temporal = explained.graphs["temporal"]
        tables["weight_by_time"] = weight_by_time(temporal, model.model.num_frames)
    if explained.graphs:
        tables["weight_by_stripe"] = pd.concat(_by_stripe(explained), names=["graph"])
    if explained.distances:
        tables["distance_between_patches"] = distance_between_patches(explained, pids)
    if has_truth(dataset.root):
        given: tuple[Any, ...] = explained, RenderedTruth(dataset.root), dataset.frames, pids
        if len(np.unique(pids)) > 1:
            tables["mass_on_person"] = mass_on_person(*given)
        if explained.graphs:
            tables["weight_from_uncovered"] = weight_from_uncovered(*given)
    return tables


def _by_stripe(explained: ExplainedTracklets) -> dict[str, pd.DataFrame]:
    stripes = {}
    for name, weights in explained.graphs.items():
        nodes = weights.shape[-1]
        patches = nodes // explained.frames.shape[1] if name == "temporal" else nodes
        stripes[name] = weight_by_stripe(weights.reshape(-1, nodes, nodes), patches)
    return stripes
