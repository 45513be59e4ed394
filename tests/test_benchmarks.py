"""The benchmarks run, in their smallest form."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(name, *options):
    command = [sys.executable, "-W", "ignore", "-m", f"benchmarks.{name}", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_graph_layers(tmp_path):
    path = tmp_path / "results.json"
    text = run("graph_layers", "--smallest", "true", "--rounds", "1", "--json", str(path))
    results = json.loads(path.read_text())
    [result] = results["results"]
    assert set(result["seconds"]) == {"floor", "blocks", "dense", "edges", "ragged"}
    assert all(value > 0 for value in result["seconds"].values())
    # Memory is counted, not timed: what is promised holds on any machine.
    assert result["peak_bytes"]["edges"] >= 10 * result["peak_bytes"]["blocks"]
    assert "blocks / floor" in text
    assert results["machine"]["torch"]


def test_import_time(tmp_path):
    path = tmp_path / "results.json"
    run("import_time", "--rounds", "1", "--json", str(path))
    assert set(json.loads(path.read_text())["results"]["seconds"]) == {"PyG", "layers"}


def test_data_loading(tmp_path):
    path = tmp_path / "results.json"
    run("data_loading", "--smallest", "true", "--json", str(path))
    results = json.loads(path.read_text())["results"]
    assert set(results["frames_a_second"]) == {"files", "pack"}
    assert set(results["step_seconds"]) == {"disk", "memory"}
