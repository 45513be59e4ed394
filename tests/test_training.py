"""Training learns, follows from its seed, goes on where it was cut short, and is read back."""

import numpy as np
import pandas as pd
import pytest
import torch
from lightning_layout import as_older_versions_wrote_it
from safetensors.torch import load_file, save_file
from torch import nn

from stgcn_pyg import STGCN
from stgcn_pyg.data import TrackletDataModule, load_dataset
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.checkpoint import load_checkpoint
from stgcn_pyg.runs.devices import device_for
from stgcn_pyg.runs.embedding import chance_scores, embed_tracklets, score
from stgcn_pyg.runs.training import STGCNTraining, checkpoint_path, fit, train

pytestmark = pytest.mark.usefixtures("narrow_backbone")


def build(root, seed=0, **options):
    torch.manual_seed(seed)
    data = TrackletDataModule(
        load_dataset("mars", root),
        num_frames=2,
        height=64,
        width=32,
        identities_per_batch=4,
        tracklets_per_identity=2,
        num_workers=0,
        seed=seed,
    )
    model = STGCN(data.num_classes, 2, "resnet18", weights=None, spatial_channels=16)
    return STGCNTraining(model, config={"seed": seed}, **options), data


def weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


def log_of(output):
    """The log as a table, a row an epoch."""
    return pd.read_csv(output / "log" / "metrics.csv")


@pytest.fixture
def root(mars_tree):
    return mars_tree.write()


