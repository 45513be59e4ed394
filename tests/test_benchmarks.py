"""The benchmarks run, in their smallest form, and write what they measure. No time is judged."""

import json
import shutil
import time
from pathlib import Path

import pytest
import torch
from command_server import serving

from benchmarks import running
from benchmarks.__main__ import main
from benchmarks.parts import CPU, GPU

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


# Two run in the tests below as `python -m benchmarks` runs them, in new processes.
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


@pytest.fixture(scope="module")
def fork(begin):
    """Stands for the function that runs a benchmark; its process imports nothing anew."""

    def run(module, options, path, limit):
        arguments = [module, *options, "--json", str(path)]
        script = SCRIPT.format(root=str(running.ROOT), arguments=arguments, name=module)
        job = begin(script, path.with_name("log"))
        while job.pid in job.processes():
            time.sleep(0.05)
        return None if job.status() == 0 else job.log.read_text().strip().splitlines()[-1]

    return run


@pytest.fixture
def forked(fork, monkeypatch):
    monkeypatch.setattr(running, "run", fork)


def run_smoke(plan, output, *more):
    status = main([plan, "--smoke", "--output", str(output), *more])
    [folder] = output.iterdir()
    path = folder / f"{plan}-smoke.json"
    return status, json.loads(path.read_text()), path.with_suffix(".md").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("name", [name for name in CPU if name not in ALONE])
def test_a_benchmark_writes_its_figures(name, tmp_path, capfd):
    status, found, page = run_smoke("all", tmp_path, "--only", name)
    assert status == 0, capfd.readouterr().err
    results = found["parts"][name]["results"]
    for key, names in WRITTEN[name].items():
        assert names <= set(results[key])
    assert f"- {name}: " in page


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    return run_smoke("all", tmp_path_factory.mktemp("results"), "--only", "graph_layers")


def test_the_machine_and_the_commit_stand_beside_the_figures(layers):
    status, found, _ = layers
    assert status == 0 and found["parts"]["graph_layers"]["commit"]
    assert found["machine"]["torch"] == torch.__version__
    # One processor's name stands for machines with and without AVX-512, which train other networks.
    assert found["machine"]["device"].endswith(torch.backends.cpu.get_cpu_capability())


def test_blocks_take_a_tenth_of_the_edges_memory(layers):
    """Memory is counted, not timed: it is the same on any machine."""
    _, found, page = layers
    [result] = found["parts"]["graph_layers"]["results"]
    assert set(result["seconds"]) == {
        *("floor", "blocks", "dense", "masked", "plain", "edges", "ragged")
    }
    assert result["peak_bytes"]["edges"] >= 10 * result["peak_bytes"]["blocks"]
    assert "memory edges / blocks" in page


