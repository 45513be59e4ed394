"""The epoch that counts is the best on people held out of training, never on the test people."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import MarsTree
from score_files import read_scores

from stgcn_pyg.cli import main
from stgcn_pyg.data import TrackletDataModule, load_dataset
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.checkpoint import load_checkpoint
from stgcn_pyg.runs.embedding import embed_tracklets
from stgcn_pyg.runs.training import STGCNTraining, hold_out
from stgcn_pyg.runs.training.validation import Validation

pytestmark = pytest.mark.usefixtures("narrow_backbone")


@pytest.fixture
def root(mars_tree):
    for pid in (10, 12):
        for camid in (1, 2):
            mars_tree.add("train", pid, camid, frames=5)
    mars_tree.add("train", 14, 1, frames=5)  # seen by one camera
    return mars_tree.write()


def command(root, output, *more):
    model = ["--model.backbone=resnet18", "--model.weights=null", "--model.num_frames=2"]
    data = ["--data.height=64", "--data.width=32", "--data.identities_per_batch=4"]
    fixed = ["--epochs=4", "--validation-share=0.4", "--validation-every=1"]
    fixed += ["--checkpoint-every=2"]
    data += ["--data.tracklets_per_identity=2", "--data.num_workers=0", "--accelerator=cpu"]
    return ["train", "mars", str(root), f"--output={output}", *model, *data, *fixed, *more]


def mean_average_precision(embeddings, table):
    """Every tracklet is searched for among all of other cameras and other people."""
    pids, camids = table["pid"].to_numpy(), table["camid"].to_numpy()
    precisions = []
    for query in range(len(table)):
        ranked = (camids != camids[query]) | (pids != pids[query])
        distances = np.linalg.norm(embeddings - embeddings[query], axis=1)
        order = [i for i in np.argsort(distances, kind="stable") if ranked[i]]
        hits = np.array([pids[i] == pids[query] for i in order])
        ranks = np.flatnonzero(hits) + 1
        precisions.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
    return np.mean(precisions)


def test_the_people_held_out_have_a_match_and_are_not_trained_on(root):
    dataset = load_dataset("mars", root)
    rest, held_out = hold_out(dataset, 0.4, seed=0)
    people = set(held_out["pid"])
    assert len(people) == 3  # of 7
    assert 14 not in people
    assert people | set(rest.train["pid"]) == set(dataset.train["pid"])
    assert not people & set(rest.train["pid"])
    assert rest.query.equals(dataset.query) and rest.gallery.equals(dataset.gallery)
    assert held_out.equals(hold_out(dataset, 0.4, seed=0)[1])
    choices = {tuple(hold_out(dataset, 0.4, seed)[1]["pid"].unique()) for seed in range(9)}
    assert len(choices) > 3


def test_a_share_that_cannot_be_is_a_users_error(root):
    for share in (-0.1, 1.5):
        with pytest.raises(UserError, match="pass a share from 0 up to, but not including, 1"):
            hold_out(load_dataset("mars", root), share, seed=0)
    with pytest.raises(UserError, match="7 are there to train on and 6 of them were seen by two"):
        hold_out(load_dataset("mars", root), 0.95, seed=0)


def test_the_checkpoint_is_the_epoch_that_ranks_them_best(root, tmp_path, capsys):
    output = tmp_path / "run"
    assert main(command(root, output)) == 0
    log = pd.read_csv(output / "log" / "metrics.csv")
    scores = log["validation_mAP"]
    best = int(log["epoch"][scores.idxmax()])
    assert torch.load(output / "checkpoint.ckpt", weights_only=True)["epoch"] == best
    assert (
        f"the best of 4 epochs by the identities held out: {best}, mAP" in capsys.readouterr().out
    )

    model, config = load_checkpoint(output)
    dataset, held_out = hold_out(load_dataset("mars", root), 0.4, config["seed"])
    data = TrackletDataModule(dataset, 2, 64, 32, identities_per_batch=4, num_workers=0)
    embeddings = embed_tracklets(model, data, held_out).numpy()
    assert mean_average_precision(embeddings, held_out) == pytest.approx(scores.max(), abs=1e-6)

    written = json.loads((output / "metrics.json").read_text())["mars-official"]["trained"]
    assert main(["evaluate", str(output), f"--json={tmp_path / 'again.json'}"]) == 0
    again = json.loads((tmp_path / "again.json").read_text())["mars-official"]["trained"]
    assert again["mAP"] == written["mAP"]


def test_it_goes_on_with_the_best_epoch_so_far(root, tmp_path, monkeypatch):
    assert main(command(root, tmp_path / "whole")) == 0
    output = tmp_path / "parts"
    keep = Validation.score

    def stop(validation, model, epoch, device):
        keep(validation, model, epoch, device)
        if epoch == 3:
            raise SystemExit  # the best epoch may be written, the training's state is not

    monkeypatch.setattr(Validation, "score", stop)
    with pytest.raises(SystemExit):
        main(command(root, output))
    monkeypatch.undo()
    assert main(command(root, output)) == 0
    whole = tmp_path / "whole"
    assert read_scores(output / "metrics.json") == read_scores(whole / "metrics.json")
    log = Path("log") / "metrics.csv"
    assert (output / log).read_bytes() == (whole / log).read_bytes()
    one, other = (
        torch.load(run / "checkpoint.ckpt", weights_only=True)
        for run in (output, tmp_path / "whole")
    )
    assert one["epoch"] == other["epoch"]
    assert all(torch.equal(value, other["state_dict"][k]) for k, value in one["state_dict"].items())


class LookAlikes(MarsTree):
    """People who can hardly be told apart, so that the epochs' scores differ."""

    def _write_picture(self, path, name, i):
        super()._write_picture(path, "9999" + name[4:], i)


