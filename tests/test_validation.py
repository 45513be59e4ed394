"""The epoch that counts is the best on people held out of training, never on the test people."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from score_files import read_scores

from stgcn_pyg.checkpoint import load_checkpoint
from stgcn_pyg.cli import main
from stgcn_pyg.data import TrackletDataModule, load_dataset
from stgcn_pyg.embedding import embed_tracklets
from stgcn_pyg.errors import UserError
from stgcn_pyg.training import hold_out


@pytest.fixture
def root(mars_tree):
    for pid in (10, 12):
        for camid in (1, 2):
            mars_tree.add("train", pid, camid, frames=5)
    mars_tree.add("train", 14, 1, frames=5)  # seen by one camera
    return mars_tree.write()


def command(root, output, *more):
    model = ["--model.backbone=resnet18", "--model.weights=null", "--model.num_frames=2"]
    data = ["--data.height=64", "--data.width=32", "--data.people_per_batch=4"]
    fixed = ["--epochs=4", "--validation-share=0.4", "--validation-every=1"]
    fixed += ["--checkpoint-every=2"]
    data += ["--data.tracklets_per_person=2", "--data.num_workers=0", "--accelerator=cpu"]
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
        with pytest.raises(UserError, match="pass one from 0 to below 1"):
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
    assert f"the best of 4 epochs by the people held out: {best}, mAP" in capsys.readouterr().out

    model, config = load_checkpoint(output)
    dataset, held_out = hold_out(load_dataset("mars", root), 0.4, config["seed"])
    data = TrackletDataModule(dataset, 2, 64, 32, people_per_batch=4, num_workers=0)
    embeddings = embed_tracklets(model, data, held_out).numpy()
    assert mean_average_precision(embeddings, held_out) == pytest.approx(scores.max(), abs=1e-6)

    written = json.loads((output / "metrics.json").read_text())["mars-official"]["trained"]
    assert main(["evaluate", str(output), f"--json={tmp_path / 'again.json'}"]) == 0
    again = json.loads((tmp_path / "again.json").read_text())["mars-official"]["trained"]
    assert again["mAP"] == written["mAP"]


def test_it_goes_on_with_the_best_epoch_so_far(root, tmp_path, monkeypatch):
    assert main(command(root, tmp_path / "whole")) == 0
    from stgcn_pyg.training.validation import Validation

    output = tmp_path / "parts"
    keep = Validation.on_train_epoch_end

    def stop(validation, trainer, module):
        keep(validation, trainer, module)
        if trainer.current_epoch == 2:
            raise SystemExit  # the best epoch may be written, the training's state is not

    monkeypatch.setattr(Validation, "on_train_epoch_end", stop)
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


def test_without_it_the_last_epoch_counts(root, tmp_path):
    output = tmp_path / "run"
    assert main(command(root, output, "--validation-share=0", "--epochs=1")) == 0
    assert not (output / "training.ckpt").exists()
    assert torch.load(output / "checkpoint.ckpt", weights_only=True)["optimizer_states"]
