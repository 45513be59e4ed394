"""Grad-CAM against its formula, written out with plain autograd through the whole network."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from stgcn_pyg import STGCN
from stgcn_pyg.explain import (
    activation_maps,
    feature_maps_of,
    towards_identities,
    towards_tracklets,
)

BRANCHES = ("global", "temporal", "spatial")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    built = STGCN(5, num_frames=2, backbone="resnet18", weights=None, spatial_channels=16)
    return built.double().eval()


@pytest.fixture(scope="module")
def clips():
    rng = torch.Generator().manual_seed(2)
    return torch.randn(3, 2, 3, 64, 32, generator=rng, dtype=torch.float64)


def maps_by_the_book(model, clips, score):
    """ReLU(sum of the channels' mean gradients times the channels), clip by clip."""
    cams = []
    for row in range(len(clips)):
        kept = []
        hook = model.backbone.register_forward_hook(lambda *of, kept=kept: kept.append(of[2]))
        output = model(clips[row : row + 1])
        hook.remove()
        (gradient,) = torch.autograd.grad(score(output, row), kept[0])
        alpha = torch.stack([c.sum(dim=(1, 2)) / c[0].numel() for c in gradient])
        cams.append(torch.einsum("fc,fchw->fhw", alpha, kept[0].detach()).clamp(min=0))
    return torch.stack(cams)


def part(model, branch):
    """Where a branch stands in the embedding and in the classifier's weight."""
    widths = {"global": 512, "temporal": 512, "spatial": 32}
    start = sum(widths[name] for name in BRANCHES[: BRANCHES.index(branch)])
    return slice(start, start + widths[branch])


def test_maps_towards_a_person_are_grad_cam_of_the_logit(model, clips):
    classes = torch.tensor([4, 0, 2])
    cams = activation_maps(model, feature_maps_of(model, clips), towards_identities(model, classes))
    assert list(cams) == ["embedding", *BRANCHES]
    expected = maps_by_the_book(model, clips, lambda output, row: output.logits[0, classes[row]])
    torch.testing.assert_close(cams["embedding"], expected)
    assert (expected > 0).any() and (expected == 0).any()  # the ReLU cuts something


@pytest.mark.parametrize("branch", BRANCHES)
def test_maps_of_a_branch_towards_a_person_are_of_its_share_of_the_logit(model, clips, branch):
    classes = torch.tensor([4, 0, 2])
    cams = activation_maps(model, feature_maps_of(model, clips), towards_identities(model, classes))
    columns = part(model, branch)

    def share(output, row):
        weight = model.classifier.weight[classes[row], columns]
        return weight @ output.features[branch][0]

    torch.testing.assert_close(cams[branch], maps_by_the_book(model, clips, share))


@pytest.mark.parametrize("branch", ["embedding", *BRANCHES])
def test_maps_towards_a_tracklet_are_grad_cam_of_the_inner_product(model, clips, branch):
    others = torch.randn(3, 1056, dtype=torch.float64)
    for name in BRANCHES:
        others[:, part(model, name)] = F.normalize(others[:, part(model, name)], dim=1)
    cams = activation_maps(model, feature_maps_of(model, clips), towards_tracklets(model, others))
    columns = slice(None) if branch == "embedding" else part(model, branch)

    def similarity(output, row):
        return output.embedding[0, columns] @ others[row, columns]

    torch.testing.assert_close(cams[branch], maps_by_the_book(model, clips, similarity))


def test_maps_of_raw_embeddings_lead_down_the_squared_distance(clips):
    torch.manual_seed(1)
    model = STGCN(5, num_frames=2, backbone="resnet18", weights=None, embedding="raw")
    model = model.double().eval()
    width = model.classifier.in_features
    others = torch.randn(3, width, dtype=torch.float64)
    cams = activation_maps(model, feature_maps_of(model, clips), towards_tracklets(model, others))

    def similarity(output, row):
        return -(torch.dist(output.embedding[0], others[row]) ** 2) / 2

    torch.testing.assert_close(cams["embedding"], maps_by_the_book(model, clips, similarity))


def test_of_an_embedding_of_one_branch_that_branch_has_the_only_map(clips):
    torch.manual_seed(2)
    model = STGCN(5, num_frames=2, backbone="resnet18", weights=None, embedding="temporal")
    model = model.double().eval()
    others = F.normalize(torch.randn(3, 512, dtype=torch.float64), dim=1)
    cams = activation_maps(model, feature_maps_of(model, clips), towards_tracklets(model, others))
    assert list(cams) == ["embedding", *BRANCHES]
    assert torch.equal(cams["embedding"], cams["temporal"]) and cams["temporal"].any()
    assert not cams["global"].any() and not cams["spatial"].any()


def test_a_clip_has_no_map_towards_itself(model, clips):
    embeddings = model(clips).embedding.detach()
    towards = towards_tracklets(model, embeddings)
    for cam in activation_maps(model, feature_maps_of(model, clips), towards).values():
        assert cam.abs().max() < 1e-12


@pytest.mark.parametrize("changed", ["temporal", "spatial", "backbone"])
def test_maps_change_where_weights_are_drawn_anew_and_nowhere_else(model, clips, changed):
    """The sanity check of Adebayo et al. (NeurIPS 2018)."""
    other = STGCN(**model.options).double().eval()
    other.load_state_dict(model.state_dict())
    drawn = other.backbone.layer4 if changed == "backbone" else other.branches[changed]
    for module in drawn.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    classes = torch.tensor([4, 0, 2])
    before, after = (
        activation_maps(one, feature_maps_of(one, clips), towards_identities(one, classes))
        for one in (model, other)
    )
    for name in BRANCHES:
        alike = np.corrcoef(before[name].ravel(), after[name].ravel())[0, 1]
        if changed in (name, "backbone"):
            assert alike < 0.95, name
        else:
            assert alike > 1 - 1e-9, name


def test_a_clip_has_the_same_maps_alone_and_in_a_batch(model, clips):
    def maps_of(some, classes):
        towards = towards_identities(model, torch.tensor(classes))
        return activation_maps(model, feature_maps_of(model, some), towards)

    together, alone = maps_of(clips, [4, 0, 2]), maps_of(clips[1:2], [0])
    for name, cam in alone.items():
        torch.testing.assert_close(together[name][1:2], cam)


def test_only_what_follows_the_backbone_runs_with_gradients(model, clips):
    feature_maps = feature_maps_of(model, clips)
    assert not feature_maps.requires_grad
    seen = []
    hook = model.backbone.register_forward_hook(lambda *of: seen.append(of))
    cams = activation_maps(model, feature_maps, towards_identities(model, torch.tensor([4, 0, 2])))
    hook.remove()
    assert not seen
    assert not any(cam.requires_grad for cam in cams.values())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_of_one_branch_has_its_map_and_the_same_for_the_whole(clips):
    model = STGCN(5, 2, "resnet18", None, branches=("global",)).double().eval()
    towards = towards_identities(model, torch.tensor([1, 2, 3]))
    cams = activation_maps(model, feature_maps_of(model, clips), towards)
    assert list(cams) == ["embedding", "global"]
    assert torch.equal(cams["embedding"], cams["global"])


def test_what_does_not_fit_is_told(model, clips):
    with pytest.raises(ValueError, match=r"classes must lie in 0\.\.4, got 1\.\.5"):
        towards_identities(model, torch.tensor([1, 5]))
    with pytest.raises(ValueError, match=r"\[batch, 1056\], as the model's, got \(3, 7\)"):
        towards_tracklets(model, torch.zeros(3, 7))
    with pytest.raises(ValueError, match=r"\[batch, 2 frames, 3, height, width\], got \(3, 1, "):
        feature_maps_of(model, clips[:, :1])
    training = nn.Module.train(STGCN(5, 2, "resnet18", None))
    with pytest.raises(ValueError, match=r"training mode: call model\.eval\(\)"):
        feature_maps_of(training, clips)
