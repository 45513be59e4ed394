"""The maps of a backbone, computed faster: batch norms folded, in the layout that suits the CPU."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stgcn_pyg.errors import UserError, require_known
from stgcn_pyg.models.backbones import Backbone
from stgcn_pyg.models.backbones.spare_column import own_class
from stgcn_pyg.models.backbones.timm_networks import TimmNetwork
from stgcn_pyg.models.forward_modes import evaluating

InferencePrecision = Literal["float32", "bfloat16"]
NEAR = 1e-4  # largest difference, as a share of the largest number, that rounding explains
LARGE = 32.0  # shift of a convolution of which bfloat16 keeps too little
BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")  # as PyTorch calls the instructions


class FastBackbone:
    """A backbone's maps in evaluation mode, without gradients.

    On a CPU a copy is taken: its batch norms are folded into the convolutions before them, and it
    keeps weights and maps channels_last, or with AVX-512 in oneDNN's own layout where all its parts
    can. Each step is tried on an image of noise first, and left out if it changes the map by more
    than rounding does. On a GPU the backbone itself is run.

    Args:
        backbone: Backbone, which is not changed.
        size: Height and width of the images.
        precision: ``"float32"``, or ``"bfloat16"`` for its convolutions and products.

    Shapes:
        - Input: normalised images ``[F, 3, H, W]``.
        - Output: feature maps ``[F, C, h, w]`` of float32.

    Raises:
        UserError: The CPU has no instructions for bfloat16.

    Example:
        >>> backbone = Backbone("resnet18", weights=None)
        >>> images = torch.randn(2, 3, 64, 32)
        >>> wanted = backbone.eval()(images)
        >>> (FastBackbone(backbone, (64, 32))(images) - wanted).abs().max() < 1e-4
        tensor(True)
    """

    def __init__(
        self,
        backbone: Backbone,
        size: tuple[int, int],
        precision: InferencePrecision = "float32",
    ):
        require_known(precision=(precision, InferencePrecision))
        self.dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self.backbone = backbone
        device = next(backbone.parameters()).device
        self.run: Callable[[Tensor], Tensor] = self._run_itself
        if device.type == "cpu":
            if self.dtype == torch.bfloat16:
                require_bfloat16()
            self.run = _faster(backbone, size, self.dtype)

    def __call__(self, images: Tensor) -> Tensor:
        """The maps of a stack of images."""
        with torch.inference_mode():
            return self.run(images).float()

    def _run_itself(self, images: Tensor) -> Tensor:
        low = self.dtype == torch.bfloat16
        with evaluating(self.backbone), torch.autocast(images.device.type, self.dtype, enabled=low):
            return self.backbone(images)


def require_bfloat16() -> None:
    """Raises a UserError if the CPU has no instructions for bfloat16."""
    has = torch.cpu.get_capabilities()
    if not any(has.get(name) for name in BFLOAT16):
        raise UserError(
            "--precision bfloat16: this processor has no instructions for it (AVX-512 BF16, AMX or "
            "Arm's), without which it is slower than float32: pass float32"
        )


@torch.inference_mode()
def _faster(
    backbone: Backbone, size: tuple[int, int], dtype: torch.dtype
) -> Callable[[Tensor], Tensor]:
    """The fastest way to the maps that gives those of the backbone itself."""
    noise = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    plain = deepcopy(backbone).eval()
    wanted = plain(noise)
    folded = deepcopy(plain)
    _fold_batch_norms(folded, noise)
    if not _is_near(folded(noise), wanted):
        folded = plain
    near = NEAR if dtype == torch.float32 else 0.1
    exact = _keep_exact(folded) if dtype != torch.float32 else 0
    # With AVX2 alone channels_last is faster. A rule, and no trial of both: what goes on after a
    # stop has the same numbers.
    if not exact and torch.backends.cpu.get_cpu_capability() == "AVX512":
        try:
            blocked = _in_onednns_layout(folded, dtype)
            if _is_near(blocked(noise).float(), wanted, near):
                return blocked
        except Exception:  # a part has no such layout, and each kind says so in its own way
            pass
    folded = folded.to(memory_format=torch.channels_last)

    def run(images: Tensor) -> Tensor:
        # Not `folded.to(dtype)`: norms and softmax of a transformer stay in float32.
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            return folded(images)

    return run


def _keep_exact(network: nn.Module) -> int:
    """Keeps convolutions in float32 up to the last with a large shift; returns their number.

    Such a one subtracts large numbers from large ones: bfloat16's 8 bits would leave little of the
    difference. In MobileNetV2 a shift of 757 comes before a ReLU6.
    """
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    shifts = [0.0 if c.bias is None else float(c.bias.abs().max()) for c in convolutions]
    kept = max((place + 1 for place, shift in enumerate(shifts) if shift > LARGE), default=0)
    for convolution in convolutions[:kept]:
        _replace(network, convolution, _InFloat32(convolution))
    return kept


class _InFloat32(nn.Module):
    """A convolution that is computed in float32 under autocast too."""

    def __init__(self, convolution: nn.Conv2d):
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return self.convolution(x.float())


def _is_near(found: Tensor, wanted: Tensor, near: float = NEAR) -> bool:
    return bool((found - wanted).abs().max() <= near * wanted.abs().max())


def _fold_batch_norms(network: nn.Module, images: Tensor) -> None:
    """Folds batch norms into the convolutions whose output they alone are given.

    Which follows which is seen in a forward pass, since networks of timm cannot be traced.
    """
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # the tensor is kept: its id stays its own
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def note(conv: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        made[id(output)] = conv, output  # type: ignore[assignment]

    def pair(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        if id(inputs[0]) in made:
            pairs.append((made[id(inputs[0])][0], norm))  # type: ignore[arg-type]

    hooks = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(note))
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(pair))
    network(images)
    for hook in hooks:
        hook.remove()
    for conv, norm in pairs:
        once = all(sum(part is one for both in pairs for one in both) == 1 for part in (conv, norm))
        if once and norm.running_mean is not None:
            fused = fuse_conv_bn_eval(conv, norm)
            conv.weight, conv.bias = fused.weight, fused.bias
            _replace(network, norm, _behind(norm))


def _behind(norm: nn.BatchNorm2d) -> nn.Module:
    """What a batch norm does beside normalising: timm's own has an activation in it."""
    parts = [getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)]
    return nn.Sequential(*parts) if parts else nn.Identity()


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)


