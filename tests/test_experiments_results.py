"""The results folder: what is written is read, and another version's is refused."""

import json
import multiprocessing
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scored_runs import features, task

from experiments.__main__ import RESULTS
from experiments.experiment import Row
from experiments.running.datasets import DataSource
from experiments.running.jobs import (
    OUTSIDE,
    Job,
    Unit,
    deciding,
    jobs_of,
    preset_files,
    settings_of,
)
from experiments.running.results import SCORES, ResultsFolder
from experiments.running.run_job import RunContext
from experiments.running.scores import score
from experiments.tables.aggregate import named_protocols, read_runs, tabulate
from experiments.tables_1_to_4 import TABLE_3
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.embedding import label_tracklets, ranking_task
from stgcn_pyg.runs.scoring import score_features
from stgcn_pyg.runs.settings import default_settings
from stgcn_pyg.runs.settings_files import renamed

SETTINGS = {"epochs": 2, "model.weights": None}


def folder(path, preset="smoke", settings=SETTINGS):
    return ResultsFolder(path / "results", "ward", preset, settings)


def test_what_a_run_scored_is_read_as_it_was_written(tmp_path):
    results = folder(tmp_path)
    scores = score_features(task(), *features(0, 1.5))
    results.write("abc", {"seconds": {"all": 1.5}}, task(), scores)
    assert results.is_finished("abc") and not results.is_finished("abd")
    run = folder(tmp_path).read("abc", task())
    assert list(run.results) == list(scores)
    assert run.about["seconds"] == {"all": 1.5} and run.about["key"] == "abc"
    assert run.queries["pid"].tolist() == task().query_pids.tolist()
    for name, expected in scores.items():
        found = run.results[name]
        assert np.allclose(found.average_precision, expected.average_precision, atol=1e-7)
        assert np.array_equal(found.first_match_rank, expected.first_match_rank)
        assert np.allclose(found.cmc, expected.cmc)
        setting = ("protocol", "num_gallery", "ap", "same_camera", "depth", "num_queries")
        assert all(getattr(found, each) == getattr(expected, each) for each in setting)
        assert run.about["scores"][name]["mAP"] == expected.mAP


def test_a_setting_that_the_folder_does_not_know_is_at_its_default_there(tmp_path):
    folder(tmp_path)
    later = SETTINGS | {"new": 1}
    path = tmp_path / "results"
    ResultsFolder(path, "ward", "smoke", later, defaults={"new": 1, "epochs": 800})
    with pytest.raises(UserError, match="preset's new is 2 there, 1 here"):
        ResultsFolder(path, "ward", "smoke", later, defaults={"new": 2})


@pytest.mark.parametrize("name", ["ward", "stgcn-synth-v1"])
def test_committed_results_are_of_this_version_and_their_runs_keep_their_names(tmp_path, name):
    source = DataSource(name, "ward" if name == "ward" else "mars", tmp_path)
    presets = preset_files("small", name, gpu=False)
    settings = deciding(settings_of(source, presets, {}, Unit(0, 0)).flat())
    shutil.copytree(RESULTS / f"{name}-small-cpu", tmp_path / "results")
    results = ResultsFolder(
        tmp_path / "results", name, "small", settings, deciding(default_settings())
    )
    runs = results.finished().values()
    assert len(runs) == {"ward": 140, "stgcn-synth-v1": 34}[name]
    for about in runs:
        if about["kind"] != "ensemble":
            config = {n: v for n, v in renamed(about["config"]).items() if n not in OUTSIDE}
            unit = Unit(about["split"], about["seed"])
            assert Job(Row("any"), unit, about["identity"], config=config).key == about["key"]
    table = pd.read_parquet(results.table)
    assert table.columns.tolist() == ["run", "protocol", "tracklet", *SCORES]  # and no label
    assert set(table["run"]) == results.finished().keys()


