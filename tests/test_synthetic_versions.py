"""Named versions never change: not their plans, not their pictures, not what is known of them."""

import hashlib
import json
import math
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rendered import files, tiny
from scipy.io import loadmat

from stgcn_pyg.cli import main
from stgcn_pyg.data import load_dataset
from stgcn_pyg.errors import UserError
from stgcn_pyg.synthetic import VERSIONS, write_version
from stgcn_pyg.synthetic.files import digest, identity_folder, library_versions, plan_sha256
from stgcn_pyg.synthetic.plan import make_plan
from stgcn_pyg.synthetic.tracklets import render_tracklet
from stgcn_pyg.synthetic.versions import version

TRACKLETS = {
    # By the place in the plan: someone to train on, junk, a query; junk, a query.
    ("stgcn-synth-v1", 0): "3ef20150c834b7e068870d1829388d1edb35a849a01e35e232c24d35a9d2b8a4",
    ("stgcn-synth-v1", 1030): "54221f1a983e427ddbe6654318234fa120ac1ad6ec6b96d477ac202d8fc7577a",
    ("stgcn-synth-v1", 2306): "4a96e553e1ef10e4f5a590c7801600618ee5b98671684f85f441fcdec7481d4d",
    ("stgcn-synth-small", 192): "30c82b747bcced68b195ccac2dea565b24654615c7f53bdd6094447f81818897",
    ("stgcn-synth-small", 245): "78fec75c11b05609468f9db4ac1cbc8e9fed7a1c041e134c3cdfb54f996e0086",
}
DRAWN_WITH = ", ".join(f"{name} {number}" for name, number in library_versions().items())


def one_tracklet(folder: Path, name: str, index: int) -> str:
    """The hash of a tracklet of a named version, rendered alone."""
    options = version(name).options
    plan = make_plan(options)
    tracklet = (plan.train + plan.test)[index]
    identity = tracklet.identity
    (folder / identity_folder(identity.split, identity.pid)).mkdir(parents=True)
    return digest(render_tracklet(folder, options, tracklet))


@pytest.fixture
def unlike(monkeypatch):
    """A small version whose pinned hash is that of something else."""
    pinned = version("stgcn-synth-tiny")
    few = {"train_people": 1, "test_people": 2, "frames": (2, 2), "distractors": 0, "junk": 0}
    options = pinned.options | few | {"height": 64, "width": 32}
    monkeypatch.setitem(VERSIONS, pinned.name, replace(pinned, options=options))
    return pinned


@pytest.mark.parametrize("name", VERSIONS)
def test_the_plan_of_a_version_is_as_pinned(name):
    pinned = version(name)
    assert pinned.name == name
    assert plan_sha256(make_plan(pinned.options)) == pinned.plan_sha256


@pytest.mark.parametrize(("name", "index"), TRACKLETS)
def test_a_tracklet_of_a_version_rendered_alone_is_as_pinned(tmp_path, name, index):
    assert one_tracklet(tmp_path, name, index) == TRACKLETS[name, index], DRAWN_WITH


