"""Queries from what a user names: an extraction, frames, a video, or a tracklet of the gallery."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from stgcn_pyg import JUNK
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.extraction import read_description, read_shards
from stgcn_pyg.search.engine import Engine, Queries
from stgcn_pyg.tracks.video import IMAGES

if TYPE_CHECKING:
    from stgcn_pyg.runs.embedder import Embedder
    from stgcn_pyg.runs.settings import Accelerator

TRACKLET = re.compile(r"(.+):(\d+)")
Parts = Literal["query", "all"]


@dataclass(frozen=True)
class NamedQueries:
    """Queries, and how to show them.

    Attributes:
        queries: The queries, Q of them.
        names: What each is called: its number, its track, or the folder's name.
        frames: Paths of the frames of each, where they are known without the data set.
        source: Where frames of the others are, as an extraction is described by; None: not known.
        own: The ids of the queries in the gallery, if they are tracklets of it.
    """

    queries: Queries
    names: Sequence[Any]
    frames: Mapping[Any, list[Path]] = field(default_factory=dict)
    source: Mapping[str, Any] | None = None
    own: np.ndarray | None = None


def ids_of(gallery: Engine, name: str) -> np.ndarray:
    """The ids of a data set's tracklets, or of the one that ``DATASET:NUMBER`` names.

    Raises:
        UserError: There is none.
    """
    table = gallery.tracklets()
    of_name = table["dataset"] == name
    if not of_name.any() and (match := TRACKLET.fullmatch(name)):
        of_name = (table["dataset"] == match[1]) & (table["tracklet"] == int(match[2]))
    if not of_name.any():
        ranges = table.groupby("dataset")["tracklet"].agg(["min", "max"]).head(10).itertuples()
        there = ", ".join(f"{dataset}:{low} to {dataset}:{high}" for dataset, low, high in ranges)
        raise UserError(f"{gallery.place}: has no tracklet {name}; it has {there or 'none'}")
    return table.index[of_name].to_numpy()


def queries_of_extraction(gallery: Engine, folder: Path, parts: Parts | None) -> NamedQueries:
    """The queries of an extraction, or all its tracklets.

    Args:
        gallery: The gallery to search, whose model the extraction must be of.
        folder: The extraction.
        parts: ``"query"``, ``"all"``, or None: its queries if it has any, else all.
    """
    description = read_description(folder)
    gallery.require_same_model(str(folder), description)
    tables, embeddings = [], []
    for shard in read_shards(folder, description):
        if parts is None:  # tracklets that are no queries may still be needed
            keep = np.ones(len(shard.tracklets), dtype=bool)
        else:
            keep = shard.tracklets["is_query"].to_numpy() | (parts == "all")
        tables.append(shard.tracklets[keep])
        embeddings.append(shard.embeddings[keep])
    table, values = pd.concat(tables), np.concatenate(embeddings)
    if parts is None and table["is_query"].any():
        values, table = values[table["is_query"]], table[table["is_query"]]
    if table.empty:
        raise UserError(f"{folder}: holds no query: pass --parts all")
    labels = table["pid"].to_numpy(), table["camid"].to_numpy()
    return NamedQueries(Queries(values, *labels), table.index.tolist(), source=description)


def query_of_gallery(gallery: Engine, name: str) -> NamedQueries:
    """Tracklets of the gallery, as :func:`ids_of` names them, which do not find themselves."""
    ids = ids_of(gallery, name)
    table = gallery.tracklets(ids)
    labels = table["pid"].to_numpy(), table["camid"].to_numpy()
    names = [f"{row.dataset}:{row.tracklet}" for row in table.itertuples()]
    return NamedQueries(Queries(gallery.embeddings(ids), *labels), names, own=ids)


def embedder_of(gallery: Engine, run: Path, accelerator: "Accelerator" = "auto") -> "Embedder":
    """The network of the gallery's embeddings; raises a UserError if a run's is another."""
    from stgcn_pyg.runs.embedder import Embedder  # and torchvision, which others spare

    embedder = Embedder(run, test_clips=gallery.facts["test_clips"], accelerator=accelerator)
    digest = embedder.checkpoint_sha256
    gallery.require_same_model(str(run), {"checkpoint_sha256": digest})
    return embedder


def query_of_frames(embedder: "Embedder", folder: Path) -> NamedQueries:
    """A tracklet whose frames are the images of a folder, in the order of their names."""
    frames = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES)
    if not frames:
        raise UserError(f"{folder}: holds neither an extraction nor images ({', '.join(IMAGES)})")
    name = folder.resolve().name
    return NamedQueries(_unknown(embedder.embed(frames)[None]), [name], {name: frames})


def queries_of_video(
    embedder: "Embedder", video: Path, tracks: Path, format: str = "auto", camera: str | None = None
) -> NamedQueries:
    """The tracklets of a video and its tracks; each is called by its track and first frame."""
    found = embedder.embed_video(video, tracks, format=format, camera=camera)
    rows = found.tracklets.itertuples()
    names = [f"track {row.track} from frame {row.first_frame}" for row in rows]
    return NamedQueries(_unknown(found.embeddings), names)


def _unknown(embeddings: np.ndarray) -> Queries:
    """Queries of nobody known, in no camera of the gallery."""
    unknown = np.full(len(embeddings), JUNK)
    return Queries(embeddings, unknown, unknown)
