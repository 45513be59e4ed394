"""A run that begins with the weights of another one."""

import shutil

import pytest
import torch
from conftest import MarsTree
from test_same_run import command, last_line

from stgcn_pyg.cli import main
from stgcn_pyg.runs.checkpoint import load_checkpoint

pytestmark = pytest.mark.usefixtures("narrow_backbone")


@pytest.fixture
def root(mars_tree):
    return mars_tree.write()


@pytest.fixture
def source(root, tmp_path):
    """A run on the four people of `root`."""
    assert main(command(root, tmp_path / "source")) == 0
    return tmp_path / "source"


@pytest.fixture
def five_people(tmp_path):
    tree = MarsTree(tmp_path / "five")
    for camid in (1, 2):
        tree.add("train", 10, camid, frames=5)
    return tree.write()


def begun_with(root, output, source, *more):
    """The weights that a run begins with, for its learning rate is next to nothing."""
    options = ["--training.learning_rate=1e-30", f"--weights-from={source}", *more]
    assert main(command(root, output, *options)) == 0
    return load_checkpoint(output)[0].state_dict()


def test_the_same_people_take_all_and_others_a_new_classifier(
    root, five_people, source, tmp_path, capsys
):
    expected = dict(load_checkpoint(source)[0].named_parameters())
    same = begun_with(root, tmp_path / "same", source)
    assert f"all {len(same)} taken" in capsys.readouterr().out
    assert all(torch.equal(same[name], weight) for name, weight in expected.items())
    other = begun_with(five_people, tmp_path / "other", source / "checkpoint.ckpt")
    printed = capsys.readouterr().out
    assert (
        f"{len(other) - 2} of {len(other)} taken; the classifier begins anew (4 classes" in printed
    )
    for name, weight in expected.items():
        assert torch.equal(other[name], weight) is not name.startswith("classifier."), name
    assert other["classifier.weight"].shape[0] == 5


def test_another_architecture_is_refused_and_nothing_written(root, source, tmp_path, capsys):
    for option, words in (
        ("--model.spatial_channels=32", "(spatial_channels is 16 there, 32 here)"),
        ("--model.affinity=cosine", "(affinity is squared there, cosine here)"),
        (f"--weights-from={tmp_path / 'absent'}", "no such checkpoint"),
    ):
        options = [f"--weights-from={source}", option]
        assert main(command(root, tmp_path / "run", *options)) == 2
        assert words in last_line(capsys)
        assert not (tmp_path / "run").exists()


def test_once_begun_the_source_may_be_gone(root, source, tmp_path):
    option = f"--weights-from={source}"
    assert main(command(root, tmp_path / "whole", option, "--epochs=2")) == 0
    assert main(command(root, tmp_path / "parts", option, "--epochs=1")) == 0
    shutil.rmtree(source)
    assert main(command(root, tmp_path / "parts", option, "--epochs=2")) == 0
    one, other = (load_checkpoint(tmp_path / run)[0].state_dict() for run in ("parts", "whole"))
    assert all(torch.equal(one[name], weight) for name, weight in other.items())
