"""The benchmarks run, in their smallest form, and write what they measure. No time is judged."""

import json
import time
from pathlib import Path

import pytest
import torch
from command_server import serving

from benchmarks import running
from benchmarks.__main__ import main
from benchmarks.measuring import SIZES, those_possible
from benchmarks.parts import CPU, GPU, PLANS, Part
from benchmarks.training_memory import compared, predicted
from stgcn_pyg.errors import UserError
from stgcn_pyg.planning.fake_cuda import missing

# The figures that each writes, and the keys that they must have among others.
WRITTEN = {
    "backbones": {"mobilenet_v2, stride1": {"images_per_second", "times_the_first"}},
    "train_step": {"seconds": {"backbone", "full", "eager float32", "branches", "Adam"}},
    "inference": {"tracklets_a_second": {"eager float32, from memory", "eager float32, from disk"}},
    "training_memory": {"peak_bytes": {"2 x 2"}},
    "data_loading": {"frames_a_second": {"files", "pack"}, "step_seconds": {"disk", "memory"}},
    "import_time": {"seconds": {"PyG", "layers"}},
    "evaluation": {},
    "reranking": {},
    "search": {},
    "uncertainty": {},
    "coverage": {},
    "pair_coverage": {},
    "videos": {
        "times_the_speed_of_decoding": {"cutting 5 people, every 5"},
        "reading": {"seconds"},
    },
    "rendering": {"frames_a_second": {"1 worker", "2 workers", "quiet cores"}},
}


# Those that only the CPU's plans have. What a GPU shows is run once, whole, further down.
ON_A_CPU = [name for name in CPU if name not in GPU]
SCRIPT = """
import runpy
import sys
from contextlib import nullcontext

sys.path.insert(0, {root!r})
sys.argv = {arguments!r}
context = nullcontext()
if {name!r} == "inference":
    from converted_once import converted_once
    context = converted_once()
with context:
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
@pytest.mark.parametrize("name", ON_A_CPU)
def test_a_benchmark_writes_its_figures(name, tmp_path, capfd):
    status, found, page = run_smoke("all", tmp_path, "--only", name)
    assert status == 0, capfd.readouterr().err
    assert_written(name, found, page)


def assert_written(name, found, page):
    results = found["parts"][name]["results"]
    for key, names in WRITTEN[name].items():
        assert names <= set(results[key])
    assert f"- {name}: " in page


@pytest.mark.slow
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


@pytest.fixture(scope="module")
def of_a_gpu(fork, tmp_path_factory):
    """All that a GPU shows, in its smallest form on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "run", fork)
        return run_smoke("gpu", tmp_path_factory.mktemp("gpu"))


@pytest.mark.slow
def test_all_that_a_gpu_shows_runs_on_the_cpu_in_its_order(of_a_gpu):
    status, found, page = of_a_gpu
    assert status == 0, {name: part["failed"] for name, part in found["parts"].items()}
    assert list(found["parts"]) == list(GPU)
    assert all(f"- {name}: `python -m benchmarks." in page for name in GPU)
    for name in GPU.keys() & CPU.keys() & WRITTEN.keys():
        assert_written(name, found, page)


@pytest.mark.slow
@pytest.mark.parametrize(
    "figure",
    [
        "bars / eager float32 / full",
        "of the product's rate in bfloat16",
        "CPU / GPU, evaluate_features",
        "how_often_a_forward_makes_the_host_wait",
    ],
)
def test_what_only_a_gpu_has_is_not_measured(of_a_gpu, figure):
    told = [line for line in of_a_gpu[2].splitlines() if figure in line]
    assert told and all("not measured" in line for line in told)


@pytest.mark.slow
def test_errors_stand_beside_the_bounds_of_their_tests(of_a_gpu):
    _, found, _ = of_a_gpu
    tests = {test["test"]: test for test in found["parts"]["correct_device"]["results"]["tests"]}
    test = tests["layers_are_those_of_float64[dtype0-2e-06-2e-05-blocks-cosine]"]
    assert test["outcome"] == "passed"
    assert 0 < test["output"]["value"] < 2e-6 and test["output"]["bar"] == "<= 2e-06"


def test_a_part_that_was_left_out_is_not_measured(toys):
    _, _, page = run_smoke("gpu", toys / "results", "--only", "b")
    assert "- a: not measured" in page and "- b: `python -m benchmarks.toy" in page


def test_what_this_machine_cannot_do_is_named_and_left_out(capsys):
    def refuse():
        raise UserError("this processor has no instructions for it")

    assert those_possible({"float32": lambda: 1, "bfloat16": refuse}) == {"float32": 1}
    [line] = capsys.readouterr().out.splitlines()
    assert line == "bfloat16: left out: this processor has no instructions for it"


# -- What is kept, and what is run again -----------------------------------------------------------

