"""The k strongest neighbours of each node, among those that an affinity has weighed."""

import torch
from torch import Tensor

from stgcn_pyg.layers.checks import (
    Bool,
    Float,
    Integer,
    check_mask,
    check_tensor,
    checked_indices,
    whole_number,
)
from stgcn_pyg.layers.functional import pairs_of


def top_k_mask(
    a: Float[Tensor, "*_"],
    k: int,
    *,
    mask: Bool[Tensor, "*_ N"] | None = None,
    edge_index: Integer[Tensor, "2 E"] | None = None,
) -> Bool[Tensor, "*_"]:
    """Which neighbours are among the k strongest of their node, for graphs of any kind.

    Pass the result as ``edge_weight`` to :class:`AffinityGCN` or :class:`DenseAffinityGCN`: the
    weights of the other neighbours are then 0 and those of the k sum to 1. The shape of the result
    does not depend on values, so that it compiles and exports, and no GPU is waited for.

    Args:
        a: Affinities: ``[..., N, N]`` of dense batches and equal graphs, of which row i gathers
            from j; or ``[E]`` of the edges ``edge_index``, for graphs of any sizes.
        k: The number of neighbours that a node gathers from. A node with fewer keeps all.
        mask: Which nodes exist, ``[..., N]``, or ``[G, N]`` for the heads of ``[G, H, N, N]``; the
            others are nobody's neighbours.
        edge_index: The edges of ``a``, in any order.

    Returns:
        True for the neighbours that are kept, in the shape of ``a``. Of equal affinities the
        neighbour of the lower number is kept, of edges the one that comes first.

    Raises:
        ValueError: A shape or ``k`` does not fit; the message names the argument.

    Example:
        >>> top_k_mask(torch.tensor([[0.7, 0.1, 0.2], [0.3, 0.3, 0.4], [0.0, 0.5, 0.5]]), k=1)
        tensor([[ True, False, False],
                [False, False,  True],
                [False,  True, False]])
    """
    check_tensor("a", a)
    k = whole_number("k", k, at_least=1)
    if edge_index is not None:
        edge_index = checked_indices("edge_index", edge_index, (2, "edges"))
        if a.shape != edge_index.shape[1:]:
            raise ValueError(
                f"a must be ({edge_index.size(1)},), one an edge, got {tuple(a.shape)}"
            )
        if mask is not None:
            raise ValueError("mask is for dense batches: leave it out, or edge_index")
        return _first_k_by_target(a, edge_index[1], k)
    if a.dim() < 2 or a.size(-1) != a.size(-2):
        raise ValueError(f"a must be [..., size, size], or pass edge_index; got {tuple(a.shape)}")
    pairs = None
    if mask is not None:
        if a.dim() == 4 and mask.dim() == 2:  # the same nodes for all heads
            check_mask(mask, (a.size(0), a.size(-1)))
            mask = mask.unsqueeze(1)
        else:
            check_mask(mask, tuple(a.shape[:-1]))
        pairs = pairs_of(mask)
        a = a.masked_fill(~pairs, -torch.inf)
    keep = torch.zeros_like(a, dtype=torch.bool).scatter(-1, _strongest(a, k), True)
    return keep if pairs is None else keep & pairs


def top_k_edges(
    a: Float[Tensor, "*_"], k: int, edge_index: Integer[Tensor, "2 E"] | None = None
) -> Integer[Tensor, "2 _"]:
    """The edges from each node's k strongest neighbours, itself among them if it is one.

    Args:
        a: Affinities in blocks, ``[G, N, N]``: what an affinity layer gives with ``graph_size``; or
            ``[E]``, of the edges ``edge_index``, for graphs of any sizes.
        k: The number of neighbours that a node gathers from: of blocks in 1..N, of edges 1 or more,
            where a node with fewer keeps all.
        edge_index: The edges of ``a``, in any order, of which those of the k strongest are kept.
            Their number is not known before: on a GPU the host waits for it.

    Returns:
        ``edge_index`` of shape ``[2, G * N * k]``, sorted by target; or the edges that are kept,
        ``[2, E']``, in their order. Of equal affinities those of :func:`top_k_mask`.

    Example:
        >>> top_k_edges(torch.tensor([[[0.9, 0.1], [0.8, 0.2]]]), k=1)
        tensor([[0, 0],
                [0, 1]])
        >>> edges = torch.tensor([[0, 1, 0, 1], [0, 0, 1, 1]])
        >>> top_k_edges(torch.tensor([0.9, 0.1, 0.8, 0.2]), k=1, edge_index=edges)
        tensor([[0, 0],
                [0, 1]])
    """
    if edge_index is not None:
        return edge_index[:, top_k_mask(a, k, edge_index=edge_index)]
    check_tensor("a", a)
    if a.dim() != 3 or a.size(1) != a.size(2):
        raise ValueError(f"a must be [graphs, size, size], got {tuple(a.shape)}")
    num_graphs, graph_size, _ = a.shape
    k = whole_number("k", k)
    if not 1 <= k <= graph_size:
        raise ValueError(f"k must lie in 1..{graph_size}, the size of the graphs, got {k}")
    first = torch.arange(num_graphs, device=a.device).view(-1, 1, 1) * graph_size
    source = _strongest(a, k) + first
    target = torch.arange(num_graphs * graph_size, device=a.device).repeat_interleave(k)
    return torch.stack([source.flatten(), target])


def _strongest(a: Tensor, k: int) -> Tensor:
    """The numbers of the k strongest neighbours `[..., N, k]`, in falling order."""
    # A stable sort, so that of equal affinities the first is kept on every device.
    return a.argsort(dim=-1, descending=True, stable=True)[..., :k]


def _first_k_by_target(a: Tensor, target: Tensor, k: int) -> Tensor:
    order = a.argsort(descending=True, stable=True)
    order = order.index_select(0, target.index_select(0, order).argsort(stable=True))
    place = torch.arange(a.numel(), device=a.device)
    ordered = target.index_select(0, order)
    begins = torch.ones_like(ordered, dtype=torch.bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    first = torch.where(begins, place, 0).cummax(0).values  # of the edges into the same node
    return torch.empty_like(begins).index_copy(0, order, place - first < k)
