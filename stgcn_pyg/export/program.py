"""A network as a program of `torch.export`, from which the other formats are made."""

import warnings

import torch
from torch._dynamo.exc import TorchDynamoException
from torch.export import Dim, ExportedProgram

from stgcn_pyg.errors import UserError
from stgcn_pyg.export.network import ExportedNetwork, Preparation

FEWEST_FRAMES = 2  # of an example whose number of frames is free: export takes 1 for a constant


def export_program(network: ExportedNetwork | Preparation) -> ExportedProgram:
    """The program of a network, whose number of clips, and of frames where it may, is free.

    It is on the CPU: on CUDA a free batch would end at 65,535 clips.

    Raises:
        UserError: The backbone does what no program can hold.

    Example:
        >>> from stgcn_pyg import STGCN
        >>> model = STGCN(3, 2, backbone="resnet18", weights=None, branches=["global"])
        >>> program = export_program(ExportedNetwork(model, 64, 32))
        >>> [tuple(found.shape) for found in program.module()(torch.zeros(5, 4, 3, 64, 32))]
        [(5, 512)]
    """
    free = {0: Dim("batch", min=1)}
    frames = network.example()
    if network.frees_frames:
        free[1] = Dim("frames", min=1)
        frames = frames.repeat(1, FEWEST_FRAMES, *[1] * (frames.dim() - 2))
    if network.input == "pictures":
        free |= {2: Dim("height", min=1), 3: Dim("width", min=1)}
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the compiler's own parts
            return torch.export.export(
                network, (frames,), dynamic_shapes={"frames": free}, strict=False
            )
    except (RuntimeError, ValueError, TorchDynamoException) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"the network with the backbone {network.title} cannot be exported "
            f"({reason}): train one with another backbone, or fewer of --model's options"
        ) from error
