"""Which data sets the experiments stop for, and how they go on with one that has faults."""

import json
import shutil

import pytest
from mars_excerpt import excerpt_of_mars

from experiments.__main__ import run
from experiments.experiment import Experiment, Row
from stgcn_pyg.runs.run import train_run

pytestmark = pytest.mark.usefixtures("narrow_backbone")

SMALLER = {"model.branches": ["global"], "epochs": 1, "data.height": 64}


@pytest.fixture(scope="module")
def excerpt(tmp_path_factory):
    return excerpt_of_mars(tmp_path_factory.mktemp("data") / "mars").write()


@pytest.fixture(autouse=True)
def _trained_here(monkeypatch):
    """A training runs in this process, not in one that imports everything anew."""
    monkeypatch.setattr(
        "experiments.running.run_job._train",
        lambda job, context, show: train_run(context.settings(job)),
    )


@pytest.fixture
def experiment():
    return Experiment("one_row", "One row", [Row("small", SMALLER)], baseline="small")


def arguments(place, root, *more):
    return [
        *("--dataset", "mars", "--root", str(root), "--preset", "smoke", "--accelerator", "cpu"),
        *("--num-workers", "0", "--results", str(place / "results"), "--work", str(place / "work")),
        *more,
    ]


def results(place):
    """The content of the one run, and the text of its table."""
    folder = place / "results" / "mars-smoke-cpu"
    [line] = (folder / "runs.jsonl").read_text().splitlines()
    return json.loads(line), (folder / "one_row.md").read_text()


@pytest.fixture
def damaged(excerpt, tmp_path):
    """The excerpt with two pictures that cannot be read and one under two labels."""
    root = tmp_path / "damaged"
    shutil.copytree(excerpt, root)
    pictures = {path.name: path for path in root.rglob("*.jpg")}
    pictures["0002C2T0001F001.jpg"].write_bytes(b"")
    pictures["0003C1T0001F003.jpg"].unlink()
    shutil.copy(pictures["0004C3T0001F001.jpg"], pictures["0005C1T0001F001.jpg"])
    return root


def test_the_oddities_of_mars_itself_stop_no_experiment(excerpt, experiment, tmp_path, capsys):
    assert run(experiment, arguments(tmp_path, excerpt)) == 0, capsys.readouterr().err
    about, table = results(tmp_path)
    assert about["faults"] == {} and about["config"]["on_bad_frame"] == "stop"
    assert "faults" not in table
    # Allowing what is not there changes nothing: it is the same run.
    assert run(experiment, arguments(tmp_path, excerpt, "--allow-faults")) == 0
    assert results(tmp_path) == (about, table)


def test_faults_stop_it_in_one_line_with_their_kinds_and_the_way_on(
    damaged, experiment, tmp_path, capsys
):
    for _ in range(2):
        assert run(experiment, arguments(tmp_path, damaged)) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert line.startswith("one_row: error: ")
        assert "1 missing (the first is " in line and "0003C1T0001F003.jpg" in line
        assert "1 empty (the first is " in line and "0002C2T0001F001.jpg" in line
        assert "1 same image (the first is " in line and "0005C1T0001F001.jpg" in line
        assert "identity 5" in line and "identity 4" in line
        assert "--allow-faults" in line and f"stgcn check mars {damaged}" in line
    assert not (tmp_path / "results").exists()


def test_allowed_faults_are_told_in_the_results(damaged, experiment, tmp_path, capsys):
    command = arguments(tmp_path, damaged, "--allow-faults")
    assert run(experiment, command) == 0, capsys.readouterr().err
    about, table = results(tmp_path)
    assert about["faults"] == {"missing": 1, "empty": 1, "same image": 1}
    assert about["config"]["on_bad_frame"] == "skip"
    assert "The data set has faults, which were allowed (1 missing, 1 empty, 1 same imag" in table
    capsys.readouterr()
    assert run(experiment, command) == 0
    told = capsys.readouterr().out
    assert "going on with its faults" in told and "checking mars" not in told
    assert run(experiment, arguments(tmp_path, damaged)) == 2  # not allowed once and for all


def test_an_older_versions_stamp_of_a_sound_data_set_holds(excerpt, experiment, tmp_path, capsys):
    assert run(experiment, arguments(tmp_path, excerpt, "--dry-run")) == 0
    [stamp] = (tmp_path / "work" / "checked").iterdir()
    stamp.write_text(f"{'0' * 64} {excerpt}: 290 pictures\n")
    capsys.readouterr()
    assert run(experiment, arguments(tmp_path, excerpt, "--dry-run")) == 0
    assert "checking" not in capsys.readouterr().out
