"""`stgcn export`, from a run to a file that is proven, and the mistakes that it answers."""

import json
import os
import signal
import sys

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from conftest import MarsTree, slow
from converted_once import converted_once
from rendered import tiny
from several_processes import forked, status_of
from tiny_run import write_run

from stgcn_pyg import __version__
from stgcn_pyg.cli import main
from stgcn_pyg.export import proof, read_exported
from stgcn_pyg.runs.checkpoint import load_with_digest
from stgcn_pyg.runs.embedder import Embedder

pytestmark = pytest.mark.usefixtures("shapes_unchecked", "narrow_backbone")

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torch-export": ".pt2"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of random weights on a rendered data set, whose frames are of another size."""
    root = tmp_path_factory.mktemp("rendered") / "tiny"
    tiny(root)
    return write_run(root.parent / "run", root)


@pytest.fixture(scope="module", autouse=True)
def _converted_once():
    with converted_once():
        yield


def export(run, output, *options):
    return main(["export", str(run), f"--output={output}", "--num-workers=0", *options])


def frames_of(clips, height, width, num_frames=2):
    rng = np.random.default_rng(height)
    return rng.integers(0, 256, (clips, num_frames, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("format", SUFFIXES)
def test_a_file_that_takes_pictures_gives_the_vectors_of_the_run(format, run, tmp_path, capsys):
    output = tmp_path / "new" / f"network{SUFFIXES[format]}"
    figures = tmp_path / "figures.json"
    assert export(run, output, f"--format={format}", f"--json={figures}") == 0
    said = capsys.readouterr().out
    assert "1 clip of 32 x 16, embedding: difference " in said
    assert "3 clips of 48 x 20, embedding: difference " in said
    assert "every query scores the same" in said
    assert {file.suffix for file in output.parent.iterdir()} == (
        {".xml", ".bin"} if format == "openvino" else {output.suffix}
    )
    embedder = Embedder(run)
    exported = read_exported(output)
    for clips, height, width in ((1, 90, 40), (3, 20, 16)):
        frames = frames_of(clips, height, width)
        found = exported.run(frames)
        assert list(found) == ["embedding"]
        wanted = np.stack([embedder.embed(list(clip)) for clip in frames])
        np.testing.assert_allclose(found["embedding"], wanted, atol=1e-5)
    about = exported.about
    assert (about.version, about.format, about.precision) == (__version__, format, "float32")
    assert about.checkpoint_sha256 == load_with_digest(run)[2]
    assert (about.num_frames, about.height, about.width) == (2, 32, 16)
    assert (about.free_frames, about.input, about.classes) == (False, "pictures", 4)
    assert about.mean == pytest.approx([0.485, 0.456, 0.406])
    assert (about.embedding, about.embedding_width) == ("normalized", found["embedding"].shape[1])
    content = json.loads(figures.read_text())
    assert content["bytes"] == sum(file.stat().st_size for file in output.parent.iterdir())
    assert [row["clips"] for row in content["batches"]] == [1, 3]
    assert all(row["difference"] < 1e-5 for row in content["batches"])
    assert content["mars-official"]["statistics"]["mAP"]["difference"] == 0


def test_the_metadata_can_be_read_without_this_package(run, tmp_path):
    output = tmp_path / "network.onnx"
    assert export(run, output, "--format=onnx", "--input=clips", "--outputs", "features") == 0
    found = {entry.key: entry.value for entry in onnx.load(output).metadata_props}
    about = json.loads(found["stgcn_pyg"])
    assert (about["input"], about["height"], about["width"]) == ("clips", 32, 16)
    assert about["outputs"] == ["embedding", "global", "spatial"]
    session = onnxruntime.InferenceSession(output)
    assert [given.name for given in session.get_outputs()] == about["outputs"]


@pytest.mark.parametrize("format", [slow("onnx"), "openvino"])
def test_int8_is_calibrated_on_training_clips_and_told_with_its_interval(
    format, run, tmp_path, capsys
):
    output = tmp_path / f"network{SUFFIXES[format]}"
    assert export(run, output, f"--format={format}", "--precision=int8") == 0
    said = capsys.readouterr().out
    assert "95 % interval over the identities" in said or "every query scores the same" in said
    exported = read_exported(output)
    assert exported.about.precision == "int8"
    frames = frames_of(2, 90, 40)
    vectors = exported.run(frames)["embedding"]
    wanted = np.stack([Embedder(run).embed(list(clip)) for clip in frames])
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(wanted, axis=1)
    cosines = (vectors * wanted).sum(axis=1) / lengths
    assert (cosines < 1 - 1e-6).all() and (cosines > 0.9).all()
    if format == "onnx":
        kinds = {node.op_type for node in onnx.load(output).graph.node}
        assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
        stored = onnx.load(output).graph.initializer
        weights = [onnx.numpy_helper.to_array(t) for t in stored if t.data_type == t.INT8]
    else:
        operations = openvino.Core().read_model(output).get_ops()
        assert "FakeQuantize" in {op.get_type_name() for op in operations}
        constants = [op for op in operations if op.get_type_name() == "Constant"]
        weights = [op.data for op in constants if op.get_element_type() == openvino.Type.i8]
    # With 8 bits a processor without VNNI clips the sum of two products (2 x 255 x 127) to 16 bits.
    assert 32 < max(np.abs(weight.astype(int)).max() for weight in weights) <= 64


@pytest.mark.parametrize("format", ["onnx", slow("openvino")])
def test_float16_halves_the_file_and_is_near(format, run, tmp_path):
    output = tmp_path / f"network{SUFFIXES[format]}"
    assert export(run, output, f"--format={format}", "--precision=float16") == 0
    embedder = Embedder(run)
    numbers = sum(weight.numel() for weight in embedder.model.parameters())
    weights = output.with_suffix(".bin") if format == "openvino" else output
    assert weights.stat().st_size < 0.75 * 4 * numbers
    frames = frames_of(2, 90, 40)
    wanted = np.stack([embedder.embed(list(clip)) for clip in frames])
    difference = np.abs(read_exported(output).run(frames)["embedding"] - wanted).max()
    assert 1e-6 < difference < 0.01


def test_a_file_beyond_the_tolerance_is_not_written(run, tmp_path, capsys):
    output = tmp_path / "network.onnx"
    output.write_text("what was there")
    assert export(run, output, "--format=onnx", "--input=clips", "--tolerance=1e-12") == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert "embedding: differs from the network by" in line and "--tolerance 1e-12" in line
    assert output.read_text() == "what was there"
    assert list(tmp_path.iterdir()) == [output]


def test_without_its_data_set_a_run_is_compared_on_rendered_pictures(tmp_path, capsys):
    run = write_run(tmp_path / "run", tmp_path / "gone")
    output = tmp_path / "network.pt2"
    assert export(run, output, "--format=torch-export", "--input=clips") == 0
    said = capsys.readouterr().out
    assert "gone: no such folder" in said and "rendered pictures" in said
    assert output.is_file()
    assert export(run, tmp_path / "8.onnx", "--format=onnx", "--precision=int8") == 2
    assert "calibrated" in capsys.readouterr().err


def of_few(folder, identities):
    """A run on a data set whose queries are of identity 3, seen by the cameras that are named."""
    tree = MarsTree(folder / "mars")
    tree.names["test"], tree.tracks["test"] = [], []
    for pid, camid in identities:
        tree.add("test", pid, camid, frames=3)
    tree.queries = [at for at, (pid, _) in enumerate(identities, start=1) if pid == 3]
    return write_run(folder / "run", tree.write())


def test_a_single_identity_has_scores_and_no_interval(tmp_path, capsys, monkeypatch):
    run = of_few(tmp_path, [(-1, 1), (0, 2), (3, 1), (3, 2)])
    output, figures, scores = (tmp_path / name for name in ("a.pt2", "a.json", "scores.json"))
    options = "--format=torch-export", "--input=clips", f"--json={figures}", "--tolerance=2"
    average = proof.average_clips
    # As if the file gave each tracklet the embedding of another one.
    monkeypatch.setattr(proof, "average_clips", lambda *given: average(*given).flip(0))
    assert export(run, output, *options) == 0
    assert output.is_file()
    assert main(["evaluate", str(run), f"--json={scores}", "--num-workers=0"]) == 0
    before = json.loads(scores.read_text())["mars-official"]["trained"]["mAP"]
    (statistics,) = json.loads(figures.read_text())["mars-official"].values()
    found = statistics["mAP"]
    assert found["first"] == pytest.approx(before) and found["first"] != found["second"]
    assert found["difference"] == pytest.approx(found["second"] - found["first"])
    assert [found[name] for name in ("low", "high", "standard_error", "p_value")] == [None] * 4
    assert found["better"] + found["worse"] + found["equal"] == 2 and found["equal"] < 2
    said = f"{100 * before:.2f} before, {100 * found['second']:.2f} after: "
    said += f"{100 * found['difference']:+.2f}, without an interval"
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("labelled", [True, False])
def test_without_a_match_the_embeddings_are_the_proof(labelled, tmp_path, capsys):
    run = of_few(tmp_path, [(-1, 1), (1, 2), (3, 1)])
    own = []
    if not labelled:
        names = [f"bbox_test/0003/0003C1T0001F00{frame}.jpg" for frame in (1, 2, 3)]
        rows = "".join(f"{name},1,0,{frame}\n" for frame, name in enumerate(names))
        manifest = tmp_path / "mars" / "manifest.csv"
        manifest.write_text(f"path,camid,tracklet,frame\n{rows}")
        own = ["--dataset=manifest", f"--root={manifest}"]
    output, figures = tmp_path / "a.pt2", tmp_path / "a.json"
    options = "--format=torch-export", "--input=clips", f"--json={figures}", *own
    assert export(run, output, *options) == 0
    said = capsys.readouterr().out
    assert "embeddings of all test tracklets: difference" in said
    assert "no mAP: no query is known to have a match in another camera" in said
    assert output.is_file() and set(json.loads(figures.read_text())) == {
        "about",
        "bytes",
        "batches",
    }


@pytest.mark.parametrize("name", ["a.xml", "a.bin"])
def test_the_figures_go_into_no_file_of_the_network(name, run, tmp_path, capsys):
    figures = tmp_path / name
    assert export(run, tmp_path / "a.xml", "--format=openvino", f"--json={figures}") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"--output's {figures.suffix} and --json are the same file, {figures}" in line
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("output", "options", "words"),
    [
        ("a.pt", ["--format=onnx"], "a file of --format onnx ends with .onnx"),
        ("a.onnx", ["--format=tflite"], "tflite"),
        ("a.onnx", ["--format=onnx", "--outputs", "logits"], "use embedding, features, affinity"),
        ("folder.onnx", ["--format=onnx"], "is a folder"),
        ("file/a.onnx", ["--format=onnx"], "cannot be written"),
        ("a.pt2", ["--format=torch-export", "--precision=int8"], "pass --format onnx or openvino"),
        ("a.onnx", ["--format=onnx", "--tolerance=0"], "tolerance"),
        ("a.onnx", ["--format=onnx", "--root=nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_one_line(output, options, words, run, tmp_path, capsys):
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    assert export(run, tmp_path / output, *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("stgcn export: error: ") and words in line
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--precision=float16"], "--precision float16: torch-export is in float32"),
        (["--outputs", "logits"], "logits"),
    ],
)
def test_a_mistake_is_told_before_the_run_is_read(options, words, tmp_path, capsys):
    assert export("no run", tmp_path / "a.pt2", "--format=torch-export", *options) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("format", "package", "extra"),
    [
        ("onnx", "onnxscript", "onnx"),
        ("onnx", "onnxruntime", "onnx"),
        ("openvino", "openvino", "openvino"),
    ],
)
def test_a_runtime_that_is_not_installed_is_named_with_its_extra(
    format, package, extra, run, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, package, None)
    output = tmp_path / f"a{SUFFIXES[format]}"
    assert export(run, output, f"--format={format}", "--input=clips") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"needs {package}, which is not installed: pip install 'stgcn-pyg[{extra}]'" in error
    assert not output.exists()


@pytest.mark.parametrize(
    ("module", "function"), [(proof, "agreement"), (os, "fsync")], ids=["proof", "writing"]
)
def test_a_kill_leaves_no_file_that_can_be_opened(module, function, run, tmp_path):
    output = tmp_path / "network.pt2"

    def killed():
        setattr(module, function, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        return export(run, output, "--format=torch-export", "--input=clips")

    assert status_of(forked(killed)) == -signal.SIGKILL
    assert not output.exists()
