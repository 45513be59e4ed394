"""A forward pass that only finds out what a network does with images of a size."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm
from torch.overrides import TorchFunctionMode

from stgcn_pyg.errors import UserError
from stgcn_pyg.models.forward_modes import evaluating


def map_of_black_image(network: nn.Module, size: tuple[int, int], name: str) -> Tensor:
    """The map ``[1, C, h, w]`` of a black image, in evaluation mode and without gradients.

    Args:
        network: Network from images to maps.
        size: Height and width of the image.
        name: Name of the network, for messages.

    Raises:
        UserError: The network gives no map, whatever error it raises itself.
    """
    device = next(network.parameters()).device
    quickly = _WithoutBatchNorm() if device.type == "meta" else nullcontext()
    try:
        with evaluating(network), torch.no_grad(), quickly:
            return network(torch.zeros(1, 3, *size, device=device))
    except (UserError, MemoryError):
        raise
    except Exception as error:  # of other libraries' networks, whatever they raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"backbone {name!r} gives no map for images of {size[0]} x {size[1]} ({reason}): "
            "choose another size, last_stage or network"
        ) from error


class _WithoutBatchNorm(TorchFunctionMode):
    """Leaves batch norms out, which on the device "meta" take longer than all else.

    A map there has a shape but no values, and a batch norm changes values alone.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        if function is batch_norm:
            return arguments[0]
        return function(*arguments, **(options or {}))