def test_the_tiny_version_is_as_pinned_to_the_last_byte(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written = write_version(tmp_path / "set", "stgcn-synth-tiny", progress=False)
    assert written.manifest_sha256 == version("stgcn-synth-tiny").manifest_sha256, DRAWN_WITH
    about = json.loads((written.path / "benchmark.json").read_text())
    assert about["name"] == "stgcn-synth-tiny" and about["as_pinned"] is True
    assert about["drawn_with"] == library_versions()
    dataset = load_dataset("mars", written.path)
    assert dataset.train.pid.nunique() == dataset.query.pid.nunique() == 8
    assert set(dataset.gallery.pid) == {-1, 0, *range(9, 17)}


@pytest.mark.slow
def test_another_processor_draws_the_same_bytes(tmp_path):
    """NumPy's vector units off, the C library's fused products off, libjpeg's vectors off."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    switches = {
        "NPY_DISABLE_CPU_FEATURES": " ".join(found),
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
        "JSIMD_FORCENONE": "1",
        "OPENBLAS_CORETYPE": "Prescott",
        "PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{Path(__file__).parents[1]}",
    }
    name, index = "stgcn-synth-v1", 1030
    code = (
        "from pathlib import Path; from test_synthetic_versions import one_tracklet; "
        f"print(one_tracklet(Path({str(tmp_path)!r}), {name!r}, {index}))"
    )
    run = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(run, env=os.environ | switches, capture_output=True, text=True)
    assert done.stdout.strip() == TRACKLETS[name, index], done.stderr


@pytest.mark.parametrize("direction", [-np.inf, np.inf])
def test_the_last_bits_of_sines_and_exponentials_do_not_show(tmp_path, monkeypatch, direction):
    """As if every one of them came from another library, which rounds the other way."""

    def off_by_one_bit(function):
        return lambda x: np.nextafter(function(x), direction)

    for module, names in ((np, ("sin", "cos", "exp")), (math, ("sin", "cos"))):
        for name in names:
            monkeypatch.setattr(module, name, off_by_one_bit(getattr(module, name)))
    assert np.sin(1.0) != 0.8414709848078965  # the nearest to the truth
    name, index = "stgcn-synth-v1", 2306
    assert one_tracklet(tmp_path, name, index) == TRACKLETS[name, index]


def manifest_on_disk(root: Path) -> str:
    """The hash of what lies in a folder, put together from its files."""
    lines = pd.read_parquet(root / "people.parquet").to_dict("records")
    lines += pd.read_parquet(root / "strangers.parquet").to_dict("records")
    info = root / "info"
    queries = loadmat(info / "query_IDX.mat")["query_IDX"]
    lines.append({"query_IDX.mat": "query_IDX", "dtype": "uint16", "values": queries})
    names = {
        split: hashlib.sha256((info / f"{split}_name.txt").read_bytes()).hexdigest()
        for split in ("test", "train")
    }
    lines.append({"test_name.txt": names["test"]})
    for split in ("test", "train"):
        file, variable = f"tracks_{split}_info.mat", f"track_{split}_info"
        values = loadmat(info / file)[variable]
        lines.append({file: variable, "dtype": "int32", "values": values})
    lines.append({"train_name.txt": names["train"]})
    for row in pd.read_parquet(root / "ground_truth.parquet").to_dict("records"):
        lines.append(
            row | {"sha256": hashlib.sha256((root / row["path"]).read_bytes()).hexdigest()}
        )
    text = "".join(json.dumps(line, default=as_plain, sort_keys=True) + "\n" for line in lines)
    return hashlib.sha256(text.encode()).hexdigest()


def as_plain(value):
    """Bytes and arrays as JSON holds them."""
    return value.hex() if isinstance(value, bytes) else value.tolist()


def test_the_manifest_is_that_of_the_files(tmp_path):
    root = tiny(tmp_path / "set", seed=4, occlusion=0.2).path
    about = json.loads((root / "benchmark.json").read_text())
    assert about["manifest_sha256"] == manifest_on_disk(root)
    assert about["options"]["seed"] == 4 and about["options"]["occlusion"] == 0.2
    assert "workers" not in about["options"] and "name" not in about
    some_picture = next((root / "bbox_test").rglob("*.jpg"))
    some_picture.write_bytes(some_picture.read_bytes() + b"\0")
    assert about["manifest_sha256"] != manifest_on_disk(root)


def test_a_result_that_is_not_as_pinned_is_told_and_recorded(tmp_path, unlike):
    with pytest.warns(UserWarning, match="is not stgcn-synth-tiny") as caught:
        written = write_version(tmp_path / "set", unlike.name, progress=False)
    [warning] = caught
    assert "\n" not in str(warning.message) and DRAWN_WITH in str(warning.message)
    assert json.loads((written.path / "benchmark.json").read_text())["as_pinned"] is False


@pytest.mark.filterwarnings("always")
def test_a_name_is_enough_for_the_command(tmp_path, unlike, capsys):
    assert main(["synth", str(tmp_path / "set"), "--name", unlike.name, "--progress", "no"]) == 0
    told = capsys.readouterr()
    assert told.err.startswith("stgcn synth: warning: ") and told.err.count("\n") == 1
    assert "images written to" in told.out
    assert json.loads((tmp_path / "set" / "benchmark.json").read_text())["name"] == unlike.name


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--seed", "3"], "leave out --seed"),
        (["--look-alikes", "4", "--clutter=0.5"], "leave out --look-alikes, --clutter"),
    ],
)
def test_a_name_and_another_knob_are_refused(tmp_path, capsys, options, told):
    name = "stgcn-synth-tiny"
    assert main(["synth", str(tmp_path / "set"), "--name", name, *options]) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_is_refused_with_those_that_are_known(tmp_path):
    with pytest.raises(UserError, match=r"stgcn-synth-v2.*stgcn-synth-v1, stgcn-synth-small"):
        write_version(tmp_path / "set", "stgcn-synth-v2")
    assert files(tmp_path) == {}
