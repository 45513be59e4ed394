"""`python -m experiments linking`: networks trained, thresholds chosen, tracklets linked."""

import json
import sys
from types import SimpleNamespace

import pytest
from rendered import tiny
from several_processes import forked, status_of

from experiments.__main__ import main
from stgcn_pyg import cli

ORACLE = {f"{kind} {name}" for kind in ("pairwise", "B-cubed") for name in ("precision", "recall")}


@pytest.fixture(autouse=True)
def _forked(monkeypatch):
    """Its commands are processes of their own, which import nothing anew."""

    def run(command, check):
        assert command[:3] == [sys.executable, "-m", "stgcn_pyg.cli"] and not check
        return SimpleNamespace(returncode=status_of(forked(cli.main, command[3:])))

    monkeypatch.setattr("experiments.linking.subprocess", SimpleNamespace(run=run))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_true_identities_link_without_a_fault(tmp_path, capfd):
    data = tiny(tmp_path / "data", train_people=16, test_people=4, tracklets_per_camera=2).path
    work, output = tmp_path / "work", tmp_path / "linking.json"
    arguments = ["linking", "manifest", str(data / "manifest.csv")]
    arguments += ["--preset", "smoke", "--work", str(work), "--output", str(output)]
    assert main(arguments) == 0
    rows = {row["embeddings"]: row for row in json.loads(output.read_text())}
    assert list(rows) == ["plain", "centred", "oracle"]
    assert {rows["oracle"][name] for name in (*ORACLE, "IDF1", "HOTA")} == {1.0}
    for name in ("plain", "centred"):
        folder = work / "0" / name
        linked = json.loads((folder / "identities.json").read_text())
        assert rows[name]["threshold"] == linked["threshold"] == linked["chosen"]["threshold"]
        assert linked["centre_cameras"] == (name == "centred")
        assert rows[name]["B-cubed F"] == linked["scores"]["statistics"]["B-cubed F"]["estimate"]
        assert 0 < rows[name]["IDF1"] < 1


def test_what_a_command_refuses_is_a_line_and_no_traceback(tmp_path, capfd):
    arguments = ["linking", "manifest", str(tmp_path / "nothing.csv"), "--work", str(tmp_path)]
    assert main(arguments) == 2
    said = capfd.readouterr().err
    assert "nothing.csv: no such file" in said and "Traceback" not in said
    assert main(["linking", "ward", "data", "--preset", "fine"]) == 2
    assert "preset 'fine' is unknown" in capfd.readouterr().err
