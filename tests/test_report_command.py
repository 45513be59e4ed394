"""`stgcn report`: from runs' folders to a page, whole or with boxes where something is missing."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import rendered
import torch
import yaml
from report_runs import QUICK, Page, copy_of, data, evil_manifest, other_run, run
from score_files import read_scores

from stgcn_pyg.cli import main
from stgcn_pyg.runs.checkpoint import KEY, read_checkpoint
from stgcn_pyg.runs.embedding import label_tracklets
from stgcn_pyg.runs.trained_model import TrainedModel

pytestmark = pytest.mark.usefixtures("narrow_backbone")

SECTIONS = ["run", "training", "results", "lists", "maps", "graphs", "errors"]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Of one run; not to be altered."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    assert main(["report", str(run()), f"--output={path}", *QUICK]) == 0
    return Page(path)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Of two runs; not to be altered."""
    path = tmp_path_factory.mktemp("both") / "page.html"
    assert main(["report", str(run()), str(other_run()), f"--output={path}", *QUICK]) == 0
    return Page(path)


@pytest.fixture
def report(tmp_path, capsys):
    """Writes the page of some runs, which must succeed; gives it and what was said on stderr."""

    def write(*runs, more=()):
        path = tmp_path / "page.html"
        capsys.readouterr()
        assert main(["report", *map(str, runs), f"--output={path}", *QUICK, *more]) == 0
        return Page(path), capsys.readouterr().err

    return write


@pytest.fixture
def copied(tmp_path):
    """A run's folder to take things from."""
    return copy_of(run(), tmp_path / "copied")


def refused(capsys, *arguments):
    """The one line of a refusal."""
    capsys.readouterr()
    assert main(["report", *map(str, arguments)]) == 2
    *progress, line = re.split(r"[\r\n]+", capsys.readouterr().err.strip())
    assert not [said for said in progress if "report:" in said]
    return line


def test_a_page_has_every_section_and_nothing_missing(page):
    assert [name for name in page.ids if name in SECTIONS] == SECTIONS
    assert page.boxes == []
    assert len(page.descriptions) > 10 and all(page.descriptions)


def test_a_page_needs_nothing_beside_it(page):
    own = [link[1:] for link in page.links if link.startswith("#")]
    assert set(own) <= set(page.ids) and len(page.ids) == len(set(page.ids))
    assert all(link.startswith(("#", "data:")) for link in page.links)


def test_a_pages_scores_are_those_of_the_run(page):
    metrics = read_scores(run() / "metrics.json")
    for protocol, methods in metrics.items():
        table = page.table(f"Scores under {protocol}")
        for method, scores in methods.items():
            for name in ("mAP", "rank-1", "rank-20"):
                shown = table[method][name].split()[0]
                assert shown == f"{100 * scores[name]:.1f}", (protocol, method, name)
        low, high = map(float, re.findall(r"[\d.]+", table["trained"]["mAP"])[1:])
        assert low < 100 * methods["trained"]["mAP"] < high
        cmc = page.table(f"CMC under {protocol}")
        assert [row["trained"] for row in cmc.values()] == [
            f"{100 * value:.1f}" for value in methods["trained"]["cmc"][:20]
        ]


def test_a_pages_curves_are_those_of_the_log(page):
    log = pd.read_csv(run() / "log" / "metrics.csv")
    shown = page.table("Log of run")
    assert [float(row["loss"]) for row in shown.values()] == pytest.approx(log["loss"], rel=1e-3)


def test_a_pages_lists_are_in_the_order_of_distances_in_float64(page):
    trained = TrainedModel(run(), num_workers=0)
    queries, gallery = (features.double().numpy() for features in trained.features())
    tracklets = label_tracklets(trained.data.dataset)
    query_rows, gallery_rows = (tracklets[tracklets[part]] for part in ("is_query", "is_gallery"))
    shown = {c: rows for c, rows in page.tables.items() if c.startswith("The list of tracklet")}
    assert len(shown) == 6
    for caption, (_, *rows) in shown.items():
        number = int(re.search(r"\d+", caption)[0])
        query = query_rows.loc[number]
        distances = np.linalg.norm(gallery - queries[query_rows.index.get_loc(number)], axis=1)
        order = gallery_rows.index[np.argsort(distances, kind="stable")]
        assert [int(row[2]) for row in rows] == order[: len(rows)].tolist()
        for rank, mark, item, *_ in rows:
            other = gallery_rows.loc[int(item)]
            same, camera = other["pid"] == query["pid"], other["camid"] == query["camid"]
            assert mark == (
                "left out: junk"
                if other["pid"] == -1
                else "left out: in the query's camera"
                if same and camera
                else ("right" if same else "wrong")
            )
            assert (rank == "–") == mark.startswith("left out")
        assert [row[0] for row in rows if row[0] != "–"] == ["1", "2", "3", "4"]


