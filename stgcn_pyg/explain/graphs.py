"""The learned graph: which patch gathers how much from which, and how far apart patches lie."""

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from stgcn_pyg.models import STGCN, SpatialBranch, TemporalBranch
from stgcn_pyg.models.fully_connected import FullyConnected


def learned_graphs(model: STGCN, feature_maps: Tensor) -> dict[str, Tensor]:
    r"""The weights :math:`\hat A` (Eq. 4): patch i gathers from patch j with weight ``[i, j]``.

    Node ``t * P + p`` is patch p, from the top, of frame t.

    Args:
        model: The network.
        feature_maps: Last feature maps of B clips, ``[B * T, C, h, w]``, from
            :func:`.feature_maps_of`.

    Returns:
        ``"temporal"``: ``[B, T * P, T * P]``, and ``"spatial"``: ``[B, T, P, P]``, where the model
        has such a branch with a graph. A branch of fully connected layers has none.

    Example:
        >>> from stgcn_pyg.explain import feature_maps_of
        >>> model = STGCN(10, num_frames=2, backbone="resnet18", weights=None).eval()
        >>> graphs = learned_graphs(model, feature_maps_of(model, torch.randn(3, 2, 3, 64, 32)))
        >>> {name: tuple(weights.shape) for name, weights in graphs.items()}
        {'temporal': (3, 8, 8), 'spatial': (3, 2, 4, 4)}
    """
    with torch.no_grad():
        graphs = {
            name: branch.edge_weights(feature_maps, model.num_frames)
            for name, branch in _branches_of_patches(model)
            if not isinstance(branch.gcn, FullyConnected)
        }
    return _by_clip(graphs, model)


def patch_distances(model: STGCN, feature_maps: Tensor) -> dict[str, Tensor]:
    r"""The mean distance between the patches of each graph, before and after the layers.

    .. math::
        d = \frac{1}{N (N - 1)} \sum_i \sum_{j \ne i}
            \left( 1 - \frac{x_i \cdot x_j}{\|x_i\| \, \|x_j\|} \right)

    Layers that make patches alike leave the maximum over patches nothing to choose from. A patch
    of zeros is at a distance of 1 from every other.

    Args:
        model: The network; its branches may have graphs or fully connected layers.
        feature_maps: Last feature maps of B clips, ``[B * T, C, h, w]``.

    Returns:
        ``"temporal"``: ``[B, 2]``, and ``"spatial"``: ``[B, T, 2]``, where the model has such a
        branch and its graphs two patches at least: before its first layer and after its last.

    Example:
        >>> from stgcn_pyg.explain import feature_maps_of
        >>> model = STGCN(10, num_frames=2, backbone="resnet18", weights=None).eval()
        >>> distances = patch_distances(model, feature_maps_of(model, torch.randn(3, 2, 3, 64, 32)))
        >>> {name: tuple(distance.shape) for name, distance in distances.items()}
        {'temporal': (3, 2), 'spatial': (3, 2, 2)}
    """
    distances = {}
    with torch.no_grad():
        for name, branch in _branches_of_patches(model):
            graphs, size = branch.graphs(feature_maps, model.num_frames)
            if size > 1:
                after = branch.transformed(graphs, size)
                both = [_mean_distance(x.unflatten(0, (-1, size))) for x in (graphs.x, after)]
                distances[name] = torch.stack(both, dim=-1)
    return _by_clip(distances, model)


def weight_by_time(weights: np.ndarray, num_frames: int) -> pd.DataFrame:
    r"""The mean weight between different patches by how many frames of the clip lie between them.

    Args:
        weights: :math:`\hat A` of temporal graphs, ``[B, N, N]``.
        num_frames: Number of frames T.

    Returns:
        A row a distance, the index: ``edges`` (in each graph), ``weight`` (the mean) and ``ratio``,
        the mean over that of a graph whose affinities are all equal, 1 / 2N.

    Example:
        >>> weight_by_time(np.full((1, 4, 4), 0.125), num_frames=2).reset_index()
           distance  edges  weight  ratio
        0         0      4   0.125    1.0
        1         1      8   0.125    1.0
    """
    num_nodes = _num_nodes(weights, num_frames)
    frame = np.arange(num_nodes) // (num_nodes // num_frames)
    distance = np.abs(frame[:, None] - frame)
    mean = weights.mean(axis=0, dtype=np.float64)
    edge = ~np.eye(num_nodes, dtype=bool)
    edges = np.bincount(distance[edge], minlength=num_frames)
    sums = np.bincount(distance[edge], mean[edge], minlength=num_frames)
    weight = np.divide(sums, edges, out=np.full(num_frames, np.nan), where=edges > 0)
    index = pd.RangeIndex(num_frames, name="distance")
    return pd.DataFrame(
        {"edges": edges, "weight": weight, "ratio": weight * 2 * num_nodes}, index=index
    )


