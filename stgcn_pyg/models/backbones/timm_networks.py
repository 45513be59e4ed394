"""timm's networks without their heads, as maps (extra ``timm``)."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, nn

from stgcn_pyg.errors import UserError, needs_extra, whole_number
from stgcn_pyg.models.backbones.map_size import map_of_black_image
from stgcn_pyg.models.backbones.weights import (
    State,
    load_fitting,
    read_state,
    renamed_by_order,
    without_prefix,
)
from stgcn_pyg.models.forward_modes import recomputed

PREFIX = "timm/"


class TimmNetwork(nn.Module):
    """A network of timm whose output is a map ``[F, C, h, w]``, whatever timm's own is.

    Args:
        model: Network that timm built without a classifier.
        image_size: Height and width that it was built for, if it was built for any.
    """

    model: Any

    def __init__(self, model: Any, image_size: tuple[int, int] | None):
        super().__init__()
        self.model = model
        config = model.pretrained_cfg
        self.mean = tuple(float(value) for value in config["mean"])
        self.std = tuple(float(value) for value in config["std"])
        self.image_size = image_size
        self._own_size = tuple(config["input_size"][1:])

    @property
    def patches(self) -> Any:
        """The module that cuts images into patches; None for a convolutional network."""
        found = (getattr(self.model, name, None) for name in ("patch_embed", "stem"))
        return next((m for m in found if hasattr(m, "proj") and hasattr(m, "patch_size")), None)

    @property
    def trial_size(self) -> tuple[int, int]:
        """Height and width of images that it takes."""
        if self.image_size is not None:
            return self.image_size
        return self._own_size if self.patches is not None else (128, 128)

    def forward(self, x: Tensor, recompute: bool = False) -> Tensor:
        """The last map; with ``recompute`` each block is computed again in the backward pass."""
        rows, columns = self._grid(x.size(2), x.size(3))
        if recompute:
            with _recomputing(self._blocks()):
                features = self.model.forward_features(x)
        else:
            features = self.model.forward_features(x)
        if features.dim() == 3:
            tokens = features[:, getattr(self.model, "num_prefix_tokens", 0) :]
            if tokens.size(1) != rows * columns:
                raise UserError(
                    f"a {type(self.model).__name__} gives {tokens.size(1)} tokens that are no map "
                    "of its patches: choose another backbone"
                )
            return tokens.transpose(1, 2).unflatten(2, (rows, columns))
        if getattr(self.model, "output_fmt", "NCHW") == "NHWC":
            return features.permute(0, 3, 1, 2)
        return features

    def _grid(self, height: int, width: int) -> tuple[int, int]:
        """The number of patches above and beside each other."""
        if self.patches is None:
            return 0, 0
        patch, stride = self.patches.proj.kernel_size, self.patches.proj.stride
        name = type(self.model).__name__
        if self.image_size not in (None, (height, width)):
            raise UserError(
                f"the backbone was built for images of {self.image_size[0]} x "
                f"{self.image_size[1]}, not of {height} x {width}: pass image_size=({height}, "
                f"{width})"
            )
        # Overlapping ones too, where timm compares sizes with the patch and was built for none.
        compared = self.image_size is None and hasattr(self.patches, "strict_img_size")
        if (stride == patch or compared) and (height % patch[0] or width % patch[1]):
            raise UserError(
                f"images of {height} x {width} cannot be cut into the patches of {patch[0]} x "
                f"{patch[1]} pixels of a {name}: choose multiples of these"
            )
        return tuple(
            (side - of_patch) // step + 1
            for side, of_patch, step in zip((height, width), patch, stride, strict=True)
        )  # type: ignore[return-value]

    def layers(self) -> list[list[str]]:
        """Names of the parameters of each layer, from the input to the output."""
        with needs_extra("timm"):
            from timm.models import group_parameters
        if not hasattr(self.model, "group_matcher"):
            return [[f"model.{name}" for name, _ in self.model.named_parameters()]]
        groups = group_parameters(self.model, self.model.group_matcher(coarse=False))
        return [[f"model.{name}" for name in groups[layer]] for layer in sorted(groups)]

    def _blocks(self) -> list[nn.Module]:
        """The modules that hold all parameters of a layer, and no others."""
        blocks = []
        for names in self.layers():
            split = [name.removeprefix("model.").split(".")[:-1] for name in names]
            levels = zip(*split, strict=False)
            shared = [parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, levels)]
            block = self.model.get_submodule(".".join(shared))
            if shared and len(list(block.parameters())) == len(names) > 1:
                blocks.append(block)
        return blocks


@contextmanager
def _recomputing(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Lets modules keep only their input until the backward pass, while the block runs."""

    def again(block: nn.Module, own: Callable, *args: Any, **options: Any) -> Any:
        if not args or not isinstance(args[0], Tensor):
            return own(*args, **options)
        return recomputed(lambda x: own(x, *args[1:], **options), block, args[0])

    for block in blocks:
        block.forward = partial(again, block, block.forward)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward  # the class's own is there again


