"""`stgcn check`: what it prints and writes, its status, and its workers."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stgcn_pyg.cli import main
from stgcn_pyg.data import load_dataset
from stgcn_pyg.data.check import FAULTS, NOTES
from stgcn_pyg.data.check.images import read_images

COLUMNS = ["identities", "cameras", "tracklets", "frames", "shortest", "median", "longest"]


def bend_twice(tree):
    root = tree.write()
    paths = [root / "bbox_test" / "0001" / f"0001C1T0001F00{i}.jpg" for i in (1, 2, 3)]
    paths[0].write_bytes(b"")
    paths[1].unlink()
    paths[2].unlink()
    return root, paths


def test_different_faults_are_all_shown_counted_and_written(mars_tree, tmp_path, capsys):
    root, paths = bend_twice(mars_tree)
    extra = root / "bbox_train" / "0002" / "0002C1T0001F009.jpg"
    shutil.copy(root / "bbox_train" / "0002" / "0002C1T0001F001.jpg", extra)
    json_path = tmp_path / "new" / "check.json"
    assert main(["check", "mars", str(root), "--workers=1", "--show=1", f"--json={json_path}"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == COLUMNS
    assert lines[1].split() == ["train", "4", "2", "8", "40", "5", "5", "5"]
    assert lines[3].split() == ["gallery", "4", "2", "6", "26", "3", "4", "6"]
    assert lines[4:] == [
        "",
        "faults",
        f"  missing (2): {FAULTS['missing']}",
        f"    {paths[1]}",
        "    ... and 1 more (--show prints more, --json has all)",
        f"  empty (1): {FAULTS['empty']}",
        f"    {paths[0]}",
        "",
        "notes (sound data sets have such too)",
        f"  unused (1): {NOTES['unused']}",
        f"    {extra}: on disk, but in no tracklet",
        "",
        "66 images read: 3 faults, 1 note",
    ]
    written = json.loads(json_path.read_text())
    assert (written["dataset"], written["root"]) == ("mars", str(root))
    assert written["pictures"] == 66
    assert written["counts"]["train"]["tracklets"] == 8
    assert written["faults"] == [
        {"path": str(paths[1]), "what": "missing", "kind": "missing"},
        {"path": str(paths[2]), "what": "missing", "kind": "missing"},
        {"path": str(paths[0]), "what": "empty", "kind": "empty"},
    ]
    assert [note["kind"] for note in written["notes"]] == ["unused"]


def test_the_status_is_0_for_notes_and_2_for_mistakes(mars_tree, tmp_path, capsys):
    mars_tree.add("train", 10, 3, frames=3)
    root = mars_tree.write()
    assert main(["check", "mars", str(root), "--workers=1"]) == 0
    assert capsys.readouterr().out.endswith("69 images read: no faults, 1 note\n")
    for arguments, words in (
        (["mras", str(root)], "data set 'mras' is unknown"),
        (["mars", str(tmp_path / "absent")], "no such folder"),
        (["mars", str(root), "--write-manifest=a.txt"], "ends in .csv or .parquet"),
        (["mars", str(root), "--workers=0"], "workers"),
    ):
        assert main(["check", *arguments]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert words in line


def test_the_options_reach_the_check(mars_tree, ward_tree, capsys):
    root = mars_tree.write()
    assert main(["check", "mars", str(root), "--workers=1", "--min-frames=4"]) == 1
    assert "  too short (2): " in capsys.readouterr().out
    counts = set()
    (ward_tree / "000100010003.jpg").unlink()
    for split in range(6):
        assert main(["check", "ward", str(ward_tree), "--workers=1", f"--split={split}"]) == 0
        counts.add(capsys.readouterr().out.splitlines()[1])
    assert len(counts) > 1


def test_a_manifest_is_written_of_a_data_set_without_fault_alone(mars_tree, capsys):
    root = mars_tree.write()
    manifest = root / "manifest.csv"
    command = ["check", "mars", str(root), "--workers=1", f"--write-manifest={manifest}"]
    assert main(command) == 0
    assert f"{manifest} is written" in capsys.readouterr().out
    before = load_dataset("mars", root)
    for split, table in load_dataset("manifest", manifest).tables().items():
        assert table["pid"].tolist() == before.tables()[split]["pid"].tolist()

    manifest.unlink()
    bend_twice(mars_tree)
    assert main(command) == 1
    assert f"{manifest} is not written, for the faults above" in capsys.readouterr().out
    assert not manifest.exists()


def test_a_manifest_holds_tracklets_that_share_pictures(mars_tree, capsys):
    mars_tree.add("train", 2, 1, frames=2)
    root = mars_tree.write()
    manifest = root / "manifest.csv"
    assert main(["check", "mars", str(root), "--workers=1", f"--write-manifest={manifest}"]) == 0
    assert f"{manifest} is written" in capsys.readouterr().out
    back, dataset = load_dataset("manifest", manifest), load_dataset("mars", root)
    assert sorted(back.train["num_frames"]) == sorted(dataset.train["num_frames"])


def test_workers_find_what_one_process_finds_in_the_order_of_the_paths(mars_tree):
    root, _ = bend_twice(mars_tree)
    frames = load_dataset("mars", root, verify=False).frames.tolist() * 10
    alone = list(read_images(root, frames, workers=1))
    assert list(read_images(root, frames, workers=2)) == alone
    assert [picture.kind for picture in alone[46:49]] == ["empty", "missing", "missing"]


def test_a_killed_worker_is_told_in_one_line(mars_tree):
    root = mars_tree.write()
    stuck = root / "bbox_train" / "0002" / "0002C1T0001F001.jpg"
    stuck.unlink()
    os.mkfifo(stuck)  # whoever opens it waits, so the check cannot be over before the kill
    command = [sys.executable, "-m", "stgcn_pyg.cli", "check", "mars", str(root), "--workers=2"]
    check = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        worker = wait_for_worker(check.pid)
        start = time.perf_counter()
        os.kill(worker, signal.SIGKILL)
        _, errors = check.communicate(timeout=30)
    finally:
        check.kill()
    assert time.perf_counter() - start < 10
    assert check.returncode == 2
    assert "Traceback" not in errors
    assert errors.strip().splitlines()[-1] == (
        "stgcn check: error: a worker process was killed, most likely for want of memory: "
        "pass fewer --workers"
    )


def wait_for_worker(pid):
    """A process that decodes, by its command line."""
    for _ in range(300):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if b"LokyProcess" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        time.sleep(0.05)
    raise AssertionError("no worker has started")


@pytest.mark.parametrize("name", ["#found.json", "~", "null", "&x"])
def test_a_file_of_any_name_is_written(mars_tree, tmp_path, monkeypatch, name):
    mars_tree.write()
    monkeypatch.chdir(tmp_path)
    assert main(["check", "mars", str(mars_tree.root), "--workers=1", "--json", name]) == 0
    assert json.loads((tmp_path / name).read_text())["faults"] == []
