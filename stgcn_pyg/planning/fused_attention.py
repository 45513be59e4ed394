"""Attention as a GPU computes it, on fake tensors."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


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