def test_queries_without_a_match_stay_so(tmp_path):
    scores = score_features(task(), *features(0, 1.5))
    result = scores["mars-official"]
    for name in ("average_precision", "first_match_rank", "inverse_negative_penalty"):
        getattr(result, name)[3] = np.nan
    folder(tmp_path).write("abc", {}, task(), scores)
    read = folder(tmp_path).read("abc", task()).results["mars-official"]
    assert np.isnan(read.average_precision[3]) and read.num_valid_queries == 23
    assert read.cmc[-1] == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"preset": "small"}, "preset is smoke there, small here"),
        ({"settings": SETTINGS | {"epochs": 3}}, "preset's epochs is 2 there, 3 here"),
        ({"settings": {"epochs": 2}}, "preset's model.weights"),
    ],
)
def test_results_of_another_preset_are_refused_with_the_difference(tmp_path, change, told):
    folder(tmp_path)
    if told.endswith("weights"):  # a setting that is there is None, and is none here
        (tmp_path / "results" / "folder.json").write_text(
            (tmp_path / "results" / "folder.json").read_text().replace("null", '"imagenet"')
        )
    with pytest.raises(UserError) as error:
        folder(tmp_path, **change)
    assert told in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["format", "stgcn_pyg"])
def test_results_of_another_version_are_refused_with_the_difference(tmp_path, name):
    folder(tmp_path)
    stored = tmp_path / "results" / "folder.json"
    content = json.loads(stored.read_text())
    stored.write_text(json.dumps(content | {name: "0.0.0"}))
    with pytest.raises(UserError, match=rf"{name} is 0\.0\.0 there, {content[name]} here"):
        folder(tmp_path)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="no results"):
        folder(tmp_path)
    assert [file.name for file in (tmp_path / "results").iterdir()] == ["thesis.txt"]


def test_a_folder_that_another_process_is_about_to_describe_is_taken(tmp_path):
    (tmp_path / "results" / "locks").mkdir(parents=True)
    (tmp_path / "results" / "folder.json.part").write_text("{")
    assert folder(tmp_path).finished() == {}


def test_no_label_is_kept_and_other_queries_are_refused(tmp_path):
    results = folder(tmp_path)
    results.write("abc", {}, task(), score_features(task(), *features(0, 1.5)))
    names = pd.read_parquet(results.table).columns.tolist()
    assert names == ["run", "protocol", "tracklet", *SCORES]
    other = replace(task(), query_tracklets=task().query_tracklets + 1)
    with pytest.raises(UserError, match=r"per_query\.parquet: run abc has other queries than a te"):
        results.read("abc", other)


@pytest.mark.parametrize("file", ["runs.jsonl", "per_query.parquet"])
def test_a_damaged_file_is_named(tmp_path, file):
    results = folder(tmp_path)
    scores = score_features(task(), *features(0, 1.5))
    results.write("abc", {}, task(), scores)
    path = results.path / file
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UserError, match=f"{file}: damaged: put back a copy"):
        results.read("abc", task())
    with pytest.raises(UserError, match=f"{file}: damaged: put back a copy"):
        results.write("abd", {}, task(), scores)


def add_runs(path, first, count):
    results = folder(path)
    for number in range(first, first + count):
        results.write(f"run {number}", {}, task(), score_features(task(), *features(number, 1.5)))
        for _ in range(5):  # while others replace the table
            results.read(f"run {number}", task())


def test_runs_that_several_processes_add_are_all_kept(tmp_path):
    context = multiprocessing.get_context("fork")
    adding = [context.Process(target=add_runs, args=(tmp_path, n, 8)) for n in (0, 8, 16)]
    for process in adding:
        process.start()
    for process in adding:
        process.join()
        assert process.exitcode == 0
    results = folder(tmp_path)
    assert results.finished().keys() == {f"run {number}" for number in range(24)}
    for number in range(24):
        found = results.read(f"run {number}", task()).results["full-gallery"]
        expected = score_features(task(), *features(number, 1.5))["full-gallery"]
        assert np.allclose(found.average_precision, expected.average_precision, atol=1e-7)


def test_a_run_is_finished_only_once_its_line_is_there(tmp_path):
    results = folder(tmp_path)
    scores = score_features(task(), *features(0, 1.5))
    results.write("abc", {}, task(), scores)
    before = results.runs.read_bytes()
    results.write("abd", {}, task(), scores)
    results.runs.write_bytes(before)  # as after a kill between the two files
    assert results.finished().keys() == {"abc"}
    results.write("abd", {}, task(), scores)
    table = pd.read_parquet(results.table)
    assert results.finished().keys() == {"abc", "abd"}
    assert table["run"].value_counts().to_dict() == dict.fromkeys(("abc", "abd"), 48)


