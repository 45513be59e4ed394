"""What maps and graphs do over a whole data set, beside what chance gives, in tables."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from stgcn_pyg.explain.graphs import share_from_uncovered
from stgcn_pyg.explain.rendered_truth import RenderedTruth, covered_patches, on_grid
from stgcn_pyg.explain.tracklets import ExplainedTracklets

COLUMNS = ["value", "standard_error", "num_values", "people"]
PLACES = ("before", "behind")


class Mean(NamedTuple):
    """A mean over values in groups; its standard error is NaN for a single group."""

    mean: float
    standard_error: float
    num_values: int
    num_groups: int


def mass_on_person(
    explained: ExplainedTracklets, truth: RenderedTruth, paths: pd.Series, pids: np.ndarray
) -> pd.DataFrame:
    """The share of the activation maps' mass that lies on what is seen of the person.

    Only frames in which something of the person is seen count. A map of zeros has no mass, and a
    branch with no other maps has no row.

    Args:
        explained: Maps of N tracklets of at least two identities.
        truth: Ground truth of their data set.
        paths: Paths of all frames of the data set.
        pids: Identity of each tracklet, ``[N]``.

    Returns:
        A row a map and measure, the index: ``mass``, the map's share; ``elsewhere``, its share
        where other people stand on average; ``uniform``, the share of a map that is the same
        everywhere; ``most``, that of a map in the best cell alone; ``gain``, ``mass`` less
        ``elsewhere``. The columns are the mean over the frames (``value``), its
        ``standard_error``, the number of frames (``num_values``), and of ``people``, by whom the
        frames are grouped.
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
        if lit.any():
            for measure, values in measures.items():
                rows[name, measure] = grouped_mean(values[lit], groups[lit])
    return _table(rows, ["map", "measure"])


def weight_from_uncovered(
    explained: ExplainedTracklets, truth: RenderedTruth, paths: pd.Series, pids: np.ndarray
) -> pd.DataFrame:
    """Of what patches gather from others, the share that comes from uncovered ones.

    Args:
        explained: Graphs of N tracklets.
        truth: Ground truth of their data set.
        paths: Paths of all frames of the data set.
        pids: Identity of each tracklet, ``[N]``.

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
        explained: Distances of N tracklets, of a model with a branch of patches.
        pids: Identity of each tracklet, ``[N]``.

    Returns:
        A row a branch and place, the index: ``before`` its layers and ``behind``, after them.
        The columns are as in :func:`mass_on_person`, of graphs.
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


def person_mass(maps: np.ndarray, person: np.ndarray) -> np.ndarray:
    """The share of each map's mass that lies on the person, ``[F]``; NaN for a map of zeros.

    ``person`` is the share of each cell of the maps ``[F, h, w]`` that the person fills.
    """
    total = maps.sum(axis=(1, 2), dtype=np.float64)
    on_person = (maps * person).sum(axis=(1, 2), dtype=np.float64)
    return np.divide(on_person, total, out=np.full(len(maps), np.nan), where=total > 0)


def elsewhere(person: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Where other people stand: for each frame, the mean of ``person`` over other groups' frames.

    A map that follows nothing but the usual place of people has as much mass there as on its own
    person. There must be two groups.
    """
    _, group = np.unique(groups, return_inverse=True)
    counts = np.bincount(group)
    if len(counts) < 2:
        raise ValueError("elsewhere needs two groups at least, got one")
    sums = np.zeros((len(counts), *person.shape[1:]))
    np.add.at(sums, group, person)
    others = len(group) - counts
    return ((sums.sum(axis=0) - sums) / others[:, None, None])[group]


def grouped_mean(values: np.ndarray, groups: np.ndarray) -> Mean:
    r"""A mean without NaNs, and its standard error for values that are dependent within a group.

    .. math::
        \operatorname{se}^2 = \frac{G}{G - 1} \sum_g \Big(\frac1n \sum_{i \in g} (x_i - \bar x)
        \Big)^2
    """
    known = ~np.isnan(values)
    values, groups = values[known], groups[known]
    if not len(values):
        raise ValueError("grouped_mean: there are no values but NaN")
    _, group = np.unique(groups, return_inverse=True)
    mean = values.mean()
    sums = np.bincount(group, values - mean) / len(values)
    num = len(sums)
    error = np.sqrt(num / (num - 1) * np.square(sums).sum()) if num > 1 else np.nan
    return Mean(float(mean), float(error), len(values), num)
