"""Which run may go on in a folder: the same tracklets and settings, wherever the files lie."""

import json
import shutil

import pytest
import torch
import yaml
from score_files import read_scores
from test_training import weights
from test_validation import command as validated_command

from stgcn_pyg import STGCN
from stgcn_pyg.cli import main
from stgcn_pyg.data import TrackletDataModule, load_dataset
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.training import STGCNTraining, fit, hold_out, train

pytestmark = pytest.mark.usefixtures("narrow_backbone")


@pytest.fixture
def root(mars_tree):
    return mars_tree.write()


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def command(root, output, *more):
    options = ["--model.backbone=resnet18", "--model.weights=null", "--model.num_frames=2"]
    options += [
        "--model.spatial_channels=16",
        "--data.tracklets_per_identity=2",
        "--accelerator=cpu",
    ]
    options += ["--data.height=64", "--data.width=32", "--data.identities_per_batch=4"]
    options += ["--data.num_workers=0", "--epochs=1", f"--output={output}", *more]
    return ["train", "mars", str(root), *options]


def last_line(capsys):
    return capsys.readouterr().err.strip().splitlines()[-1]


def modules(root, batches=None, **settings):
    """A training like `build`'s, with other settings of its batches and its losses."""
    data = TrackletDataModule(
        load_dataset("mars", root),
        **{"num_frames": 2, "height": 64, "width": 32, "identities_per_batch": 4}
        | {"tracklets_per_identity": 2, "num_workers": 0}
        | (batches or {}),
    )
    model = STGCN(data.num_classes, 2, "resnet18", weights=None, spatial_channels=16)
    return STGCNTraining(model, **settings), data


OTHERS = [
    *({"margin": 0.5}, {"learning_rate": 1e-3}, {"weight_decay": 0.0}, {"decay_epochs": 3}),
    *({"decay_factor": 0.5}, {"micro_batches": 2}),
    *({"batches": {"seed": 1}}, {"batches": {"erase": 0.5}}, {"batches": {"width": 48}}),
    *({"batches": {"identities_per_batch": 2}}, {"batches": {"train_frames": "random"}}),
]


@pytest.mark.slow
def test_from_python_a_run_with_other_settings_is_refused_as_by_the_command(root, tmp_path):
    output = tmp_path / "run"
    fit(*modules(root), output, epochs=2, accelerator="cpu")
    before = files(output)
    for epochs in (2, 3):  # finished, and going on
        for other in OTHERS:
            (name,) = other.get("batches", other)
            with pytest.raises(UserError, match=rf"holds another run \({name} is"):
                fit(*modules(root, **other), output, epochs=epochs, accelerator="cpu")
    for name, value in (("precision", "bf16-mixed"), ("tf32", False)):
        with pytest.raises(UserError, match=f"{name} is"):
            fit(*modules(root), output, epochs=2, accelerator="cpu", **{name: value})
    with pytest.raises(UserError, match="holds a run of 2 epochs, more than 1"):
        fit(*modules(root), output, epochs=1, accelerator="cpu")
    assert files(output) == before
    how = {
        "fused": False,
        "channels_last": False,
        "activation_checkpointing": True,
        "compile": "off",
    }
    fit(*modules(root, {"test_clips": "first"}, **how), output, epochs=3, accelerator="cpu")


def test_what_an_older_version_did_not_write_is_not_compared(root, tmp_path):
    fit(*modules(root), tmp_path, epochs=1, accelerator="cpu")
    path = tmp_path / "checkpoint.ckpt"
    old = torch.load(path, weights_only=True)
    for name in ("settings", "tracklets", "epochs"):
        del old["stgcn_pyg"][name]
    del old["has_checksum"]
    torch.save(old, path)
    fit(*modules(root, margin=0.5), tmp_path, epochs=2, accelerator="cpu")
    description = torch.load(path, weights_only=True)["stgcn_pyg"]
    assert (description["epochs"], description["settings"]["margin"]) == (2, 0.5)


def test_settings_are_compared_by_the_names_that_they_have_now(root, tmp_path):
    fit(*modules(root), tmp_path, epochs=1, accelerator="cpu")
    path = tmp_path / "checkpoint.ckpt"
    old = torch.load(path, weights_only=True)
    settings = old["stgcn_pyg"]["settings"]
    settings["people_per_batch"] = settings.pop("identities_per_batch")
    torch.save({name: old[name] for name in old if name != "has_checksum"}, path)
    with pytest.raises(UserError, match="identities_per_batch is 4 there, 2 here"):
        fit(*modules(root, {"identities_per_batch": 2}), tmp_path, epochs=2, accelerator="cpu")
    fit(*modules(root), tmp_path, epochs=2, accelerator="cpu")


def test_a_run_whose_best_epoch_is_chosen_and_one_without_do_not_mix(root, tmp_path):
    dataset, held_out = hold_out(load_dataset("mars", root), 0.5, seed=0)
    data, chosen = modules(root)[1], {"validation": held_out}
    few = TrackletDataModule(dataset, 2, 64, 32, identities_per_batch=2, num_workers=0)

    def network():
        return STGCN(4, 2, "resnet18", weights=None, spatial_channels=16)

    options = {"epochs": 1, "accelerator": "cpu"}
    train(network(), data, tmp_path / "last", **options)
    train(network(), few, tmp_path / "best", validation_every=1, **chosen, **options)
    for output, batches, more in (("last", few, chosen), ("best", data, {})):
        before = files(tmp_path / output)
        with pytest.raises(UserError, match="held-out"):
            train(network(), batches, tmp_path / output, **options, **more)
        assert files(tmp_path / output) == before


