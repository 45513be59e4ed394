"""What a training saves is read back and gives the same outputs, or is refused before it begins."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_training import build
from torch import nn

from stgcn_pyg import STGCN
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.checkpoint import load_checkpoint
from stgcn_pyg.runs.training import STGCNTraining, fit, train

pytestmark = pytest.mark.usefixtures("narrow_backbone")


@pytest.fixture
def root(mars_tree):
    return mars_tree.write()


@torch.no_grad()
def assert_reads_back(model, folder):
    back, config = load_checkpoint(folder)
    clips = torch.rand(2, 2, 3, 64, 32)
    one, other = model.eval()(clips), back(clips)
    assert torch.equal(one.embedding, other.embedding)
    assert torch.equal(one.logits, other.logits)
    return config


@pytest.mark.usefixtures("shapes_unchecked")
def test_numbers_of_numpy_and_paths_come_back_as_plain_values(root, tmp_path):
    _, data = build(root)
    model = STGCN(
        np.int64(4),
        np.int64(2),
        np.str_("resnet18"),
        None,
        branches=np.array(["global", "spatial"]),
        spatial_channels=np.int64(16),
    )
    config = {"rate": np.float32(0.5), "of": (np.int64(3),), "root": Path("data"), 2: np.arange(2)}
    for epochs in (np.int64(1), np.int64(2)):  # the second goes on
        module = STGCNTraining(
            model,
            margin=np.float64(0.3),
            learning_rate=np.logspace(-4, -3, 3)[1],
            weight_decay=np.float32(5e-4),
            decay_epochs=np.int64(1),
            decay_factor=np.float64(0.5),
            config={"nested": config},
        )
        fit(module, data, tmp_path, epochs=epochs, accelerator="cpu", checkpoint_every=np.int64(1))
    expected = {"rate": 0.5, "of": (3,), "root": "data", 2: [0, 1]}
    assert assert_reads_back(model, tmp_path) == {"nested": expected}


def test_a_linear_layer_with_another_number_of_classes_comes_back(root, tmp_path):
    module, data = build(root)
    module.model.classifier = nn.Linear(module.model.classifier.in_features, 7)
    fit(module, data, tmp_path, epochs=1, accelerator="cpu")
    assert_reads_back(module.model, tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("shapes_unchecked")
def test_frozen_and_compiled_parts_come_back(root, tmp_path):
    module, data = build(root)
    module.model.backbone.requires_grad_(False)
    module.model.branches["spatial"].compile(backend="eager")
    fit(module, data, tmp_path, epochs=1, accelerator="cpu")
    assert_reads_back(module.model, tmp_path)


def sequential(model):
    model.classifier = nn.Sequential(nn.Dropout(0.1), model.classifier)


def without_bias(model):
    model.classifier = nn.Linear(model.classifier.in_features, 4, bias=False)


def added(model):
    model.attention = nn.Linear(3, 3)


def removed(model):
    model.backbone.layer4 = nn.Identity()


def activation(model):
    model.backbone.relu = nn.GELU()


def stride(model):
    model.backbone.layer4[0].conv1.stride = (2, 2)


def compiled(model):
    model.backbone = torch.compile(model.backbone)


def parametrized(model):
    nn.utils.parametrizations.weight_norm(model.classifier)


def of_float64(model):
    model.classifier.double()


def overridden(model):
    model.branches["global"].forward = lambda maps, num_frames: maps.mean(dim=(2, 3))


def with_more_than_weights(model):
    class Counted(nn.Linear):
        """Saves a number beside its weights, as quantised layers do."""

        def get_extra_state(self):
            return 8

    model.classifier.__class__ = Counted


class OtherMaps(STGCN):
    """Changes a method that `forward` calls."""

    def from_feature_maps(self, feature_maps):
        return super().from_feature_maps(feature_maps * 2)


def of_a_subclass(model):
    model.__class__ = OtherMaps


def with_a_method_of_its_own(model):
    model.join = lambda features: torch.cat(list(features.values()), dim=1)


def double_conv(model):
    class Doubled(nn.Conv2d):
        def _conv_forward(self, *args):
            return super()._conv_forward(*args) * 2

    model.backbone.conv1.__class__ = Doubled


CHANGES = (
    *(sequential, without_bias, added, removed, activation, stride, compiled, parametrized),
    *(
        of_float64,
        overridden,
        with_more_than_weights,
        of_a_subclass,
        with_a_method_of_its_own,
        double_conv,
    ),
)


@pytest.mark.parametrize("change", CHANGES)
def test_a_network_that_could_not_be_read_back_is_refused_before_the_first_step(
    root, tmp_path, change
):
    module, data = build(root)
    change(module.model)
    with pytest.raises(UserError, match="could not be read back") as refused:
        fit(module, data, tmp_path / "run", epochs=1, accelerator="cpu")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


class ForFourPeople(STGCN):
    """Computes the same, built in a way of its own."""

    def __init__(self):
        super().__init__(4, 2, "resnet18", None, spatial_channels=16)


class OfZeros(nn.Linear):
    def reset_parameters(self):
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


def test_subclasses_that_compute_the_same_come_back(root, tmp_path):
    _, data = build(root)
    model = ForFourPeople()
    model.classifier = OfZeros(model.classifier.in_features, 4)
    train(model, data, tmp_path, epochs=1, accelerator="cpu")
    assert_reads_back(model, tmp_path)


def test_hooks_which_a_checkpoint_does_not_hold_are_told(root, tmp_path):
    module, data = build(root)
    module.model.backbone.layer1.register_forward_hook(lambda module, clips, maps: maps * 2)
    with pytest.warns(
        UserWarning, match=r"backbone\.layer1 has forward hooks, which are not saved"
    ):
        fit(module, data, tmp_path / "run", epochs=1, accelerator="cpu")


def test_a_network_that_is_frozen_altogether_is_refused(root, tmp_path):
    module, data = build(root)
    module.model.requires_grad_(False)
    with pytest.raises(UserError, match="every weight of the network is frozen"):
        fit(module, data, tmp_path / "run", epochs=1, accelerator="cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("wrap", [torch.compile, nn.DataParallel])
def test_a_wrapped_network_is_refused_by_name(root, tmp_path, wrap):
    module, data = build(root)
    with pytest.raises(UserError, match=r"not an STGCN: train the STGCN itself"):
        train(wrap(module.model), data, tmp_path / "run", epochs=1)
    assert not (tmp_path / "run").exists()


def test_a_config_that_no_checkpoint_can_hold_is_refused_and_the_value_named(root, tmp_path):
    module, data = build(root)
    module.config = {"seed": 0, "colour": {"sampler": data.sampler}}
    with pytest.raises(UserError, match="config: colour is or holds a dict that no checkpoint"):
        fit(module, data, tmp_path / "run", epochs=1, accelerator="cpu")
    assert not (tmp_path / "run").exists()


def test_more_people_than_classes_are_refused_with_both_numbers(root, tmp_path):
    _, data = build(root)
    model = STGCN(3, 2, "resnet18", weights=None, spatial_channels=16)
    with pytest.raises(UserError, match=r"3 classes, the data set 4 identities .* num_classes=4"):
        train(model, data, tmp_path / "run", epochs=1)
    assert not (tmp_path / "run").exists()
