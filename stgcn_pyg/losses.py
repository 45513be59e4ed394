"""Batch-hard triplet loss by branch, and softmax cross-entropy: Equations 8 and 9."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Margin = float | Literal["soft"]


def batch_hard_triplet(features: Tensor, labels: Tensor, margin: Margin = 0.3) -> Tensor:
    r"""The batch-hard triplet loss (Hermans, Beyer and Leibe, 2017).

    .. math::
        L = \frac 1 n \sum_a \Big[m + \max_{p:\, y_p = y_a,\, p \ne a} \lVert f_a - f_p \rVert
            - \min_{n:\, y_n \ne y_a} \lVert f_a - f_n \rVert\Big]_+

    over the anchors that have a positive and a negative in the batch. With ``margin="soft"``,
    :math:`[m + x]_+` becomes :math:`\log(1 + e^x)`.

    Args:
        features: ``[B, D]``, compared by their Euclidean distance without normalisation.
        labels: Identity of each feature, ``[B]``.
        margin: The margin m, or ``"soft"``.

    Returns:
        A scalar in float32 or wider; 0 if no anchor has both a positive and a negative.

    Raises:
        ValueError: ``features`` and ``labels`` do not fit each other, or an unknown margin.

    Example:
        >>> features = torch.tensor([[0.0], [1.0], [3.0], [3.5]])
        >>> batch_hard_triplet(features, torch.tensor([0, 0, 1, 1]), margin=1.5)
        tensor(0.1250)
    """
    if isinstance(margin, str) and margin != "soft":
        raise ValueError(f"margin={margin!r} is unknown: give a number or 'soft'")
    _check_batch(features, labels)
    if features.dtype in (torch.float16, torch.bfloat16):
        features = features.float()
    if not len(labels):
        return features.sum()
    # Differences, not the expansion of the square: that cancels for near features.
    mode = "donot_use_mm_for_euclid_dist"
    distances = torch.cdist(features, features, compute_mode=mode)  # [B, B]
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    hardest_positive = distances.masked_fill(~positive, -torch.inf).amax(dim=1)
    hardest_negative = distances.masked_fill(same, torch.inf).amin(dim=1)
    valid = positive.any(dim=1) & ~same.all(dim=1)
    gap = torch.where(valid, hardest_positive - hardest_negative, 0.0)
    losses = F.softplus(gap) if margin == "soft" else F.relu(gap + margin)
    return torch.where(valid, losses, 0.0).sum() / valid.sum().clamp(min=1)


def triplet_losses(
    features: Mapping[str, Tensor], labels: Tensor, margin: Margin = 0.3
) -> dict[str, Tensor]:
    """The batch-hard triplet loss of each branch's feature by itself: the terms of Eq. 8."""
    return {name: batch_hard_triplet(f, labels, margin) for name, f in features.items()}


def stgcn_losses(
    features: Mapping[str, Tensor],
    logits: Tensor,
    labels: Tensor,
    margin: Margin = 0.3,
    label_smoothing: float = 0.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    r"""The loss of the paper (Eq. 8 and 9).

    .. math::
        L_{total} = L_{softmax} + L^{global}_{triplet} + L^{t}_{triplet} + L^{s}_{triplet}

    Args:
        features: The feature of each branch by name, ``[B, D]`` each.
        logits: ``[B, num_classes]``.
        labels: The class of each clip, ``[B]``, in 0 .. ``num_classes`` - 1.
        margin: Margin of the triplet losses, or ``"soft"``.
        label_smoothing: Share of each label that is spread over all classes in the softmax loss
            (Szegedy et al., CVPR 2016).

    Returns:
        The total, and its terms by name: ``softmax``, ``triplet_global``, ...

    Example:
        >>> features = {"global": torch.tensor([[0.0], [1.0], [3.0], [3.5]])}
        >>> labels = torch.tensor([0, 0, 1, 1])
        >>> total, terms = stgcn_losses(features, torch.zeros(4, 2), labels, margin=1.5)
        >>> {name: round(term.item(), 4) for name, term in terms.items()}
        {'softmax': 0.6931, 'triplet_global': 0.125}
        >>> round(total.item(), 4)
        0.8181
    """
    softmax = F.cross_entropy(logits.float(), labels, label_smoothing=label_smoothing)
    terms = {"softmax": softmax}
    triplets = triplet_losses(features, labels, margin)
    terms |= {f"triplet_{name}": loss for name, loss in triplets.items()}
    return torch.stack(list(terms.values())).sum(), terms


class CentreLoss(nn.Module):
    r"""The centre loss (Wen et al., ECCV 2016): the distance of features from their class's centre.

    .. math::
        L = \frac 1 {2 B} \sum_{i=1}^B \lVert f_i - c_{y_i} \rVert^2

    The centres are not trained by its gradient. Each call in training mode moves those of the
    classes in the batch, behind the loss, by

    .. math::
        c_j \leftarrow c_j - \alpha \, \frac{\sum_{i:\, y_i = j} (c_j - f_i)}{1 + n_j}

    where :math:`n_j` is the number of features of class j.

    Args:
        num_classes: Number of classes.
        width: Width D of the features.
        rate: The factor :math:`\alpha`.

    Shapes:
        - Input: features ``[B, D]`` and the class of each, ``[B]``.
        - Output: a scalar in float32; 0 for an empty batch.

    Example:
        >>> loss = CentreLoss(num_classes=2, width=1)
        >>> loss(torch.tensor([[2.0], [4.0]]), torch.tensor([0, 0])), loss.centres
        (tensor(5.), tensor([[1.],
                [0.]]))
    """

    centres: Tensor

    def __init__(self, num_classes: int, width: int, rate: float = 0.5):
        super().__init__()
        self.rate = rate
        self.register_buffer("centres", torch.zeros(num_classes, width))

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch; a ValueError if features, labels and centres do not fit."""
        _check_batch(features, labels, self.centres.shape[1])
        differences = features.to(self.centres.dtype) - self.centres[labels]
        loss = differences.square().sum() / (2 * max(len(labels), 1))
        if self.training:
            # The product stays in float32 where a training step's own are in bfloat16.
            with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
                classes = F.one_hot(labels, len(self.centres)).to(differences.dtype)
                counts = 1 + classes.sum(dim=0)[:, None]
                self.centres += self.rate * (classes.T @ differences) / counts
        return loss


def _check_batch(features: Tensor, labels: Tensor, width: int | None = None) -> None:
    fits = features.dim() == 2 and labels.shape == features.shape[:1]
    if not fits or width not in (None, features.shape[1]):
        raise ValueError(
            f"features must be [batch, {width or 'width'}] and labels [batch], "
            f"got {tuple(features.shape)} and {tuple(labels.shape)}"
        )
