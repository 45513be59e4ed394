"""Which way a layer computes: in blocks, where complete graphs are promised, or edge by edge."""

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing


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
    num_nodes: int, graph_size: int | None, batch: Tensor | None, ptr: Tensor | None
) -> Tensor | None:
    """Where each graph begins, `[G + 1]`, if the caller says that graphs are complete.

    Raises:
        ValueError: `batch` or `ptr` does not describe graphs of V nodes, or stands beside
            `graph_size`.
    """
    if batch is None and ptr is None:
        return None
    if graph_size is not None:
        raise ValueError("graph_size says that all graphs are equal: leave out batch and ptr")
    if ptr is None:
        assert batch is not None
        return _ptr_of(batch, num_nodes)
    if ptr.dim() != 1 or not ptr.numel() or ptr.is_floating_point():
        raise ValueError(
            f"ptr must be [graphs + 1] of integers, got {tuple(ptr.shape)} of {ptr.dtype}"
        )
    if not torch.compiler.is_compiling():
        host = ptr.cpu()
        if host[0] != 0 or host[-1] != num_nodes or (host.diff() < 0).any():
            raise ValueError(
                f"ptr must rise from 0 to the {num_nodes} nodes of x, "
                f"got {_shortened(host.tolist())}"
            )
    return ptr


def _ptr_of(batch: Tensor, num_nodes: int) -> Tensor:
    if tuple(batch.shape) != (num_nodes,) or batch.is_floating_point():
        raise ValueError(
            f"batch must be [{num_nodes}] of integers, one a node of x, "
            f"got {tuple(batch.shape)} of {batch.dtype}"
        )
    if not torch.compiler.is_compiling() and num_nodes:
        steps = batch.diff()
        if (steps < 0).any() or batch[0] < 0:
            place = int((steps < 0).nonzero()[0]) + 1 if (steps < 0).any() else 0
            raise ValueError(
                f"batch must be sorted and start at 0 or above, but node {place} is of graph "
                f"{int(batch[place])}: sort the nodes by graph, or leave out batch"
            )
    num_graphs = int(batch.max()) + 1 if num_nodes else 0
    torch._check(num_graphs >= 0)  # tells a compiler that it is a size
    graphs = torch.arange(num_graphs + 1, device=batch.device, dtype=batch.dtype)
    return torch.searchsorted(batch, graphs)


def _shortened(values: list[int]) -> str:
    return str(values) if len(values) <= 8 else f"{values[:4]} ... {values[-3:]}"