def _in_onednns_layout(network: Backbone, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """A copy that keeps maps and weights as oneDNN orders them, which saves it reordering them."""
    network = deepcopy(network)
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d):
            _replace(network, module, _Convolution(module, dtype))

    def run(images: Tensor) -> Tensor:
        x = images.contiguous().to_mkldnn(dtype)
        for part in network.children():
            x = part(x, False) if isinstance(part, TimmNetwork) else part(x)
        return x.to_dense()

    return run


class _Convolution(nn.Module):
    """A convolution of tensors in oneDNN's layout."""

    def __init__(self, convolution: nn.Conv2d, dtype: torch.dtype):
        super().__init__()
        c = convolution
        if own_class(c) is not nn.Conv2d or isinstance(c.padding, str) or c.padding_mode != "zeros":
            self.how = None  # refused when it is run
            return
        self.is_wrong_in_one_column = dtype == torch.bfloat16 and c.stride[1] > 1
        self.how = c.padding, c.stride, c.dilation, c.groups
        bias = torch.zeros(c.out_channels) if c.bias is None else c.bias
        self.bias = bias.detach().to_mkldnn()
        reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
        self.weight = reorder(c.weight.detach().to_mkldnn(dtype), *self.how)

    def forward(self, x: Tensor) -> Tensor:
        if self.how is None:
            raise NotImplementedError("a convolution of another kind")
        found = torch.mkldnn_convolution(x, self.weight, self.bias, *self.how)
        if self.is_wrong_in_one_column and found.size(-1) == 1:
            raise NotImplementedError("a convolution that needs a column to spare")
        return found
