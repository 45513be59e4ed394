"""Checks of the layers' arguments: shapes by annotations, values by a `ValueError` of one line."""

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary
from torch_geometric import EdgeIndex

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Integer
else:
    try:
        from jaxtyping import Bool, Float, Integer
    except ModuleNotFoundError:

        class Bool:
            """`Bool[Tensor, "V C"]` is `Tensor` where jaxtyping is not installed."""

            def __class_getitem__(cls, item):
                return item[0]

        Float = Integer = Bool

__all__ = ["Bool", "Float", "Integer"]

INTEGERS: Any = (int, torch.SymInt)  # left as they are, for a compiler to follow
# Edges that are those of complete graphs: their version when that was known, and the graphs' size,
# or the size of each graph.
COMPLETE = WeakTensorKeyDictionary()
# An index on a GPU: its version when it was noted, and its copy on the host.
ON_HOST = WeakTensorKeyDictionary()


def whole_number(name: str, value: Any, at_least: int | None = None) -> int:
    """A number of any integral type, NumPy's among them, as an `int`."""
    try:
        number = value if isinstance(value, INTEGERS) else operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be a whole number, got {value!r}") from None
    if at_least is not None and number < at_least:
        raise ValueError(f"{name} must be {at_least} or above, got {number}")
    return number


def whole_numbers(name: str, values: Any, device: torch.device | str | None = None) -> Tensor:
    """Several numbers, none below zero, as a tensor `[n]` of int64."""
    try:
        numbers = torch.as_tensor(values, device=device)
        listed = numbers.dim() == 1 and not numbers.is_complex()
    except (TypeError, ValueError):
        listed = False
    if not listed:
        raise ValueError(f"{name} must be a list of whole numbers, got {values!r}")
    if torch.compiler.is_compiling():  # a compiler cannot read values
        return numbers.long()
    if numbers.is_floating_point() and (numbers != numbers.trunc()).any():
        raise ValueError(f"{name} must be whole numbers, got {numbers.tolist()}")
    numbers = numbers.long()
    if (numbers < 0).any():
        raise ValueError(f"{name} must be 0 or above, got {int(numbers.min())}")
    return numbers


