"""From nodes to one feature a graph."""

from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.utils import segment

from stgcn_pyg.layers.checks import check_nodes
from stgcn_pyg.layers.routes import graph_ptr


def pool_graphs(
    x: Float[Tensor, "V C"],
    reduce: Literal["max", "mean", "sum"] = "max",
    graph_size: int | None = None,
    batch: Int[Tensor, " V"] | None = None,
    ptr: Int[Tensor, " _"] | None = None,
) -> Float[Tensor, "G C"]:
    """Pools the nodes of each graph: the maximum, as at the end of the paper's two branches.

    Graphs of different sizes go through :func:`torch_geometric.utils.segment`, which takes
    torch-scatter's kernels where they are installed. A graph without a node gives zeros.

    Args:
        x: The nodes ``[V, C]``, graph after graph.
        reduce: ``"max"``, ``"mean"`` or ``"sum"``.
        graph_size: The number N of nodes of each graph, where all have the same;
        batch: or the graph of each node, sorted, ``[V]``;
        ptr: or where each graph begins, ``[G + 1]``.

    Returns:
        One feature a graph, ``[G, C]``.

    Raises:
        ValueError: A shape or an option does not fit; the message names the argument.

    Example:
        >>> import torch
        >>> x = torch.tensor([[1.0], [5.0], [3.0], [2.0]])
        >>> pool_graphs(x, graph_size=2)
        tensor([[5.],
                [3.]])
        >>> pool_graphs(x, "mean", batch=torch.tensor([0, 1, 1, 1]))
        tensor([[1.0000],
                [3.3333]])
    """
    check_nodes(x, x.size(-1) if x.dim() else 0, graph_size)
    if reduce not in ("max", "mean", "sum"):
        raise ValueError(f'reduce must be "max", "mean" or "sum", got {reduce!r}')
    ptr = graph_ptr(x.size(0), graph_size, batch, ptr)
    if graph_size is not None:
        graphs = x.view(-1, graph_size, x.size(1))
        if reduce == "max":
            return graphs.amax(dim=1)
        return graphs.mean(dim=1) if reduce == "mean" else graphs.sum(dim=1)
    if ptr is None:
        raise ValueError("pool_graphs needs graph_size, batch or ptr, which tell the graphs apart")
    return segment(x, ptr, reduce=reduce)
