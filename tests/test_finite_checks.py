"""From the first step that is not finite on, weights stay, and the next look names the step."""

import signal

import pytest
import torch
from conftest import MarsTree

from stgcn_pyg import STGCN
from stgcn_pyg.data import TrackletDataModule, load_dataset
from stgcn_pyg.errors import RunError
from stgcn_pyg.runs.training import STGCNTraining, checkpoint_path, fit

pytestmark = pytest.mark.usefixtures("shapes_unchecked", "narrow_backbone")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    tree = MarsTree(tmp_path_factory.mktemp("finite") / "mars")
    for pid in range(10, 26, 2):
        for camid in (1, 2):
            tree.add("train", pid, camid, frames=3)
    return tree.write()


def build(root, kind=STGCNTraining, **options):
    data = TrackletDataModule(
        load_dataset("mars", root),
        num_frames=2,
        height=32,
        width=16,
        identities_per_batch=2,
        tracklets_per_identity=2,
        num_workers=0,
    )
    torch.manual_seed(0)
    model = STGCN(
        data.num_classes,
        2,
        "resnet18",
        weights=None,
        temporal_patches=2,
        spatial_patches=2,
        spatial_channels=16,
    )
    return kind(model, **options), data


def weights_of(module):
    return {name: value.clone() for name, value in module.model.named_parameters()}


@pytest.mark.parametrize(
    ("fused", "finite_check_every", "begun"), [(True, 2, 4), (True, 50, 6), (False, 50, 3)]
)
def test_from_the_first_bad_step_on_weights_stay_and_the_next_look_names_it(
    root, tmp_path, fused, finite_check_every, begun
):
    seen = []

    class Seen(STGCNTraining):
        def forward(self, batch):
            seen.append(weights_of(self))
            return super().forward(batch)

    module, data = build(root, Seen, fused=fused)
    # The third and the fifth step are bad, the others good.
    module.model.classifier.bias.register_hook(
        lambda gradient: gradient / 0 if len(seen) in (3, 5) else gradient
    )
    with pytest.raises(RunError) as stopped:
        fit(
            module,
            data,
            tmp_path,
            epochs=1,
            accelerator="cpu",
            finite_check_every=finite_check_every,
        )
    draws = list(data.sampler)[2]
    numbers = ", ".join(str(data.dataset.train.index[draw.row]) for draw in draws)
    assert str(stopped.value).startswith(
        "step 3 (batch 3 of epoch 1): the gradient of model.classifier.bias is not finite; its "
        f"tracklets are {numbers}; there is no checkpoint yet: "
    )
    assert not checkpoint_path(tmp_path).exists()
    assert len(seen) == begun
    good, bad = seen[2], weights_of(module)
    assert not all(torch.equal(seen[1][name], good[name]) for name in good)
    assert all(torch.equal(good[name], bad[name]) for name in good)


def test_a_signal_saves_no_run_with_a_bad_step(root, tmp_path):
    class Interrupted(STGCNTraining):
        steps = 0

        def forward(self, batch):
            self.steps += 1
            if self.steps == 2:
                signal.raise_signal(signal.SIGTERM)
            return super().forward(batch)

    module, data = build(root, Interrupted)
    module.model.classifier.bias.register_hook(lambda gradient: gradient / 0)
    with pytest.raises(RunError, match=r"^step 1 \(batch 1 of epoch 1\): the gradient of"):
        fit(module, data, tmp_path, epochs=1, accelerator="cpu")
    assert not checkpoint_path(tmp_path).exists()


def test_a_run_without_fused_adam_goes_on_without_it_to_the_same_bits(root, tmp_path):
    """As the runs of older versions are."""
    whole, data = build(root, fused=False)
    fit(whole, data, tmp_path / "whole", epochs=2, accelerator="cpu")
    for epochs, fused in ((1, False), (2, True)):
        module, data = build(root, fused=fused)
        fit(module, data, tmp_path / "parts", epochs=epochs, accelerator="cpu")
    expected = weights_of(whole)
    assert all(torch.equal(expected[name], value) for name, value in weights_of(module).items())
