"""A forward pass that only finds out what a network does with images of a size."""

import torch
from torch import Tensor, nn

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
    try:
        with evaluating(network), torch.no_grad():
            return network(torch.zeros(1, 3, *size, device=next(network.parameters()).device))
    except (UserError, MemoryError):
        raise
    except Exception as error:  # of other libraries' networks, whatever they raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"backbone {name!r} gives no map for images of {size[0]} x {size[1]} ({reason}): "
            "choose another size, last_stage or network"
        ) from error
