"""Activation maps, graphs and their patches of many tracklets, a batch at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from stgcn_pyg.data import TrackletDataModule
from stgcn_pyg.data.reading import reading
from stgcn_pyg.explain.activation_maps import Towards, activation_maps, feature_maps_of
from stgcn_pyg.explain.graphs import learned_graphs, patch_distances
from stgcn_pyg.models import STGCN
from stgcn_pyg.models.forward_modes import evaluating
from stgcn_pyg.progress import bar_options


@dataclass(frozen=True, eq=False)
class ExplainedTracklets:
    """Maps, graphs and patch distances of the first clip of each of N tracklets.

    Attributes:
        frames: Rows of the clips' frames among those of the data set, ``[N, T]``.
        maps: Activation maps ``[N, T, h, w]`` of float32 by name, as :func:`.activation_maps`
            names them.
        graphs: Weights ``[N, T * P, T * P]`` and ``[N, T, P, P]`` of float32 by name, as
            :func:`.learned_graphs` names them.
        distances: Distances between the patches of each graph, ``[N, 2]`` and ``[N, T, 2]`` of
            float32 by name, as :func:`.patch_distances` names them.
    """

    frames: np.ndarray
    maps: dict[str, np.ndarray]
    graphs: dict[str, np.ndarray]
    distances: dict[str, np.ndarray]


def explain_tracklets(
    model: STGCN,
    data: TrackletDataModule,
    tracklets: pd.DataFrame,
    towards: Callable[[Tensor], Towards],
    device: torch.device | str = "cpu",
    title: str = "explaining",
) -> ExplainedTracklets:
    """Activation maps, learned graphs and patch distances of the first clip of each tracklet.

    Args:
        model: The network; it is moved to ``device``, and is in evaluation mode meanwhile.
        data: Data module that reads the clips.
        tracklets: N rows of the data set's tables.
        towards: Function from rows of ``tracklets`` to what their maps are drawn towards, such as
            ``lambda rows: towards_tracklets(model, embeddings[rows])``.
        device: Device that computes.
        title: Label of the progress bar.

    Raises:
        UserError: An image is missing or damaged.
    """
    clips = [data.clips_of(int(num_frames))[:1] for num_frames in tracklets["num_frames"]]
    loader = data.clip_dataloader(tracklets, device=device, clips=clips)
    model.to(device)
    found: list[tuple[dict[str, Tensor], ...]] = []
    bar = tqdm(total=len(tracklets), desc=title, unit="tracklet", **bar_options())
    with evaluating(model), bar, reading(loader) as batches:
        for batch in batches:
            batch = data.move_and_normalize(batch, device, model.mean, model.std)
            feature_maps = feature_maps_of(model, batch.clips)
            maps = activation_maps(model, feature_maps, towards(batch.labels.cpu()))
            graphs = learned_graphs(model, feature_maps)
            found.append((maps, graphs, patch_distances(model, feature_maps)))
            bar.update(len(batch.labels))
    frames = tracklets["first_frame"].to_numpy()[:, None] + np.concatenate(clips)
    return ExplainedTracklets(frames, *map(_joined, zip(*found, strict=True)))


def _joined(parts: Sequence[dict[str, Tensor]]) -> dict[str, np.ndarray]:
    return {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}
