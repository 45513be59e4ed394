"""What is written of single queries: ranked lists, activation maps, learned graphs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from stgcn_pyg.explain.figures import (
    draw_activation_maps,
    draw_edges,
    draw_ranked_list,
    draw_spatial_graphs,
    draw_temporal_graph,
    save,
)
from stgcn_pyg.explain.graphs import strongest_edges
from stgcn_pyg.explain.subject import Subject
from stgcn_pyg.explain.tracklets import ExplainedTracklets
from stgcn_pyg.progress import bar_options

FRAMES = 2  # of each tracklet of a list
EDGES = 12  # that are drawn


def write_lists(
    folder: Path, subject: Subject, rows: Sequence[int], top: int, name: str = "list"
) -> None:
    """Draws the list of each query, and writes all of them as ``<name>s.csv``.

    Args:
        folder: That receives ``query-<tracklet>/<name>.png``.
        subject: Whose lists.
        rows: Of the queries.
        top: How many ranked items a list has.
        name: Of the files.
    """
    tables = []
    for row in tqdm(rows, desc="ranked lists", unit="query", **bar_options()):
        query, ranked = subject.queries.iloc[row], subject.ranked(row, top)
        items = subject.gallery.iloc[ranked["item"]]
        save(
            draw_ranked_list(
                subject.pictures(query, FRAMES),
                ranked,
                [subject.pictures(item, FRAMES) for _, item in items.iterrows()],
                [_label(item) for _, item in items.iterrows()],
                _label(query),
                _title(subject, row),
            ),
            folder_of(folder, query) / f"{name}.png",
        )
        labels = items[["pid", "camid"]].reset_index(names="tracklet")
        table = pd.concat([labels, ranked.drop(columns="item").reset_index(drop=True)], axis=1)
        table.insert(0, "query", query.name)
        tables.append(table)
    pd.concat(tables).to_csv(folder / f"{name}s.csv", index=False)


def write_maps(
    folder: Path, subject: Subject, rows: Sequence[int], explained: ExplainedTracklets
) -> None:
    """Draws the activation maps of each query, and writes them as ``maps.npz``.

    Args:
        folder: That receives ``query-<tracklet>/maps.png``.
        subject: Whose maps.
        rows: Of the queries.
        explained: What was found of these queries, towards the nearest right one of each.
    """
    for place, row in enumerate(tqdm(rows, desc="drawing maps", unit="query", **bar_options())):
        query, maps = subject.queries.iloc[row], _of_one(explained.maps, place)
        match = subject.gallery.iloc[subject.nearest_match(row)]
        title = (
            f"Grad-CAM of tracklet {query.name} ({_who(query)})\n"
            f"towards its nearest match, {match.name} ({_who(match)})"
        )
        pictures = _clip(subject, query, explained.frames[place])
        save(draw_activation_maps(pictures, maps, title), folder_of(folder, query) / "maps.png")
        np.savez_compressed(folder_of(folder, query) / "maps.npz", **maps)  # type: ignore[arg-type]


def write_graphs(
    folder: Path, subject: Subject, rows: Sequence[int], explained: ExplainedTracklets
) -> None:
    """Draws the learned graphs of each query, and writes them as ``graphs.npz``.

    Args:
        folder: That receives ``query-<tracklet>/{temporal,edges,spatial}.png``, where the model
            has such a graph, and ``edges.csv``.
        subject: Whose graphs.
        rows: Of the queries.
        explained: What was found of these queries.
    """
    for place, row in enumerate(tqdm(rows, desc="drawing graphs", unit="query", **bar_options())):
        query, graphs = subject.queries.iloc[row], _of_one(explained.graphs, place)
        pictures, own = _clip(subject, query, explained.frames[place]), folder_of(folder, query)
        of_query = f"of tracklet {query.name} ({_who(query)})"
        if "temporal" in graphs:
            weights = graphs["temporal"]
            patches = len(weights) // len(pictures)
            edges = strongest_edges(weights, patches, EDGES)
            title = f"Weights between the patches of all frames {of_query}"
            save(draw_temporal_graph(pictures, weights, title), own / "temporal.png")
            title = f"Strongest edges between frames {of_query}"
            save(draw_edges(pictures, edges, patches, title), own / "edges.png")
            edges.to_csv(own / "edges.csv", index=False)
        if "spatial" in graphs:
            title = f"Weights between the patches of each frame {of_query}"
            save(draw_spatial_graphs(pictures, graphs["spatial"], title), own / "spatial.png")
        if graphs:
            np.savez_compressed(own / "graphs.npz", **graphs)  # type: ignore[arg-type]


def folder_of(folder: Path, query: pd.Series) -> Path:
    """Where the files of a query go."""
    own = folder / f"query-{query.name}"
    own.mkdir(exist_ok=True)
    return own


def _of_one(arrays: dict[str, np.ndarray], place: int) -> dict[str, np.ndarray]:
    return {name: array[place] for name, array in arrays.items()}


def _clip(subject: Subject, query: pd.Series, frames: np.ndarray) -> np.ndarray:
    return subject.read(query, frames - int(query["first_frame"]))


def _who(tracklet: pd.Series) -> str:
    return f"person {tracklet['pid']}, camera {tracklet['camid']}"


def _label(tracklet: pd.Series) -> str:
    return f"person {tracklet['pid']}\ncamera {tracklet['camid']}\ntracklet {tracklet.name}"


def _title(subject: Subject, row: int) -> str:
    result = subject.result
    score = "no match in another camera"
    if not np.isnan(result.average_precision[row]):
        score = (
            f"AP {100 * result.average_precision[row]:.1f} %, "
            f"first match at rank {result.first_match_rank[row]:.0f}"
        )
    return f"{subject.protocol.name}: {score}"
