"""A torchvision ResNet without its head, whose last stage keeps the resolution."""

from pathlib import Path
from urllib.error import URLError

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights
from torchvision.models.resnet import Bottleneck

from stgcn_pyg.errors import UserError
from stgcn_pyg.models.forward_modes import recomputed

NAMES = ("resnet18", "resnet34", "resnet50")


class Backbone(nn.Module):
    """ResNet-18, 34 or 50 up to its last feature map, with the last stride 1 (section 4.2).

    An image of 256 x 128 then gives a map of 16 x 8, not 8 x 4.

    Args:
        name: ``"resnet18"``, ``"resnet34"`` or ``"resnet50"``.
        weights: ``"imagenet"`` (downloaded by torchvision), the path of a torchvision state dict
            (``.pth``, read with ``weights_only=True``, or ``.safetensors``), or None for random.

    Attributes:
        out_channels: The width C of the feature maps: 512, 512 or 2,048.
        channels_last: Whether the feature maps are channels_last in memory, the format in which
            oneDNN and cuDNN convolve fastest; the weights are contiguous either way. True at first.
        activation_checkpointing: Whether training keeps only the input of each residual block
            and computes the block again in the backward pass: less memory for more time.
            False at first.

    Shapes:
        - Input: normalised images ``[F, 3, H, W]``.
        - Output: feature maps ``[F, C, H / 16, W / 16]``.

    Raises:
        UserError: The name is unknown, or the weights cannot be read or do not fit.

    Example:
        >>> backbone = Backbone("resnet18", weights=None)
        >>> backbone(torch.zeros(1, 3, 128, 64)).shape
        torch.Size([1, 512, 8, 4])
    """

    def __init__(self, name: str = "resnet50", weights: str | None = "imagenet"):
        super().__init__()
        if name not in NAMES:
            raise UserError(f"backbone {name!r} is unknown: pass one of {', '.join(NAMES)}")
        resnet = get_model(name, weights=None)
        if weights is not None:
            _load(resnet, read_weights(name, weights), source=f"weights {weights}", name=name)
        self.conv1, self.bn1, self.relu = resnet.conv1, resnet.bn1, resnet.relu
        self.maxpool = resnet.maxpool
        self.layer1, self.layer2 = resnet.layer1, resnet.layer2
        self.layer3, self.layer4 = resnet.layer3, resnet.layer4
        self.out_channels: int = resnet.fc.in_features
        self.channels_last = True
        self.activation_checkpointing = False
        first = self.layer4[0]
        strided = first.conv2 if isinstance(first, Bottleneck) else first.conv1
        strided.stride = first.downsample[0].stride = (1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The last feature maps of a stack of images."""
        order = torch.channels_last if self.channels_last else torch.contiguous_format
        x = x.contiguous(memory_format=order)  # the maps that follow keep it
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        recompute = self.activation_checkpointing and self.training and torch.is_grad_enabled()
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            if recompute:
                for block in stage:
                    x = recomputed(block, block, x)
            else:
                x = stage(x)
        return x


def read_weights(name: str, weights: str) -> dict[str, Tensor]:
    """A torchvision state dict by name (``"imagenet"``) or by path."""
    if weights == "imagenet":
        try:
            # The first weights of each network are those of the paper's time.
            return get_model_weights(name).IMAGENET1K_V1.get_state_dict(check_hash=True)
        except (URLError, OSError) as error:
            raise UserError(
                f"ImageNet weights for {name} cannot be downloaded ({error}): pass the path of a "
                f"torchvision state dict as weights, or null for random weights"
            ) from error
    path = Path(weights)
    if not path.is_file():
        raise UserError(f"weights {weights}: no such file; pass a path, imagenet, or null")
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # which of them a damaged file raises depends on its bytes
        raise UserError(
            f"weights {weights}: no file of plain tensors; save a state dict by torch.save "
            f"or as .safetensors"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(f"weights {weights}: no state dict (a dict of tensors by name)")
    return state


def _load(resnet: nn.Module, state: dict[str, Tensor], source: str, name: str) -> None:
    shapes = {k: v.shape for k, v in state.items() if not k.startswith("fc.")}
    expected = {k: v.shape for k, v in resnet.state_dict().items() if not k.startswith("fc.")}
    for key in sorted(shapes.keys() | expected.keys()):
        if shapes.get(key) != expected.get(key):
            fault = "has another shape for" if key in shapes else "lacks"
            fault = fault if key in expected else "has a foreign"
            raise UserError(f"{source}: not the weights of {name} (it {fault} {key})")
    resnet.load_state_dict({k: state[k] for k in expected}, strict=False)