def test_the_worst_query_comes_first_and_no_query_twice(page):
    table = page.table("Query by query")
    scores = [float(row["AP, %"]) for row in table.values()]
    assert scores == sorted(scores)
    lists = [int(i.removeprefix("list-")) for i in page.ids if re.fullmatch(r"list-\d+", i)]
    assert lists[0] == int(next(iter(table))) and len(lists) == len(set(lists)) == 6


def test_what_was_run_is_told(page):
    environment = json.loads((run() / "environment.json").read_text())[-1]
    assert page.table("Versions and machine")["torch"]["Value"] == environment["torch"]
    assert page.table("Every setting")["model.num_frames"]["Value"] == "2"
    assert str(data()) in page.text
    if environment["commit"]:
        assert environment["commit"] in page.text


def test_two_runs_stand_side_by_side_with_their_paired_differences(both):
    for protocol in read_scores(run() / "metrics.json"):
        scores = both.table(f"Scores under {protocol}")
        assert list(scores) == ["chance", "run", "other"]
        for name, row in both.table(f"other less run under {protocol}").items():
            first, second = (float(scores[title][name].split()[0]) for title in ("run", "other"))
            assert (float(row["run"]), float(row["other"])) == (first, second)
            middle, low, high = map(float, re.findall(r"[-+][\d.]+", row["Difference"]))
            assert middle == pytest.approx(second - first, abs=0.11)
            assert low <= middle <= high and 0 <= float(row["p"]) <= 1
            assert sum(int(row[which]) for which in ("Better", "Worse", "Equal")) == 24
    assert {"Differs"} < set(both.tables["Every setting"][0])
    assert both.table("Every setting")["seed"]["Differs"] == "differs"
    assert both.table("Every setting")["epochs"]["Differs"] == "differs"
    assert both.table("Every setting")["root"]["Differs"] == ""


def test_the_largest_change_comes_first_in_both_runs(both):
    table = both.table("Query by query")
    change = {
        int(number): abs(float(row["AP, %, run"]) - float(row["AP, %, other"]))
        for number, row in table.items()
    }
    lists = [int(i.removeprefix("list-")) for i in both.ids if re.fullmatch(r"list-\d+", i)]
    assert change[lists[0]] == pytest.approx(max(change.values()), abs=0.11)
    captions = [c for c in both.tables if c.startswith(f"The list of tracklet {lists[0]},")]
    assert [caption.split(", ")[1] for caption in captions] == ["run", "other"]


FROM_MODEL = ("results", "lists", "maps", "graphs", "errors")


def test_without_a_checkpoint_the_scores_are_those_of_the_training(copied, report):
    for file in copied.glob("*.ckpt"):
        file.unlink()
    page, said = report(copied)
    assert len(page.boxes) == len(FROM_MODEL) == page.text.count("something is missing there")
    (box,) = set(page.boxes)
    assert "checkpoint.ckpt: no such checkpoint" in box
    (told,) = [line for line in said.splitlines() if "on the page" in line]
    assert told.endswith(box)
    metrics = json.loads((run() / "metrics.json").read_text())["mars-official"]["trained"]
    shown = page.table("Scores under mars-official")["trained"]
    assert shown["mAP"] == f"{100 * metrics['mAP']:.1f}"  # and no interval


