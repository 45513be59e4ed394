"""Grad-CAM: where in each frame lies what brings a clip nearer to an identity or to a tracklet."""

from collections.abc import Callable
from typing import cast

import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn

from stgcn_pyg.models import STGCN, STGCNOutput
from stgcn_pyg.models.branches import Branch

Towards = Callable[[STGCNOutput], Tensor]
"""Function from a model's output to scores ``[B, branches]`` whose sum is the score y of the whole.
"""

WHOLE = "embedding"  # the name of the map towards the sum of all branches


def activation_maps(model: STGCN, feature_maps: Tensor, towards: Towards) -> dict[str, Tensor]:
    r"""Grad-CAM of each branch and of the whole (Selvaraju et al., ICCV 2017).

    .. math::
        M_{uv} = \operatorname{ReLU}\Big(\sum_c \alpha_c F_{cuv}\Big), \qquad
        \alpha_c = \frac{1}{hw} \sum_{uv} \frac{\partial y}{\partial F_{cuv}}

    with the last feature map F of a frame and the weights :math:`\alpha` of that frame, computed by
    captum's ``LayerGradCam``. The score y of the whole embedding is the sum of its branches'; so is
    its map, before the ReLU.

    Args:
        model: The network, in evaluation mode.
        feature_maps: Last feature maps of B clips, ``[B * T, C, h, w]``, from
            :func:`feature_maps_of`.
        towards: What the maps are drawn towards, from :func:`towards_identities`
            or :func:`towards_tracklets`.

    Returns:
        Maps ``[B, T, h, w]``, not negative, in the unit of y: ``"embedding"``, the whole, and then
        each branch by its name.

    Example:
        >>> model = STGCN(10, num_frames=2, backbone="resnet18", weights=None).eval()
        >>> maps = feature_maps_of(model, torch.randn(3, 2, 3, 64, 32))
        >>> cams = activation_maps(model, maps, towards_identities(model, torch.tensor([4, 0, 9])))
        >>> list(cams), cams["embedding"].shape
        (['embedding', 'global', 'temporal', 'spatial'], torch.Size([3, 2, 4, 2]))
    """
    scores = _Scores(model, towards)
    grad_cam = LayerGradCam(scores, scores.feature_maps)
    signed = {
        name: grad_cam.attribute(feature_maps, target=branch).detach()  # [B * T, 1, h, w]
        for branch, name in enumerate(model.branches)
    }
    signed = {WHOLE: torch.stack(list(signed.values())).sum(dim=0), **signed}
    return {
        name: cam.relu().squeeze(1).unflatten(0, (-1, model.num_frames))
        for name, cam in signed.items()
    }


def feature_maps_of(model: STGCN, clips: Tensor) -> Tensor:
    """The last feature maps of normalised clips ``[B, T, 3, H, W]``: ``[B * T, C, h, w]``.

    The backbone runs without gradients: only the layers after it need them.

    Raises:
        ValueError: The clips do not fit the model, or it is in training mode.
    """
    if model.training:
        raise ValueError("the model is in training mode: call model.eval() before")
    if clips.dim() != 5 or clips.size(1) != model.num_frames:
        raise ValueError(
            f"clips must be [batch, {model.num_frames} frames, 3, height, width], "
            f"got {tuple(clips.shape)}"
        )
    with torch.no_grad():
        return model.backbone(clips.flatten(0, 1))


def towards_identities(model: STGCN, classes: Tensor) -> Towards:
    r"""Leads maps towards the logit of a training identity, by each branch's share :math:`W_b f_b`.

    The bias, which no frame changes, is left out.

    Args:
        model: The network whose classifier gives the logits.
        classes: Class of each clip, ``[B]``.

    Raises:
        ValueError: A class is not one of the model's.
    """
    num_classes = model.classifier.out_features
    if classes.numel() and not 0 <= int(classes.min()) <= int(classes.max()) < num_classes:
        raise ValueError(
            f"classes must lie in 0..{num_classes - 1}, got {classes.min()}..{classes.max()}"
        )

    def scores(output: STGCNOutput) -> Tensor:
        weight = model.classifier.weight
        weights = weight[classes.to(weight.device)].split(_widths(model), dim=1)
        pairs = zip(weights, model.behind_neck(output.features).values(), strict=True)
        return torch.stack([(weight * feature).sum(dim=1) for weight, feature in pairs], dim=1)

    return scores


def towards_tracklets(model: STGCN, embeddings: Tensor) -> Towards:
    r"""Leads maps towards other tracklets, by :math:`-\frac12 \lVert e_b - o_b \rVert^2`.

    For embeddings of length 1 that is the inner product less a constant. Towards itself a clip has
    a map of zeros, since nothing brings it nearer.

    Args:
        model: The network.
        embeddings: Embedding o of the other tracklet of each clip, ``[B, D]``.

    Raises:
        ValueError: The embeddings have another width than the model's.
    """
    of_embedded = zip(model.branches, _widths(model), strict=True)
    widths = [width if name in model.embedded else 0 for name, width in of_embedded]
    if embeddings.dim() != 2 or embeddings.size(1) != sum(widths):
        raise ValueError(
            f"embeddings must be [batch, {sum(widths)}], as the model's, "
            f"got {tuple(embeddings.shape)}"
        )

    def scores(output: STGCNOutput) -> Tensor:
        others = embeddings.to(output.embedding.device)
        squares = (output.embedding - others).square().split(widths, dim=1)
        return torch.stack([-0.5 * square.sum(dim=1) for square in squares], dim=1)

    return scores


class _Scores(nn.Module):
    """Feature maps to scores by branch, with a layer that gives the maps for captum to hook."""

    def __init__(self, model: STGCN, towards: Towards):
        super().__init__()
        self.feature_maps = nn.Identity()
        self.model = model
        self.towards = towards

    def forward(self, feature_maps: Tensor) -> Tensor:
        return self.towards(self.model.from_feature_maps(self.feature_maps(feature_maps)))


def _widths(model: STGCN) -> list[int]:
    return [cast(Branch, branch).out_channels for branch in model.branches.values()]