def test_more_epochs_are_the_same_run_going_on(root, tmp_path, capsys):
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    assert main(command(root, whole, "--epochs=4", "--training.decay_epochs=3")) == 0
    assert main(command(root, parts, "--epochs=2", "--training.decay_epochs=3")) == 0
    metrics = (parts / "metrics.json").read_bytes()
    assert main(command(root, parts, "--epochs=4", "--training.decay_epochs=3")) == 0
    assert read_scores(parts / "metrics.json") == read_scores(whole / "metrics.json")
    log = "log/metrics.csv"
    assert (parts / log).read_bytes() == (whole / log).read_bytes()
    one, other = (weights(run / "checkpoint.ckpt") for run in (parts, whole))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert (parts / "metrics.2-epochs.json").read_bytes() == metrics
    assert yaml.safe_load((parts / "config.yaml").read_text())["epochs"] == 4
    before = files(parts)
    assert main(command(root, parts, "--epochs=2", "--training.decay_epochs=3")) == 2
    assert "holds a run of 4 epochs, more than 2: ask for as many or more" in last_line(capsys)
    assert files(parts) == before


def test_a_data_set_that_has_moved_is_the_same(root, tmp_path, monkeypatch, capsys):
    output, moved = tmp_path / "run", tmp_path / "elsewhere" / "mars"
    assert main(command(root, output)) == 0
    expected = json.loads((output / "metrics.json").read_text())["mars-official"]["trained"]
    moved.parent.mkdir()
    shutil.move(root, moved)
    assert main(["evaluate", str(output), "--num-workers=0"]) == 2
    line = last_line(capsys)
    assert f"{root}: no such" in line and "--root" in line
    monkeypatch.chdir(moved.parent)
    assert main(["evaluate", str(output), "--root=mars", f"--json={tmp_path / 'x.json'}"]) == 0
    scores = json.loads((tmp_path / "x.json").read_text())["mars-official"]["trained"]
    assert scores["mAP"] == expected["mAP"]
    assert main(command("mars", output, "--epochs=2")) == 0
    assert yaml.safe_load((output / "config.yaml").read_text())["root"] == "mars"


def test_a_data_set_that_has_changed_is_refused_at_the_same_place_and_another(
    mars_tree, tmp_path, capsys
):
    root, output = mars_tree.write(), tmp_path / "run"
    assert main(command(root, output)) == 0
    mars_tree.add("train", 8, 2, frames=4, tracklet=2)  # the same people
    mars_tree.write()
    moved = shutil.copytree(root, tmp_path / "moved")
    before = files(output)
    for place in (root, moved):
        assert main(command(place, output, "--epochs=2")) == 2
        line = last_line(capsys)
        assert "trained on other tracklets" in line
        assert "(train: 8 tracklets there, 9 here)" in line
    assert files(output) == before
    with pytest.raises(UserError, match="other tracklets"):
        fit(*modules(root), output, epochs=2, accelerator="cpu")


@pytest.mark.filterwarnings("default:.*does not say which tracklets")
def test_an_older_run_without_its_tracklets_is_known_by_its_people(root, tmp_path, capsys):
    output = tmp_path / "run"
    assert main(command(root, output)) == 0
    path = output / "checkpoint.ckpt"
    old = torch.load(path, weights_only=True)
    for name in ("settings", "tracklets", "epochs"):
        del old["stgcn_pyg"][name]
    del old["has_checksum"]
    torch.save(old, path)
    moved = shutil.move(root, tmp_path / "moved")
    assert main(command(moved, output, "--epochs=2")) == 0
    assert "does not say which tracklets it was trained on" in capsys.readouterr().err


@pytest.mark.slow
def test_weights_to_begin_with_are_not_needed_once_a_run_has_begun(root, tmp_path, capsys):
    file, output = tmp_path / "weights.pth", tmp_path / "run"
    torch.save(STGCN(4, 2, "resnet18", weights=None).backbone.state_dict(), file)
    assert main(command(root, output, f"--model.weights={file}")) == 0
    file.unlink()
    assert main(command(root, output, f"--model.weights={file}", "--epochs=2")) == 0
    assert main(command(root, tmp_path / "other", f"--model.weights={file}")) == 2
    assert "no such file" in last_line(capsys)


def test_nothing_is_written_before_a_refusal(mars_tree, tmp_path, capsys):
    root, output = mars_tree.write(), tmp_path / "run"
    (tmp_path / "in the way").touch()
    for json_path, words in ((tmp_path, "is a folder"), (tmp_path / "in the way" / "x", "no fold")):
        assert main(command(root, output, f"--json={json_path}")) == 2
        assert words in last_line(capsys)
    mars_tree.queries = []
    mars_tree.add("test", 5, 1, frames=3)
    mars_tree.queries = [7]
    assert main(command(mars_tree.write(), output)) == 2
    assert "no query has a match" in last_line(capsys)
    assert not output.exists()


@pytest.mark.slow
def test_the_runs_whose_best_epoch_is_chosen_go_on_too(mars_tree, tmp_path):
    for pid in (10, 12):
        for camid in (1, 2):
            mars_tree.add("train", pid, camid, frames=5)
    mars_tree.add("train", 14, 1, frames=5)
    root, output = mars_tree.write(), tmp_path / "run"
    assert main(validated_command(root, output, "--epochs=1")) == 0
    moved = shutil.move(root, tmp_path / "moved")
    assert main(validated_command(moved, output, "--epochs=2")) == 0
    content = torch.load(output / "checkpoint.ckpt", weights_only=True)
    scores = torch.load(output / "training.ckpt", weights_only=True)["validation"]
    assert content["score"] == max(scores.values()) == scores[content["epoch"]]
