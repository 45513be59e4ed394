"""From nodes to one feature a graph."""

from typing import Literal

from torch import Tensor

from stgcn_pyg.layers.checks import whole_number
from stgcn_pyg.layers.layout import layout_of_nodes
from stgcn_pyg.layers.shapes import Float, Integer


def pool_graphs(
    x: Float[Tensor, "V C"],
    reduce: Literal["max", "mean", "sum"] = "max",
    graph_size: int | None = None,
    batch: Integer[Tensor, " V"] | None = None,
    ptr: Integer[Tensor, " _"] | None = None,
    batch_size: int | None = None,
) -> Float[Tensor, "G C"]:
    """Pools the nodes of each graph: the maximum, as at the end of the paper's two branches.

    A graph without a node gives zeros. NaN and infinities come through. Sums of float16 and
    bfloat16 are computed in float32 and rounded once, at the end.

    Args:
        x: The nodes ``[V, C]``, graph after graph.
        reduce: ``"max"``, ``"mean"`` or ``"sum"``.
        graph_size: The number N of nodes of each graph, where all have the same;
        batch: or the graph of each node, sorted, ``[V]``;
        ptr: or where each graph begins, ``[G + 1]``.
        batch_size: The number G of graphs, ``num_graphs`` of a PyG ``Batch``. Needed with ``batch``
            alone, if graphs without a node may stand at the end.

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
    if batch_size is not None:
        batch_size = whole_number("batch_size", batch_size)
    if not isinstance(reduce, str) or reduce not in ("max", "mean", "sum"):
        by_name = ": pass it by its name, batch= or ptr=" if isinstance(reduce, Tensor) else ""
        raise ValueError(f'reduce must be "max", "mean" or "sum", got {reduce!r}{by_name}')
    return layout_of_nodes(x, None, graph_size, batch, ptr, batch_size).pool(x, reduce)
