"""The losses against loops over the definition, and against pytorch-metric-learning."""

import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from pytorch_metric_learning.reducers import MeanReducer

from stgcn_pyg.losses import CentreLoss, batch_hard_triplet, stgcn_losses, triplet_losses


def batch_hard_by_the_book(features, labels, margin):
    losses = []
    for a in range(len(labels)):
        distances = (features - features[a]).square().sum(dim=1).sqrt()
        positives = [distances[i] for i in range(len(labels)) if labels[i] == labels[a] and i != a]
        negatives = [distances[i] for i in range(len(labels)) if labels[i] != labels[a]]
        if positives and negatives:
            gap = max(positives) - min(negatives)
            losses.append(torch.log1p(gap.exp()) if margin == "soft" else (margin + gap).clamp(0))
    return sum(losses) / max(len(losses), 1)


@pytest.mark.parametrize("margin", [0.3, 2.0, "soft"])
def test_batch_hard_is_its_definition(margin):
    features = torch.randn(16, 8, dtype=torch.float64)
    labels = torch.arange(5).repeat(4)[:16]  # person 4 has 3, the others 4, in no order
    expected = batch_hard_by_the_book(features, labels, margin)
    torch.testing.assert_close(batch_hard_triplet(features, labels, margin), expected)


@pytest.mark.parametrize("margin", [0.0, 0.3, 5.0])
def test_batch_hard_and_its_gradient_equal_pytorch_metric_learnings(margin):
    distance = LpDistance(normalize_embeddings=False)
    oracle = TripletMarginLoss(margin, distance=distance, reducer=MeanReducer())
    miner = BatchHardMiner(distance=distance)
    features = torch.randn(24, 16, requires_grad=True)
    labels = torch.arange(6).repeat_interleave(4)
    expected = oracle(features, labels, miner(features, labels))
    loss = batch_hard_triplet(features, labels, margin)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    gradients = [torch.autograd.grad(value, features)[0] for value in (loss, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


def test_anchors_without_a_positive_do_not_count():
    features, labels = torch.randn(5, 3, dtype=torch.float64), torch.tensor([0, 0, 1, 1, 2])
    expected = batch_hard_by_the_book(features, labels, 1.0)
    torch.testing.assert_close(batch_hard_triplet(features, labels, 1.0), expected)


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 0, 0]])
def test_a_batch_without_triplets_has_loss_and_gradient_0(labels):
    features = torch.randn(3, 4, requires_grad=True)
    loss = batch_hard_triplet(features, torch.tensor(labels))
    loss.backward()
    assert loss.item() == 0
    assert features.grad.abs().max() == 0


def test_equal_features_give_finite_gradients():
    features = torch.ones(4, 8, requires_grad=True)
    loss = batch_hard_triplet(features, torch.tensor([0, 0, 1, 1]), margin=0.3)
    loss.backward()
    assert loss.item() == pytest.approx(0.3)
    assert features.grad.isfinite().all()


def test_near_features_keep_their_distance():
    """The expansion |a|^2 + |b|^2 - 2ab loses it all here in float32."""
    features = 1000 + torch.tensor([[0.0], [0.01], [0.03], [0.03]]).expand(4, 64)
    labels = torch.tensor([0, 0, 1, 1])
    expected = batch_hard_by_the_book(features.double(), labels, 1.0)
    torch.testing.assert_close(
        batch_hard_triplet(features, labels, 1.0).double(), expected, rtol=1e-4, atol=0
    )


def test_half_precision_is_computed_in_float32():
    features = torch.randn(8, 4).bfloat16()
    labels = torch.arange(4).repeat(2)
    loss = batch_hard_triplet(features, labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, batch_hard_triplet(features.float(), labels))


def test_total_is_softmax_plus_one_triplet_loss_a_branch():
    features = {name: torch.randn(8, 4) for name in ("global", "temporal", "spatial")}
    logits, labels = torch.randn(8, 4), torch.arange(4).repeat(2)
    total, terms = stgcn_losses(features, logits, labels, margin=0.5)
    softmax = -logits.log_softmax(dim=1)[range(8), labels].mean()
    by_branch = [batch_hard_triplet(f, labels, 0.5) for f in features.values()]
    torch.testing.assert_close(total, softmax + sum(by_branch))
    assert list(terms) == ["softmax", "triplet_global", "triplet_temporal", "triplet_spatial"]
    assert triplet_losses(features, labels, 0.5)["spatial"] == by_branch[2]


def test_labels_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"features must be \[batch, width\] and labels \[batch\]"):
        batch_hard_triplet(torch.zeros(4, 2), torch.zeros(3))


def test_an_unknown_margin_is_refused():
    with pytest.raises(ValueError, match="margin='sof' is unknown: give a number or 'soft'"):
        batch_hard_triplet(torch.zeros(4, 2), torch.zeros(4), margin="sof")


def test_an_empty_batch_has_loss_and_gradient_0_and_moves_no_centre():
    features = torch.zeros(0, 2, requires_grad=True)
    centres = CentreLoss(num_classes=3, width=2)
    for loss in (batch_hard_triplet, centres):
        found = loss(features, torch.zeros(0, dtype=torch.long))
        found.backward()
        assert found.item() == 0
    assert not centres.centres.any()


@pytest.mark.parametrize(("shape", "labels"), [((4, 1), 4), ((4, 2), 1), ((2,), 2)])
def test_centres_refuse_what_does_not_fit_them(shape, labels):
    with pytest.raises(ValueError, match=r"features must be \[batch, 2\] and labels \[batch\]"):
        CentreLoss(num_classes=3, width=2)(torch.zeros(shape), torch.zeros(labels).long())


def test_centres_move_as_far_under_autocast():
    features, labels = torch.randn(64, 16), torch.arange(8).repeat(8)
    plain, mixed = CentreLoss(8, 16), CentreLoss(8, 16)
    plain(features, labels)
    with torch.autocast("cpu", torch.bfloat16):
        mixed(features, labels)
    assert torch.equal(plain.centres, mixed.centres)
