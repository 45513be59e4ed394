"""What is written of the embedding as a whole."""

from pathlib import Path

import pandas as pd
import torch

from stgcn_pyg.explain.embedding_space import (
    distance_histogram,
    scores_by_camera_pair,
    scores_by_quartile,
    tsne,
)
from stgcn_pyg.explain.figures import draw_distances, draw_points, save
from stgcn_pyg.explain.rendered_truth import RenderedTruth, has_truth
from stgcn_pyg.explain.subject import Subject
from stgcn_pyg.explain.summary import mean_hidden


def write_embedding(folder: Path, subject: Subject) -> dict[str, pd.DataFrame]:
    """Draws t-SNE and distances, and writes their tables and those of where the model errs.

    Args:
        folder: That receives ``people.png``, ``cameras.png`` and ``distances.png``, and CSV files:
            ``points``, ``distances``, ``by_camera_pair``, ``by_length`` and, on a rendered data
            set, ``by_hidden``.
        subject: Whose embedding.

    Returns:
        The last three tables by their names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_points(folder, subject)
    given = subject.task, subject.protocol, subject.query_features, subject.gallery_features
    histogram = distance_histogram(*given)
    histogram.to_csv(folder / "distances.csv", index=False)
    save(draw_distances(histogram), folder / "distances.png")
    queries, dataset = subject.queries, subject.data.dataset
    tables = {
        "by_camera_pair": scores_by_camera_pair(*given),
        "by_length": scores_by_quartile(subject.result, queries["num_frames"].to_numpy()),
    }
    if has_truth(dataset.root):
        hidden = mean_hidden(RenderedTruth(dataset.root), queries, dataset.frames)
        tables["by_hidden"] = scores_by_quartile(subject.result, hidden)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return tables


def _write_points(folder: Path, subject: Subject) -> None:
    """Each tracklet once, a query that is in the gallery too as a query."""
    queries, gallery = subject.queries, subject.gallery
    others = ~gallery.index.isin(queries.index)
    tracklets = pd.concat([queries, gallery[others]])
    features = torch.cat(
        [subject.query_features, subject.gallery_features[torch.from_numpy(others)]]
    )
    points = tsne(features.cpu().numpy())
    table = tracklets[["pid", "camid", "is_query"]].assign(x=points[:, 0], y=points[:, 1])
    table.to_csv(folder / "points.csv", index_label="tracklet")
    is_query = tracklets["is_query"].to_numpy()
    for name, column, file in (("person", "pid", "people"), ("camera", "camid", "cameras")):
        figure = draw_points(points, tracklets[column].to_numpy(), is_query, name)
        save(figure, folder / f"{file}.png")
