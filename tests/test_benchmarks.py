"""The benchmarks run, in their smallest form."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import all as all_benchmarks

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
    # One processor's name stands for machines with and without AVX-512, which train other networks.
    assert results["machine"]["device"].endswith(torch.backends.cpu.get_cpu_capability())


@pytest.mark.slow
def test_import_time(tmp_path):
    path = tmp_path / "results.json"
    run("import_time", "--rounds", "1", "--json", str(path))
    assert set(json.loads(path.read_text())["results"]["seconds"]) == {"PyG", "layers"}


@pytest.mark.slow
def test_data_loading(tmp_path):
    path = tmp_path / "results.json"
    run("data_loading", "--smallest", "true", "--json", str(path))
    results = json.loads(path.read_text())["results"]
    assert set(results["frames_a_second"]) == {"files", "pack"}
    assert set(results["step_seconds"]) == {"disk", "memory"}


def run_all(output, *options):
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.all", "--output", str(output)]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True)
    [folder] = output.iterdir()
    return done, folder


@pytest.mark.slow
def test_training_and_inference_in_one_table(tmp_path):
    only = ["train_step", "inference", "training_memory"]
    done, folder = run_all(tmp_path, "--smallest", "--only", *only)
    assert done.returncode == 0, done.stderr
    assert folder.name.endswith(f"-torch{torch.__version__}")
    found = json.loads((folder / "smallest.json").read_text())
    assert found["commit"] and found["machine"]["torch"] == torch.__version__
    step = found["benchmarks"]["train_step"]["results"]
    assert step["ratios"]["full / backbone"]["median"] > 0.5
    assert {"backbone", "full", "eager float32", "branches", "Adam"} <= set(step["seconds"])
    assert step["work of a step"]["operations"] > 1e9  # counted, not timed: the same everywhere
    rates = found["benchmarks"]["inference"]["results"]["tracklets_a_second"]
    assert all(rate["median"] > 0 for rate in rates.values())
    assert {"bf16, from memory", "bf16, from disk"} <= set(rates)
    table = (folder / "smallest.md").read_text()
    assert "| train_step | bars / full / backbone | " in table
    assert all(len(row.split(" | ")) == 7 for row in table.splitlines() if row.startswith("| t"))


@pytest.mark.slow
def test_one_that_fails_is_named_and_the_others_run(tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(all_benchmarks.SMALLEST, "training_memory", "--people nobody")
    arguments = ["--smallest", "--only", "training_memory", "uncertainty"]
    assert all_benchmarks.main([*arguments, "--output", str(tmp_path)]) == 1
    [folder] = tmp_path.iterdir()
    found = json.loads((folder / "smallest.json").read_text())
    assert list(found["benchmarks"]) == ["uncertainty"]
    assert list(found["failures"]) == ["training_memory"]
    told = capfd.readouterr().err
    assert told.strip().splitlines()[-1].startswith("training_memory failed: ")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told_before_anything_runs(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        all_benchmarks.main(["--device", "cuda", "--quick", "--output", str(tmp_path)])
    assert stopped.value.code == 2 and not list(tmp_path.iterdir())
    assert capsys.readouterr().err.endswith("--device cuda: PyTorch sees no GPU here\n")
