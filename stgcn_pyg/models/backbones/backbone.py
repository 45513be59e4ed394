"""The contract of all backbones: images go in, feature maps come out."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from stgcn_pyg.errors import UserError, whole_number
from stgcn_pyg.models.backbones import timm_networks, torchvision_networks
from stgcn_pyg.models.backbones.last_stage import LastStage, change_last_stage
from stgcn_pyg.models.backbones.map_size import map_of_black_image
from stgcn_pyg.models.backbones.spare_column import give_spare_columns
from stgcn_pyg.models.backbones.timm_networks import TimmNetwork
from stgcn_pyg.models.forward_modes import recomputed

RESNET = r"(timm/)?resnet\d+[a-z]?(\.|$)"  # not resnetblur50, which halves by blurring

Size = tuple[int, int]
"""Height and width, in pixels or in cells of a map."""


class Backbone(nn.Module):
    """A network of torchvision or timm up to its last feature map.

    The map of a transformer is made of its patch tokens, in their places; class and register tokens
    are left out. They are taken behind the last norm, or behind the last block where the network
    has its norm behind the pooling, as BEiT and EVA-02 have.

    Args:
        name: ``"resnet18"``, ``"resnet34"``, ``"resnet50"``, ``"resnet101"``, ``"mobilenet_v2"``,
            ``"efficientnet_b0"`` to ``"_b7"`` and ``"efficientnet_v2_s"`` to ``"_l"``,
            ``"convnext_tiny"`` to ``"_large"`` (torchvision); or ``"timm/NAME"`` for a network of
            timm that gives a map (extra ``timm``): ``"timm/vit_base_patch16_clip_224.openai"``.
        weights: ``"imagenet"`` (those that torchvision or timm gives by this name, downloaded);
            ``"package:NAME"`` (those inside an installed package: ``efficientnet_lite0``,
            ``efficientnet_lite1``, ``efficientnet_lite2``, ``mobilenet_v2``; extra ``weights``);
            the path of a state dict (``.pth``, read with ``weights_only=True``, or
            ``.safetensors``); or None for random ones.
        last_stage: What becomes of the halving in a CNN's last stage. ``"stride1"`` leaves the
            halving out, as is usual in Re-ID: for 256 x 128 a ResNet then gives 16 x 8, not 8 x 4.
            ``"dilated"`` also spreads the kernels behind it, so that the new map holds the old one
            at every second place, and pretrained features stay what they were. ``"as-is"`` keeps
            the halving. If not given: stride1 for ResNets, as-is for all others. Where a network
            averages over its whole map (squeeze and excitation) or attends to it, a dilated map is
            near the old one, not equal.
        image_size: Height and width for which a transformer's position embeddings are kept. If not
            given, they are fitted to the images in each forward pass, where the network can do it.
        patch_stride: Distance of a vision transformer's patches in pixels, less than their size
            for overlapping ones (He et al., TransReID, ICCV 2021); their size if not given.

    Attributes:
        out_channels: The width C of the feature maps.
        mean, std: Mean and deviation of each colour, for RGB in [0, 1], that the images are
            normalised by: those of the source of the weights.
        last_stage, image_size: As above; None where the network has no such thing.
        channels_last: Whether the feature maps are channels_last in memory, the format in which
            oneDNN and cuDNN convolve fastest; the weights are contiguous either way. True at first.
        activation_checkpointing: Whether training keeps only the input of each block and computes
            the block again in the backward pass: less memory for more time. False at first.
        frozen_norms: Batch norms that :meth:`freeze` keeps in evaluation mode. None at first.

    Shapes:
        - Input: normalised images ``[F, 3, H, W]``.
        - Output: feature maps ``[F, C, h, w]``.

    Raises:
        UserError: The name is unknown, a package is missing, an option does not fit the network,
            or the weights cannot be read or are of another network.

    Example:
        >>> backbone = Backbone("resnet18", weights=None)
        >>> backbone(torch.zeros(1, 3, 128, 64)).shape
        torch.Size([1, 512, 8, 4])
        >>> Backbone("mobilenet_v2", None, last_stage="dilated")(torch.zeros(1, 3, 128, 64)).shape
        torch.Size([1, 1280, 8, 4])
    """

    out_channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    last_stage: LastStage | None
    image_size: Size | None
    network: TimmNetwork

    def __init__(
        self,
        name: str = "resnet50",
        weights: str | Path | None = "imagenet",
        last_stage: LastStage | None = None,
        image_size: Sequence[int] | None = None,
        patch_stride: int | None = None,
    ):
        super().__init__()
        self.channels_last = True
        self.activation_checkpointing = False
        self.frozen_norms: list[nn.Module] = []
        _require_known(name)
        weights = None if weights is None else str(weights)
        self.name = name
        if name.startswith(timm_networks.PREFIX):
            network = timm_networks.build(name, image_size, patch_stride)
            timm_networks.load(network, name, weights)
            self.network = network
            self.mean, self.std = network.mean, network.std
            self.image_size = network.image_size
        else:
            if patch_stride is not None:
                raise UserError(f"patch_stride={patch_stride}: {name} has no patches: leave it out")
            if image_size is not None:
                raise UserError(f"image_size={image_size}: {name} takes any size: leave it out")
            parts = torchvision_networks.build(name)
            torchvision_networks.load(parts, name, weights)
            for part, module in parts.named_children():
                self.add_module(part, module)
            self.mean, self.std = torchvision_networks.MEAN, torchvision_networks.STD
            self.image_size = None
        if last_stage is None:
            last_stage = "stride1" if re.match(RESNET, name) else "as-is"
        size = self.network.trial_size if hasattr(self, "network") else (64, 64)
        self.last_stage = change_last_stage(self, name, last_stage, size)
        give_spare_columns(self)
        self.out_channels = map_of_black_image(self, size, name).size(1)

    def forward(self, x: Tensor) -> Tensor:
        """The last feature maps of a stack of images."""
        order = torch.channels_last if self.channels_last else torch.contiguous_format
        x = x.contiguous(memory_format=order)  # the maps that follow keep it
        recompute = self.activation_checkpointing and self.training and torch.is_grad_enabled()
        for part in self.children():
            if isinstance(part, TimmNetwork):
                x = part(x, recompute)
            else:
                x = _recomputed_blocks(part, x) if recompute else part(x)
        return x

    def train(self, mode: bool = True) -> Self:
        """Sets the mode; frozen batch norms stay in evaluation mode."""
        super().train(mode)
        for norm in self.frozen_norms:
            norm.eval()
        return self

    def freeze(self, num_layers: int = 0, batch_norm: bool = False) -> None:
        """Keeps weights from training.

        Args:
            num_layers: Number of the first of :meth:`layers` whose weights stay what they are; the
                running statistics of their batch norms too.
            batch_norm: Whether the scale, the shift and the running statistics of every batch norm
                stay.

        Raises:
            UserError: There are fewer layers.
        """
        layers = self.layers()
        num_layers = whole_number("frozen_layers", num_layers, least=0)
        if num_layers > len(layers):
            raise UserError(
                f"frozen_layers={num_layers}: the backbone has {len(layers)} layers: pass at most "
                "that"
            )
        weights = dict(self.named_parameters())
        frozen = {name for layer in layers[:num_layers] for name in layer}
        for path, module in self.named_modules():
            if not isinstance(module, nn.modules.batchnorm._BatchNorm):
                continue
            own = {f"{path}.{name}" for name, _ in module.named_parameters()}
            if batch_norm or (own and own <= frozen):
                frozen |= own
                self.frozen_norms.append(module)
        for name in frozen:
            weights[name].requires_grad_(False)
        self.train(self.training)

    def map_size(self, height: int, width: int) -> Size:
        """Height and width of the feature maps of images of a size.

        Raises:
            UserError: The network does not take images of this size.
        """
        maps = map_of_black_image(self, (height, width), self.name)
        return maps.size(2), maps.size(3)

    def layers(self) -> list[list[str]]:
        """Names of the parameters of each layer, from the input to the output.

        A layer is the stem or a stage of a ResNet, an entry of ``features`` of another torchvision
        network, and a group of timm's own ``group_matcher``, such as a transformer's block.
        """
        if hasattr(self, "network"):
            return [[f"network.{name}" for name in group] for group in self.network.layers()]
        return torchvision_networks.layers(self)


def _require_known(name: str) -> None:
    """Raises a UserError with the three nearest names if there is no backbone of a name."""
    if name.startswith(timm_networks.PREFIX):
        known = timm_networks.names()
        architecture = name.partition(".")[0]  # of architecture.weights
        if architecture in known:
            timm_networks.require_weights_name(name)
            return
    else:
        known, architecture = list(torchvision_networks.NAMES), name
        if name in known:
            return
    nearest = get_close_matches(architecture, known, n=3, cutoff=0.0)
    elsewhere = "" if "/" in name else "; networks of timm are timm/NAME"
    raise UserError(
        f"backbone {name!r} is unknown: the nearest are {', '.join(nearest)}{elsewhere}"
    )


def _recomputed_blocks(part: nn.Module, x: Tensor) -> Tensor:
    if type(part) is not nn.Sequential:
        return part(x)  # of a ResNet's stem
    for block in part:
        nested = type(block) is nn.Sequential
        x = _recomputed_blocks(block, x) if nested else recomputed(block, block, x)
    return x
