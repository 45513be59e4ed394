"""Runs that are built and trained from Python."""

import json
import re
from pathlib import Path

import pytest
import torch

from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.run import build
from stgcn_pyg.runs.settings import load_settings, preset_path

pytestmark = pytest.mark.usefixtures("narrow_backbone")

PAGE = Path(__file__).parents[1] / "docs" / "training.md"
SMALL = {"model.backbone": "resnet18", "model.weights": None, "data.identities_per_batch": 2}


@pytest.fixture
def root(mars_tree):
    for pid in (10, 12, 14, 16):
        for camid in (1, 2):
            mars_tree.add("train", pid, camid, frames=2)
    return mars_tree.write()


def test_the_five_lines_of_the_page_train_a_run(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    root.rename("data/tiny")
    (lines,) = re.findall(r"```python\n([^`]*train_run\([^`]*)```", PAGE.read_text())
    assert len([line for line in lines.splitlines() if line.strip()]) == 5
    names = {}
    exec(lines, names)
    metrics = json.loads(Path("runs/python/metrics.json").read_text())
    rows = metrics.pop("about") and metrics["mars-official"]
    assert list(rows) == ["chance", "colour stripes", "untrained", "trained"]
    scores = names["finished"].scores
    assert {row: scores[row]["mars-official"].mAP for row in rows} == {
        row: result["mAP"] for row, result in rows.items()
    }
    assert load_settings([Path("runs/python/config.yaml")]) == names["settings"]


def test_the_same_settings_give_the_same_network_and_its_batches(root):
    settings = load_settings(changes={"dataset": "mars", "root": root, "seed": 3} | SMALL)
    one, two = build(settings), build(settings)
    assert one.data.num_classes == 8 and one.held_out is None
    first, second = one.model.state_dict(), two.model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert list(one.data.sampler) == list(two.data.sampler)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"modle.num_frames": 3}, "modle"),
        ({"model.num_frames": "many"}, "model.num_frames"),
        ({"model": 3}, "model"),
        ({"epochs": 0}, "epochs"),
        ({"root": None}, "root"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_one_line(changes, words):
    with pytest.raises(UserError) as raised:
        load_settings([preset_path("small")], {"dataset": "mars", "root": "data"} | changes)
    assert words in str(raised.value) and "\n" not in str(raised.value)
