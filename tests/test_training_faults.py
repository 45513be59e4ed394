"""What stops a training is named, and its last good checkpoint stays whole."""

from functools import partial

import pytest
import torch
from full_disk import largest_file
from test_training import build, log_of, weights

from stgcn_pyg.cli import main
from stgcn_pyg.errors import RunError
from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.training import checkpoint_path, fit

pytestmark = pytest.mark.usefixtures("narrow_backbone")

cpu = partial(fit, accelerator="cpu")


@pytest.fixture
def root(mars_tree):
    return mars_tree.write()


@pytest.mark.filterwarnings("ignore:.*has forward hooks")
def test_a_loss_that_is_not_finite_stops_it_and_names_the_step_and_its_tracklets(root, tmp_path):
    module, data = build(root)
    cpu(module, data, tmp_path, epochs=1)
    good = weights(checkpoint_path(tmp_path))
    module.model.classifier.register_forward_hook(lambda *called: called[-1] * torch.inf)
    with pytest.raises(RunError) as stopped:
        cpu(module, data, tmp_path, epochs=2)
    told = str(stopped.value)
    assert told.startswith("step 2 (batch 1 of epoch 2): the loss is ")
    data.sampler.set_epoch(1)
    (batch,) = list(data.sampler)
    numbers = data.dataset.train.index[[draw.row for draw in batch]]
    assert f"its tracklets are {', '.join(map(str, numbers))}; " in told
    assert f"the last good checkpoint is {checkpoint_path(tmp_path)}: " in told
    assert "\n" not in told
    kept = weights(checkpoint_path(tmp_path))
    assert all(torch.equal(good[name], kept[name]) for name in good)


def test_a_gradient_that_is_not_finite_is_named_and_reaches_no_weight(root, tmp_path):
    module, data = build(root)
    module.model.classifier.bias.register_hook(lambda gradient: gradient / 0)
    before = module.model.classifier.bias.detach().clone()
    with pytest.raises(RunError) as stopped:
        cpu(module, data, tmp_path, epochs=1)
    assert "step 1 (batch 1 of epoch 1): the gradient of model.classifier.bias is not finite" in (
        str(stopped.value)
    )
    assert "there is no checkpoint yet" in str(stopped.value)
    assert torch.equal(module.model.classifier.bias, before)


@pytest.mark.filterwarnings("ignore:.*has forward hooks")
def test_weights_that_are_not_finite_are_not_saved(root, tmp_path):
    module, data = build(root)
    statistics = next(module.model.backbone.buffers())  # of no use in training, but at test

    def overflow(*_):
        statistics.fill_(torch.inf)

    module.model.register_forward_pre_hook(overflow)
    with pytest.raises(RunError, match=r"step 1: a weight is not finite after it; there is no"):
        cpu(module, data, tmp_path, epochs=1)
    assert not checkpoint_path(tmp_path).exists()


def test_a_full_disk_stops_it_and_what_is_there_stays_whole(root, tmp_path):
    module, data = build(root)
    cpu(module, data, tmp_path, epochs=1)
    path = checkpoint_path(tmp_path)
    good = path.read_bytes()
    module, data = build(root)
    with largest_file(1_000_000), pytest.raises(RunError) as stopped:
        cpu(module, data, tmp_path, epochs=2)
    assert str(stopped.value).startswith(f"{path}: cannot be written (File too large); the last")
    assert path.read_bytes() == good
    assert {file.name for file in path.parent.glob("*.*")} == {"checkpoint.ckpt"}
    module, data = build(root)
    cpu(module, data, tmp_path, epochs=2)
    assert log_of(tmp_path)["epoch"].tolist() == [1, 2]


def test_a_log_that_cannot_be_written_stops_it_too(root, tmp_path):
    (tmp_path / "log").write_text("in the way")
    module, data = build(root)
    with pytest.raises(RunError, match=r"log: cannot be written \(File exists\): mend that"):
        cpu(module, data, tmp_path, epochs=1)


def train(root, output, *more):
    options = ["--model.backbone=resnet18", "--model.weights=null", "--model.num_frames=2"]
    options += ["--data.height=64", "--data.width=32", "--data.identities_per_batch=4"]
    options += ["--data.num_workers=0", "--epochs=1", f"--output={output}", *more]
    return main(["train", "mars", str(root), *options])


def test_the_command_ends_with_status_1_and_one_line(root, tmp_path, capsys):
    output = tmp_path / "run"
    assert train(root, output, "--epochs=2", "--training.learning_rate=3e37") == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("stgcn train: error: step 2 (batch 1 of epoch 2): the loss is nan; its ")


def test_too_little_memory_on_the_gpu_names_the_options_that_help(
    root, tmp_path, monkeypatch, capsys
):
    # There is no GPU here that could run out; this is the error that PyTorch raises then.
    def forward(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(STGCN, "forward", forward)
    assert train(root, tmp_path / "run") == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("stgcn train: error: the GPU has too little memory for this batch: ")
    for option in ("--data.identities-per-batch", "--data.height", "--model.num-frames"):
        assert option in last
    assert "--precision bf16-mixed" in last
