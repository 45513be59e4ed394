"""STGCN: a clip of frames goes in; features by branch, an embedding and logits come out."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_pyg.errors import UserError, finite_number, require_known, whole_number
from stgcn_pyg.layers.checks import check_tensor
from stgcn_pyg.models.backbones import Backbone, LastStage
from stgcn_pyg.models.branches import (
    AffinityName,
    Branch,
    GlobalBranch,
    Pooling,
    Propagation,
    SpatialBranch,
    TemporalBranch,
)
from stgcn_pyg.models.hub import HubModel
from stgcn_pyg.models.options import plain_values

BRANCHES = ("global", "temporal", "spatial")
WHOLE_NUMBERS = (
    *("num_frames", "temporal_layers", "spatial_layers", "temporal_patches", "spatial_patches"),
    "spatial_channels",
)
EmbeddingKind = Literal["normalized", "raw", "global", "temporal", "spatial"]
Neck = Literal["none", "bnneck"]


class STGCNOutput(NamedTuple):
    """The output of STGCN for a batch of clips."""

    features: dict[str, Tensor]
    """Feature of each branch, by name: ``[B, C]``, ``[B, C]`` and ``[B, T * 256]``."""
    embedding: Tensor
    """Embedding by which tracklets are compared, ``[B, D]``."""
    logits: Tensor
    """Scores of the training identities, ``[B, num_classes]``, from the concatenated features."""


class STGCN(nn.Module, HubModel):
    r"""The spatial-temporal graph convolutional network of Yang et al. (CVPR 2020).

    A ResNet gives a feature map for each frame. The global branch averages them; the temporal
    branch runs a graph over the patches of all frames of a clip; the spatial branch runs one over
    the patches of each frame. The classifier takes :math:`f_{all} = [f_{global}, f^t, f^s]`.

    Args:
        num_classes: Number of training identities.
        num_frames: T, the number of frames of a clip.
        backbone: Name of a network of torchvision, such as ``"resnet50"`` or ``"mobilenet_v2"``,
            or ``"timm/NAME"`` for one of timm; :class:`.Backbone` lists them.
        weights: Initial weights of the backbone: ``"imagenet"``, ``"package:NAME"`` for those
            inside an installed package, the path of a state dict, or None for random ones.
        temporal_layers: M, the number of layers of the temporal branch (TGCN).
        spatial_layers: K, the number of layers of the spatial branch (SGCN).
        temporal_patches: Number of horizontal patches of a frame in the temporal branch.
        spatial_patches: Number of horizontal patches of a frame in the spatial branch.
        branches: Any of ``"global"``, ``"temporal"``, ``"spatial"``; the paper's baseline is
            ``("global",)``.
        temporal_propagation: ``"gcn"``, or ``"fc"`` for fully connected layers in the temporal
            branch (Table 4).
        spatial_propagation: ``"gcn"``, or ``"fc"`` for fully connected layers in the spatial branch
            (Table 4).
        spatial_channels: Width of a frame's feature in the spatial branch.
        spatial_hidden_channels: Width of the spatial branch's layers before the last;
            ``spatial_channels`` if not given.
        spatial_weights: ``"per-frame"``, a weight matrix for each frame of the clip as in Eq. 7, or
            ``"shared"`` by all frames.
        spatial_shortcut: Whether the spatial branch has the residual connection of Eq. 6.
        affinity: Affinity of the nodes in both branches: ``"squared"`` as in the paper,
            ``"softmax"`` or ``"cosine"``.
        pooling: Pooling of the nodes of a graph in both branches: ``"max"`` as in the paper, or
            ``"mean"``.
        embedding: ``"normalized"``: each branch's feature is L2-normalised before they are
            concatenated; ``"raw"``: they are concatenated without that; the name of a branch:
            only its feature, normalised.
        last_stage: Resolution of the last stage of a convolutional backbone: ``"stride1"`` leaves
            its halving out, ``"dilated"`` also spreads the kernels behind it, ``"as-is"`` keeps
            it. If not given: stride1 for ResNets, as in the paper, and as-is for others.
        image_size: Height and width for which a transformer's position embeddings are kept. If not
            given, ``stgcn train`` takes those of the data; elsewhere they are fitted to the images
            in each forward pass.
        patch_stride: Distance of a vision transformer's patches in pixels; the size of a patch if
            not given. Less lets them overlap.
        neck: ``"none"``, or ``"bnneck"`` (Luo et al., CVPR Workshops 2019): a batch norm without a
            shift between the features and a classifier without bias; the embedding is taken behind
            it, the features of the triplet losses before it.
        mean: Mean of each colour, for RGB in [0, 1], by which clips are normalised; that of the
            backbone's weights if not given.
        std: Deviation of each colour, likewise.

    Shapes:
        - Input: normalised clips ``[B, T, 3, H, W]``.
        - Output: :class:`STGCNOutput`.

    Raises:
        ValueError: The clips or an option do not fit; the message names it.
        UserError: A number is too small, or the weights of the backbone cannot be read or do not
            fit.

    Example:
        >>> model = STGCN(num_classes=10, num_frames=4, backbone="resnet18", weights=None)
        >>> output = model(torch.zeros(2, 4, 3, 64, 32))
        >>> {name: tuple(feature.shape) for name, feature in output.features.items()}
        {'global': (2, 512), 'temporal': (2, 512), 'spatial': (2, 1024)}
        >>> output.embedding.shape, output.logits.shape
        (torch.Size([2, 2048]), torch.Size([2, 10]))
    """

    def __init__(
        self,
        num_classes: int,
        num_frames: int = 8,
        backbone: str = "resnet50",
        weights: str | Path | None = "imagenet",
        temporal_layers: int = 3,
        spatial_layers: int = 2,
        temporal_patches: int = 4,
        spatial_patches: int = 4,
        branches: Sequence[str] = BRANCHES,
        temporal_propagation: Propagation = "gcn",
        spatial_propagation: Propagation = "gcn",
        spatial_channels: int = 256,
        spatial_hidden_channels: int | None = None,
        spatial_weights: Literal["per-frame", "shared"] = "per-frame",
        spatial_shortcut: bool = True,
        affinity: AffinityName = "squared",
        pooling: Pooling = "max",
        embedding: EmbeddingKind = "normalized",
        last_stage: LastStage | None = None,
        image_size: Sequence[int] | None = None,
        patch_stride: int | None = None,
        neck: Neck = "none",
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ):
        # Before any other name is bound: what a checkpoint needs to build this model again.
        options = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        super().__init__()
        _check_options(branches, embedding)
        require_known(neck=(neck, Neck), pooling=(pooling, Pooling))
        for name in WHOLE_NUMBERS:
            whole_number(name, options[name])
        if spatial_hidden_channels is not None:
            whole_number("spatial_hidden_channels", spatial_hidden_channels)
        self.backbone = Backbone(backbone, weights, last_stage, image_size, patch_stride)
        self.mean = _of_colours("mean", self.backbone.mean if mean is None else mean)
        self.std = _of_colours("std", self.backbone.std if std is None else std)
        if min(self.std) <= 0:
            raise UserError(f"std={list(self.std)}: pass numbers above 0")
        size = self.backbone.image_size
        resolved = {
            **{"branches": list(branches), "weights": None},
            **{"mean": list(self.mean), "std": list(self.std)},
            **{"last_stage": self.backbone.last_stage, "image_size": size and list(size)},
        }
        self._options = plain_values(options | resolved)
        self.num_frames = num_frames = self._options["num_frames"]
        self.embedding_kind = embedding
        channels = self.backbone.out_channels
        # Always in the paper's order, so that the same branches give the same concatenation.
        chosen: dict[str, Branch] = {}
        if "global" in branches:
            chosen["global"] = GlobalBranch(channels)
        if "temporal" in branches:
            chosen["temporal"] = TemporalBranch(
                channels, temporal_layers, temporal_patches, temporal_propagation, affinity, pooling
            )
        if "spatial" in branches:
            chosen["spatial"] = SpatialBranch(
                channels,
                num_frames,
                spatial_layers,
                spatial_patches,
                spatial_propagation,
                frame_channels=spatial_channels,
                hidden_channels=spatial_hidden_channels,
                weights=spatial_weights,
                shortcut=spatial_shortcut,
                affinity=affinity,
                pooling=pooling,
            )
        self.branches = nn.ModuleDict(chosen)
        width = sum(branch.out_channels for branch in chosen.values())
        self.neck = _bnneck(width) if neck == "bnneck" else nn.Identity()
        self.classifier = nn.Linear(width, num_classes, bias=neck == "none")
        self.embedding_width = sum(chosen[name].out_channels for name in self.embedded)

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that build the network again, as plain values.

        ``num_classes`` is the width of the present classifier, even if that was replaced.
        """
        classes = getattr(self.classifier, "out_features", self._options["num_classes"])
        return self._options | {"num_classes": classes}

    def forward(self, clips: Tensor) -> STGCNOutput:
        """Features, embedding and logits of a batch of clips."""
        check_tensor("clips", clips)
        if clips.dim() != 5 or clips.size(1) != self.num_frames or clips.size(2) != 3:
            raise ValueError(
                f"clips must be [batch, {self.num_frames} frames, 3, height, width], "
                f"got {tuple(clips.shape)}"
            )
        return self.from_feature_maps(self.backbone(clips.flatten(0, 1)))

    def from_feature_maps(self, feature_maps: Tensor) -> STGCNOutput:
        """The output for the feature maps of the backbone, ``[B * T, C, h, w]``."""
        features = {
            name: branch(feature_maps, self.num_frames) for name, branch in self.branches.items()
        }
        behind = self.behind_neck(features)
        logits = self.classifier(torch.cat(list(behind.values()), dim=1))
        return STGCNOutput(features, self.join(behind), logits)

    def behind_neck(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The features of the branches as the classifier and the embedding take them."""
        if isinstance(self.neck, nn.Identity):
            return dict(features)
        joined = self.neck(torch.cat(list(features.values()), dim=1))
        widths = [feature.size(1) for feature in features.values()]
        return dict(zip(features, joined.split(widths, dim=1), strict=True))

    @property
    def embedded(self) -> list[str]:
        """Names of the branches whose features make the embedding."""
        alone = self.embedding_kind in BRANCHES
        return [name for name in self.branches if not alone or name == self.embedding_kind]

    def join(self, features: Mapping[str, Tensor]) -> Tensor:
        """The embedding ``[B, D]`` of the branches' features behind the neck."""
        chosen = [features[name] for name in self.embedded]
        if self.embedding_kind != "raw":
            chosen = [F.normalize(feature, dim=1) for feature in chosen]
        return torch.cat(chosen, dim=1)


def _check_options(branches: Sequence[str], embedding: str) -> None:
    if isinstance(branches, str):
        raise ValueError(f"branches must be a list such as [{branches!r}], got {branches!r}")
    branches = list(branches)
    unknown = [name for name in branches if name not in BRANCHES]
    if unknown or not branches or len(set(branches)) != len(branches):
        raise ValueError(f"branches must be one or more of {BRANCHES}, got {tuple(branches)}")
    known = ("normalized", "raw", *branches)
    if embedding not in known:
        raise ValueError(f"embedding must be one of {known}, got {embedding!r}")


def _bnneck(width: int) -> nn.BatchNorm1d:
    neck = nn.BatchNorm1d(width)
    neck.bias.requires_grad_(False)
    return neck


def _of_colours(name: str, values: Sequence[float]) -> tuple[float, ...]:
    given = list(values) if isinstance(values, Iterable) else [values]
    numbers = tuple(finite_number(name, value, -inf) for value in given)
    if len(numbers) != 3:
        raise UserError(f"{name}={given}: pass three numbers, of red, green and blue")
    return numbers
