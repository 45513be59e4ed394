"""Equations 2 to 4 as functions: the affinity of a graph's nodes and its re-normalisation."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.utils import add_self_loops, scatter

from stgcn_pyg.layers.checks import Bool, Float, Integer, check_weights, checked_edges
from stgcn_pyg.layers.neighbours import DenseNeighbours

NARROW = (torch.float16, torch.bfloat16)


def squared_affinity(h: Float[Tensor, "*graphs N D"]) -> Float[Tensor, "*graphs N N"]:
    r"""The squared, row-normalised affinity of the nodes of complete graphs (Eq. 2 and 3).

    .. math::
        e_{ij} = h_i^\top h_j, \qquad A_{ij} = \frac{e_{ij}^2}{\sum_k e_{ik}^2}

    Each row is divided by its largest entry before it is squared, which gives the same number
    without overflow. For float16 and bfloat16, inner products and norms are computed in float32 and
    the affinity is rounded at the end. A node of zeros has the affinity 0 with every node. The
    answer is right while the largest inner product of each node lies between 1e-18 and 1e18 (any
    float16 features of up to 10,000 channels; ``double`` reaches further).

    Args:
        h: Transformed node features :math:`\phi(x)`, ``[..., N, D]``.

    Returns:
        The affinity ``[..., N, N]``, with entries in [0, 1] and rows that sum to 1.

    Example:
        >>> squared_affinity(torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
        tensor([[0.5000, 0.5000],
                [0.2000, 0.8000]])
    """
    return DenseNeighbours().share(inner_products(h), power=2).to(h.dtype)


def softmax_affinity(
    h: Float[Tensor, "*graphs N D"], mask: Bool[Tensor, "*graphs N"] | None = None
) -> Float[Tensor, "*graphs N N"]:
    r"""The affinity of scaled dot-product attention, to compare with the paper's.

    .. math::
        A_{ij} = \frac{\exp(h_i^\top h_j / \sqrt D)}{\sum_k \exp(h_i^\top h_k / \sqrt D)}

    Shapes, and what is done for float16 and bfloat16, as for :func:`squared_affinity`; a node
    outside ``mask`` ``[..., N]`` neither gets a weight nor gives one.

    Example:
        >>> softmax_affinity(torch.tensor([[0.0], [1.0]]))
        tensor([[0.5000, 0.5000],
                [0.2689, 0.7311]])
    """
    pairs = None if mask is None else pairs_of(mask)
    return DenseNeighbours(pairs).softmax(inner_products(scale_by_root_width(h))).to(h.dtype)


def cosine_affinity(h: Float[Tensor, "*graphs N D"]) -> Float[Tensor, "*graphs N N"]:
    r"""The row-normalised cosine similarity of the nodes, to compare with the paper's affinity.

    .. math::
        A_{ij} = \frac{c_{ij}}{\sum_k c_{ik}}, \qquad
        c_{ij} = \max\Big(0, \frac{h_i^\top h_j}{\|h_i\|\,\|h_j\|}\Big)

    Opposite nodes have the affinity 0, since Eq. 4 needs weights :math:`\ge 0`; so has a node of
    zeros with every node. Shapes, and what is done for float16 and bfloat16, as for
    :func:`squared_affinity`; nodes may be as long as 1e18 and as short as 1e-18.

    Example:
        >>> cosine_affinity(torch.tensor([[2.0, 0.0], [0.0, 3.0]]))
        tensor([[1., 0.],
                [0., 1.]])
    """
    return DenseNeighbours().share(inner_products(l2_normalize(h)).relu()).to(h.dtype)


def pairs_of(mask: Tensor) -> Tensor:
    """The pairs of nodes that exist, `[..., N, N]`, from the nodes that exist, `[..., N]`."""
    return mask.unsqueeze(-1) & mask.unsqueeze(-2)


def widen(values: Tensor) -> Tensor:
    """float16 and bfloat16 as float32, whose range and digits products and sums do not leave."""
    return values.float() if values.dtype in NARROW else values


def scale_by_root_width(h: Tensor) -> Tensor:
    """Scales features so that their inner products are divided by the root of their width."""
    return widen(h) * h.size(-1) ** -0.25


def l2_normalize(h: Tensor) -> Tensor:
    """Scales the feature of each node to length 1; a node of zeros remains zero."""
    h = widen(h)
    zero = (h == 0).all(dim=-1, keepdim=True)  # where a length has no second derivative
    scaled = F.normalize(h.masked_fill(zero, 1), dim=-1, eps=torch.finfo(h.dtype).tiny)
    return scaled.masked_fill(zero, 0)


def inner_products(h: Tensor) -> Tensor:
    """Those of all pairs of nodes, `[..., N, D] -> [..., N, N]`, in float32 or float64."""
    h = widen(h)
    device = h.device.type
    # Of "meta" one may not ask; `is_autocast_available` is unknown to torch 2.11's compiler.
    if device == "meta" or not torch.is_autocast_enabled(device):
        return h @ h.mT
    with torch.autocast(device, enabled=False):
        return h @ h.mT


def renormalize(a: Float[Tensor, "*graphs N N"]) -> Float[Tensor, "*graphs N N"]:
    r"""The re-normalisation trick of Kipf and Welling on dense adjacency matrices (Eq. 4).

    .. math::
        \tilde A = A + I, \quad \tilde D_{ii} = \sum_j \tilde A_{ij}, \quad
        \hat A = \tilde D^{-1/2} \tilde A \tilde D^{-1/2}

    Where the rows of A sum to 1, as those of :func:`squared_affinity` do, this is (A + I) / 2.
    ``a`` holds entries >= 0, ``[..., N, N]``, and so does the result.

    Example:
        >>> renormalize(torch.tensor([[0.5, 0.5], [0.2, 0.8]]))
        tensor([[0.7500, 0.2500],
                [0.1000, 0.9000]])
    """
    wide = widen(a)
    wide = wide + torch.eye(a.size(-1), dtype=wide.dtype, device=a.device)
    scale = wide.sum(dim=-1).rsqrt()
    return (wide * (scale.unsqueeze(-1) * scale.unsqueeze(-2))).to(a.dtype)


def renormalized_rows(a: Tensor, constant_degree: bool = True) -> Tensor:
    """Eq. 4 in the type of `a`. Where rows sum to 1 or are all zero, the degree is constant and
    needs no gradient."""
    a = a + torch.eye(a.size(-1), dtype=a.dtype, device=a.device)
    scale = (a.detach() if constant_degree else a).sum(dim=-1).rsqrt()
    return a * (scale.unsqueeze(-1) * scale.unsqueeze(-2))


def renormalize_edges(
    edge_index: Integer[Tensor, "2 E"],
    edge_weight: Float[Tensor, " E"],
    num_nodes: int,
) -> tuple[Integer[Tensor, "2 _"], Float[Tensor, " _"]]:
    r"""The re-normalisation trick (Eq. 4) on weighted edges.

    The identity is added as a further self-loop of weight 1 at each node. Self-loops among
    ``edge_index`` are kept: a sum over edges counts both, as :math:`A + I` does.

    Args:
        edge_index: Edges j -> i as ``[2, E]``: row 0 holds j, row 1 holds i.
        edge_weight: :math:`A_{ij} \ge 0` of each edge, ``[E]``.
        num_nodes: The number V of nodes.

    Returns:
        The edges ``[2, E + V]`` and their weights ``[E + V]``.

    Raises:
        ValueError: The edges or their weights have a wrong shape or type, or an edge points at a
            node that does not exist; the message names the argument.

    Example:
        >>> edges, weights = renormalize_edges(torch.tensor([[1], [0]]), torch.tensor([1.0]), 2)
        >>> edges
        tensor([[1, 0, 1],
                [0, 0, 1]])
        >>> weights
        tensor([0.7071, 0.5000, 1.0000])
    """
    edge_index = checked_edges(edge_index, num_nodes)
    check_weights("edge_weight", edge_weight, (edge_index.size(1),))
    return renormalized_edges(edge_index, edge_weight, num_nodes)


def renormalized_edges(
    edge_index: Tensor, edge_weight: Tensor, num_nodes: int
) -> tuple[Tensor, Tensor]:
    """`renormalize_edges` for edges that are checked."""
    # PyG's `gcn_norm` multiplies in another order, which rounds otherwise.
    edge_index, weight = add_self_loops(edge_index, edge_weight, num_nodes=num_nodes)
    weight = widen(weight)
    source, target = edge_index
    scale = scatter(weight, target, dim_size=num_nodes, reduce="sum").rsqrt()
    scales = scale.index_select(0, target) * scale.index_select(0, source)
    return edge_index, (weight * scales).to(edge_weight.dtype)