def weight_by_stripe(weights: np.ndarray, num_patches: int) -> pd.DataFrame:
    r"""The mean weight between different patches by their stripes of the body.

    Args:
        weights: :math:`\hat A`, ``[B, N, N]``: temporal graphs, or spatial ones of P nodes.
        num_patches: Number of patches of a frame, P.

    Returns:
        The mean weight by which the stripe of the row gathers from that of the column, ``[P, P]``,
        stripes from the top. NaN for a stripe with itself where a graph has each but once.

    Example:
        >>> weight_by_stripe(np.array([[[0.7, 0.3], [0.4, 0.6]]]), num_patches=2).to_numpy()
        array([[nan, 0.3],
               [0.4, nan]])
    """
    num_nodes = _num_nodes(weights, num_patches)
    mean = weights.mean(axis=0, dtype=np.float64)
    mean[np.diag_indices(num_nodes)] = np.nan
    blocks = mean.reshape(-1, num_patches, num_nodes // num_patches, num_patches)
    sums = np.nansum(blocks, axis=(0, 2))
    edges = np.isfinite(blocks).sum(axis=(0, 2))
    means = np.divide(sums, edges, out=np.full(sums.shape, np.nan), where=edges > 0)
    stripes = range(num_patches)
    return pd.DataFrame(means, pd.Index(stripes, name="into"), pd.Index(stripes, name="from"))


def strongest_edges(weights: np.ndarray, num_patches: int, count: int) -> pd.DataFrame:
    r"""The largest weights between patches of different frames of one clip.

    Args:
        weights: :math:`\hat A` of its temporal graph, ``[N, N]``.
        num_patches: Number of patches of a frame, P.
        count: The largest number of edges.

    Returns:
        A row an edge, the strongest first: ``from_frame``, ``from_patch``, ``into_frame``,
        ``into_patch`` and ``weight``.

    Example:
        >>> strongest_edges(np.array([[0.8, 0.2], [0.4, 0.6]]), num_patches=1, count=1)
           from_frame  from_patch  into_frame  into_patch  weight
        0           0           0           1           0     0.4
    """
    frame = np.arange(_num_nodes(weights[None], num_patches)) // num_patches
    into, source = np.nonzero(frame[:, None] != frame)
    order = np.argsort(-weights[into, source], kind="stable")[:count]
    into, source = into[order], source[order]
    return pd.DataFrame(
        {
            "from_frame": source // num_patches,
            "from_patch": source % num_patches,
            "into_frame": into // num_patches,
            "into_patch": into % num_patches,
            "weight": weights[into, source],
        }
    )


def share_from_uncovered(
    weights: np.ndarray, covered: np.ndarray, uncovered: np.ndarray
) -> pd.DataFrame:
    r"""Of what a patch gathers from others, how much comes from uncovered ones.

    .. math::
        s_i = \frac{\sum_{j \ne i,\ j\ \text{uncovered}} \hat A_{ij}}
                   {\sum_{j \ne i,\ j\ \text{covered or uncovered}} \hat A_{ij}}

    Args:
        weights: :math:`\hat A` of G graphs, ``[G, N, N]``.
        covered: Patches of the body that something hides, ``[G, N]`` of bool.
        uncovered: Patches of the body that nothing hides, ``[G, N]`` of bool. Patches that are
            neither, such as those beside the body, do not count.

    Returns:
        A row a patch that is either and has another that is: ``graph``, ``node``, ``covered``,
        ``share`` and ``chance``, the share if all its weights were equal.

    Raises:
        ValueError: Shapes that differ, or a patch that is both.

    Example:
        >>> weights = np.array([[[0.5, 0.3, 0.2], [0.1, 0.5, 0.4], [0.2, 0.3, 0.5]]])
        >>> hidden = np.array([[True, True, False]])
        >>> share_from_uncovered(weights, hidden, ~hidden)
           graph  node  covered  share  chance
        0      0     0     True    0.4     0.5
        1      0     1     True    0.8     0.5
        2      0     2    False    0.0     0.0
    """
    shape = weights.shape[:2]
    if covered.shape != shape or uncovered.shape != shape or (covered & uncovered).any():
        raise ValueError(
            f"covered and uncovered must be {shape} of bool, one a node of weights, and exclude "
            f"each other, got {covered.shape} and {uncovered.shape}"
        )
    counted = covered | uncovered
    between = np.where(np.eye(shape[1], dtype=bool), 0, weights.astype(np.float64))
    total = (between * counted[:, None]).sum(axis=2)
    gained = (between * uncovered[:, None]).sum(axis=2)
    others = counted.sum(axis=1, keepdims=True) - 1
    good = uncovered.sum(axis=1, keepdims=True) - uncovered
    graph, node = np.nonzero(counted & (others > 0) & (total > 0))
    return pd.DataFrame(
        {
            "graph": graph,
            "node": node,
            "covered": covered[graph, node],
            "share": gained[graph, node] / total[graph, node],
            "chance": good[graph, node] / others[graph, 0],
        }
    )


def _branches_of_patches(model: STGCN) -> list[tuple[str, TemporalBranch | SpatialBranch]]:
    branches = model.branches.items()
    return [(name, b) for name, b in branches if isinstance(b, TemporalBranch | SpatialBranch)]


def _by_clip(found: dict[str, Tensor], model: STGCN) -> dict[str, Tensor]:
    """Splits what the spatial branch gives by frame, ``[B * T, ...]``, by clip, ``[B, T, ...]``."""
    if "spatial" in found:
        found["spatial"] = found["spatial"].unflatten(0, (-1, model.num_frames))
    return found


def _num_nodes(weights: np.ndarray, divisor: int) -> int:
    if weights.ndim != 3 or weights.shape[1] != weights.shape[2] or weights.shape[1] % divisor:
        raise ValueError(
            f"weights must be [graphs, N, N] with N a multiple of {divisor}, got {weights.shape}"
        )
    return weights.shape[1]


def _mean_distance(nodes: Tensor) -> Tensor:
    units = F.normalize(nodes.double(), dim=2)
    cosines = units @ units.mT  # [graphs, N, N]
    num_pairs = nodes.size(1) * (nodes.size(1) - 1)
    between = cosines.sum(dim=(1, 2)) - cosines.diagonal(dim1=1, dim2=2).sum(dim=1)
    return (1 - between / num_pairs).to(nodes.dtype)
