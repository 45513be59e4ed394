"""Named versions never change: not their plans, not their images, not what is known of them."""

import hashlib
import itertools
import json
import math
import os
import subprocess
import sys
import warnings
from dataclasses import astuple, replace
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
from stgcn_pyg.synthetic.clock import first_frames
from stgcn_pyg.synthetic.files import appearances, digest, identity_folder, library_versions
from stgcn_pyg.synthetic.plan import make_plan
from stgcn_pyg.synthetic.tracklets import render_tracklet

PLANS = {
    "stgcn-synth-v1": "16b75a6d59bb85bf68e0732cf7c459f5e16194289a5cce95bc1a52846539a789",
    "stgcn-synth-small": "d984f41030de0efc77b30a9a7d2c3127722f5301bc29b7b159d0b24b5562d8a1",
    "stgcn-synth-tiny": "460dafe77b300675adf5632b845d51cde78b0fde26e0dd2d23ab29ddd8619248",
}
CLOCKS = {
    "stgcn-synth-v1": "a0321c7c7218ea635e662d5db7f4ff9cd5daf1e7b53f97a6c61ef80897f551b8",
    "stgcn-synth-small": "a7787f9e4657324a0dc95c1a86bd5fae92edf11006ee4ebbe6f5edf26473c030",
    "stgcn-synth-tiny": "ca8eb251c79365770e07f68d1fd34c697a2d21b05562c92d582bf2ba5d07b2e5",
}
TRACKLETS = {
    # By the place in the plan: someone to train on, junk, a query; junk, a query.
    ("stgcn-synth-v1", 0): "3ef20150c834b7e068870d1829388d1edb35a849a01e35e232c24d35a9d2b8a4",
    ("stgcn-synth-v1", 1030): "54221f1a983e427ddbe6654318234fa120ac1ad6ec6b96d477ac202d8fc7577a",
    ("stgcn-synth-v1", 2306): "4a96e553e1ef10e4f5a590c7801600618ee5b98671684f85f441fcdec7481d4d",
    ("stgcn-synth-small", 192): "30c82b747bcced68b195ccac2dea565b24654615c7f53bdd6094447f81818897",
    ("stgcn-synth-small", 245): "78fec75c11b05609468f9db4ac1cbc8e9fed7a1c041e134c3cdfb54f996e0086",
}
DRAWN_WITH = ", ".join(f"{name} {number}" for name, number in library_versions().items())


def clock_of(name):
    """The tracklets of a named version, and the frame of the clock at which each begins."""
    options = VERSIONS[name].options
    plan = make_plan(options)
    return plan, first_frames(plan, options["cameras"], options["seed"])


@pytest.mark.parametrize("name", CLOCKS)
def test_the_clock_of_a_version_is_as_pinned(name):
    _, begins = clock_of(name)
    assert hashlib.sha256(begins.astype("<i8").tobytes()).hexdigest() == CLOCKS[name]


@pytest.mark.parametrize("name", CLOCKS)
def test_nobody_is_in_two_places_at_once_and_cameras_see_several_people(name):
    plan, begins = clock_of(name)
    tracklets = plan.train + plan.test
    seen = {}
    for one, begin in zip(tracklets, begins.tolist(), strict=True):
        if one.identity.pid > 0:
            seen.setdefault(one.identity.pid, []).append((begin, begin + one.frames))
    for times in seen.values():
        times.sort()
        assert all(end < begin for (_, end), (begin, _) in itertools.pairwise(times))
    test = begins[len(plan.train) :]
    in_first = [
        (begin, begin + one.frames)
        for one, begin in zip(plan.test, test.tolist(), strict=True)
        if one.camera == 1
    ]
    overlaps = sum(a < d and c < b for (a, b), (c, d) in itertools.combinations(in_first, 2))
    assert overlaps > 0


def test_the_manifest_with_times_is_the_data_set(tmp_path):
    root = write_version(tmp_path / "tiny", "stgcn-synth-tiny", progress=False).path
    mars, manifest = load_dataset("mars", root), load_dataset("manifest", root / "manifest.csv")
    columns = ["pid", "camid", "num_frames"]
    for split, table in mars.tables().items():
        pd.testing.assert_frame_equal(
            table[columns].sort_index(), manifest.tables()[split][columns].sort_index()
        )
    tracklets = mars.tracklets("all")
    for number, tracklet in tracklets.iterrows():
        assert mars.paths(tracklet) == manifest.paths(manifest.tracklets("all").loc[number])
    rows = pd.read_csv(root / "manifest.csv").drop_duplicates(["tracklet", "frame"])
    _, begins = clock_of("stgcn-synth-tiny")
    wanted = begins[rows["tracklet"]] / 25 + (rows["frame"] - 1) / 25
    np.testing.assert_allclose(rows["time"], wanted, atol=1e-9)


