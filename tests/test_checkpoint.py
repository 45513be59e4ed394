"""Checkpoints: whole or recognised as damaged, the one before kept, and no code in them."""

import errno
import hashlib
import os
from pathlib import Path

import pytest
import torch

from stgcn_pyg import STGCN, __version__
from stgcn_pyg.errors import UserError
from stgcn_pyg.files import written_aside
from stgcn_pyg.runs.checkpoint import (
    KEY,
    DamagedError,
    describe,
    load_checkpoint,
    previous_path,
    read_checkpoint,
    read_last_good,
    write_checkpoint,
)
from stgcn_pyg.runs.same_run import require_same_run

pytestmark = pytest.mark.usefixtures("narrow_backbone")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.ckpt"


@pytest.fixture
def two(path):
    """A checkpoint, and the one before."""
    for epoch in (1, 2):
        write_checkpoint(path, {"epoch": epoch, "x": torch.arange(500.0)}, previous_path(path))
    return path


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_the_file_ends_with_the_sha256_of_what_is_before_and_torch_reads_it(two):
    content, digest = two.read_bytes().rsplit(b"\nsha256 of what is before this line: ", 1)
    assert digest == hashlib.sha256(content).hexdigest().encode() + b"\n"
    assert torch.load(two, weights_only=True)["epoch"] == 2
    assert read_checkpoint(two)["x"].equal(torch.arange(500.0))


def test_any_bit_that_has_changed_is_noticed(two):
    size = two.stat().st_size
    for place in (0, 1, 600, size // 2, size - 120, size - 60, size - 2):
        flip(two, place)
        with pytest.raises(DamagedError, match="damaged"):
            read_checkpoint(two)
        flip(two, place)
    assert read_checkpoint(two)["epoch"] == 2


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_a_file_that_was_cut_short_is_noticed(two, share):
    content = two.read_bytes()
    two.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DamagedError):
        read_checkpoint(two)


def test_the_one_before_stands_in_and_is_not_lost_with_the_next(two):
    flip(two, 700)
    with pytest.warns(UserWarning, match=r"damaged .*: going on from checkpoint.previous.ckpt"):
        assert read_last_good(two)["epoch"] == 1
    assert read_checkpoint(two)["epoch"] == 1
    write_checkpoint(two, {"epoch": 3}, previous_path(two))
    assert read_last_good(two)["epoch"] == 3
    assert read_checkpoint(previous_path(two))["epoch"] == 1


@pytest.mark.parametrize("content", [b"epochs: 3\n", b"hello", b"j", b"PK\3\4"])
def test_the_one_before_stands_in_for_a_file_of_anything_else(two, content):
    two.write_bytes(content)
    with pytest.raises(DamagedError, match="no readable checkpoint"):
        read_checkpoint(two)
    with pytest.warns(UserWarning, match="going on from checkpoint.previous.ckpt"):
        assert read_last_good(two)["epoch"] == 1


@pytest.mark.parametrize("weights", [None, 3, {1: 2}, {"model.classifier.weight": 3}])
def test_weights_that_are_none_are_refused(path, model, weights):
    write_checkpoint(path, {"stgcn_pyg": describe(model, {}), "state_dict": weights})
    with pytest.raises(UserError, match="holds the weights of another architecture"):
        load_checkpoint(path)


def test_between_the_two_changes_of_names_the_one_before_is_there(two):
    two.replace(previous_path(two))
    assert read_last_good(two)["epoch"] == 2
    assert read_checkpoint(two)["epoch"] == 2


def watched(monkeypatch, path):
    """Whether a file was there, after each change of a name and each sync."""
    there = []

    def then_look(function):
        def looked(*arguments):
            function(*arguments)
            there.append(path.is_file())

        return looked

    monkeypatch.setattr(Path, "replace", then_look(Path.replace))
    monkeypatch.setattr(os, "fsync", then_look(os.fsync))
    return there


