"""From nodes to one feature a graph."""

from typing import Literal

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from stgcn_pyg.layers.checks import check_nodes, optional_size, whole_number
from stgcn_pyg.layers.routes import graph_ptr


def pool_graphs(
    x: Float[Tensor, "V C"],
    reduce: Literal["max", "mean", "sum"] = "max",
    graph_size: int | None = None,
    batch: Integer[Tensor, " V"] | None = None,
    ptr: Integer[Tensor, " _"] | None = None,
    batch_size: int | None = None,
) -> Float[Tensor, "G C"]:
    """Pools the nodes of each graph: the maximum, as at the end of the paper's two branches.

    A graph without a node gives zeros. NaN and infinities come through, as in a loop over the
    graphs. Sums of float16 and bfloat16 are taken in float32 and rounded once, at the end.

    Args:
        x: The nodes ``[V, C]``, graph after graph.
        reduce: ``"max"``, ``"mean"`` or ``"sum"``.
        graph_size: The number N of nodes of each graph, where all have the same;
        batch: or the graph of each node, sorted, ``[V]``;
        ptr: or where each graph begins, ``[G + 1]``.
        batch_size: The number G of graphs, ``num_graphs`` of a PyG ``Batch``. Only ``batch`` needs
            it: that does not tell how many graphs without a node stand at the end, and without
            ``batch_size`` the last graph that has a node is the last row.

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
        >>> pool_graphs(x, batch=torch.tensor([0, 1, 1, 1]), batch_size=3)
        tensor([[1.],
                [5.],
                [0.]])
    """
    graph_size = optional_size(graph_size)
    if batch_size is not None:
        batch_size = whole_number("batch_size", batch_size)
    check_nodes(x, x.size(-1) if x.dim() else 0, graph_size)
    if not isinstance(reduce, str) or reduce not in ("max", "mean", "sum"):
        by_name = ": pass it by its name, batch= or ptr=" if isinstance(reduce, Tensor) else ""
        raise ValueError(f'reduce must be "max", "mean" or "sum", got {reduce!r}{by_name}')
    ptr = graph_ptr(x.size(0), graph_size, batch, ptr, batch_size)
    if graph_size is not None:
        graphs = x.unflatten(0, (-1, graph_size))
        if batch_size not in (None, graphs.size(0)):
            raise ValueError(
                f"batch_size={batch_size}, but x {tuple(x.shape)} holds {graphs.size(0)} graphs "
                f"of graph_size={graph_size}"
            )
        if reduce == "max":
            return graphs.amax(dim=1)
        return graphs.mean(dim=1) if reduce == "mean" else graphs.sum(dim=1)
    if ptr is None:
        raise ValueError("pool_graphs needs graph_size, batch or ptr, which tell the graphs apart")
    return _by_segment(x, reduce, ptr)


def _by_segment(x: Tensor, reduce: str, ptr: Tensor) -> Tensor:
    # PyG's `segment` makes 0 of an infinite maximum, and with torch-scatter passes over NaN.
    # `segment_reduce` adds up in the type itself, where 256 and 1 are 256 in bfloat16.
    narrow = reduce != "max" and x.dtype in (torch.float16, torch.bfloat16)
    out = torch.segment_reduce(x.float() if narrow else x, reduce, offsets=ptr, axis=0)
    empty = (ptr.diff() == 0).unsqueeze(1)
    return out.masked_fill(empty, 0).to(x.dtype)
