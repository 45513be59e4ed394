"""What can be wrong with a layer's input, found before any arithmetic."""

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric import EdgeIndex

INTEGERS: Any = (int, torch.SymInt)  # left as they are, for a compiler to follow


def check_nodes(x: Tensor, channels: int, graph_size: int | None) -> None:
    """`x` is `[V, channels]`, floating, and V divides into graphs of `graph_size` nodes."""
    if x.dim() != 2 or x.size(1) != channels:
        raise ValueError(f"x must be [nodes, {channels}], got {tuple(x.shape)}")
    if not x.is_floating_point():
        raise ValueError(f"x must hold floating point features, got {x.dtype}")
    if graph_size is not None and (graph_size < 1 or x.size(0) % graph_size):
        raise ValueError(
            f"x {tuple(x.shape)} holds {x.size(0)} nodes, "
            f"which is no multiple of graph_size={graph_size}"
        )


def whole_number(name: str, value: Any) -> int:
    """One number of any integral type, NumPy's among them, as an `int`.

    Raises:
        ValueError: It is no whole number; the message names it by `name`.
    """
    if isinstance(value, INTEGERS):
        return value
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be a whole number, got {value!r}") from None


def is_list(value: Any) -> bool:
    """Whether there may be several numbers in it: a sequence, an array, a tensor."""
    if isinstance(value, INTEGERS):
        return False
    return isinstance(value, Sequence) or getattr(value, "shape", ()) != ()


def optional_size(graph_size: Any) -> int | None:
    """`graph_size` as an `int`, or None.

    Raises:
        ValueError: It is no whole number. PyG's layers take `batch` at this place, so the message
            says by which name it goes here.
    """
    if isinstance(graph_size, Tensor) and graph_size.dim():
        raise ValueError(
            f"graph_size must be a whole number, got a tensor of shape {tuple(graph_size.shape)}: "
            "pass the graph of each node by its name, batch=, or where each graph begins, ptr="
        )
    return None if graph_size is None else whole_number("graph_size", graph_size)


def whole_numbers(name: str, values: Any, device: torch.device | str | None = None) -> Tensor:
    """Several numbers as a tensor `[n]` of int64.

    Raises:
        ValueError: They are no list of whole numbers; the message names them by `name`.
    """
    try:
        numbers = torch.as_tensor(values, device=device)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a list of whole numbers, got {values!r}") from None
    if numbers.dim() != 1 or numbers.is_complex():
        raise ValueError(f"{name} must be a list of whole numbers, got {values!r}")
    if numbers.is_floating_point() and (numbers != numbers.trunc()).any():
        raise ValueError(f"{name} must be whole numbers, got {numbers.tolist()}")
    return numbers.long()


def checked_indices(name: str, index: Tensor, shape: Sequence[int | str]) -> Tensor:
    """Indices of any integral type as int64, in which sums and products of them have room.

    Args:
        name: The argument's name.
        index: The argument.
        shape: Its dimensions; where any length will do, the word for it.

    Raises:
        ValueError: It is no tensor of integers, or has another shape.
    """
    if not isinstance(index, Tensor):
        found = f"a {type(index).__name__}, not a tensor"
    elif index.is_floating_point() or index.is_complex() or index.dtype == torch.bool:
        found = f"{tuple(index.shape)} of {index.dtype}"
    elif index.dim() == len(shape) and all(
        isinstance(wanted, str) or length == wanted
        for length, wanted in zip(index.shape, shape, strict=True)
    ):
        return index if index.dtype == torch.int64 else index.long()
    else:
        found = f"{tuple(index.shape)} of {index.dtype}"
    raise ValueError(f"{name} must be [{', '.join(map(str, shape))}] of integers, got {found}")


def checked_edges(edge_index: Tensor, num_nodes: int, graph_size: int | None) -> Tensor:
    """`edge_index` as int64: `[2, E]`, below V, and with N edges a node where in blocks."""
    edge_index = checked_indices("edge_index", edge_index, (2, "edges"))
    if graph_size is not None:
        if edge_index.size(1) != num_nodes * graph_size:
            raise ValueError(
                f"edge_index {tuple(edge_index.shape)} does not hold the "
                f"{num_nodes * graph_size} edges of complete graphs of graph_size={graph_size} "
                f"over {num_nodes} nodes: use complete_graphs, or leave out graph_size"
            )
    elif can_be_read(edge_index):
        require_nodes(edge_index, num_nodes)
    return edge_index


def require_nodes(edge_index: Tensor, num_nodes: int) -> None:
    """Every edge joins two of the V nodes."""
    low, high = int(edge_index.min()), int(edge_index.max())
    if low < 0 or high >= num_nodes:
        raise ValueError(
            f"edge_index points at node {low if low < 0 else high}, x has only {num_nodes}"
        )


def check_weights(
    edge_weight: Tensor, edge_index: Tensor, num_nodes: int, graph_size: int | None
) -> None:
    """`edge_weight` is `[E]`, or `[G, N, N]` where the batch is in blocks."""
    shape = edge_weight.shape
    if shape == (edge_index.size(1),):
        return
    if graph_size is None:
        expected = f"({edge_index.size(1)},)"
    elif shape == (num_nodes // graph_size, graph_size, graph_size):
        return
    else:
        blocks = (num_nodes // graph_size, graph_size, graph_size)
        expected = f"({edge_index.size(1)},) or {blocks}"
    raise ValueError(f"edge_weight must be {expected}, got {tuple(shape)}")


def can_be_read(index: Tensor) -> bool:
    """Whether looking at the values costs no more than that.

    Reading them would wait for a GPU, where the gather itself asserts, and break a compiled graph.
    A fake tensor, a subclass, has none.
    """
    plain = type(index) in (Tensor, EdgeIndex)
    on_host = plain and index.device.type == "cpu" and index.numel() > 0
    return on_host and not torch.compiler.is_compiling()
