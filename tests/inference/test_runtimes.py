"""`stgcn extract` and `evaluate` by other libraries and in other precisions."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from conftest import MarsTree
from converted_once import converted_once
from safetensors.numpy import load_file
from tiny_run import write_run

from stgcn_pyg.cli import main

pytestmark = pytest.mark.usefixtures("one_thread", "narrow_backbone", "shapes_unchecked")

BFLOAT16 = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
needs_bfloat16 = pytest.mark.skipif(not BFLOAT16, reason="the processor has no bfloat16")


@pytest.fixture(scope="module", autouse=True)
def _converted_once():
    with converted_once():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runtimes")
    return write_run(folder / "run", MarsTree(folder / "mars").write())


def extract(run, output, *more):
    return main(["extract", str(run), str(output), "--num-workers=1", "--accelerator=cpu", *more])


@pytest.fixture(scope="module")
def plain(run):
    """An extraction as it is without any of the options."""
    assert extract(run, run.parent / "plain") == 0
    return run.parent / "plain"


def embeddings(folder):
    return load_file(folder / "00000.safetensors")["embedding"]


def description(folder):
    return json.loads((folder / "embeddings.json").read_text())


def refused(arguments, capsys):
    """The one line of a command that is refused."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


@pytest.mark.parametrize(
    ("backend", "precision", "near"),
    [
        ("onnxruntime", "float32", 1e-5),
        ("openvino", "float32", 1e-5),
        pytest.param("torch", "bfloat16", 0.02, marks=needs_bfloat16),
        pytest.param("openvino", "bfloat16", 0.02, marks=needs_bfloat16),
    ],
)
def test_each_gives_the_embeddings_of_torch_and_says_so(
    run, plain, tmp_path, backend, precision, near
):
    if backend != "torch":
        pytest.importorskip(backend)
    how = [f"--backend={backend}", f"--precision={precision}"]
    assert extract(run, tmp_path / "other", *how) == 0
    difference = np.abs(embeddings(tmp_path / "other") - embeddings(plain)).max()
    assert difference <= near
    assert difference > 0  # something else did compute them
    told = description(tmp_path / "other")
    assert (told["backend"], told["precision"]) == (backend, precision)


def test_the_usual_way_is_not_named(plain):
    assert not {"backend", "precision", "exported_sha256"} & set(description(plain))


@needs_bfloat16
def test_an_extraction_goes_on_only_as_it_began(run, plain, tmp_path, capsys):
    copy = shutil.copytree(plain, tmp_path / "copy")
    line = refused(["extract", run, copy, "--precision=bfloat16"], capsys)
    assert "another extraction (precision is float32 there, bfloat16 here)" in line
    assert extract(run, tmp_path / "low", "--precision=bfloat16") == 0
    line = refused(["extract", run, tmp_path / "low"], capsys)
    assert "another extraction (precision is bfloat16 there, float32 here)" in line


@needs_bfloat16
def test_scores_say_how_the_embeddings_were_computed(run, tmp_path, capsys):
    scores = tmp_path / "scores.json"
    more = ["--precision=bfloat16", "--resamples=10", "--num-workers=0", f"--json={scores}"]
    assert main(["evaluate", str(run), "--accelerator=cpu", *more]) == 0
    assert "computed by torch in bfloat16" in capsys.readouterr().out
    assert json.loads(scores.read_text())["about"]["precision"] == "bfloat16"


def test_an_extraction_is_not_computed_again(plain, capsys):
    for option in ("--precision=bfloat16", "--backend=openvino", "--exported=a.onnx"):
        line = refused(["evaluate", plain, option], capsys)
        assert f"{option.partition('=')[0]}: is for a run's model" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--backend=onnxruntime", "--precision=bfloat16"], "onnxruntime computes in float32"),
        (["--backend=onnxruntime", "--accelerator=gpu"], "runs on the CPU: pass --accelerator cpu"),
        (["--exported=a.onnx"], "pass --backend onnxruntime or openvino too"),
        (["--exported=a.onnx", "--backend=openvino"], "reads files that end with .xml"),
        (["--exported=a.onnx", "--backend=onnxruntime"], "a.onnx: no such file"),
        (["--precision=int8"], "precision"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    run, tmp_path, capsys, options, message
):
    assert message in refused(["extract", run, tmp_path / "output", *options], capsys)
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_runtime_that_is_not_installed_is_named(run, tmp_path, capsys, monkeypatch, backend):
    monkeypatch.setitem(sys.modules, backend, None)
    line = refused(["extract", run, tmp_path / "output", f"--backend={backend}"], capsys)
    assert f"needs {backend}, which is not installed: pip install 'stgcn-pyg[" in line
    assert not (tmp_path / "output").exists()


def test_a_processor_without_the_instructions_is_told(run, tmp_path, capsys, monkeypatch):
    how = ["extract", run, tmp_path / "output", "--precision=bfloat16", "--accelerator=cpu"]
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert "this processor has no instructions for it" in refused(how, capsys)
    openvino = pytest.importorskip("openvino")
    monkeypatch.setattr(openvino.Core, "get_property", lambda *_: ["FP32", "INT8"])
    assert "no instructions for it, as OpenVINO says" in refused(
        [*how, "--backend=openvino"], capsys
    )
    assert not (tmp_path / "output").exists()


def test_an_exported_file_embeds_in_the_place_of_its_run_alone(run, plain, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    file, output = tmp_path / "run.onnx", tmp_path / "output"
    export = ["export", str(run), "--format=onnx", "--input=clips", f"--output={file}"]
    assert main([*export, "--num-workers=0"]) == 0
    how = ["--backend=onnxruntime", f"--exported={file}"]
    assert extract(run, output, *how) == 0
    np.testing.assert_allclose(embeddings(output), embeddings(plain), rtol=0, atol=1e-5)
    assert len(description(output)["exported_sha256"]) == 64
    other = write_run(tmp_path / "other", run.parent / "mars", seed=1)
    line = refused(["extract", other, tmp_path / "none", *how], capsys)
    assert "exported with another checkpoint" in line
