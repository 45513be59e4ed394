"""`stgcn explain` on a small rendered data set, from the run's folder to the files."""

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
import rendered
import torch
from PIL import Image
from tiny_run import write_run

from stgcn_pyg.cli.explain import main
from stgcn_pyg.errors import UserError
from stgcn_pyg.explain import EvaluatedModel
from stgcn_pyg.explain.output import write_queries
from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.checkpoint import KEY, describe
from stgcn_pyg.runs.trained_model import TrainedModel

pytestmark = pytest.mark.usefixtures("narrow_backbone")

FAST = ["--num-workers=0", "--count=1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs with all three branches on a rendered data set of six test people."""
    folder = tmp_path_factory.mktemp("explain")
    root = folder / "data"
    few = {
        "train_people": 2,
        "test_people": 3,
        "cameras": 3,
        "cameras_per_person": 3,
        "frames": (2, 3),
    }
    rendered.tiny(root, **few)
    for name, seed in (("run", 1), ("other", 2)):
        write_full_run(folder / name, root, seed)
    return folder


def write_full_run(folder, root, seed, **options):
    torch.manual_seed(seed)
    options = {"num_frames": 2, "backbone": "resnet18", "weights": None} | options
    model = STGCN(4, spatial_channels=16, **options)
    data = {"height": 64, "width": 32, "tracklets_per_identity": 2}
    config = {"dataset": "mars", "root": str(root), "split": 0, "data": data}
    weights = {f"model.{name}": weight for name, weight in model.state_dict().items()}
    folder.mkdir()
    torch.save({KEY: describe(model, config), "state_dict": weights}, folder / "checkpoint.ckpt")
    return folder


@pytest.fixture(scope="module")
def explained(folder):
    """All parts; not to be altered."""
    output = folder / "explained"
    assert main([str(folder / "run"), str(output), *FAST, "--top=3"]) == 0
    return output


@cache
def evaluated(folder, name="run"):
    return EvaluatedModel.of(TrainedModel(folder / name, num_workers=0), "mars-official")


def nothing_left(folder):
    return not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_the_help_has_examples(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())  # however wide the terminal is
    assert "stgcn explain runs/mars explained/mars" in shown


def test_all_parts_leave_pictures_and_their_numbers(explained):
    content = json.loads((explained / "explain.json").read_text())
    (query,) = content["queries"]
    own = explained / f"query-{query['tracklet']}"
    drawn = {path.relative_to(explained).as_posix() for path in explained.rglob("*.png")}
    of_query = ("list", "maps", "temporal", "edges", "spatial")
    assert drawn == {
        *(f"{own.name}/{name}.png" for name in of_query),
        *(f"embedding/{name}.png" for name in ("people", "cameras", "distances")),
        "summary/averages.png",
    }
    for path in drawn:
        with Image.open(explained / path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        assert pixels.std() > 5 and min(pixels.shape[:2]) > 200, path
    assert set(content["summary"]) == {
        "weight_by_time",
        "weight_by_stripe",
        "distance_between_patches",
        "mass_on_person",
        "weight_from_uncovered",
    }
    assert set(content["embedding"]) == {"by_camera_pair", "by_length", "by_hidden"}
    models = {row["model"] for row in content["summary"]["mass_on_person"]}
    assert models == {"trained", "untrained"}


def test_the_worst_query_is_explained_unless_others_are_named(folder, explained, tmp_path):
    model = evaluated(folder)
    (query,) = json.loads((explained / "explain.json").read_text())["queries"]
    scores = model.result.average_precision
    assert query["average_precision"] == pytest.approx(np.nanmin(scores))
    wanted = model.queries.index[np.nanargmax(scores)]
    run = [str(folder / "run"), str(tmp_path / "out"), *FAST, "--parts", "lists"]
    assert main([*run, "--queries", str(wanted)]) == 0
    assert [p.name for p in (tmp_path / "out").glob("query-*")] == [f"query-{wanted}"]


def test_the_lists_file_holds_the_querys_list(folder, explained):
    model = evaluated(folder)
    table = pd.read_csv(explained / "lists.csv")
    row = model.queries.index.get_loc(table["query"].iloc[0])
    expected = model.ranked(row, top=3)
    assert table["tracklet"].tolist() == model.gallery.index[expected["item"]].tolist()
    assert table["kind"].tolist() == expected["kind"].tolist()
    assert table["rank"].max() == 3


def test_the_nearest_match_is_the_first_right_one_of_the_list(folder):
    model = evaluated(folder)
    for row in np.flatnonzero(~np.isnan(model.result.average_precision)):
        ranked = model.ranked(row, top=99)
        first = ranked[ranked["kind"] == "right"].iloc[0]
        assert model.nearest_match(row) == first["item"]


def test_the_arrays_of_a_query_are_its_maps_and_graphs(folder, explained):
    (own,) = explained.glob("query-*")
    maps, graphs = np.load(own / "maps.npz"), np.load(own / "graphs.npz")
    assert set(maps) == {"embedding", "global", "temporal", "spatial"}
    assert all(maps[name].shape == (2, 4, 2) for name in maps)
    assert graphs["temporal"].shape == (8, 8) and graphs["spatial"].shape == (2, 4, 4)
    np.testing.assert_allclose(graphs["temporal"].sum(axis=1), 1, rtol=1e-5)
    assert (maps["embedding"] > 0).any()


def test_the_untrained_network_of_the_summary_has_other_maps(explained):
    table = pd.read_csv(explained / "summary" / "mass_on_person.csv", index_col=[0, 1, 2])
    mass = table["value"].xs("mass", level="measure")
    assert (mass["trained"] - mass["untrained"]).abs().min() > 1e-6
    uniform = table["value"].xs("uniform", level="measure")
    np.testing.assert_allclose(uniform["trained"], uniform["untrained"], atol=0.05)


def test_two_runs_are_compared_where_they_differ_most(folder, tmp_path):
    output = tmp_path / "out"
    more = ["--parts", "lists", "--rule=change", "--count=4", "--other", str(folder / "other")]
    assert main([str(folder / "run"), str(output), "--num-workers=0", *more]) == 0
    queries = json.loads((output / "explain.json").read_text())["queries"]
    found = [abs(q["other_average_precision"] - q["average_precision"]) for q in queries]
    scores = [evaluated(folder, name).result.average_precision for name in ("run", "other")]
    differences = np.abs(scores[1] - scores[0])
    np.testing.assert_allclose(found, np.sort(differences)[::-1][:4])
    assert {p.name for p in output.glob("query-*/*")} == {"list.png", "other-list.png"}


def test_a_model_without_graphs_is_explained_by_the_rest(folder, tmp_path):
    run = write_full_run(tmp_path / "run", folder / "data", 1, branches=("global",))
    output = tmp_path / "out"
    assert main([str(run), str(output), *FAST, "--parts", "maps", "graphs", "summary"]) == 0
    assert [path.name for path in output.rglob("*.png")] == ["maps.png"]
    assert (output / "summary" / "mass_on_person.csv").is_file()


def test_a_data_set_without_ground_truth_has_a_summary_without_it(mars_tree, tmp_path):
    run = write_run(tmp_path / "run", mars_tree.write())
    output = tmp_path / "out"
    assert main([str(run), str(output), *FAST, "--parts", "summary"]) == 0
    written = {path.stem for path in (output / "summary").glob("*.csv")}
    assert written == {"weight_by_stripe", "distance_between_patches"}


def test_only_what_is_drawn_is_read(folder, tmp_path, monkeypatch):
    model = evaluated(folder)
    row = int(np.flatnonzero(~np.isnan(model.result.average_precision))[0])
    read, source = [], model.data.reader.source
    monkeypatch.setattr(model.data.reader, "source", Recorder(source, read))
    write_queries(tmp_path, model, [row], ["lists"], top=1)
    shown = model.gallery.iloc[model.ranked(row, 1)["item"]]
    shown = pd.concat([shown, model.queries.iloc[[row]]])
    allowed = {
        frame
        for first, count in zip(shown["first_frame"], shown["num_frames"], strict=True)
        for frame in range(first, first + count)
    }
    assert len(read) == 2 * len(shown) and set(read) <= allowed


class Recorder:
    """Reads as another source does, and keeps which rows."""

    def __init__(self, source, rows):
        self.source, self.rows = source, rows

    def read(self, rows):
        self.rows += rows
        return self.source.read(rows)


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--rule=change"], "--rule change: needs --other RUN"),
        (["--queries", "1"], r"--queries 1: is no query's number; there are \d+, "),
        (["--protocol", "mars"], "--protocol: protocol 'mars' is unknown"),
        (["--protocol", "duke"], "--protocol duke: mars at .* allows mars-official, full"),
        (["--parts", "everything"], "everything"),
        (["--top=0"], "top"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(folder, tmp_path, more, line):
    with pytest.raises(UserError, match=line) as told:
        main([str(folder / "run"), str(tmp_path / "out"), *FAST, *more])
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists() and nothing_left(tmp_path)


def test_a_query_without_a_match_is_refused(mars_tree, tmp_path):
    mars_tree.add("test", 5, 1, frames=3)
    mars_tree.queries.append(7)  # of a person whom no other tracklet shows
    run = write_run(tmp_path / "run", mars_tree.write())
    with pytest.raises(UserError, match=r"--queries 14: has no match in another camera under mars"):
        main([str(run), str(tmp_path / "out"), *FAST, "--queries", "14"])


def test_a_folder_that_holds_something_is_left_alone(folder, explained):
    before = sorted(path.name for path in explained.rglob("*"))
    with pytest.raises(UserError, match="explained: is not empty: remove it or name another"):
        main([str(folder / "run"), str(explained), *FAST])
    assert sorted(path.name for path in explained.rglob("*")) == before


def test_a_bad_picture_leaves_nothing_behind(mars_tree, tmp_path):
    root = mars_tree.write()
    run = write_run(tmp_path / "run", root)
    picture = root / "bbox_test" / "0003" / "0003C1T0001F002.jpg"
    picture.write_bytes(picture.read_bytes()[:200])
    with pytest.raises(UserError, match=r"0003C1T0001F002\.jpg: truncated or no image"):
        main([str(run), str(tmp_path / "out"), *FAST])
    assert not (tmp_path / "out").exists() and nothing_left(tmp_path)


def test_a_place_that_cannot_be_written_is_told(folder):
    with pytest.raises(UserError, match=r"/proc/explained/out: cannot be written"):
        main([str(folder / "run"), "/proc/explained/out", *FAST])