def test_runs_whose_folders_have_the_same_name_are_called_by_where_their_paths_differ(
    tmp_path, report
):
    for place in ("deep/first/a", "deep/first", "deep/second"):
        (tmp_path / place / "run").mkdir(parents=True)
        copy_of(run() / "log", tmp_path / place / "run" / "log")
    places = ("deep/first/a/run", "deep/first/run", "deep/second/run")
    page, _ = report(*(tmp_path / place for place in places), copy_of(run(), tmp_path / "other"))
    logs = [caption for caption in page.tables if caption.startswith("Log of ")]
    labels = ["first/a/run", "first/run", "second/run", "other"]
    assert logs == [f"Log of {label}" for label in labels]


def changed_metrics(folder, change):
    content = json.loads((folder / "metrics.json").read_text())
    change(content)
    (folder / "metrics.json").unlink()  # a link to that of the run which others use
    (folder / "metrics.json").write_text(json.dumps(content))


def test_a_page_says_what_its_scores_are_of(copied, report):
    about = json.loads((copied / "metrics.json").read_text())["about"]
    checkpoint = about["checkpoint_sha256"][:12]
    page, _ = report(copied)
    assert f"{copied} (checkpoint {checkpoint})" in page.text
    assert "first clip of 2 frames" in report(copied, more=["--test-clips=first"])[0].text
    for file in copied.glob("*.ckpt"):
        file.unlink()
    page, _ = report(copied)
    assert f"{run()} (checkpoint {checkpoint})" in page.text  # as it was trained
    assert "all clips of 2 frames" in page.text


@pytest.mark.parametrize("about", [None, [], {"checkpoint_sha256": 5, "reranking": 1}])
def test_metrics_of_earlier_code_and_odd_ones_give_the_same_scores(copied, page, report, about):
    def change(content):
        del content["about"]
        if about is not None:
            content["about"] = about

    changed_metrics(copied, change)
    for file in copied.glob("*.ckpt"):
        file.unlink()
    stored, _ = report(copied)
    scores = [one.table("Scores under full-gallery")["trained"]["mAP"] for one in (stored, page)]
    assert scores[0] == scores[1].split()[0]


def test_without_metrics_the_scores_are_computed(copied, page, report):
    (copied / "metrics.json").unlink()
    without, _ = report(copied)
    (box,) = without.boxes
    assert box.endswith("metrics.json: missing, for the training has not ended")
    scores = [one.table("Scores under mars-official") for one in (page, without)]
    assert scores[0]["trained"] == scores[1]["trained"]
    assert list(scores[1]) == ["chance", "trained"]


def test_scores_that_are_not_those_of_the_training_say_so(copied, report):
    metrics = json.loads((copied / "metrics.json").read_text())
    metrics["full-gallery"]["trained"]["mAP"] += 0.02
    (copied / "metrics.json").unlink()
    (copied / "metrics.json").write_text(json.dumps(metrics))
    (box,) = report(copied)[0].boxes
    assert "full-gallery: mAP is" in box and "are not what they were" in box


def test_one_of_two_runs_without_a_checkpoint_leaves_the_others_lists(copied, report):
    (copied / "checkpoint.ckpt").unlink()
    page, _ = report(copied, other_run())
    assert len(page.boxes) == len(FROM_MODEL)
    scores = page.table("Scores under mars-official")
    assert "[" not in scores["copied"]["mAP"] and "[" in scores["other"]["mAP"]
    captions = [caption for caption in page.tables if caption.startswith("The list of tracklet")]
    assert captions and all(caption.endswith(", other") for caption in captions)


