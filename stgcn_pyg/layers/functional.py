"""Equations 2 to 4 as functions: the affinity of a graph's nodes and its re-normalisation."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.utils import scatter


def squared_affinity(h: Tensor) -> Tensor:
    r"""The squared, row-normalised affinity of the nodes of complete graphs (Eq. 2 and 3).

    .. math::
        e_{ij} = h_i^\top h_j, \qquad A_{ij} = \frac{e_{ij}^2}{\sum_k e_{ik}^2}

    Each row is divided by its Euclidean norm before it is squared, which is the same number
    without overflow: in float16 a plain :math:`e^2` overflows at 2,048 channels.
    A node of zeros has the affinity 0 with every node.

    Args:
        h: Transformed node features :math:`\phi(x)`, ``[..., N, D]``.

    Returns:
        The affinity ``[..., N, N]``: entries in [0, 1], rows that sum to 1.

    Example:
        >>> squared_affinity(torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
        tensor([[0.5000, 0.5000],
                [0.2000, 0.8000]])
    """
    e = h @ h.mT
    return F.normalize(e, dim=-1, eps=torch.finfo(e.dtype).tiny).square()


def renormalize(a: Tensor) -> Tensor:
    r"""The re-normalisation trick of Kipf and Welling on dense adjacencies (Eq. 4).

    .. math::
        \tilde A = A + I, \quad \tilde D_{ii} = \sum_j \tilde A_{ij}, \quad
        \hat A = \tilde D^{-1/2} \tilde A \tilde D^{-1/2}

    Where the rows of A sum to 1, as those of :func:`squared_affinity` do, this is (A + I) / 2.

    Args:
        a: Adjacencies with entries >= 0, ``[..., N, N]``.

    Returns:
        The re-normalised adjacencies, ``[..., N, N]``.

    Example:
        >>> renormalize(torch.tensor([[0.5, 0.5], [0.2, 0.8]]))
        tensor([[0.7500, 0.2500],
                [0.1000, 0.9000]])
    """
    a = a + torch.eye(a.size(-1), dtype=a.dtype, device=a.device)
    scale = a.sum(dim=-1).rsqrt()
    return scale.unsqueeze(-1) * a * scale.unsqueeze(-2)


def renormalize_edges(
    edge_index: Tensor, edge_weight: Tensor, num_nodes: int
) -> tuple[Tensor, Tensor]:
    r"""The re-normalisation trick (Eq. 4) on weighted edges.

    The identity is added as one more self-loop of weight 1 a node. A self-loop that is there
    already stays beside it: a sum over edges counts both, as :math:`A + I` does.

    Args:
        edge_index: Edges j -> i as ``[2, E]``: row 0 holds j, row 1 holds i.
        edge_weight: :math:`A_{ij} \ge 0` of each edge, ``[E]``.
        num_nodes: The number of nodes V.

    Returns:
        The edges ``[2, E + V]`` and their weights ``[E + V]``.

    Example:
        >>> edges, weights = renormalize_edges(torch.tensor([[1], [0]]), torch.tensor([1.0]), 2)
        >>> edges
        tensor([[1, 0, 1],
                [0, 0, 1]])
        >>> weights
        tensor([0.7071, 0.5000, 1.0000])
    """
    loops = torch.arange(num_nodes, device=edge_index.device)
    edge_index = torch.cat([edge_index, loops.expand(2, -1)], dim=1)
    edge_weight = torch.cat([edge_weight, edge_weight.new_ones(num_nodes)])
    source, target = edge_index
    scale = scatter(edge_weight, target, dim_size=num_nodes, reduce="sum").rsqrt()
    return edge_index, scale[target] * edge_weight * scale[source]