def names() -> list[str]:
    """The names of timm's networks, with the prefix."""
    with needs_extra("timm"):
        import timm
    return [PREFIX + name for name in timm.list_models()]


def require_weights_name(name: str) -> None:
    """Raises a UserError if a network has no weights of the name behind its dot."""
    with needs_extra("timm"):
        import timm
    architecture, dot, tag = name.removeprefix(PREFIX).partition(".")
    known = timm.list_pretrained(f"{architecture}.*")
    if dot and f"{architecture}.{tag}" not in known:
        raise UserError(
            f"backbone {name!r}: timm has no weights of that name: it has "
            f"{', '.join(PREFIX + one for one in known) or 'none'}"
        )


def build(name: str, image_size: Sequence[int] | None, patch_stride: int | None) -> TimmNetwork:
    """A network of timm, from random weights.

    Raises:
        UserError: timm is missing, the network gives no map, or an option does not fit it.
    """
    size = None if image_size is None else _size_of(image_size)
    model, built_for = _create(name.removeprefix(PREFIX), size)
    network = TimmNetwork(model, built_for)
    if patch_stride is not None:
        _overlap(network, name, whole_number("patch_stride", patch_stride))
    if not hasattr(model, "forward_features"):
        raise UserError(f"backbone {name!r} gives no feature map: choose another network")
    _take_head_off(network, name)
    return network


def _size_of(image_size: Sequence[int]) -> tuple[int, int]:
    numbers = list(image_size) if isinstance(image_size, Iterable) else [image_size]
    if len(numbers) != 2:
        raise UserError(f"image_size={numbers}: pass two numbers, height and width")
    return whole_number("image_size", numbers[0]), whole_number("image_size", numbers[1])


def _take_head_off(network: TimmNetwork, name: str) -> None:
    """Takes out the parts that lie behind the last map: some networks have a norm there."""
    model = network.model
    ran: set[str] = set()

    def note(path: str) -> Callable:
        return lambda *_: ran.add(path.partition(".")[0])

    hooks = [
        module.register_forward_pre_hook(note(path))
        for path, module in model.named_modules()
        if path  # all but the whole
    ]
    try:
        map_of_black_image(network, network.trial_size, name)
    finally:
        for hook in hooks:
            hook.remove()
    for part, module in list(model.named_children()):
        if part not in ran and any(True for _ in module.parameters()):
            setattr(model, part, nn.Identity())


def _create(name: str, size: tuple[int, int] | None) -> tuple[Any, tuple[int, int] | None]:
    with needs_extra("timm"):
        import timm
    # Which of the options a network has is seen by trying: timm does not tell.
    attempts: list[dict[str, Any]] = [{"dynamic_img_size": True}, {}]
    if size is not None:
        attempts = [{"img_size": size}, {}]
    for options in attempts:
        try:
            model: Any = timm.create_model(name, pretrained=False, num_classes=0, **options)
        except TypeError as error:
            if options and re.search("unexpected keyword|img_size", str(error)):
                continue
            raise
        except AssertionError as error:
            raise UserError(f"backbone timm/{name} refuses image_size={size}: {error}") from error
        return model, options.get("img_size")
    raise AssertionError("the last attempt has no options")


