"""STGCN: a clip of frames goes in; features by branch, an embedding and logits come out."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stgcn_pyg.models.backbone import Backbone
from stgcn_pyg.models.branches import (
    AffinityName,
    Branch,
    GlobalBranch,
    Propagation,
    SpatialBranch,
    TemporalBranch,
)
from stgcn_pyg.models.hub import HubModel
from stgcn_pyg.models.plain_values import plain_values

BRANCHES = ("global", "temporal", "spatial")
EmbeddingKind = Literal["normalized", "raw", "global", "temporal", "spatial"]


class STGCNOutput(NamedTuple):
    """What STGCN makes of a batch of clips."""

    features: dict[str, Tensor]
    """The feature of each branch, by name: ``[B, C]``, ``[B, C]`` and ``[B, T * 256]``."""
    embedding: Tensor
    """``[B, D]``: what tracklets are compared by."""
    logits: Tensor
    """``[B, num_classes]``, from the raw concatenation of the features."""


class STGCN(nn.Module, HubModel):
    r"""The spatial-temporal graph convolutional network of Yang et al. (CVPR 2020).

    A ResNet gives a feature map a frame. The global branch averages them; the temporal branch
    runs a graph over the patches of all frames of a clip; the spatial branch runs one over the
    patches of each frame. The classifier takes :math:`f_{all} = [f_{global}, f^t, f^s]`.

    Args:
        num_classes: The number of people to tell apart in training.
        num_frames: T, the number of frames of a clip.
        backbone: ``"resnet18"``, ``"resnet34"`` or ``"resnet50"``.
        weights: Of the backbone: ``"imagenet"``, the path of a state dict, or None for random.
        temporal_layers: M, the number of layers of TGCN.
        spatial_layers: K, the number of layers of SGCN.
        temporal_patches: Horizontal patches a frame in TGCN.
        spatial_patches: Horizontal patches a frame in SGCN.
        branches: Any of ``"global"``, ``"temporal"``, ``"spatial"``; the paper's baseline is
            ``("global",)``.
        temporal_propagation: ``"gcn"``, or ``"fc"`` for fully connected layers (Table 4).
        spatial_propagation: The same for the spatial branch.
        spatial_channels: The width of a frame's feature in SGCN.
        spatial_hidden_channels: The width of SGCN's layers before the last; ``spatial_channels``
            if not given.
        spatial_weights: ``"per-frame"`` (Eq. 7's :math:`W_i^k`) or ``"shared"`` by all frames.
        spatial_shortcut: Whether SGCN has the shortcut of Eq. 6.
        affinity: Of both branches: ``"squared"`` as in the paper, ``"softmax"`` or ``"cosine"``.
        embedding: ``"normalized"``: each branch's feature is L2-normalised before they are
            concatenated; ``"raw"``: they are concatenated as they are; the name of a branch: its
            feature alone, normalised.

    Shapes:
        - Input: normalised clips ``[B, T, 3, H, W]``.
        - Output: :class:`STGCNOutput`.

    Raises:
        ValueError: The clips or an option do not fit; the message names it.
        UserError: The weights of the backbone cannot be had or do not fit.

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
        weights: str | None = "imagenet",
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
        embedding: EmbeddingKind = "normalized",
    ):
        # Before any other name is bound: what a checkpoint needs to build this model again.
        options = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        super().__init__()
        _check_options(list(branches), embedding)
        self._options = plain_values(options | {"branches": list(branches), "weights": None})
        self.num_frames = num_frames = self._options["num_frames"]
        self.embedding_kind = embedding
        self.backbone = Backbone(backbone, weights)
        channels = self.backbone.out_channels
        built: dict[str, Callable[[], Branch]] = {
            "global": lambda: GlobalBranch(channels),
            "temporal": lambda: TemporalBranch(
                channels, temporal_layers, temporal_patches, temporal_propagation, affinity
            ),
            "spatial": lambda: SpatialBranch(
                channels,
                num_frames,
                spatial_layers,
                spatial_patches,
                spatial_propagation,
                spatial_channels,
                spatial_hidden_channels,
                spatial_weights,
                spatial_shortcut,
                affinity,
            ),
        }
        # Always in the paper's order, so that the same branches give the same concatenation.
        chosen = {name: build() for name, build in built.items() if name in branches}
        self.branches = nn.ModuleDict(chosen)
        width = sum(branch.out_channels for branch in chosen.values())
        self.classifier = nn.Linear(width, num_classes)
        self.embedding_width = sum(chosen[name].out_channels for name in self.embedded)

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that build the network again, as plain values; it then takes its weights.

        Of a classifier that another linear layer has replaced, it is the number of classes there.
        """
        classes = getattr(self.classifier, "out_features", self._options["num_classes"])
        return self._options | {"num_classes": classes}

    def forward(self, clips: Tensor) -> STGCNOutput:
        """Features, embedding and logits of a batch of clips."""
        if clips.dim() != 5 or clips.size(1) != self.num_frames or clips.size(2) != 3:
            raise ValueError(
                f"clips must be [batch, {self.num_frames} frames, 3, height, width], "
                f"got {tuple(clips.shape)}"
            )
        return self.from_feature_maps(self.backbone(clips.flatten(0, 1)))

    def from_feature_maps(self, feature_maps: Tensor) -> STGCNOutput:
        """What follows the backbone: its maps ``[B * T, C, h, w]`` to the output."""
        features = {
            name: branch(feature_maps, self.num_frames) for name, branch in self.branches.items()
        }
        logits = self.classifier(torch.cat(list(features.values()), dim=1))
        return STGCNOutput(features, self._embed(features), logits)

    @property
    def embedded(self) -> list[str]:
        """The branches whose features make the embedding."""
        alone = self.embedding_kind in BRANCHES
        return [name for name in self.branches if not alone or name == self.embedding_kind]

    def _embed(self, features: dict[str, Tensor]) -> Tensor:
        chosen = [features[name] for name in self.embedded]
        if self.embedding_kind != "raw":
            chosen = [F.normalize(feature, dim=1) for feature in chosen]
        return torch.cat(chosen, dim=1)


def _check_options(branches: Sequence[str], embedding: str) -> None:
    unknown = [name for name in branches if name not in BRANCHES]
    if unknown or not branches or len(set(branches)) != len(branches):
        raise ValueError(f"branches must be one or more of {BRANCHES}, got {tuple(branches)}")
    known = ("normalized", "raw", *branches)
    if embedding not in known:
        raise ValueError(f"embedding must be one of {known}, got {embedding!r}")
