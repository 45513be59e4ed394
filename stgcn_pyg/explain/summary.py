"""What maps and graphs do over a whole data set, beside what chance gives, in tables."""

import numpy as np
import pandas as pd

from stgcn_pyg.explain.graphs import share_from_uncovered
from stgcn_pyg.explain.person_mass import elsewhere, grouped_mean, person_mass
from stgcn_pyg.explain.rendered_truth import RenderedTruth, covered_patches, on_grid
from stgcn_pyg.explain.tracklets import ExplainedTracklets

COLUMNS = ["value", "standard_error", "num_values", "people"]
PLACES = ("before", "behind")


def mass_on_person(
    explained: ExplainedTracklets, truth: RenderedTruth, paths: pd.Series, pids: np.ndarray
) -> pd.DataFrame:
    """The share of the activation maps' mass that lies on what is seen of the person.

    Only frames in which something of the person is seen count. A map of zeros has no mass.

    Args:
        explained: N tracklets of two people at least.
        truth: Of their data set.
        paths: Of all frames of the data set.
        pids: The person of each tracklet, ``[N]``.

    Returns:
        A row a map and measure, the index: ``mass``, the map's share; ``elsewhere``, its share
        where other people stand on average; ``uniform``, the share of a map that is the same
        everywhere; ``most``, that of a map in the best cell alone; ``gain``, ``mass`` less
        ``elsewhere``. The columns are the mean over the frames, its standard error, the number of
        frames, and of people, by whom the frames are grouped.
    """
    frames = paths.iloc[explained.frames.ravel()]
    _, seen = truth.masks(frames)
    some = seen.any(axis=(1, 2))
    groups = np.repeat(pids, explained.frames.shape[1])[some]
    rows = {}
    for name, maps in explained.maps.items():
        height, width = maps.shape[2:]
        maps = maps.reshape(-1, height, width)[some]
        person = on_grid(seen[some], height, width)
        others = elsewhere(person, groups)
        mass, mass_elsewhere = person_mass(maps, person), person_mass(maps, others)
        lit = ~np.isnan(mass)
        measures = {
            "mass": mass,
            "elsewhere": mass_elsewhere,
            "uniform": person.mean(axis=(1, 2)),
            "most": person.max(axis=(1, 2)),
            "gain": mass - mass_elsewhere,
        }
        for measure, values in measures.items():
            rows[name, measure] = grouped_mean(values[lit], groups[lit])
    return _table(rows, ["map", "measure"])


def weight_from_uncovered(
    explained: ExplainedTracklets, truth: RenderedTruth, paths: pd.Series, pids: np.ndarray
) -> pd.DataFrame:
    """Of what patches gather from others, the share that comes from uncovered ones.

    Args:
        explained: N tracklets.
        truth: Of their data set.
        paths: Of all frames of the data set.
        pids: The person of each tracklet, ``[N]``.

    Returns:
        A row a graph, kind of patch (``covered``, ``uncovered``) and measure, the index:
        ``share``, ``chance``, the share if all weights were equal, and ``gain``, their difference.
        The columns are as in :func:`mass_on_person`, of patches. No row where there is no such
        patch.
    """
    frames = paths.iloc[explained.frames.ravel()]
    body, seen = truth.masks(frames)
    rows = {}
    for graph, weights in explained.graphs.items():
        num_nodes = weights.shape[-1]
        weights = weights.reshape(-1, num_nodes, num_nodes)
        patches = num_nodes * len(weights) // len(frames)  # of each frame, in either graph
        covered, uncovered = (
            patch.reshape(-1, num_nodes) for patch in covered_patches(body, seen, patches)
        )
        table = share_from_uncovered(weights, covered, uncovered)
        table["gain"] = table["share"] - table["chance"]
        table["pid"] = np.repeat(pids, len(weights) // len(pids))[table["graph"]]
        for kind, some in (("covered", table["covered"]), ("uncovered", ~table["covered"])):
            for measure in ("share", "chance", "gain"):
                values = table.loc[some, measure].to_numpy()
                if len(values):
                    rows[graph, kind, measure] = grouped_mean(
                        values, table.loc[some, "pid"].to_numpy()
                    )
    return _table(rows, ["graph", "patches", "measure"])


def distance_between_patches(explained: ExplainedTracklets, pids: np.ndarray) -> pd.DataFrame:
    """How far apart the patches of a graph lie, by what :func:`.patch_distances` gives.

    Args:
        explained: N tracklets, of a model with a branch of patches.
        pids: The person of each tracklet, ``[N]``.

    Returns:
        A row a branch and place, the index: ``before`` its layers and ``behind`` them. The columns
        are as in :func:`mass_on_person`, of graphs.
    """
    rows = {}
    for branch, distances in explained.distances.items():
        groups = np.repeat(pids, distances[..., 0].size // len(pids))
        for place, values in zip(PLACES, distances.reshape(-1, 2).T, strict=True):
            rows[branch, place] = grouped_mean(values.astype(np.float64), groups)
    return _table(rows, ["branch", "layers"])


def _table(rows: dict, names: list[str]) -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples(list(rows), names=names)
    return pd.DataFrame(list(rows.values()), index=index).set_axis(COLUMNS, axis=1)


def mean_hidden(truth: RenderedTruth, tracklets: pd.DataFrame, paths: pd.Series) -> np.ndarray:
    """The mean share of the body that is hidden in each tracklet, ``[N]``.

    The mean is over the tracklet's frames that have a body to hide; it is NaN if none has.

    Args:
        truth: The ground truth of the tracklets' data set.
        tracklets: N rows of the data set's tables.
        paths: The paths of all frames of the data set.
    """
    means = []
    for first, count in zip(tracklets["first_frame"], tracklets["num_frames"], strict=True):
        hidden = truth.hidden(paths.iloc[first : first + count])
        hidden = hidden[~np.isnan(hidden)]
        means.append(hidden.mean() if len(hidden) else np.nan)
    return np.array(means)
