"""What is exported: a network from frames or clips to its embedding, without its classifier."""

from collections.abc import Sequence
from copy import copy, deepcopy
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from stgcn_pyg.data.transforms import normalize
from stgcn_pyg.errors import UserError, require_known
from stgcn_pyg.export.pillow_resize import PillowResize
from stgcn_pyg.models import STGCN
from stgcn_pyg.models.branches import SpatialBranch, TemporalBranch
from stgcn_pyg.models.fully_connected import FullyConnected

InputKind = Literal["pictures", "clips"]
OutputKind = Literal["embedding", "features", "affinity"]


class Preparation(nn.Module):
    """Resizes and normalises frames: what a network from pictures does before one from clips.

    Args:
        model: The network, for its normalisation and its number of frames.
        height: Height of the clips, in pixels.
        width: Width of the clips, in pixels.

    Shapes:
        - Input: ``[B, T, h, w, 3]`` of uint8, RGB.
        - Output: ``[B, T, 3, height, width]``, alone in a tuple.
    """

    input: InputKind = "pictures"
    names = ("clips",)

    def __init__(self, model: STGCN, height: int, width: int):
        super().__init__()
        self.resize = PillowResize(height, width)
        self.mean, self.std = model.mean, model.std
        self.num_frames, self.frees_frames = model.num_frames, _frees_frames(model)
        self.title = model.backbone.name

    def forward(self, frames: Tensor) -> tuple[Tensor]:
        """The clips, as the network takes them."""
        # Contiguous, as an exporter keeps other strides only of pictures of two rows or more.
        pictures = self.resize(frames.flatten(0, 1).permute(0, 3, 1, 2).contiguous())
        num_frames = frames.size(1) if self.frees_frames else self.num_frames
        clips = normalize(pictures / 255, self.mean, self.std)
        return (clips.unflatten(0, (-1, num_frames)),)

    def example(self) -> Tensor:
        """Two clips whose size is neither the network's own nor square, nor taken for it."""
        size = self.resize.height + 3, self.resize.width + 5
        return torch.zeros(2, self.num_frames, *size, 3, dtype=torch.uint8)


class ExportedNetwork(nn.Module):
    r"""A network as it is exported: one tensor goes in, a tuple of tensors comes out.

    Args:
        model: The network; a copy on the CPU, in float32 and evaluation mode, is taken.
        height: Height that the network was trained with, in pixels.
        width: Width that it was trained with, in pixels.
        input: ``"pictures"``: uint8 frames ``[B, T, h, w, 3]`` of any size, RGB, which are resized
            and normalised inside; ``"clips"``: normalised clips ``[B, T, 3, height, width]``.
        outputs: Besides ``"embedding"``, which always comes first: ``"features"`` of each branch,
            and ``"affinity"``, :math:`\hat A` of each branch with graphs.

    Attributes:
        frees_frames: Whether T may be any number, and not only the one that was trained with.
        names: Name of each tensor that comes out.
        title: Name of the backbone, for messages.
        preparation: What is done to pictures.

    Shapes:
        - ``embedding``: ``[B, D]``.
        - ``global``, ``temporal``, ``spatial``: the features, ``[B, C]`` each.
        - ``temporal_affinity``: ``[B, T * P, T * P]``; ``spatial_affinity``: ``[B, T, P, P]``.

    Raises:
        UserError: An output is unknown.

    Example:
        >>> model = STGCN(10, num_frames=2, backbone="resnet18", weights=None)
        >>> network = ExportedNetwork(model, 64, 32, "pictures", ["features"])
        >>> frames = torch.zeros(3, 2, 90, 40, 3, dtype=torch.uint8)
        >>> dict(zip(network.names, (tuple(found.shape) for found in network(frames))))
        {'embedding': (3, 1536), 'global': (3, 512), 'temporal': (3, 512), 'spatial': (3, 512)}
    """

    def __init__(
        self,
        model: STGCN,
        height: int,
        width: int,
        input: InputKind = "clips",
        outputs: Sequence[str] = (),
    ):
        super().__init__()
        require_known(input=(input, InputKind))
        require_outputs(outputs)
        self.model = deepcopy(model).cpu().float().requires_grad_(False)
        self.input: InputKind = input
        self.height, self.width = height, width
        self.title = model.backbone.name
        self.preparation = Preparation(model, height, width)
        self.frees_frames = self.preparation.frees_frames
        self.with_features = "features" in outputs
        self.graphs = branches_with_graphs(self.model) if "affinity" in outputs else {}
        features = self.model.branches if self.with_features else ()
        self.names = ["embedding", *features, *(f"{name}_affinity" for name in self.graphs)]
        self.eval()

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """The embedding and the other outputs, in the order of ``names``."""
        model = self.model
        num_frames = frames.size(1) if self.frees_frames else model.num_frames
        clips = self.preparation(frames)[0] if self.input == "pictures" else frames
        maps = model.backbone(clips.flatten(0, 1))
        features = {name: branch(maps, num_frames) for name, branch in model.branches.items()}
        found = [model.join(model.behind_neck(features))]
        if self.with_features:
            found += features.values()
        for name, branch in self.graphs.items():
            weights = branch.edge_weights(maps, num_frames)
            by_clip = weights.unflatten(0, (-1, num_frames)) if name == "spatial" else weights
            found.append(by_clip)
        return tuple(found)

    def example(self) -> Tensor:
        """An input of two clips, as export needs one."""
        if self.input == "pictures":
            return self.preparation.example()
        return torch.zeros(2, self.model.num_frames, 3, self.height, self.width)

    def from_clips(self) -> "ExportedNetwork":
        """The same without the preparation."""
        network = copy(self)
        network.input = "clips"
        return network


def require_outputs(outputs: Sequence[str]) -> None:
    """Raises a UserError if an output is unknown."""
    if isinstance(outputs, str):
        raise UserError(f"outputs={outputs!r}: pass a list: [{outputs!r}]")
    unknown = [name for name in outputs if name not in get_args(OutputKind)]
    if unknown:
        known = ", ".join(get_args(OutputKind))
        raise UserError(f"outputs: {unknown[0]!r} is unknown: use {known}")


def branches_with_graphs(model: STGCN) -> dict[str, TemporalBranch | SpatialBranch]:
    """The branches that have an affinity, by name."""
    return {
        name: branch
        for name, branch in model.branches.items()
        if isinstance(branch, TemporalBranch | SpatialBranch)
        and not isinstance(branch.gcn, FullyConnected)
    }


def _frees_frames(model: STGCN) -> bool:
    """Whether no weight belongs to a frame's position, nor to a feature that grows with T."""
    options = model.options
    shared = options["spatial_weights"] == "shared" and options["neck"] == "none"
    return "spatial" not in model.branches or shared
