"""Exported files that are read, and those that are not what was asked for."""

import numpy as np
import pytest
import torch
from narrow import narrow

from stgcn_pyg import STGCN
from stgcn_pyg.errors import UserError
from stgcn_pyg.export import ExportedNetwork, Metadata, read_exported, write_network

pytestmark = pytest.mark.usefixtures("shapes_unchecked")

DIGEST = 64 * "a"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file of each format."""
    torch.manual_seed(0)
    with narrow():
        model = STGCN(3, num_frames=2, backbone="resnet18", weights=None, branches=("global",))
    network = ExportedNetwork(model.eval(), 64, 32, "clips")
    network.frees_frames = False
    folder = tmp_path_factory.mktemp("exported")
    written = {}
    for format, suffix in (("onnx", ".onnx"), ("openvino", ".xml"), ("torch-export", ".pt2")):
        written[format] = folder / f"network{suffix}"
        about = Metadata.of(network, format, checkpoint_sha256=DIGEST)
        write_network(written[format], network, about)
    return written


FORMATS = pytest.mark.parametrize("format", ["onnx", "openvino", "torch-export"])


@FORMATS
def test_frames_are_prepared_as_the_file_takes_them_and_no_other_batch_is_taken(format, files):
    exported = read_exported(files[format], threads=1)
    frames = np.zeros((2, 2, 64, 32, 3), np.uint8)
    frames[1] = 255
    clips = exported.prepare(frames)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(clips[0, 0, :, 5, 7], -mean / std, rtol=1e-6)
    np.testing.assert_allclose(clips[1, 1, :, 5, 7], (1 - mean) / std, rtol=1e-6)
    assert exported.run(clips)["embedding"].shape == (2, exported.about.embedding_width)
    for wrong in (clips[:, :1], clips[..., :31], clips.astype(np.float64), frames, clips[0]):
        with pytest.raises(UserError, match=r"takes clips \[batch, 2, 3, 64, 32\] of float32"):
            exported.run(wrong)


@FORMATS
def test_a_file_of_another_run_length_or_size_is_refused(format, files):
    exported = read_exported(files[format])
    exported.require(checkpoint_sha256=DIGEST, num_frames=2, size=(64, 32))
    exported.require()
    for wrong, words in (
        ({"checkpoint_sha256": 64 * "b"}, "another checkpoint, aaaaaaaaaaaa, and not bbbbbbbbbbbb"),
        ({"num_frames": 4}, "another T, 2, and not 4"),
        ({"size": (128, 64)}, "another size, 64 x 32, and not 128 x 64"),
    ):
        with pytest.raises(UserError, match=words):
            exported.require(**wrong)


@FORMATS
def test_a_damaged_file_is_one_line(format, files, tmp_path):
    damaged, whole = tmp_path / files[format].name, files[format].read_bytes()
    damaged.with_suffix(".bin").write_bytes(b"")
    for content in (whole[:200], b"", *[whole] * (format == "openvino")):
        damaged.write_bytes(content)
        with pytest.raises(UserError, match="is damaged, or no network") as refused:
            read_exported(damaged)
        assert "\n" not in str(refused.value)


def test_a_file_without_metadata_is_none_of_these(files, tmp_path):
    import onnx

    model = onnx.load(files["onnx"])
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(UserError, match="pass a file that `stgcn export` wrote"):
        read_exported(tmp_path / "other.onnx")


def test_a_missing_file_or_half_of_one_or_another_suffix_is_one_line(files, tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_exported(tmp_path / "none.onnx")
    with pytest.raises(UserError, match=r"ends with one of \.onnx \(onnx\), \.xml"):
        read_exported(tmp_path / "network.tflite")
    alone = tmp_path / "network.xml"
    alone.write_bytes(files["openvino"].read_bytes())
    with pytest.raises(UserError, match=r"network\.bin: no such file, which holds the weights"):
        read_exported(alone)
