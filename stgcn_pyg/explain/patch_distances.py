"""How far apart the patches of a graph lie, before a branch's layers and behind them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from stgcn_pyg.models import STGCN, SpatialBranch, TemporalBranch


def patch_distances(model: STGCN, feature_maps: Tensor) -> dict[str, Tensor]:
    r"""The mean distance between the patches of each graph, before and behind the layers.

    .. math::
        d = \frac{1}{N (N - 1)} \sum_i \sum_{j \ne i}
            \left( 1 - \frac{x_i \cdot x_j}{\|x_i\| \, \|x_j\|} \right)

    Layers that make patches alike leave the maximum over patches nothing to choose from. A patch
    of zeros is at a distance of 1 from every other.

    Args:
        model: Whose branches, with graphs or fully connected layers.
        feature_maps: Of B clips, ``[B * T, C, h, w]``, as :func:`.feature_maps_of` gives them.

    Returns:
        ``"temporal"``: ``[B, 2]``, and ``"spatial"``: ``[B, T, 2]``, where the model has such a
        branch and its graphs two patches at least: before its first layer, and behind its last.

    Example:
        >>> from stgcn_pyg.explain import feature_maps_of
        >>> model = STGCN(10, num_frames=2, backbone="resnet18", weights=None).eval()
        >>> distances = patch_distances(model, feature_maps_of(model, torch.randn(3, 2, 3, 64, 32)))
        >>> {name: tuple(distance.shape) for name, distance in distances.items()}
        {'temporal': (3, 2), 'spatial': (3, 2, 2)}
    """
    distances = {}
    with torch.no_grad():
        for name, branch in model.branches.items():
            if not isinstance(branch, TemporalBranch | SpatialBranch):
                continue
            graphs, size = branch.graphs(feature_maps, model.num_frames)
            if size > 1:
                behind = branch.gcn(graphs.x, graphs.edge_index, size)
                both = [_mean_distance(x.unflatten(0, (-1, size))) for x in (graphs.x, behind)]
                distances[name] = torch.stack(both, dim=-1)
    if "spatial" in distances:
        distances["spatial"] = distances["spatial"].unflatten(0, (-1, model.num_frames))
    return distances


def _mean_distance(nodes: Tensor) -> Tensor:
    """Of each graph of ``[graphs, N, C]``."""
    units = F.normalize(nodes.double(), dim=2)
    cosines = units @ units.mT  # [graphs, N, N]
    num_pairs = nodes.size(1) * (nodes.size(1) - 1)
    between = cosines.sum(dim=(1, 2)) - cosines.diagonal(dim1=1, dim2=2).sum(dim=1)
    return (1 - between / num_pairs).to(nodes.dtype)