# -- What a GPU shows ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smoke(fork, tmp_path_factory):
    """All of `python -m benchmarks gpu --smoke`; not to be altered."""
    output = tmp_path_factory.mktemp("gpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "run", fork)
        return output, *run_smoke("gpu", output)


@pytest.fixture
def ran(fork, monkeypatch):
    """The modules that have been run since."""
    found = []
    monkeypatch.setattr(
        running, "run", lambda module, *more: found.append(module) or fork(module, *more)
    )
    return found


def test_all_that_a_gpu_shows_runs_on_the_cpu_in_its_order(smoke):
    _, status, found, page = smoke
    assert status == 0, {name: part["failed"] for name, part in found["parts"].items()}
    assert list(found["parts"]) == list(GPU)
    assert all(f"- {name}: `python -m benchmarks." in page for name in GPU)


def test_what_only_a_gpu_has_is_not_measured(smoke):
    *_, page = smoke
    lines = page.splitlines()
    for figure in (
        "eager float32 / full",
        "of the product's rate in bfloat16",
        "CPU / GPU, evaluate_features",
        "on_a_gpu_no_step_waits",
    ):
        told = [line for line in lines if figure in line and "ratios /" not in line]
        assert told and all("not measured" in line for line in told)


def test_errors_stand_beside_the_bounds_of_their_tests(smoke):
    _, _, found, _ = smoke
    [test] = found["parts"]["correct_step"]["results"]["tests"]
    assert test["outcome"] == "passed"
    assert test["loss"]["value"] < 1e-5 and test["loss"]["bar"] == "<= 1e-05"


@pytest.fixture
def changed(smoke, tmp_path):
    """Alters what the file says of some parts, in a copy."""
    shutil.copytree(smoke[0], tmp_path, dirs_exist_ok=True)

    def change(**parts):
        [path] = tmp_path.glob("*/*.json")
        content = json.loads(path.read_text())
        for name, values in parts.items():
            content["parts"][name] |= values
        content["parts"] = {n: part for n, part in content["parts"].items() if part.get("sources")}
        path.write_text(json.dumps(content))
        return tmp_path

    return change


def test_the_same_command_runs_what_is_missing_failed_or_of_other_sources(changed, smoke, ran):
    output = changed(
        evaluation={"sources": None},  # as if it had not been reached
        reranking={"failed": "its GPU is lost"},
        graph_layers={"sources": "those of an earlier commit"},
    )
    status, found, _ = run_smoke("gpu", output)
    assert (status, ran) == (0, ["graph_layers", "evaluation", "reranking"])
    assert list(found["parts"]) == list(GPU)
    assert found["parts"]["train_step"] == smoke[2]["parts"]["train_step"]
    ran.clear()
    assert run_smoke("gpu", output)[0] == 0 and ran == []


def test_one_that_fails_is_named_and_the_others_are_kept(changed, smoke, ran, monkeypatch, capfd):
    monkeypatch.setitem(GPU, "graph_layers", GPU["graph_layers"]._replace(smoke="--rounds nobody"))
    output = changed(evaluation={"sources": None})
    status, found, page = run_smoke("gpu", output)
    assert (status, ran) == (1, ["graph_layers", "evaluation"])
    before = smoke[2]["parts"]["graph_layers"]
    assert found["parts"]["graph_layers"]["results"] == before["results"]
    assert found["parts"]["evaluation"]["failed"] is None
    *_, told = capfd.readouterr().err.strip().splitlines()
    assert told.startswith("graph_layers failed: ") and "nobody" in told
    assert told in page


def test_what_the_time_is_too_short_for_is_named_and_not_begun(changed, ran, capfd):
    output = changed(evaluation={"sources": None}, inference={"sources": None})
    status, found, page = run_smoke("gpu", output, "--limit", "0.1")
    assert (status, ran) == (1, [])
    assert "evaluation" not in found["parts"]
    assert capfd.readouterr().err.splitlines()[-2:] == [
        "evaluation failed: not begun, because the time is over",
        "inference failed: not begun, because the time is over",
    ]


def test_one_that_hangs_is_ended_with_its_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("STGCN_TEST_MARK", str(tmp_path))
    status, found, page = run_smoke("all", tmp_path, "--only", "import_time", "--limit", "2")
    assert status == 1
    assert found["parts"]["import_time"]["failed"] == "it was ended after 2 seconds"
    assert "it was ended after 2 seconds" in page
    marked = [path for path in Path("/proc").glob("[0-9]*/environ") if holds(path, str(tmp_path))]
    assert marked == []


def holds(path, text):
    try:
        return text.encode() in path.read_bytes()
    except OSError:  # it has ended, or is another user's
        return False


def test_a_file_of_something_else_is_refused_and_left(smoke, changed, capfd):
    [path] = changed().glob("*/*.json")
    path.write_text("[]")
    assert main(["gpu", "--smoke", "--output", str(path.parents[1])]) == 2
    assert path.read_text() == "[]"
    assert "holds no results of this command: move it away" in capfd.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told_before_anything_runs(tmp_path, capsys):
    assert main(["gpu", "--output", str(tmp_path)]) == 2
    assert not list(tmp_path.iterdir())
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("python -m benchmarks: PyTorch sees no GPU here: ")
    assert "--smoke" in line


def test_a_part_that_is_unknown_is_told_with_those_known(tmp_path, capsys):
    assert main(["gpu", "--smoke", "--only", "layers", "--output", str(tmp_path)]) == 2
    assert "--only layers: the parts of gpu are correct_step, " in capsys.readouterr().err
