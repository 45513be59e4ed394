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
from benchmarks.measuring import SIZES
from benchmarks.parts import CPU, GPU, PLANS, Part
from benchmarks.training_memory import compared, predicted
from stgcn_pyg.planning.fake_cuda import missing

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


@pytest.mark.skipif(missing() is not None, reason=f"no GPU can be faked: {missing()}")
def test_what_an_h200_held_in_a_step_is_predicted():
    folder = running.ROOT / "benchmarks" / "results" / "nvidia-h200-torch2.11.0"
    content = json.loads((folder / "training_memory.json").read_text())
    ways = ("plain", "recompute")
    found = {way: content["results"]["peak_bytes"]["16 x 4"][way] for way in ways}
    plan = predicted(SIZES["paper"], torch.device("cuda"), "bf16-mixed")
    for row in compared({"16 x 4": found}, plan, on_a_gpu=True)["bars"]["16 x 4"]:
        assert row["value"] < 1e-3


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


@pytest.mark.slow
@pytest.mark.usefixtures("forked")
def test_all_that_a_gpu_shows_runs_on_the_cpu_in_its_order(tmp_path):
    status, found, page = run_smoke("gpu", tmp_path)
    assert status == 0, {name: part["failed"] for name, part in found["parts"].items()}
    assert list(found["parts"]) == list(GPU)
    assert all(f"- {name}: `python -m benchmarks." in page for name in GPU)
    for figure in ("bars / eager float32 / full", "of the product's rate in bfloat16"):
        assert not_measured(page, figure)


def not_measured(page, figure):
    told = [line for line in page.splitlines() if figure in line]
    return bool(told) and all("not measured" in line for line in told)


FEW = ("correct_device", "graph_layers", "evaluation")


@pytest.fixture(scope="module")
def few(fork, tmp_path_factory):
    """Some of what a GPU shows, on the CPU; not to be altered."""
    output = tmp_path_factory.mktemp("gpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "run", fork)
        return output, *run_smoke("gpu", output, "--only", *FEW)


@pytest.fixture
def changed(few, tmp_path, monkeypatch):
    """Alters what a copy of the file says of a part, or takes the part out."""
    shutil.copytree(few[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.setitem(PLANS, "gpu", {name: GPU[name] for name in FEW})

    def change(name, values):
        [path] = tmp_path.glob("*/*.json")
        content = json.loads(path.read_text())
        if values is None:
            del content["parts"][name]
        else:
            content["parts"][name] |= values
        path.write_text(json.dumps(content))
        return tmp_path

    return change


@pytest.fixture
def ran(fork, monkeypatch):
    """The modules that have been run since."""
    found = []
    monkeypatch.setattr(
        running, "run", lambda module, *more: found.append(module) or fork(module, *more)
    )
    return found


def test_what_only_a_gpu_has_is_not_measured(few):
    _, status, _, page = few
    assert status == 0
    assert not_measured(page, "CPU / GPU, evaluate_features")
    assert not_measured(page, "on_a_gpu_no_step_waits")
    assert "- train_step: not measured" in page


def test_errors_stand_beside_the_bounds_of_their_tests(few):
    _, _, found, _ = few
    tests = {test["test"]: test for test in found["parts"]["correct_device"]["results"]["tests"]}
    test = tests["layers_are_those_of_float64[dtype0-2e-06-2e-05-blocks-cosine]"]
    assert test["outcome"] == "passed"
    assert 0 < test["output"]["value"] < 2e-6 and test["output"]["bar"] == "<= 2e-06"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("graph_layers", None),
        ("evaluation", {"failed": "its GPU is lost"}),
        ("evaluation", {"sources": "those of an earlier commit"}),
        ("evaluation", {"command": "python -m benchmarks.evaluation --rounds 3"}),
    ],
)
def test_the_same_command_runs_what_is_missing_and_keeps_the_others(
    changed, few, ran, name, values
):
    status, found, _ = run_smoke("gpu", changed(name, values))
    assert (status, ran) == (0, [name])
    assert list(found["parts"]) == list(FEW)
    before = few[2]["parts"]
    assert all((found["parts"][other] == before[other]) == (other != name) for other in FEW)
    assert run_smoke("gpu", changed(name, {}))[0] == 0 and ran == [name]


def test_one_that_fails_is_named_and_the_others_run(changed, few, ran, monkeypatch, capfd):
    monkeypatch.setitem(PLANS["gpu"], "graph_layers", Part("graph_layers", "", "--rounds nobody"))
    status, found, page = run_smoke("gpu", changed("evaluation", None))
    assert (status, ran) == (1, ["graph_layers", "evaluation"])
    assert found["parts"]["graph_layers"]["results"] == few[2]["parts"]["graph_layers"]["results"]
    assert found["parts"]["evaluation"]["failed"] is None
    *_, told = capfd.readouterr().err.strip().splitlines()
    assert told.startswith("graph_layers failed: ") and "nobody" in told
    assert told.removeprefix("graph_layers failed: ") in page


def test_what_the_time_is_too_short_for_is_named_and_not_begun(changed, ran, capfd):
    status, found, _ = run_smoke("gpu", changed("evaluation", None), "--limit", "0.1")
    assert (status, ran) == (1, [])
    assert list(found["parts"]) == ["correct_device", "graph_layers"]
    *_, told = capfd.readouterr().err.splitlines()
    assert told == "evaluation failed: not begun, because the time is over"


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


def test_a_file_of_something_else_is_refused_and_left(changed, capfd):
    [path] = changed("evaluation", None).glob("*/*.json")
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