def test_features_that_are_not_finite_leave_boxes(copied, report):
    content = read_checkpoint(copied / "checkpoint.ckpt")
    next(iter(content["state_dict"].values())).fill_(torch.nan)
    (copied / "checkpoint.ckpt").unlink()
    torch.save(content, copied / "checkpoint.ckpt")
    page, said = report(copied)
    assert len(page.boxes) == len(FROM_MODEL)
    assert "rows are not finite" in page.boxes[0] and page.boxes[0] in said


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("config.yaml", "config.yaml: missing, so its settings are unknown"),
        ("environment.json", "environment.json: missing, so its commit is unknown"),
        ("log/metrics.csv", "metrics.csv: missing, so there are no curves"),
        ("metrics.json", "metrics.json: missing, for the training has not ended"),
    ],
)
def test_a_missing_file_leaves_a_box(copied, report, name, line):
    (copied / "checkpoint.ckpt").unlink()
    (copied / name).unlink()
    page, said = report(copied)
    assert len(page.boxes) == 1 + len(FROM_MODEL)
    assert any(line in box for box in page.boxes) and line in said


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("log/metrics.csv", b"", "metrics.csv: cannot be read"),
        ("log/metrics.csv", b"epoch,loss\n", "holds no epoch"),
        ("log/metrics.csv", b"epoch,loss\n1,many\n", "not all of it are numbers"),
        ("metrics.json", b'{"mars-official": {"trai', "metrics.json: cannot be read"),
        ("metrics.json", b'{"mars-official": {"trained": {}}}', "holds no scores"),
        ("metrics.json", b'{"a": {"b": {"mAP": "1", "num_queries": 1, "cmc": [1]}}}', "no scores"),
        ("metrics.json", b'{"a": {"b": {"mAP": 0.1, "num_queries": 1, "cmc": []}}}', "no scores"),
        ("log/metrics.csv", b"epoch,loss\n1,nan\n,2\n", "holds no epoch"),
        ("config.yaml", b"{}", "no YAML of settings"),
        ("config.yaml", b"model: 3\ndata: []\nepochs: many\n", "no such checkpoint"),
        ("config.yaml", b"model: {branches: null}\ndata: {height: 1}\n", "no such checkpoint"),
        ("log/metrics.csv", b"epoch,loss,softmax\n1,inf,nan\n", "no such checkpoint"),
        ("metrics.json", b"[1]", "holds no scores by protocol and method"),
        ("config.yaml", b"epochs: [", "config.yaml: cannot be read"),
        ("config.yaml", b"\xff\xfe", "config.yaml: cannot be read"),
        ("checkpoint.ckpt", b"PK", "no readable checkpoint"),
    ],
)
def test_a_damaged_file_leaves_a_box_too(copied, report, name, content, line):
    (copied / name).unlink()
    (copied / name).write_bytes(content)
    if name != "checkpoint.ckpt":
        (copied / "checkpoint.ckpt").unlink()  # what else is there has been looked at above
    page, said = report(copied)
    assert any(line in box for box in page.boxes)
    assert line in said


def test_a_run_that_is_not_over_says_so(copied, report):
    config = yaml.safe_load((copied / "config.yaml").read_text()) | {"epochs": 7}
    (copied / "config.yaml").unlink()
    (copied / "config.yaml").write_text(yaml.safe_dump(config))
    (copied / "checkpoint.ckpt").unlink()
    page, said = report(copied)
    assert f"{copied}: trained for 2 of its 7 epochs so far" in page.boxes
    assert "trained for 2 of its 7 epochs" in said


@pytest.fixture
def few_pictures(tmp_path):
    """A run on a data set of its own, whose pictures may be taken away."""
    few = {"train_people": 2, "test_people": 3, "cameras_per_person": 2}
    root = rendered.tiny(tmp_path / "data", **few).path
    return copy_of(run(), tmp_path / "run"), root


def test_missing_frames_are_replaced_and_counted(few_pictures, report):
    folder, root = few_pictures
    for picture in sorted((root / "bbox_test").rglob("*F001.jpg"))[:3]:
        picture.unlink()
    page, said = report(folder, more=[f"--root={root}"])
    (box,) = page.boxes
    assert "3 bad images, for which other frames of their tracklets stand" in box
    assert box in said
    assert any(caption.startswith("The list of tracklet") for caption in page.tables)


def test_a_tracklet_without_pictures_leaves_boxes(few_pictures, report):
    folder, root = few_pictures
    for picture in (root / "bbox_test").rglob("*C1T0001F*.jpg"):
        picture.unlink()
    page, _ = report(folder, more=[f"--root={root}"])
    assert len(page.boxes) == 5
    assert all("and no frame of its tracklet is good" in box for box in page.boxes)


def test_a_data_set_that_was_moved_leaves_boxes(few_pictures, report, tmp_path):
    folder, root = few_pictures
    root.rename(tmp_path / "moved")
    page, _ = report(moved_run(folder, root, tmp_path / "again"))
    assert sum(f"{root}: no such folder" in box for box in page.boxes) == len(FROM_MODEL)