def check_tensor(name: str, value: Any) -> None:
    """A value that a computation begins with is a tensor."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} must be a tensor, got a {type(value).__name__}")


def checked_size(x: Tensor, channels: int, graph_size: Any) -> int | None:
    """`graph_size` as an `int`, or None; `x` is `[V, channels]`, and V a multiple of the size."""
    if isinstance(graph_size, Tensor) and graph_size.dim():
        raise ValueError(
            f"graph_size must be a whole number, got a tensor of shape {tuple(graph_size.shape)}: "
            "pass the graph of each node as batch=, or where each graph begins as ptr="
        )
    size = None if graph_size is None else whole_number("graph_size", graph_size)
    check_tensor("x", x)
    # `channels not in (-1, width)` is true of any free width to the compiler of torch 2.11.
    if x.dim() != 2 or (channels != -1 and channels != x.size(1)):
        wanted = "channels" if channels == -1 else channels
        use = ": use DenseAffinityGCN for dense batches" if x.dim() > 2 else ""
        raise ValueError(f"x must be [nodes, {wanted}], got {tuple(x.shape)}{use}")
    if not x.is_floating_point():
        raise ValueError(f"x must hold floating point features, got {x.dtype}")
    if size is not None and (size < 1 or x.size(0) % size):
        raise ValueError(
            f"x {tuple(x.shape)} holds {x.size(0)} nodes, which is no multiple of graph_size={size}"
        )
    return size


def checked_indices(name: str, index: Tensor, shape: Sequence[int | str]) -> Tensor:
    """Indices of any integral type as int64, which sums and products of them do not overflow.

    `shape` is the length of each dimension, or a word where any length will do.
    """
    if not isinstance(index, Tensor):
        found = f"a {type(index).__name__}, not a tensor"
    elif (
        not (index.is_floating_point() or index.is_complex() or index.dtype == torch.bool)
        and index.dim() == len(shape)
        and all(isinstance(n, str) or index.size(d) == n for d, n in enumerate(shape))
    ):
        return index if index.dtype == torch.int64 else index.long()
    else:
        found = f"{tuple(index.shape)} of {index.dtype}"
    raise ValueError(f"{name} must be [{', '.join(map(str, shape))}] of integers, got {found}")


def checked_edges(edge_index: Tensor, num_nodes: int) -> Tensor:
    """`edge_index` as int64, `[2, E]`, each edge between two of the V nodes."""
    edge_index = checked_indices("edge_index", edge_index, (2, "edges"))
    if can_be_read(edge_index):
        low, high = (int(end) for end in edge_index.aminmax())
        if low < 0 or high >= num_nodes:
            raise ValueError(
                f"edge_index points at node {low if low < 0 else high}, x has only {num_nodes}"
            )
    return edge_index


def checked_complete_edges(edge_index: Tensor, num_nodes: int, size: int) -> Tensor:
    """`edge_index` as int64, `[2, E]`, the edges of complete graphs in whatever order.

    Edges that cannot be read without waiting are only counted.
    """
    edge_index = checked_indices("edge_index", edge_index, (2, "edges"))
    if edge_index.size(1) != num_nodes * size:
        raise ValueError(
            f"edge_index {tuple(edge_index.shape)} does not hold the {num_nodes * size} "
            f"edges of complete graphs of graph_size={size} over {num_nodes} nodes: "
            "use complete_edges, or leave out graph_size"
        )
    if not can_be_read(edge_index) or is_noted_complete(edge_index, size):
        return edge_index
    # The order of `complete_edges` is recognised several times as fast as any other.
    blocks, nodes = edge_index.reshape(2, -1, size, size), torch.arange(num_nodes)
    sources, targets = nodes.view(-1, 1, size), nodes.view(-1, size, 1)
    if not all(b.equal(n.expand_as(b)) for b, n in zip(blocks, (sources, targets), strict=True)):
        _require_complete(checked_edges(edge_index, num_nodes), size)
    note_complete(edge_index, size)
    return edge_index


def _require_complete(edge_index: Tensor, size: int) -> None:
    source, target = edge_index
    entries = target * size + source % size  # of the edges in blocks
    repeated = entries.bincount(minlength=entries.numel())[entries] > 1
    for wrong, what in (
        (source // size != target // size, "is between two graphs"),
        (repeated, "is there more than once"),
    ):
        if wrong.any():
            edge = int(wrong.nonzero()[0])
            raise ValueError(
                f"graph_size={size} says complete graphs of {size} nodes, but the edge "
                f"{int(source[edge])} -> {int(target[edge])} {what}: use complete_edges, or "
                "leave out graph_size"
            )


def check_weights(name: str, values: Any, *allowed: tuple[int, ...]) -> None:
    """Numbers of the edges are floating point or bools, and have one of the allowed shapes."""
    tensor = isinstance(values, Tensor)
    numbers = tensor and (values.is_floating_point() or values.dtype == torch.bool)
    if numbers and tuple(values.shape) in allowed:
        return
    # A compiler cannot follow how a number becomes text, so this is done for the message alone.
    expected = " or ".join(map(str, dict.fromkeys(allowed)))
    if not tensor:
        raise ValueError(
            f"{name} must be a tensor {expected}, got {type(values).__name__} {values!r} (the "
            "number of nodes of each graph is passed by its name, graph_size=)"
        )
    if not numbers:
        raise ValueError(
            f"{name} must hold floating point numbers, got {tuple(values.shape)} of "
            f"{values.dtype} (the graph of each node is passed by its name, batch=)"
        )
    raise ValueError(f"{name} must be {expected}, got {tuple(values.shape)}")


def check_prior(edge_weight: Any) -> None:
    """A prior is 0 or above, where it can be read without waiting for a GPU."""
    if isinstance(edge_weight, Tensor) and can_be_read(edge_weight) and (edge_weight < 0).any():
        raise ValueError(
            f"edge_weight must be 0 or above, as a prior of weights, got {edge_weight.min().item()}"
        )


def check_mask(mask: Any, shape: tuple[int, ...]) -> None:
    """`mask` says of each node whether it exists."""
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or tuple(mask.shape) != shape:
        tensor = isinstance(mask, Tensor)
        found = f"{tuple(mask.shape)} of {mask.dtype}" if tensor else repr(mask)
        raise ValueError(f"mask must be {shape} of torch.bool, got {found}")


def checked_ptr(
    num_nodes: int, batch: Tensor | None, ptr: Tensor | None, batch_size: int | None
) -> Tensor:
    """Where each graph begins, `[G + 1]` of int64, from `batch`, `ptr` or both.

    The values are read on the host, to which they are copied once. A compiler cannot do that:
    there they remain on their device, unread.
    """
    compiling = torch.compiler.is_compiling()
    if batch is not None:
        batch = _checked_batch(batch, num_nodes)
    if ptr is None:
        assert batch is not None
        ptr = _starts_of(batch, batch_size)
        if not compiling and ptr[-1] != num_nodes:
            raise ValueError(
                f"batch_size={batch_size}, but the last node of x is of graph {int(batch[-1])}"
            )
        return ptr
    ptr = checked_indices("ptr", ptr, ("graphs + 1",))
    if not compiling:
        ptr = on_host(ptr)
        if not len(ptr) or ptr[0] != 0 or ptr[-1] != num_nodes or (ptr.diff() < 0).any():
            values = ptr.tolist()
            shown = values if len(values) <= 8 else f"{values[:4]} ... {values[-3:]}"
            raise ValueError(f"ptr must rise from 0 to the {num_nodes} nodes of x, got {shown}")
        if batch is not None and not _starts_of(batch, len(ptr) - 1).equal(ptr):
            raise ValueError("batch and ptr contradict each other: leave out one of them")
    if batch_size is not None and batch_size != ptr.numel() - 1:
        raise ValueError(f"batch_size={batch_size}, but ptr is of {ptr.numel() - 1} graphs")
    return ptr


def _checked_batch(batch: Tensor, num_nodes: int) -> Tensor:
    batch = checked_indices("batch", batch, (num_nodes,))
    if torch.compiler.is_compiling():
        return batch
    batch = batch.cpu()
    falls = batch.diff() < 0
    if num_nodes and (batch[0] < 0 or falls.any()):
        node = 0 if batch[0] < 0 else int(falls.nonzero()[0]) + 1
        raise ValueError(
            f"batch must be sorted and start at 0 or above, but node {node} is of graph "
            f"{int(batch[node])}: sort the nodes by graph, or leave out batch"
        )
    return batch


def _starts_of(batch: Tensor, num_graphs: int | None) -> Tensor:
    """Where each graph begins; without `num_graphs` the last that has a node is the last."""
    if num_graphs is None:
        num_graphs = int(batch.max()) + 1 if batch.numel() else 0
        torch._check(num_graphs >= 0)  # tells a compiler that it is a size
    return torch.searchsorted(batch, torch.arange(num_graphs + 1, device=batch.device))


def can_be_read(index: Tensor) -> bool:
    """Whether the values can be read without waiting for a GPU or breaking a compiled graph.

    On a GPU, indexing itself asserts. A fake tensor, which is a subclass, has no values.
    """
    if torch.compiler.is_compiling() or type(index) not in (Tensor, EdgeIndex):
        return False
    return index.device.type == "cpu" and index.numel() > 0


def note_complete(edge_index: Tensor, size: int | Tensor) -> None:
    """Notes that edges are those of complete graphs, so that they are read only once.

    `size` is that of all graphs, or a tensor on the host with the size of each.
    """
    if _counts_versions(edge_index):
        COMPLETE[edge_index] = (edge_index._version, size)


def is_noted_complete(edge_index: Tensor, size: int | Tensor) -> bool:
    """Whether edges are noted as those of complete graphs of this size, or of these sizes."""
    if not _counts_versions(edge_index):
        return False
    version, noted = COMPLETE.get(edge_index, (None, 0))
    if version != edge_index._version or isinstance(size, Tensor) != isinstance(noted, Tensor):
        return False
    return size.equal(noted) if isinstance(size, Tensor) else size == noted


def note_on_host(index: Tensor, host: Tensor) -> None:
    """Notes the copy on the host of an index on a GPU, so that nobody has to wait for it."""
    if index.device.type != "cpu" and _counts_versions(index):
        ON_HOST[index] = (index._version, host.cpu())


def on_host(index: Tensor) -> Tensor:
    """An index on the host: itself, the copy that is noted, or a copy, which waits for the GPU."""
    if index.device.type == "cpu" or not _counts_versions(index):
        return index.cpu()
    version, host = ON_HOST.get(index, (None, index))
    return host if version == index._version else index.cpu()


def _counts_versions(index: Tensor) -> bool:
    # A tensor of inference mode does not; a compiler, or a fake tensor, would keep what it notes.
    plain = type(index) in (Tensor, EdgeIndex) and not torch.compiler.is_compiling()
    return plain and not index.is_inference()