@pytest.fixture
def look_alikes(tmp_path):
    tree = LookAlikes(tmp_path / "look-alikes")
    for pid in (10, 12, 14, 16):
        for camid in (1, 2):
            tree.add("train", pid, camid, frames=5)
    return tree.write()


def nudged(module):
    """What a GPU's roundings do on going on, only larger."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.model.backbone.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(0.1 * noise * parameter.abs().mean())


def test_what_is_reported_is_what_is_kept_though_a_run_goes_on_otherwise_than_before(
    look_alikes, tmp_path, monkeypatch, capsys
):
    output = tmp_path / "run"
    run = command(look_alikes, output)
    score, lost = Validation.score, {}

    def stop(validation, model, epoch, device):
        score(validation, model, epoch, device)
        if epoch == 3:
            validation.scores[epoch] += 1  # so that it is the best, whatever the processor
            lost.update(validation.scores)
            raise SystemExit  # epoch 3, the best so far, may be written; only 2 can be gone on from

    monkeypatch.setattr(Validation, "score", stop)
    with pytest.raises(SystemExit):
        main(run)
    assert max(lost, key=lost.get) == 3
    monkeypatch.undo()
    forward = STGCNTraining.forward

    def start_nudged(module, batch):
        nudged(module)
        monkeypatch.setattr(STGCNTraining, "forward", forward)
        return forward(module, batch)

    monkeypatch.setattr(STGCNTraining, "forward", start_nudged)
    assert main(run) == 0
    log = pd.read_csv(output / "log" / "metrics.csv").set_index("epoch")["validation_mAP"]
    best = int(log.idxmax())
    assert log.max() < lost[3]  # which is forgotten
    assert (
        f"the best of 4 epochs by the identities held out: {best}, mAP" in capsys.readouterr().out
    )
    assert torch.load(output / "checkpoint.ckpt", weights_only=True)["epoch"] == best
    model, config = load_checkpoint(output)
    dataset, held_out = hold_out(load_dataset("mars", look_alikes), 0.4, config["seed"])
    data = TrackletDataModule(dataset, 2, 64, 32, identities_per_batch=4, num_workers=0)
    embeddings = embed_tracklets(model, data, held_out).numpy()
    assert mean_average_precision(embeddings, held_out) == pytest.approx(log[best], abs=1e-6)


@pytest.mark.filterwarnings("default:.*does not hold epoch")
def test_a_lost_file_of_the_best_epoch_is_written_from_the_state_or_the_best_chosen_anew(
    look_alikes, tmp_path, capsys
):
    output = tmp_path / "run"
    run = command(look_alikes, output, "--seed=1")  # of two epochs the first is the best
    path = output / "checkpoint.ckpt"
    assert main([*run, "--epochs=1"]) == 0
    whole = torch.load(path, weights_only=True)
    path.unlink()
    assert main([*run, "--epochs=1"]) == 0  # the state ends with the best epoch
    again = torch.load(path, weights_only=True)
    assert again["epoch"] == 1 and again["score"] == whole["score"]
    assert all(torch.equal(whole["state_dict"][k], v) for k, v in again["state_dict"].items())
    assert "does not hold epoch" not in capsys.readouterr().err

    assert main([*run, "--epochs=2"]) == 0
    assert torch.load(path, weights_only=True)["epoch"] == 1
    path.unlink()
    capsys.readouterr()
    assert main([*run, "--epochs=2"]) == 0
    told = capsys.readouterr()
    assert "does not hold epoch 1, the best so far" in told.err
    assert "chosen among the epochs from 2 on" in told.err
    assert "the best of 2 epochs by the identities held out: 2, mAP" in told.out
    assert torch.load(path, weights_only=True)["epoch"] == 2


def test_without_it_the_last_epoch_counts(root, tmp_path):
    output = tmp_path / "run"
    assert main(command(root, output, "--validation-share=0", "--epochs=1")) == 0
    assert not (output / "training.ckpt").exists()
    assert torch.load(output / "checkpoint.ckpt", weights_only=True)["optimizer"]
