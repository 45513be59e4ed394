"""Figures 5 and 6: which queries are drawn, of whom, and where the pictures go."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from experiment_runs import NAME, arguments, forked_trainings, make, shared_place

from experiments.__main__ import run
from experiments.figures_5_to_8 import FIGURE_5, FIGURE_6
from experiments.running.datasets import DataSource
from experiments.running.results import ResultsFolder
from experiments.running.run_job import RunContext
from experiments.tables.two_networks import image_folder, in_markdown, most_changed

pytestmark = pytest.mark.usefixtures("narrow_backbone")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return shared_place(tmp_path_factory)


@pytest.fixture(scope="module")
def folder(place):
    """The results folder, with both figures."""
    with forked_trainings():
        make(FIGURE_5, place)
        return make(FIGURE_6, place)


def scores(folder):
    """Average precision of each query by the number of its tracklet, baseline and STGCN."""
    table = pd.read_parquet(folder / "per_query.parquet").query("protocol == 'mars-official'")
    found = {}
    for about in map(json.loads, (folder / "runs.jsonl").read_text().splitlines()):
        if about["kind"] == "variant" and about["key"] in set(table["run"]):
            rows = table[table["run"] == about["key"]].set_index("tracklet")
            name = {1: "baseline", 3: "STGCN"}.get(len(about["config"]["model.branches"]))
            found[name] = 100 * rows["average_precision"]
    return found["baseline"], found["STGCN"]


@pytest.mark.slow
def test_the_lists_are_those_of_the_largest_gains_and_losses(folder):
    table = pd.read_csv(folder / "retrieval.csv", index_col="query")
    baseline, whole = scores(folder)
    change = (whole - baseline).sort_values(ascending=False)
    gains = table.loc[table.index.str.startswith("gain")]
    losses = table.loc[table.index.str.startswith("loss")]
    assert len(gains) == 3 and len(losses) >= 1
    for rows, expected in ((gains, change), (losses, change[::-1])):
        told = rows["STGCN: AP"] - rows["baseline: AP"]
        np.testing.assert_allclose(told, expected.iloc[: len(rows)], atol=1e-3)
        np.testing.assert_allclose(rows["STGCN: AP"], whole[rows["tracklet"]], atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["retrieval", "activation_maps"])
def test_every_picture_of_the_page_is_there_as_png_and_svg(folder, name):
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", (folder / f"{name}.md").read_text())
    assert len(pictures) >= 4
    drawn = {path.name for path in (folder / name).iterdir()}
    assert drawn == {
        Path(picture).with_suffix(suffix).name
        for picture in pictures
        for suffix in (".png", ".svg")
    }


@pytest.mark.slow
def test_the_mass_on_the_person_is_told_for_both_networks(folder):
    table = pd.read_csv(folder / "activation_maps.csv", index_col=0)["value"]
    for name in ("baseline", "STGCN"):
        mass, elsewhere, gain = (table[f"{name}, {m}"] for m in ("mass", "elsewhere", "gain"))
        assert 0 < mass < table[f"{name}, most"] < 100
        assert gain == pytest.approx(mass - elsewhere, abs=1e-3)
    assert table["baseline, uniform"] == table["STGCN, uniform"]  # the same clips
    assert table["baseline, mass"] != table["STGCN, mass"]


@pytest.mark.slow
def test_networks_that_were_trained_elsewhere_are_told(folder, place, tmp_path, capsys):
    root = str(place / "work" / "data" / NAME)
    assert run(FIGURE_6, arguments(place, "--work", str(tmp_path / "work"), "--root", root)) == 0
    assert "was trained elsewhere, and its weights are not under --work" in capsys.readouterr().out


def test_real_people_stay_out_of_the_results(tmp_path):
    results = ResultsFolder(tmp_path / "results", "ward", "small", {})
    for name, home in (("ward", tmp_path / "work"), (NAME, tmp_path / "results")):
        source = DataSource(name, name, tmp_path)
        context = RunContext(results, tmp_path / "work", source, [], "cpu", "cpu")
        folder = image_folder(FIGURE_6, context)
        assert folder.is_relative_to(home)
        text = in_markdown(context, {"gain 1": folder / "gain-1.png"})
        assert ("real people" in text) == (name == "ward")


def test_a_query_that_stays_as_it_was_is_neither_gain_nor_loss():
    assert most_changed(np.array([0.0, np.nan]), 3) == {}
    assert most_changed(np.array([0.0, -0.2, 0.1]), 3) == {"gain 1": 2, "loss 1": 1}
