"""A trained network as embedding uses it: pixels in, each frame once, embeddings out."""

from typing import Protocol

import torch
from torch import Tensor

from stgcn_pyg.data.transforms import normalize
from stgcn_pyg.models import STGCN
from stgcn_pyg.models.forward_modes import evaluating
from stgcn_pyg.models.inference import FastBackbone, InferencePrecision


class ClipNetwork(Protocol):
    """Whatever embeds clips: :class:`TorchNetwork`, or a network that another runtime runs."""

    def __call__(self, frames: Tensor, places: Tensor) -> Tensor:
        """The embeddings ``[B, D]`` of float32, on the CPU.

        Args:
            frames: ``[F, H, W, 3]`` of uint8.
            places: ``[B, T]``: the row of ``frames`` that holds each frame of each clip.
        """


class TorchNetwork:
    """A network that PyTorch runs; the backbone sees each frame once, however many clips have it.

    Args:
        model: Network, which is in evaluation mode while it runs.
        size: Height and width of the frames.
        device: Where it runs; the model is moved there.
        precision: Of the backbone; the branches are always in float32.

    Raises:
        UserError: The CPU has no instructions for the precision.
    """

    def __init__(
        self,
        model: STGCN,
        size: tuple[int, int],
        device: torch.device | str = "cpu",
        precision: InferencePrecision = "float32",
    ):
        self.model = model.to(device)
        self.device = torch.device(device)
        self.maps = FastBackbone(model.backbone, size, precision)

    @torch.inference_mode()
    def __call__(self, frames: Tensor, places: Tensor) -> Tensor:
        """The embeddings, as :class:`ClipNetwork` says."""
        # From pinned memory a GPU copies while the host goes on.
        to_gpu = self.device.type == "cuda"
        frames, places = (x.to(self.device, non_blocking=to_gpu) for x in (frames, places))
        pixels = frames.permute(0, 3, 1, 2).float().div_(255)
        maps = self.maps(normalize(pixels, self.model.mean, self.model.std))
        with evaluating(self.model):
            return self.model.from_feature_maps(maps[places.flatten()]).embedding.float().cpu()
