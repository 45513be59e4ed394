"""`stgcn threshold`: a threshold for a wanted FPR, and what it does to others."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import MarsTree
from stored_embeddings import table, write_extraction
from tiny_run import write_run

from stgcn_pyg.cli import main
from stgcn_pyg.data import load_dataset
from stgcn_pyg.evaluation import CROSS_CAMERA, identify_protocol, threshold_at_fpr, verify_protocol
from stgcn_pyg.runs.extraction import StoredEmbeddings
from stgcn_pyg.runs.training.validation import hold_out


def people(num_people, seed):
    """Tracklets of people in three cameras, and their embeddings."""
    rng = np.random.default_rng(seed)
    pids, camids = (grid.ravel() for grid in np.mgrid[1 : num_people + 1, 1:4])
    embeddings = rng.normal(size=(num_people + 1, 4))[pids] + 0.3 * rng.normal(size=(len(pids), 4))
    return table(pids, camids), embeddings.astype(np.float32)


@pytest.fixture
def labelled(tmp_path):
    tracklets, embeddings = people(8, 0)
    return write_extraction(
        tmp_path / "labelled", tracklets, embeddings, dataset="ward", protocols=("cross-camera",)
    )


@pytest.fixture
def test_set(tmp_path):
    tracklets, embeddings = people(9, 1)
    return write_extraction(
        tmp_path / "test",
        tracklets.assign(is_query=True),
        embeddings,
        dataset="ward",
        protocols=("cross-camera",),
    )


def labels_of(stored):
    return tuple(stored.tracklets[name].to_numpy(copy=True) for name in ("pid", "camid"))


def test_the_threshold_is_that_of_python_and_its_rates_those_of_the_test_set(
    labelled, test_set, tmp_path, capsys
):
    path = tmp_path / "threshold.json"
    command = ["threshold", str(labelled), "--fpr=0.05", f"--test={test_set}", f"--json={path}"]
    assert main([*command, "--resamples=200"]) == 0
    content = json.loads(path.read_text())
    stored = StoredEmbeddings(labelled)
    chosen = threshold_at_fpr(stored.embeddings, *labels_of(stored), 0.05, "all", resamples=200)
    assert content["chosen"] == chosen.to_dict()
    assert content["about"]["extraction"] == str(labelled)
    test = StoredEmbeddings(test_set)
    pids, cameras = labels_of(test)
    labels = test.embeddings, test.embeddings, pids, pids, cameras, cameras
    options = {"thresholds": [chosen.threshold], "resamples": 200}
    verification = verify_protocol(CROSS_CAMERA, *labels, **options)
    open_set = identify_protocol(CROSS_CAMERA, *labels, **options)
    assert content["test"]["verification"] == verification.to_dict()
    assert content["test"]["open_set"] == open_set.to_dict()
    said = capsys.readouterr().out
    assert f"\n{chosen}\n" in said
    assert f"{verification}\n\n{open_set}\n" in said
    assert "training tracklets" not in said


def test_training_tracklets_are_used_and_it_is_said_what_they_are_worth(tmp_path, capsys):
    tracklets, embeddings = people(8, 0)
    for parts, warned in (("train", True), ("held-out", False)):
        folder = write_extraction(
            tmp_path / parts, tracklets.assign(is_train=True), embeddings, parts=parts
        )
        assert main(["threshold", str(folder), "--fpr=0.05"]) == 0
        assert ("training tracklets" in capsys.readouterr().out) == warned


def test_junk_and_distractors_choose_nothing(labelled, tmp_path, capsys):
    tracklets, embeddings = people(8, 0)
    more = table([-1, 0], [1, 2])
    more.index += len(tracklets)
    both = write_extraction(
        tmp_path / "more",
        pd.concat([tracklets, more]),
        np.concatenate([embeddings, np.zeros((2, 4), np.float32)]),
        protocols=("cross-camera",),
    )
    said = []
    for folder in (labelled, both):
        assert main(["threshold", str(folder), "--fpr=0.05"]) == 0
        said.append(capsys.readouterr().out.splitlines()[1])
    assert said[0] == said[1]


def error_of(capsys):
    captured = capsys.readouterr()
    assert not captured.out  # no threshold is printed where the command fails
    (line,) = captured.err.strip().splitlines()
    return line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "required: fpr"),
        (["--fpr=0"], "--fpr 0: pass a number above 0 and below 1"),
        (["--fpr=1"], "--fpr 1: pass a number above 0"),
        (["--fpr=0.0001"], "is less than one of "),
        (["--fpr=0.05", "--test=away"], "away: no extraction"),
        (
            ["--fpr=0.05", "--test={labelled}"],
            "labelled and --test are the same folder, {labelled}",
        ),
        (["--fpr=0.05", "--resamples=1"], "--resamples 1: pass a whole number of at least 2"),
        (["--fpr=0.05", "--json=."], "is a folder"),
        (["--fpr=0.05", "--json={labelled}/embeddings.json"], "is among the files of {labelled}"),
        (["--fpr=0.0001"], "error: {labelled}: a rate of 0.0001 is less"),
    ],
)
def test_what_cannot_be_meant_is_one_line(labelled, capsys, options, message):
    given = [option.format(labelled=labelled) for option in options]
    assert main(["threshold", str(labelled), *given]) == 2
    line = error_of(capsys)
    assert line.startswith("stgcn threshold: error: ")
    assert message.format(labelled=labelled) in line
    StoredEmbeddings(labelled)  # is as it was


def test_a_test_set_of_another_model_is_refused(labelled, tmp_path, capsys):
    tracklets, embeddings = people(9, 1)
    other = write_extraction(tmp_path / "o", tracklets, embeddings, checkpoint_sha256="b" * 64)
    assert main(["threshold", str(labelled), "--fpr=0.05", f"--test={other}"]) == 2
    line = error_of(capsys)
    assert f"--test {labelled}" not in line
    assert "is of another model than" in line


def test_tracklets_without_identities_choose_no_threshold(tmp_path, capsys):
    nobody = write_extraction(tmp_path / "n", table([-1, -1], [1, 2]), np.eye(2))
    assert main(["threshold", str(nobody), "--fpr=0.05"]) == 2
    assert f"error: {nobody}: holds fewer than two identities" in error_of(capsys)


@pytest.mark.usefixtures("narrow_backbone", "one_thread")
def test_the_identities_that_a_training_held_out_are_extracted(tmp_path, capsys):
    root = MarsTree(tmp_path / "mars").write()
    run = write_run(tmp_path / "run", root, settings={"validation_share": 0.5, "seed": 3})
    output = tmp_path / "held-out"
    command = ["extract", str(run), str(output), "--parts=held-out", "--num-workers=0"]
    assert main(command) == 0
    stored = StoredEmbeddings(output)
    _, expected = hold_out(load_dataset("mars", root), 0.5, 3)
    assert sorted(stored.tracklets.index) == sorted(expected.index)
    assert stored.tracklets["is_train"].all()
    assert stored.tracklets["pid"].nunique() == 2
    assert stored.description["parts"] == "held-out"
    capsys.readouterr()
    other = MarsTree(tmp_path / "other").write()
    assert main([*command[:2], str(tmp_path / "x"), *command[3:], f"--root={other}"]) == 0
    assert main([*command[:2], str(tmp_path / "y"), *command[3:], "--split=1"]) == 2
    assert "held identities out of mars, split 0" in capsys.readouterr().err


@pytest.mark.usefixtures("narrow_backbone", "one_thread")
def test_a_training_that_held_out_nobody_has_no_such_tracklets(tmp_path, capsys):
    run = write_run(tmp_path / "run", MarsTree(tmp_path / "mars").write())
    assert main(["extract", str(run), str(tmp_path / "x"), "--parts=held-out"]) == 2
    assert "its training held out no identity" in error_of(capsys)
    assert not (tmp_path / "x").exists()


def test_tracklets_that_are_not_finite_are_named_as_they_were_given(tmp_path, capsys):
    tracklets, embeddings = people(8, 0)
    embeddings[3] = np.nan
    folder = write_extraction(tmp_path / "nan", tracklets, embeddings)
    assert main(["threshold", str(folder), "--fpr=0.05"]) == 2
    assert f"error: {folder}: features: 1 rows are not finite, first at [3]" in error_of(capsys)
