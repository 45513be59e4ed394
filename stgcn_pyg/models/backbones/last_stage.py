"""The resolution of a convolutional network's last stage."""

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from stgcn_pyg.errors import UserError, require_known
from stgcn_pyg.models.backbones.map_size import map_of_black_image

LastStage = Literal["stride1", "dilated", "as-is"]


@dataclass(frozen=True)
class _Call:
    """A convolution or pooling in a forward pass, with the heights that went in and came out."""

    module: Any
    height: int
    out_height: int


def change_last_stage(
    network: nn.Module, name: str, kind: LastStage, size: tuple[int, int]
) -> LastStage | None:
    """Takes the halving out of the last stage of a network, in place.

    What halves is found by a forward pass: the convolutions and poolings whose output has the
    height of the last map and whose input has twice that. They get the stride 1. With
    ``"dilated"`` the kernels of those that come after them get twice their dilation.

    Args:
        network: Network from images to maps.
        name: Its name, for messages.
        kind: ``"stride1"``, ``"dilated"`` or ``"as-is"``.
        size: Height and width of the images of the forward pass.

    Returns:
        The kind; None for a network without such a stage, as are plain vision transformers.

    Raises:
        UserError: The network has no such stage, or halves in another way.
    """
    require_known(last_stage=(kind, LastStage))
    calls, before = _calls(network, size, name)
    final = before[0]
    strided = [
        call
        for call in calls
        if call.out_height == final and 2 * final - 1 <= call.height <= 2 * final
    ]
    if kind == "as-is":
        return kind if strided else None
    if not strided:
        raise UserError(
            f"last_stage={kind!r}: no convolution or pooling of {name} halves its last stage; "
            "leave last_stage out"
        )
    for call in strided:
        _leave_stride_out(network, call.module, name)
    if kind == "dilated":
        # A module that is used twice is changed once.
        for module in {id(c.module): c.module for c in calls if c.height == final}.values():
            _dilate(module, name)
    after = tuple(map_of_black_image(network, size, name).shape[2:])
    if after != (2 * before[0], 2 * before[1]):
        raise UserError(
            f"last_stage={kind!r}: {name} gives a map of {after[0]} x {after[1]} then, not twice "
            f"{before[0]} x {before[1]}: pass as-is"
        )
    return kind


def _calls(
    network: nn.Module, size: tuple[int, int], name: str
) -> tuple[list[_Call], tuple[int, int]]:
    """What a forward pass calls, and the size of the map that it gives."""
    calls: list[_Call] = []

    def note(module: nn.Module, args: Any, output: Any) -> None:
        calls.append(_Call(module, args[0].size(-2), output.size(-2)))

    kinds = (nn.Conv2d, nn.AvgPool2d, nn.MaxPool2d)
    hooks = [m.register_forward_hook(note) for m in network.modules() if isinstance(m, kinds)]
    try:
        maps = map_of_black_image(network, size, name)
    finally:
        for hook in hooks:
            hook.remove()
    return calls, (maps.size(2), maps.size(3))


def _leave_stride_out(network: nn.Module, module: Any, name: str) -> None:
    kernel = _pair(module.kernel_size)
    if isinstance(module, nn.Conv2d):
        module.stride = (1, 1)
        if kernel[0] % 2 == 0:
            module.padding = "same"
    elif kernel[0] % 2 == 1:
        module.stride = 1
    elif kernel == (2, 2):
        # Its windows begin at every pixel, so that every second one is one of before.
        pool = type(module)(2, 1)
        inside = next(path for path, other in network.named_modules() if other is module)
        parent, _, last = inside.rpartition(".")
        padded = nn.Sequential(nn.ReplicationPad2d((0, 1, 0, 1)), pool)
        setattr(network.get_submodule(parent), last, padded)
    else:
        raise UserError(
            f"last_stage: {name} halves its last stage by pooling {kernel[0]} x {kernel[1]} "
            "pixels, which cannot be left out: pass as-is"
        )


def _dilate(module: Any, name: str) -> None:
    if _pair(module.kernel_size) == (1, 1):
        return
    if not isinstance(module, nn.Conv2d):
        raise UserError(
            f"last_stage='dilated': {name} pools in its last stage, which cannot be spread: pass "
            "stride1 or as-is"
        )
    module.dilation = tuple(2 * d for d in _pair(module.dilation))
    if not isinstance(module.padding, str):
        module.padding = tuple(2 * p for p in _pair(module.padding))


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