def test_the_loss_falls_and_the_learning_rate_steps_down(root, tmp_path):
    module, data = build(root, decay_epochs=4, learning_rate=3e-3)
    fit(module, data, tmp_path, epochs=6, accelerator="cpu", checkpoint_every=10)
    log = log_of(tmp_path)
    assert log["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert log["loss"].iat[-1] < 0.5 * log["loss"].iat[0]
    terms = log.filter(regex="^(softmax|triplet_)")
    np.testing.assert_allclose(terms.sum(axis=1), log["loss"], rtol=1e-5)
    (group,) = torch.load(checkpoint_path(tmp_path), weights_only=True)["optimizer"]["param_groups"]
    assert group["lr"] == pytest.approx(3e-4)
    assert group["weight_decay"] == 5e-4


def test_a_run_follows_from_its_seed(root, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        module, data = build(root, seed)
        fit(module, data, tmp_path / name, epochs=2, accelerator="cpu", checkpoint_every=10)
    a, b, c = (weights(checkpoint_path(tmp_path / name)) for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not all(torch.equal(a[key], c[key]) for key in a)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_run_that_was_cut_short_ends_as_if_it_had_not_been(root, tmp_path, num_workers):
    module, data = build(root)
    fit(module, data, tmp_path / "whole", epochs=4, accelerator="cpu", checkpoint_every=10)
    for epochs in (2, 4):
        module, data = build(root)
        data.num_workers = num_workers  # they fetch ahead
        fit(module, data, tmp_path / "parts", epochs=epochs, accelerator="cpu", checkpoint_every=10)
    whole, parts = (weights(checkpoint_path(tmp_path / name)) for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    assert log_of(tmp_path / "parts").equals(log_of(tmp_path / "whole"))


def test_what_older_versions_saved_is_gone_on_from(root, tmp_path):
    module, data = build(root)
    fit(module, data, tmp_path / "whole", epochs=4, accelerator="cpu", checkpoint_every=10)
    module, data = build(root)
    fit(module, data, tmp_path / "parts", epochs=2, accelerator="cpu")
    path = checkpoint_path(tmp_path / "parts")
    old = as_older_versions_wrote_it(torch.load(path, weights_only=True), steps=1)
    old["callbacks"] = {"ModelCheckpoint": {"best_model_path": ""}}
    del old["stgcn_pyg"]["people"]
    torch.save(old, path)  # without a checksum
    module, data = build(root)
    fit(module, data, tmp_path / "parts", epochs=4, accelerator="cpu")
    whole, parts = (weights(checkpoint_path(tmp_path / name)) for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    assert log_of(tmp_path / "parts")["epoch"].tolist() == [3, 4]


def test_averages_in_another_order_of_memory_stay_those_of_their_weights(root, tmp_path):
    """Older versions kept weights and Adam's averages channel by channel for each pixel."""
    for name in ("whole", "parts"):
        module, data = build(root)
        fit(module, data, tmp_path / name, epochs=1, accelerator="cpu")
    path = checkpoint_path(tmp_path / "parts")
    old = as_older_versions_wrote_it(torch.load(path, weights_only=True), steps=1)
    (state,) = old["optimizer_states"]
    trees = [old["state_dict"], *state["state"].values()]
    for tree in trees:
        for key, value in tree.items():
            if torch.is_tensor(value) and value.dim() == 4:
                tree[key] = value.contiguous(memory_format=torch.channels_last)
    torch.save(old, path)
    for name in ("whole", "parts"):
        module, data = build(root)
        fit(module, data, tmp_path / name, epochs=2, accelerator="cpu")
    whole, parts = (weights(checkpoint_path(tmp_path / name)) for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_a_trained_network_is_saved_as_any_other_module(root, tmp_path):
    module, data = build(root)
    fit(module, data, tmp_path, epochs=1, accelerator="cpu")
    read, _ = load_checkpoint(tmp_path)
    for model in (module.model, read):
        save_file(model.state_dict(), tmp_path / "weights.safetensors")
        back = load_file(tmp_path / "weights.safetensors")
        assert all(torch.equal(back[key], value) for key, value in model.state_dict().items())


def test_another_model_or_fewer_epochs_are_refused_with_the_difference(root, tmp_path):
    module, data = build(root)
    fit(module, data, tmp_path, epochs=2, accelerator="cpu")
    with pytest.raises(UserError, match="2 epochs, more than 1: ask for as many"):
        fit(module, data, tmp_path, epochs=1, accelerator="cpu")
    module.model = STGCN(data.num_classes, 2, "resnet18", weights=None, spatial_channels=32)
    with pytest.raises(UserError, match="spatial_channels is 16 there, 32 here"):
        fit(module, data, tmp_path, epochs=3, accelerator="cpu")


def test_train_gives_back_a_plain_module(root, tmp_path):
    module, data = build(root)
    fit(module, data, tmp_path / "fit", epochs=2, accelerator="cpu")
    other, data = build(root)
    model = train(other.model, data, tmp_path / "train", epochs=2, accelerator="cpu")
    assert model is other.model
    assert type(model) is STGCN and not model.training
    expected = module.model.state_dict()
    assert all(torch.equal(expected[key], value) for key, value in model.state_dict().items())


def test_the_module_trains_in_a_loop_of_ones_own(root, tmp_path):
    module, data = build(root)
    fit(module, data, tmp_path, epochs=2, accelerator="cpu")
    other, data = build(root)
    optimizer, schedule = other.build_optimizer(epochs=2)
    for epoch in range(2):
        data.sampler.set_epoch(epoch)
        losses = []
        for batch in data.train_dataloader():
            loss = other(data.move_and_normalize(batch, "cpu", other.model.mean, other.model.std))[
                "loss"
            ]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        schedule.step()
    expected = module.model.state_dict()
    assert all(torch.equal(expected[key], value) for key, value in other.model.state_dict().items())
    assert np.mean(losses) == pytest.approx(log_of(tmp_path)["loss"].iat[-1])


def test_bfloat16_trains_too(root, tmp_path):
    module, data = build(root)
    fit(module, data, tmp_path, epochs=2, precision="bf16-mixed", accelerator="cpu")
    assert all(value.isfinite().all() for value in weights(checkpoint_path(tmp_path)).values())


def test_a_checkpoint_gives_the_same_embeddings_and_its_config(root, tmp_path):
    module, data = build(root)
    fit(module, data, tmp_path, epochs=1, accelerator="cpu")
    tracklets = data.dataset.test()
    expected = embed_tracklets(module.model, data, tracklets)
    for path in (tmp_path, checkpoint_path(tmp_path)):
        model, config = load_checkpoint(path)
        assert config == {"seed": 0}
        assert torch.equal(embed_tracklets(model, data, tracklets), expected)


def test_an_embedding_is_the_mean_over_the_clips(root):
    module, data = build(root)
    tracklets = data.dataset.query
    model = module.model.eval()
    expected = []
    for _, tracklet in tracklets.iterrows():
        clips = torch.stack([data.reader.read(tracklet, clip)[0] for clip in data.clips_of(6)])
        clips = clips.permute(0, 1, 4, 2, 3)
        mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
        std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
        with torch.no_grad():
            expected.append(model((clips / 255 - mean) / std).embedding.mean(dim=0))
    found = embed_tracklets(model, data, tracklets)
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-3, atol=1e-4)


def test_embedding_leaves_every_module_in_its_mode(root):
    module, data = build(root)
    model = module.model.train()
    frozen = next(child for child in model.modules() if isinstance(child, nn.BatchNorm2d)).eval()
    embed_tracklets(model, data, data.dataset.query)
    assert not frozen.training
    assert all(child.training for child in model.modules() if child is not frozen)


def test_scores_of_perfect_embeddings_are_perfect_under_every_protocol(root):
    _, data = build(root)
    dataset = data.dataset
    tracklets = dataset.test().sample(frac=1, random_state=0)  # in any order
    perfect = torch.eye(10)[tracklets["pid"].tolist()]
    results = score(dataset, tracklets, perfect)
    assert list(results) == ["mars-official", "full-gallery", "query-free"]
    assert [result.mAP for result in results.values()] == [1, 1, 1]
    assert [result.num_gallery for result in results.values()] == [6, 5, 3]
    for result in chance_scores(dataset).values():
        assert 0.2 < result.mAP < 0.8


def test_a_protocol_that_leaves_no_match_is_left_out(mars_tree):
    mars_tree.queries = [3, 4, 5, 6]  # every tracklet of a person is a query
    dataset = load_dataset("mars", mars_tree.write())
    assert list(chance_scores(dataset)) == ["mars-official", "full-gallery"]


def test_a_data_set_without_any_match_is_a_users_error(mars_tree):
    mars_tree.add("test", 5, 1, frames=3)
    mars_tree.queries = [7]
    with pytest.raises(UserError, match="no query has a match in another camera"):
        chance_scores(load_dataset("mars", mars_tree.write()))


def test_embeddings_that_are_not_finite_are_a_users_error(root):
    _, data = build(root)
    with pytest.raises(UserError, match="not finite"):
        score(data.dataset, data.dataset.test(), torch.full((6, 4), torch.nan))


def test_auto_trains_where_it_evaluates_also_beside_an_apple_gpu(root, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    devices = []

    class Noted(STGCNTraining):
        def forward(self, batch):
            devices.append(batch.clips.device.type)
            return super().forward(batch)

    module, data = build(root)
    module = Noted(module.model)
    fit(module, data, tmp_path, epochs=1, accelerator="auto")
    assert devices == [torch.device(device_for("auto")).type]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("epochs", -1, "at least 1"),
        ("epochs", 1.5, "a whole number"),
        ("checkpoint_every", 0, "at least 1"),
        ("validation_every", 0, "at least 1"),
        ("finite_check_every", 0, "at least 1"),
        ("decay_epochs", 0, "at least 1"),
        ("learning_rate", float("nan"), "a finite number"),
        ("learning_rate", -1e-3, "at least 0"),
        ("margin", "hard", "a finite number"),
        ("precision", "bf16", "use 32-true, bf16-mixed"),
        ("accelerator", "cuda", "use auto, cpu, gpu"),
        ("compile", True, "use auto, on, off"),
    ],
)
def test_arguments_that_make_no_training_are_refused_before_it(root, tmp_path, name, value, words):
    module, data = build(root)
    options = {"epochs": 1, "accelerator": "cpu"} | {name: value}
    with pytest.raises(UserError, match=f"{name}=.*{words}"):
        train(module.model, data, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()
