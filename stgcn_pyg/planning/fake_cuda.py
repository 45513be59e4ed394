"""A CUDA GPU without values: shapes, types, devices and memory of a step, where there is no GPU.

Everything here that is private to PyTorch was seen in torch 2.14.1. :func:`missing` says which of
these names a later version has moved.
"""

import heapq
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, cast
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

SEEN_IN = "2.14.1"
PRIVATE = (
    "torch._subclasses.fake_tensor.FakeTensorMode",
    "torch._subclasses.fake_tensor.unset_fake_temporarily",
    "torch.cuda.amp.common.amp_definitely_not_available",
    "torch._C._current_graph_task_id",
    "torch._C._storage_Use_Count",
    "torch.Tensor._use_count",
    "torch.testing._internal.distributed.fake_pg.FakeStore",
    "torch.autograd.graph.Node._sequence_nr",
    "torch.autograd.graph.Node._input_metadata",
    "torch.ops.aten._scaled_dot_product_flash_attention",
    "torch.ops.aten._scaled_dot_product_efficient_attention",
)


def missing() -> str | None:
    """What this version of PyTorch lacks for a fake GPU, in one line; None if nothing."""
    for name in PRIVATE:
        place, _, last = name.rpartition(".")
        owner: Any
        try:
            owner = import_module(place)
        except ModuleNotFoundError:
            module, _, kind = place.rpartition(".")
            owner = getattr(import_module(module), kind, None)
        if not hasattr(owner, last):
            return f"torch {torch.__version__} has no {name}, which torch {SEEN_IN} has"
    return None