def one_tracklet(folder: Path, name: str, index: int) -> str:
    """The hash of a tracklet of a named version, rendered alone."""
    options = VERSIONS[name].options
    plan = make_plan(options)
    tracklet = (plan.train + plan.test)[index]
    identity = tracklet.identity
    (folder / identity_folder(identity.split, identity.pid)).mkdir(parents=True)
    return digest(render_tracklet(folder, options, tracklet))


@pytest.fixture
def unlike(monkeypatch):
    """A small version whose pinned hash is that of something else."""
    pinned = VERSIONS["stgcn-synth-tiny"]
    few = {"train_people": 1, "test_people": 2, "frames": (2, 2), "distractors": 0, "junk": 0}
    options = pinned.options | few | {"height": 64, "width": 32}
    monkeypatch.setitem(VERSIONS, pinned.name, replace(pinned, options=options))
    return pinned


@pytest.mark.parametrize("name", VERSIONS)
def test_the_plan_of_a_version_is_as_pinned(name):
    """Who is seen where and for how long, bodies, clothes and queries: nothing is drawn for it."""
    assert VERSIONS[name].name == name
    plan = make_plan(VERSIONS[name].options)
    identities, strangers = appearances(plan)
    tracklets = [(one.identity.pid, *astuple(one)[1:]) for one in plan.train + plan.test]
    records = [*identities, *strangers, *tracklets, {"queries": plan.queries}]
    assert digest(records) == PLANS[name]


@pytest.mark.parametrize(("name", "index"), TRACKLETS)
def test_a_tracklet_of_a_version_rendered_alone_is_as_pinned(tmp_path, name, index):
    assert one_tracklet(tmp_path, name, index) == TRACKLETS[name, index], DRAWN_WITH


def test_the_tiny_version_is_as_pinned_to_the_last_byte(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written = write_version(tmp_path / "set", "stgcn-synth-tiny", progress=False)
    assert written.manifest_sha256 == VERSIONS["stgcn-synth-tiny"].manifest_sha256, DRAWN_WITH
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
    some_image = next((root / "bbox_test").rglob("*.jpg"))
    some_image.write_bytes(some_image.read_bytes() + b"\0")
    assert about["manifest_sha256"] != manifest_on_disk(root)


def test_a_result_that_is_not_as_pinned_is_warned_of_and_recorded(tmp_path, unlike):
    with pytest.warns(UserWarning, match="is not stgcn-synth-tiny") as caught:
        written = write_version(tmp_path / "set", unlike.name, progress=False)
    [warning] = caught
    assert "\n" not in str(warning.message) and DRAWN_WITH in str(warning.message)
    assert json.loads((written.path / "benchmark.json").read_text())["as_pinned"] is False


@pytest.mark.filterwarnings("always")
def test_a_name_is_enough_for_the_command(tmp_path, unlike, capsys):
    assert main(["synth", str(tmp_path / "set"), "--name", unlike.name, "--progress", "no"]) == 0
    message = capsys.readouterr()
    assert message.err.startswith("stgcn synth: warning: ") and message.err.count("\n") == 1
    assert "images written to" in message.out
    assert json.loads((tmp_path / "set" / "benchmark.json").read_text())["name"] == unlike.name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "3"], "leave out --seed"),
        (["--look-alikes", "4", "--clutter=0.5"], "leave out --look-alikes, --clutter"),
    ],
)
def test_a_name_and_another_option_are_refused(tmp_path, capsys, options, message):
    name = "stgcn-synth-tiny"
    assert main(["synth", str(tmp_path / "set"), "--name", name, *options]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_is_refused_with_those_that_are_known(tmp_path):
    with pytest.raises(UserError, match=r"stgcn-synth-v2.*stgcn-synth-v1, stgcn-synth-small"):
        write_version(tmp_path / "set", "stgcn-synth-v2")
    assert files(tmp_path) == {}