def _overlap(network: TimmNetwork, name: str, stride: int) -> None:
    """Lets the patches of a vision transformer begin every ``stride`` pixels."""
    model = network.model
    plain = network.patches is not None and getattr(model, "pos_embed", None) is not None
    if not plain or getattr(model, "rope", None) is not None:
        raise UserError(
            f"patch_stride={stride}: {name} is no vision transformer with position embeddings "
            "for patches: leave it out"
        )
    patch = model.patch_embed.proj.kernel_size
    if stride > min(patch):
        raise UserError(
            f"patch_stride={stride}: would leave pixels out between patches of {patch[0]} x "
            f"{patch[1]}: pass at most {min(patch)}"
        )
    model.patch_embed.proj.stride = (stride, stride)
    if network.image_size is not None:
        _fit_positions(network)


def _fit_positions(network: TimmNetwork) -> None:
    """Gives a network a position embedding a patch of its images, interpolated from its own."""
    from timm.layers import resample_abs_pos_embed

    model, embed = network.model, network.model.patch_embed
    assert network.image_size is not None
    grid = network._grid(*network.image_size)
    if grid == tuple(embed.grid_size):
        return
    prefix = 0 if getattr(model, "no_embed_class", False) else model.num_prefix_tokens
    with torch.no_grad():
        fitted = resample_abs_pos_embed(model.pos_embed, grid, embed.grid_size, prefix)
    model.pos_embed = nn.Parameter(fitted)
    embed.grid_size, embed.num_patches = grid, grid[0] * grid[1]


def load(network: TimmNetwork, name: str, weights: str | None) -> None:
    """Gives a network its initial weights, as :class:`.Backbone` names them."""
    if weights is None:
        return
    model = network.model
    state = _downloaded(name) if weights == "imagenet" else read_state(weights, name)
    if weights.startswith("package:"):
        state = renamed_by_order(state, model.state_dict(), weights, name)
    else:
        state = _in_timms_names(model, state, weights, name)
    load_fitting(model, state, weights, name)


def _downloaded(name: str) -> State:
    with needs_extra("timm"):
        import timm
    try:
        return timm.create_model(name.removeprefix(PREFIX), pretrained=True).state_dict()
    except Exception as error:  # of several libraries, whatever goes wrong on the way
        reason = " ".join(str(error).split())
        raise UserError(
            f"weights of {name} cannot be downloaded ({reason}): pass the path of a state dict as "
            "weights, or null for random weights"
        ) from error


def _in_timms_names(model: Any, state: State, weights: str, name: str) -> State:
    """A state dict by the names and with the position embeddings of a network.

    timm's own function for the network knows the names that others give its parts, as OpenAI does
    in CLIP, and interpolates embeddings of another number of patches.
    """
    end = "transformer.resblocks.0.ln_1.weight"
    prefix = next((key.removesuffix(end) for key in state if key.endswith(end)), None)
    if prefix is not None:  # the image half of a CLIP, such as CLIP-ReID's `image_encoder`
        state = {
            f"visual.{key.removeprefix(prefix)}": value.float()
            for key, value in state.items()
            if key.startswith(prefix)
        }
    else:
        state = without_prefix(state, model.state_dict())
    module = sys.modules[type(model).__module__]
    convert = getattr(module, "checkpoint_filter_fn", None) or getattr(module, "_filter_fn", None)
    if convert is None:
        return state
    try:
        return convert(state, model)
    except (KeyError, RuntimeError, AttributeError, ValueError) as error:
        raise UserError(
            f"weights {weights}: not the weights of {name} (timm cannot convert them: {error})"
        ) from error