@contextmanager
def fake_cuda(mode: Any = None) -> Iterator[Any]:
    """Inside, tensors have shapes, types and devices but no values, and "cuda" is a device.

    Modules are built before, for real, and moved with :func:`move`; ``loss.backward()`` is
    :func:`backward`. Reading a value, as ``.item()`` does, raises an error.

    Args:
        mode: What an earlier block gave, if that block's tensors are to be used.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    with (
        patch("torch.cuda.amp.common.amp_definitely_not_available", lambda: False),
        patch("torch.cuda.is_bf16_supported", lambda *_, **__: True),
        patch("torch.nn.functional.scaled_dot_product_attention", fused_attention),
        FakeTensorMode() if mode is None else mode as entered,
    ):
        yield entered


@contextmanager
def fake_processes(rank: int, world_size: int) -> Iterator[None]:
    """Inside, this is one of several processes, whose values an exchange takes for its own."""
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", rank=rank, world_size=world_size, store=FakeStore())
    try:
        yield
    finally:
        dist.destroy_process_group()


class RealHost(TorchDispatchMode):
    """Inside :func:`fake_cuda`, the tensors on the CPU keep their values; the GPU's are fake.

    So loaders, samplers and whatever else computes on the host work as they do beside a real GPU.
    """

    def see(self, name: str, tensors: list[Tensor], args: Any, kwargs: Any) -> Any:
        """Called before each operation; what a subclass returns, if not NotImplemented, is its
        result."""
        return NotImplemented

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        from torch._subclasses.fake_tensor import FakeTensor, unset_fake_temporarily

        kwargs = kwargs or {}
        if torch.is_inference_mode_enabled() and function.namespace == "aten":
            # There operations come before they are taken apart into those that are known by name.
            with self:
                out = function.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        out = self.see(function.overloadpacket.__name__, tensors, args, kwargs)
        if out is not NotImplemented:
            return out
        real = [tensor for tensor in tensors if not isinstance(tensor, FakeTensor)]
        if len(real) == len(tensors) and torch.device(kwargs.get("device") or "cpu").type == "cpu":
            with unset_fake_temporarily():
                return function(*args, **kwargs)
        if real:
            fake = _mode().from_tensor
            args, kwargs = tree_map_only(
                Tensor, lambda t: t if isinstance(t, FakeTensor) else fake(t), (args, kwargs)
            )
        return function(*args, **kwargs)


def move(module: nn.Module, device: str = "cuda") -> nn.Module:
    """Puts fake tensors in place of a module's parameters and buffers; inside :func:`fake_cuda`.

    ``Module.to`` cannot: it writes the new values into the old parameters. Parameters that modules
    share stay shared.
    """
    mode = _mode()
    moved: dict[Tensor, Tensor] = {}

    def fake(value: Tensor) -> Tensor:
        if value not in moved:
            there = mode.from_tensor(value).detach().to(device)
            moved[value] = (
                nn.Parameter(there, value.requires_grad)
                if isinstance(value, nn.Parameter)
                else there
            )
        return moved[value]

    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, value in tensors.items():
                if value is not None:
                    cast(dict[str, Tensor], tensors)[name] = fake(value)
    return module


def _mode() -> Any:
    from torch._guards import detect_fake_mode

    return detect_fake_mode() or torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE)


def backward(loss: Tensor) -> None:
    """What ``loss.backward()`` does, in Python, since autograd's engine wants a driver for CUDA.

    Nodes run in the engine's order, the last made first, and each is let go once it has run, so
    that what it kept of the forward pass is freed when the engine would free it. ``loss`` loses
    its graph. Hooks on tensors do not run.
    """
    root = loss.grad_fn
    if root is None:
        raise RuntimeError("the loss has no gradient")
    waiting = _counts_of_parents(root)
    received: dict[int, list[Tensor | None]] = {_key(root): [torch.ones_like(loss)]}
    ready = [(-_order(root), _key(root), root)]
    loss.detach_()
    del root
    with torch.no_grad(), patch("torch._C._current_graph_task_id", lambda: 0):
        while ready:
            _, key, node = heapq.heappop(ready)
            gradients = received.pop(key)
            if hasattr(node, "variable"):
                _accumulate(node.variable, gradients.pop())
                continue
            gradients.extend([None] * (len(node._input_metadata) - len(gradients)))
            run: Any = node.apply if hasattr(node, "apply") else node
            out = run(*gradients)
            del gradients
            found = list(out) if isinstance(out, tuple | list) else [out]
            children = node.next_functions
            del out, node, run
            for place, (child, slot) in enumerate(children):
                if child is None:
                    continue
                gradient, found[place] = found[place], None
                held = received.setdefault(_key(child), [])
                held.extend([None] * (slot + 1 - len(held)))
                if gradient is not None:
                    expected = child._input_metadata[slot]
                    if gradient.shape != expected.shape:
                        gradient = gradient.sum_to_size(expected.shape)
                    gradient = gradient.to(expected.dtype)
                    if held[slot] is None:
                        held[slot] = gradient
                    elif sys.getrefcount(held[slot]) <= 2 and _owns_memory(
                        cast(Tensor, held[slot])
                    ):
                        held[slot] += gradient
                    else:
                        held[slot] = held[slot] + gradient
                del gradient
                waiting[_key(child)] -= 1
                if waiting[_key(child)] == 0:
                    heapq.heappush(ready, (-_order(child), _key(child), child))
            del children, child


def _owns_memory(tensor: Tensor) -> bool:
    """Whether no other tensor has its memory; the engine adds to such gradients in place."""
    storage = tensor.untyped_storage()
    return torch._C._storage_Use_Count(storage._cdata) <= 2  # the tensor's, and this one


def _order(node: Any) -> int:
    return node._sequence_nr()


def _key(node: Any) -> int:
    """A number of a node that holds for as long as the node, and does not keep it alive."""
    variable = getattr(node, "variable", None)
    return -id(variable) if variable is not None else node._sequence_nr()


def _counts_of_parents(root: Any) -> dict[int, int]:
    """How many edges lead to each node; the keys do not keep nodes alive."""
    counts: dict[int, int] = {}
    nodes, seen = [root], {_key(root)}
    while nodes:
        for child, _ in nodes.pop().next_functions:
            if child is not None:
                key = _key(child)
                counts[key] = counts.get(key, 0) + 1
                if key not in seen:
                    seen.add(key)
                    nodes.append(child)
    return counts


def _accumulate(parameter: Tensor, gradient: Tensor | None) -> None:
    """As the engine does, which gives a new gradient the parameter's memory format."""
    if gradient is None:
        return
    if parameter.grad is not None:
        parameter.grad += gradient
    # The engine keeps a gradient that nobody else has, laid out as the parameter is.
    elif (
        sys.getrefcount(gradient) <= 2
        and gradient._use_count() == 1  # type: ignore[attr-defined]
        and gradient.stride() == parameter.stride()
    ):
        parameter.grad = gradient
    else:
        parameter.grad = torch.empty_like(parameter).copy_(gradient)


def fused_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **others: Any,
) -> Tensor:
    """``scaled_dot_product_attention`` by the kernels that keep no weights of the attention.

    PyTorch chooses them on a GPU. Without one it takes fake tensors through plain products, which
    keep two tensors as large as the attention. With a mask that is left so, also where a GPU would
    take a kernel.

    Shapes:
        - Input: ``[B, H, L, D]``, ``[B, H, S, D]`` and ``[B, H, S, D]``.
        - Output: ``[B, H, L, D]``.
    """
    options: dict[str, Any] = {"dropout_p": dropout_p, "is_causal": is_causal, "scale": scale}
    if query.device.type != "cuda" or attn_mask is not None or any(others.values()):
        return scaled_dot_product_attention(query, key, value, attn_mask, **options, **others)
    inputs = [query, key, value]
    if torch.is_autocast_enabled("cuda"):
        inputs = [tensor.to(torch.get_autocast_dtype("cuda")) for tensor in inputs]
    if inputs[0].dtype != torch.float32:
        return torch.ops.aten._scaled_dot_product_flash_attention(*inputs, **options)[0]
    keeps = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    return torch.ops.aten._scaled_dot_product_efficient_attention(*inputs, None, keeps, **options)[
        0
    ]
