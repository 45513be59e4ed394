"""The benchmarks run, in their smallest form, and write what they measure. No time is judged."""

import json
import time
from pathlib import Path

import pytest
import torch
from command_server import serving

from benchmarks import all as all_benchmarks

# The figures that each writes, and the keys that they must have among others.
WRITTEN = {
    "backbones": {"mobilenet_v2, stride1": {"images_per_second", "times_the_first"}},
    "train_step": {"seconds": {"backbone", "full", "eager float32", "branches", "Adam"}},
    "inference": {"tracklets_a_second": {"bf16, from memory", "bf16, from disk"}},
    "training_memory": {"peak_bytes": {"2 x 2"}},
    "data_loading": {"frames_a_second": {"files", "pack"}, "step_seconds": {"disk", "memory"}},
    "import_time": {"seconds": {"PyG", "layers"}},
    "evaluation": {},
    "reranking": {},
    "search": {},
    "coverage": {},
    "pair_coverage": {},
    "videos": {
        "times_the_speed_of_decoding": {"cutting 5 people, every 5"},
        "reading": {"seconds"},
    },
    "rendering": {"frames_a_second": {"1 worker", "2 workers", "quiet cores"}},
}


# Two run in the tests below as they do in `python -m benchmarks.all`, in new processes.
ALONE = ("graph_layers", "uncertainty")
SCRIPT = """
import runpy
import sys

sys.path.insert(0, {root!r})
sys.argv = {arguments!r}
runpy.run_module("benchmarks.{name}", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def begin():
    with serving("--narrow") as begin:
        yield begin


@pytest.fixture
def forked(begin, monkeypatch):
    """Each benchmark runs in a process that imports nothing anew."""

    def run(name, options, folder, limit):
        path = folder / f"{name}.json"
        arguments = [name, *options, "--json", str(path)]
        script = SCRIPT.format(root=str(all_benchmarks.ROOT), arguments=arguments, name=name)
        job = begin(script, Path(folder) / "log")
        while job.pid in job.processes():
            time.sleep(0.05)
        return json.loads(path.read_text()) if job.status() == 0 else job.log.read_text()

    monkeypatch.setattr(all_benchmarks, "run", run)


def run_all(output, *names):
    status = all_benchmarks.main(["--smallest", "--output", str(output), "--only", *names])
    [folder] = output.iterdir()
    return status, json.loads((folder / "smallest.json").read_text()), folder


@pytest.mark.slow
@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("name", [name for name in all_benchmarks.QUICK if name not in ALONE])
def test_a_benchmark_writes_its_figures(name, tmp_path, capfd):
    status, found, folder = run_all(tmp_path, name)
    assert status == 0, capfd.readouterr().err
    results = found["benchmarks"][name]["results"]
    for key, names in WRITTEN[name].items():
        assert names <= set(results[key])
    assert f"\n{name} " in (folder / "smallest.md").read_text()


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    return run_all(tmp_path_factory.mktemp("results"), "graph_layers")


def test_the_machine_and_the_commit_stand_beside_the_figures(layers):
    status, found, folder = layers
    assert status == 0 and found["commit"]
    assert found["machine"]["torch"] == torch.__version__
    assert folder.name.endswith(f"-torch{torch.__version__}")
    # One processor's name stands for machines with and without AVX-512, which train other networks.
    assert found["machine"]["device"].endswith(torch.backends.cpu.get_cpu_capability())


def test_blocks_take_a_tenth_of_the_edges_memory(layers):
    """Memory is counted, not timed: it is the same on any machine."""
    _, found, folder = layers
    [result] = found["benchmarks"]["graph_layers"]["results"]
    assert set(result["seconds"]) == {
        *("floor", "blocks", "dense", "masked", "plain", "edges", "ragged")
    }
    assert result["peak_bytes"]["edges"] >= 10 * result["peak_bytes"]["blocks"]
    assert "\ngraph_layers " in (folder / "smallest.md").read_text()
    assert "memory edges / blocks" in (folder / "smallest.md").read_text()


@pytest.mark.slow
def test_one_that_fails_is_named_and_the_others_run(tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(all_benchmarks.SMALLEST, "coverage", "--people nobody")
    status, found, folder = run_all(tmp_path, "coverage", "uncertainty")
    assert status == 1
    assert list(found["benchmarks"]) == ["uncertainty"]
    assert "\nuncertainty " in (folder / "smallest.md").read_text()
    assert list(found["failures"]) == ["coverage"]
    message = capfd.readouterr().err
    assert message.strip().splitlines()[-1].startswith("coverage failed: ")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told_before_anything_runs(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        all_benchmarks.main(["--device", "cuda", "--quick", "--output", str(tmp_path)])
    assert stopped.value.code == 2 and not list(tmp_path.iterdir())
    assert capsys.readouterr().err.endswith("--device cuda: PyTorch sees no GPU here\n")