# It notes that it ran, and how many parts are on the disk; writes a figure; fails, or hangs with a
# process of its own, if it is told.
TOY = """
import json, subprocess, sys
from pathlib import Path

*options, _, path = sys.argv[1:]
with open("ran", "a") as file:
    file.write(options[0])
for written in Path("results").glob("*/*.json"):
    with open("seen", "a") as file:
        print(*json.loads(written.read_text())["parts"], sep="", file=file)
if "--hang" in options or "--fail" not in options:
    Path(path).write_text('{"results": {"seconds": ' + options[-1] + "}}")
if "--hang" in options:
    subprocess.run(["sleep", "300"])
if "--fail" in options:
    sys.exit("no such GPU")
"""


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """A plan of three quick benchmarks a, b and c, in a checkout of their own; gives its folder."""
    monkeypatch.setattr(running, "ROOT", tmp_path)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").write_text("")
    (tmp_path / "benchmarks" / "toy.py").write_text(TOY)
    plan = {name: Part("toy", "", f"{name} 1") for name in "abc"}
    monkeypatch.setitem(PLANS, "gpu", plan)
    return tmp_path


def run_toys(folder, *more):
    """The status, the parts that ran, what stands in the file afterwards, and the page."""
    (folder / "ran").write_text("")
    status, found, page = run_smoke("gpu", folder / "results", *more)
    return status, (folder / "ran").read_text(), found["parts"], page


def change(folder, name, **values):
    [path] = folder.glob("results/*/*.json")
    content = json.loads(path.read_text())
    content["parts"][name] |= values
    if not values:
        del content["parts"][name]
    path.write_text(json.dumps(content))


def test_parts_run_in_their_order_and_once(toys):
    status, ran, parts, _ = run_toys(toys)
    assert (status, ran, list(parts)) == (0, "abc", list("abc"))
    assert run_toys(toys)[:3] == (0, "", parts)
    assert run_toys(toys, "--only", "c", "a")[:2] == (0, "ca")


def test_what_is_measured_is_on_the_disk_before_the_next_part_begins(toys):
    run_toys(toys)
    assert (toys / "seen").read_text().split() == ["a", "ab"]


def test_what_is_missing_is_run_and_the_others_are_kept(toys):
    run_toys(toys)
    change(toys, "a", seconds=123.0)
    change(toys, "b")
    status, ran, parts, _ = run_toys(toys)
    assert (status, ran, list(parts)) == (0, "b", list("abc"))
    assert parts["a"]["seconds"] == 123.0


@pytest.mark.parametrize(
    "values",
    [
        {"failed": "its GPU was lost"},
        {"sources": "those of an earlier commit"},
        {"command": "python -m benchmarks.toy b 2"},
    ],
)
def test_what_failed_or_is_of_other_sources_or_options_is_run_again(toys, values):
    *_, before, _ = run_toys(toys)
    change(toys, "b", **values)
    status, ran, parts, _ = run_toys(toys)
    assert (status, ran) == (0, "b")
    assert {**parts["b"], "seconds": 0} == {**before["b"], "seconds": 0}


def test_changed_sources_run_everything_again(toys):
    run_toys(toys)
    (toys / "benchmarks" / "other.py").write_text("")
    assert run_toys(toys)[:2] == (0, "abc")


def test_one_that_fails_is_named_keeps_its_figures_and_the_others_run(toys, capfd):
    run_toys(toys)
    change(toys, "c")
    PLANS["gpu"]["b"] = Part("toy", "", "b --fail 2")
    status, ran, parts, page = run_toys(toys)
    assert (status, ran) == (1, "bc")
    assert parts["b"]["results"] == {"seconds": 1} and parts["b"]["failed"] == "no such GPU"
    assert parts["c"]["failed"] is None
    assert capfd.readouterr().err.splitlines()[-1] == "b failed: no such GPU"
    assert "it failed: no such GPU" in page
    assert run_toys(toys)[:2] == (1, "b")


def test_what_the_time_is_too_short_for_is_named_and_not_begun(toys, capfd):
    run_toys(toys)
    change(toys, "b")
    change(toys, "c")
    status, ran, parts, _ = run_toys(toys, "--limit", "0.1")
    assert (status, ran, list(parts)) == (1, "", ["a"])
    assert capfd.readouterr().err.splitlines()[-2:] == [
        "b failed: not begun, because the time is over",
        "c failed: not begun, because the time is over",
    ]


def test_one_that_hangs_is_ended_with_its_processes_and_what_it_wrote_is_kept(toys, monkeypatch):
    monkeypatch.setenv("STGCN_TEST_MARK", str(toys))
    PLANS["gpu"]["b"] = Part("toy", "", "b --hang 2", share=0.1)
    status, ran, parts, _ = run_toys(toys, "--limit", "20")
    assert (status, ran) == (1, "abc")
    assert parts["b"]["failed"] == "it was ended after 2 seconds"
    assert parts["b"]["results"] == {"seconds": 2}
    assert [p for p in Path("/proc").glob("[0-9]*/environ") if holds(p, str(toys))] == []


def holds(path, text):
    try:
        return text.encode() in path.read_bytes()
    except OSError:  # it has ended, or is another user's
        return False


def test_a_file_of_something_else_is_refused_and_left(toys, capfd):
    run_toys(toys)
    [path] = toys.glob("results/*/*.json")
    path.write_text("[]")
    assert main(["gpu", "--smoke", "--output", str(toys / "results")]) == 2
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