def test_a_run_that_is_written_again_replaces_the_former_one(tmp_path):
    results = folder(tmp_path)
    for noise in (1.5, 0.5):
        results.write("abc", {"noise": noise}, task(), score_features(task(), *features(0, noise)))
    assert results.finished()["abc"]["noise"] == 0.5
    assert len(pd.read_parquet(results.table)) == 48


def test_results_with_a_folder_a_run_are_taken_over(tmp_path):
    """As earlier versions wrote them."""
    results = folder(tmp_path)
    scores = score_features(task(), *features(0, 1.5))
    results.write("abc", {"seconds": {}}, task(), scores)
    about = results.finished()["abc"]
    wide = {
        f"{name} {score}": getattr(result, score).astype(np.float32)
        for name, result in scores.items()
        for score in SCORES
    }
    run = results.path / "runs" / "abc"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps(about))
    pd.DataFrame({"tracklet": task().query_tracklets} | wide).to_parquet(run / "per_query.parquet")
    expected = pd.read_parquet(results.table)
    results.table.unlink()
    results.runs.unlink()
    stored = results.path / "folder.json"
    stored.write_text(json.dumps(json.loads(stored.read_text()) | {"format": 1}))
    for _ in range(2):  # once and for all
        taken_over = folder(tmp_path)
        assert taken_over.finished() == {"abc": about}
        pd.testing.assert_frame_equal(pd.read_parquet(taken_over.table), expected)


def test_presets_are_laid_over_each_other_by_hardware_and_data_set():
    names = [
        [file.name for file in preset_files(preset, dataset, gpu)]
        for preset, dataset, gpu in [
            ("paper", "mars", True),
            ("small", "stgcn-synth-v1", False),
            ("small", "ward", False),
            ("small", "ward", True),
            ("smoke", "ward", True),
            ("finetune", "ward", False),
            ("finetune-lite0", "ward", False),
        ]
    ]
    assert names == [
        ["paper.yaml"],
        ["small.yaml"],
        ["small.yaml", "small-ward.yaml"],
        ["small.yaml", "small-gpu.yaml", "small-ward.yaml"],
        ["smoke.yaml"],
        ["finetune.yaml"],
        ["finetune.yaml", "finetune-lite0.yaml"],
    ]
    with pytest.raises(UserError, match="preset 'large' is unknown: use paper, finetune, "):
        preset_files("large", "mars", gpu=False)


@pytest.mark.slow
def test_a_run_on_mars_is_kept_in_less_than_100_kb(tmp_path, mars_labels):
    """Everything of Table 3 on MARS but the images: its true labels, random features."""
    source = DataSource("mars", "mars", mars_labels)
    presets = preset_files("paper", "mars", gpu=True)
    jobs = jobs_of(TABLE_3, ["baseline", "STGCN"], source, presets, [Unit(0, 0)])
    assert [job.config["model.backbone"] for job in jobs] == ["resnet50"] * 2
    dataset = source.load(0)
    labels, of_mars = label_tracklets(dataset), ranking_task(dataset)
    rng = np.random.default_rng(0)
    people = rng.normal(size=(labels["pid"].max() + 2, 16))[labels["pid"] + 1]
    results = folder(tmp_path)
    context = RunContext(results, tmp_path / "work", source, presets, "cpu", "cpu")
    for job, noise in zip(jobs, (1.2, 1.0), strict=True):
        embeddings = (people + noise * rng.normal(size=people.shape)).astype(np.float32)
        results.write(job.key, {}, of_mars, score(of_mars, labels, [embeddings], mars_labels))
    assert sum(file.stat().st_size for file in (results.table, results.runs)) < 200_000
    runs = read_runs(jobs, context)
    assert named_protocols(runs) == ["mars-official", "full-gallery", "query-free"]
    table = tabulate(TABLE_3, runs, "mars-official")
    assert table.loc["STGCN", "mAP difference"] > 0 and table.loc["STGCN", "mAP p"] < 0.001
    assert table.loc["STGCN", "paper's mAP, MARS"] == 83.7
    assert np.isnan(table.loc["Ensemble", "mAP"])
