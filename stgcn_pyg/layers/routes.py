"""Which way a layer computes: in blocks, where complete graphs are promised, or edge by edge."""

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing

from stgcn_pyg.layers.checks import checked_indices


def runs_in_blocks(layer: MessagePassing) -> bool:
    """Whether a layer may compute blocks instead of one message an edge.

    Explainers, hooks and decomposed layers look at messages, so they get messages.
    """
    return not (
        layer.explain
        or layer.decomposed_layers > 1
        or layer._propagate_forward_pre_hooks
        or layer._propagate_forward_hooks
        or layer._message_forward_pre_hooks
        or layer._message_forward_hooks
        or layer._aggregate_forward_pre_hooks
        or layer._aggregate_forward_hooks
        or layer._edge_update_forward_pre_hooks
        or layer._edge_update_forward_hooks
    )


def graph_ptr(
    num_nodes: int,
    graph_size: int | None,
    batch: Tensor | None,
    ptr: Tensor | None,
    batch_size: int | None = None,
) -> Tensor | None:
    """Where each graph begins, `[G + 1]` of int64, if the caller says that graphs are complete.

    Args:
        num_nodes: The number V of nodes.
        graph_size: The number of nodes of each graph, where all have the same.
        batch: The graph of each node, or None.
        ptr: Where each graph begins, or None.
        batch_size: The number G of graphs, which `batch` cannot tell if the last have no node.

    Raises:
        ValueError: `batch` or `ptr` does not describe G graphs of V nodes in all, they contradict
            each other, or one stands beside `graph_size`.
    """
    if batch is None and ptr is None:
        return None
    if graph_size is not None:
        raise ValueError("graph_size says that all graphs are equal: leave out batch and ptr")
    if batch is not None:
        batch = _checked_batch(batch, num_nodes)
    if ptr is None:
        assert batch is not None
        ptr = _ptr_of(batch, batch_size)
        if not torch.compiler.is_compiling() and ptr[-1] != num_nodes:
            raise ValueError(
                f"batch_size={batch_size}, but the last node of x is of graph {int(batch[-1])}"
            )
        return ptr
    ptr = _checked_ptr(ptr, num_nodes)
    if batch_size is not None and ptr.numel() - 1 != batch_size:
        raise ValueError(f"batch_size={batch_size}, but ptr is of {ptr.numel() - 1} graphs")
    compiling = torch.compiler.is_compiling()
    if batch is not None and not compiling and not _ptr_of(batch, ptr.numel() - 1).equal(ptr):
        raise ValueError("batch and ptr contradict each other: leave out one of them")
    return ptr


def _checked_ptr(ptr: Tensor, num_nodes: int) -> Tensor:
    ptr = checked_indices("ptr", ptr, ("graphs + 1",))
    if not torch.compiler.is_compiling():
        host = ptr.cpu()
        if not len(host) or host[0] != 0 or host[-1] != num_nodes or (host.diff() < 0).any():
            raise ValueError(
                f"ptr must rise from 0 to the {num_nodes} nodes of x, "
                f"got {_shortened(host.tolist())}"
            )
    return ptr


def _checked_batch(batch: Tensor, num_nodes: int) -> Tensor:
    batch = checked_indices("batch", batch, (num_nodes,))
    if not torch.compiler.is_compiling() and num_nodes:
        steps = batch.diff()
        if (steps < 0).any() or batch[0] < 0:
            place = int((steps < 0).nonzero()[0]) + 1 if (steps < 0).any() else 0
            raise ValueError(
                f"batch must be sorted and start at 0 or above, but node {place} is of graph "
                f"{int(batch[place])}: sort the nodes by graph, or leave out batch"
            )
    return batch


def _ptr_of(batch: Tensor, num_graphs: int | None) -> Tensor:
    """Where each graph begins; without `num_graphs` the last that has a node is the last."""
    if num_graphs is None:
        num_graphs = int(batch.max()) + 1 if batch.numel() else 0
        torch._check(num_graphs >= 0)  # tells a compiler that it is a size
    graphs = torch.arange(num_graphs + 1, device=batch.device)
    return torch.searchsorted(batch, graphs)


def _shortened(values: list[int]) -> str:
    return str(values) if len(values) <= 8 else f"{values[:4]} ... {values[-3:]}"
