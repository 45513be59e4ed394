"""Figures 5 and 6: which queries are drawn, of whom, and where the pictures go."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.activation_maps import ACTIVATION_MAPS
from experiments.command import main
from experiments.retrieval import RETRIEVAL
from experiments.running.datasets import Source
from experiments.running.perform import Workshop
from experiments.running.results import ResultsFolder
from experiments.tables.two_models import in_markdown, most_changed, picture_folder

NAME = "stgcn-synth-tiny"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("pictures")


def arguments(place):
    return [
        *("--dataset", NAME, "--preset", "smoke", "--accelerator", "cpu", "--num-workers", "0"),
        *("--results", str(place / "results"), "--work", str(place / "work")),
    ]


@pytest.fixture(scope="module")
def folder(place):
    """The results' folder, with both figures."""
    for experiment in (RETRIEVAL, ACTIVATION_MAPS):
        assert main(experiment, arguments(place)) == 0
    return place / "results" / f"{NAME}-smoke-cpu"


def scores(folder):
    """Average precision of each query by the number of its tracklet, baseline and STGCN."""
    found = {}
    for run in (folder / "runs").iterdir():
        branches = re.search(r'"model.branches": \[(.*?)\]', (run / "run.json").read_text(), re.S)
        table = pd.read_parquet(run / "per_query.parquet").set_index("tracklet")
        name = "STGCN" if "spatial" in branches[1] else "baseline"
        found[name] = 100 * table["mars-official average_precision"]
    return found["baseline"], found["STGCN"]


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


def test_the_mass_on_the_person_is_told_for_both_networks(folder):
    table = pd.read_csv(folder / "activation_maps.csv", index_col=0)["value"]
    for name in ("baseline", "STGCN"):
        mass, elsewhere, gain = (table[f"{name}, {m}"] for m in ("mass", "elsewhere", "gain"))
        assert 0 < mass < table[f"{name}, most"] < 100
        assert gain == pytest.approx(mass - elsewhere, abs=1e-3)
    assert table["baseline, uniform"] == table["STGCN, uniform"]  # the same clips
    assert table["baseline, mass"] != table["STGCN, mass"]


def test_networks_that_were_trained_elsewhere_are_told(folder, place, tmp_path, capsys):
    elsewhere = [*arguments(place)[:-1], str(tmp_path / "work")]
    root = str(place / "work" / "data" / NAME)
    assert main(RETRIEVAL, [*elsewhere, "--root", root]) == 0
    assert "was trained elsewhere, and its weights are not under --work" in capsys.readouterr().out


def test_real_people_stay_out_of_the_results(tmp_path):
    results = ResultsFolder(tmp_path / "results", "ward", "small", {})
    for name, home in (("ward", tmp_path / "work"), (NAME, tmp_path / "results")):
        source = Source(name, name, tmp_path)
        shop = Workshop(results, tmp_path / "work", source, [], "cpu", 0, None)
        folder = picture_folder(RETRIEVAL, shop)
        assert folder.is_relative_to(home)
        text = in_markdown(shop, {"gain 1": folder / "gain-1.png"})
        assert ("real people" in text) == (name == "ward")


def test_a_query_that_stays_as_it_was_is_neither_gain_nor_loss():
    assert most_changed(np.array([0.0, np.nan]), 3) == {}
    assert most_changed(np.array([0.0, -0.2, 0.1]), 3) == {"gain 1": 2, "loss 1": 1}