def moved_run(folder, root, target):
    """The same run, told that its data set is elsewhere."""
    copy = copy_of(folder, target)
    content = read_checkpoint(copy / "checkpoint.ckpt")
    content[KEY]["config"]["root"] = str(root)
    (copy / "checkpoint.ckpt").unlink()
    torch.save(content, copy / "checkpoint.ckpt")
    (copy / "environment.json").unlink()
    return copy


def test_what_is_no_run_is_refused_and_nothing_written(tmp_path, capsys):
    line = refused(capsys, tmp_path, f"--output={tmp_path / 'page.html'}")
    assert "no run's folder: it has no config.yaml, checkpoint.ckpt, metrics.json or log" in line
    assert list(tmp_path.iterdir()) == []
    assert "no run's folder" in refused(capsys, tmp_path / "nowhere")


def test_runs_on_other_test_sets_are_refused(few_pictures, tmp_path, capsys):
    folder, root = few_pictures
    other = moved_run(folder, root, tmp_path / "other")
    output = tmp_path / "page.html"
    line = refused(capsys, run(), other, f"--output={output}", *QUICK)
    assert f"{other}: has another test set than {run()}" in line
    assert not output.exists()


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--protocol=mars"], "--protocol: protocol 'mars' is unknown"),
        (["--dataset=marz"], "--dataset marz: is unknown; pass one of mars"),
        (["--root=nowhere"], "--root nowhere: does not exist"),
        (["--pack=nowhere"], "--pack nowhere: does not exist"),
        (["--count=0"], "count"),
        (["--top=51"], "top"),
        (["--output", "."], "--output .: is a folder; name a file in it"),
        (["nowhere", "--output=page.html"], "no run's folder"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(copied, capsys, more, line):
    (copied / "checkpoint.ckpt").unlink()
    assert line in refused(capsys, copied, *more)
    assert not (copied / "report.html").exists()


def test_a_page_of_several_runs_needs_a_name(copied, capsys):
    assert "--output: name the file of a page of several runs" in refused(capsys, run(), copied)
    line = refused(capsys, copied, copied, "--output=page.html")
    assert "a run is named twice" in line


def test_a_place_that_cannot_be_written_is_told(copied, capsys):
    (copied / "checkpoint.ckpt").unlink()
    capsys.readouterr()
    assert main(["report", str(copied), "--output=/proc/page/page.html"]) == 2
    assert "/proc/page/page.html: cannot be written" in capsys.readouterr().err


def test_a_page_stands_in_the_runs_folder_unless_named(copied):
    (copied / "checkpoint.ckpt").unlink()
    assert main(["report", str(copied)]) == 0
    first = (copied / "report.html").read_bytes()
    assert main(["report", str(copied)]) == 0
    assert (copied / "report.html").read_bytes() == first


def test_html_in_names_and_labels_is_escaped(tmp_path, report):
    evil = "<script>document.title='taken'</script>"
    folder = copy_of(run(), tmp_path / "<script>run")
    for name, change in {
        "config.yaml": lambda text: text + f'note: "{evil}"\n',
        "metrics.json": lambda text: text.replace('"chance"', json.dumps(evil)),
        "environment.json": lambda text: text.replace('"torch"', json.dumps(evil)),
        "log/metrics.csv": lambda text: text.replace("accuracy", evil),
    }.items():
        content = (folder / name).read_text()
        (folder / name).unlink()
        (folder / name).write_text(change(content))
    page, _ = report(folder, more=["--dataset=manifest", f"--root={evil_manifest(tmp_path)}"])
    (folder / "checkpoint.ckpt").unlink()
    stored, _ = report(folder)
    for one in (page, stored):
        assert one.tags.count("script") == 1 and "<script>run" in one.text
        assert one.table("Every setting")["note"]["Value"] == evil
        assert evil in one.table("Versions and machine")
        assert evil in one.tables["Log of <script>run"][0]
    assert evil in stored.table("Scores under mars-official")
    assert any(evil in cell for rows in page.tables.values() for row in rows for cell in row)