@pytest.mark.parametrize("links", [True, False])
def test_a_checkpoint_is_there_all_the_while_that_the_next_is_written(two, links, monkeypatch):
    if not links:  # as on exFAT

        def refuse(*_):
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    there = watched(monkeypatch, two)
    for epoch in (3, 4):
        write_checkpoint(two, {"epoch": epoch}, previous_path(two))
    assert len(there) >= 8 and all(there)
    assert read_checkpoint(two)["epoch"] == 4
    assert read_checkpoint(previous_path(two))["epoch"] == 3
    assert {file.name for file in two.parent.iterdir()} == {two.name, previous_path(two).name}


def test_one_file_under_both_names_is_told_apart_by_the_next(two):
    previous_path(two).unlink()
    os.link(two, previous_path(two))  # killed before the new one took its name
    write_checkpoint(two, {"epoch": 3}, previous_path(two))
    assert read_checkpoint(previous_path(two))["epoch"] == 2
    assert {file.name for file in two.parent.iterdir()} == {two.name, previous_path(two).name}


def test_without_any_it_is_told(path):
    with pytest.raises(UserError, match=r"no such checkpoint; pass a run's folder"):
        read_last_good(path)


class Payload:
    def __reduce__(self):
        return (open, ("code-ran", "w"))


@pytest.mark.parametrize(
    "write", [torch.save, lambda content, path: write_checkpoint(path, content)]
)
def test_code_in_a_checkpoint_is_refused_and_not_run(path, write, monkeypatch):
    monkeypatch.chdir(path.parent)
    write({KEY: Payload()}, path)
    for read in (read_checkpoint, read_last_good, load_checkpoint):
        with pytest.raises(UserError, match="no readable checkpoint of plain tensors and values"):
            read(path)
    assert not (path.parent / "code-ran").exists()
    assert path.exists()


@pytest.fixture(scope="module")
def model():
    return STGCN(4, 2, "resnet18", weights=None, spatial_channels=16, branches=["spatial"])


def written_by(model, version, **changes):
    description = describe(model, {"seed": 3}, [2, 4, 6, 8]) | {"version": version}
    description["model"] = description["model"] | changes
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    return {KEY: description, "state_dict": weights}


def test_another_versions_checkpoint_loads_or_says_why_not(path, model):
    write_checkpoint(path, written_by(model, "0.0.9"))
    loaded, config = load_checkpoint(path.parent)
    assert config == {"seed": 3}
    assert not loaded.training
    assert all(v.equal(model.state_dict()[k]) for k, v in loaded.state_dict().items())
    write_checkpoint(path, written_by(model, "9.1", telepathy=True))
    words = f"written by version 9.1, whose model version {__version__} cannot build .*telepathy"
    with pytest.raises(UserError, match=words):
        load_checkpoint(path)
    write_checkpoint(path, written_by(model, "0.0.9", spatial_layers=1))
    with pytest.raises(UserError, match=r"another architecture than it says \(version 0.0.9, here"):
        load_checkpoint(path)


def test_options_that_an_older_version_did_not_know_do_not_hinder(path, model):
    content = written_by(model, "0.0.9")
    del content[KEY]["model"]["affinity"]
    require_same_run(path, content, model, [2, 4, 6, 8])
    content[KEY]["model"]["spatial_shortcut"] = False
    with pytest.raises(UserError, match="spatial_shortcut is False there, True here"):
        require_same_run(path, content, model, [2, 4, 6, 8])


def test_other_people_are_refused(path, model):
    content = written_by(model, __version__)
    with pytest.raises(UserError, match=r"\(4 there, 4 here; 8 is in one alone\)"):
        require_same_run(path, content, model, [2, 4, 6, 10])
    with pytest.raises(UserError, match="not written by `stgcn train`"):
        require_same_run(path, {"state_dict": {}}, model, [2, 4, 6, 8])


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt), written_aside(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("file", "before")]
