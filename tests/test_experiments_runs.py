"""Tables from real runs: small networks, trained on rendered people in processes of their own."""

import json
import multiprocessing
import os
import resource
import shutil
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
from score_files import read_scores

from experiments.command import main
from experiments.components import COMPONENTS
from experiments.look_alike_curve import LOOK_ALIKE_CURVE
from experiments.occlusion_curve import OCCLUSION_CURVE
from experiments.running.claims import Claim
from experiments.running.datasets import open_source
from experiments.running.distance_ranking import rank_by_distances
from experiments.running.ensemble import sum_of_distances
from experiments.running.job_process import end_with_parent, failure, start
from experiments.running.jobs import Unit, jobs_of
from experiments.running.perform import Workshop
from experiments.running.results import ResultsFolder
from experiments.running.runner import Runner
from experiments.running.settings import preset_files
from experiments.state_of_the_art import STATE_OF_THE_ART
from experiments.tables.occlusion import hidden_shares
from experiments.variants import Experiment, Retested, Variant
from stgcn_pyg.cli import train
from stgcn_pyg.errors import SignalledError
from stgcn_pyg.runs.embedding import label_tracklets, ranking_task

FORK = multiprocessing.get_context("fork")
NAME = "stgcn-synth-tiny"
WHERE = f"{NAME}-smoke-cpu"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("experiments")


def arguments(place, *more):
    return [
        *("--dataset", NAME, "--preset", "smoke", "--accelerator", "cpu", "--num-workers", "0"),
        *("--results", str(place / "results"), "--work", str(place / "work"), *more),
    ]


@pytest.fixture(scope="module")
def table(place):
    """Table 3, by two runners at once."""
    statuses = {}

    def run(name):
        statuses[name] = main(COMPONENTS, arguments(place))

    other = threading.Thread(target=run, args=("other",))
    other.start()
    run("one")
    other.join()
    assert statuses == {"one": 0, "other": 0}
    return place / "results" / WHERE


@pytest.fixture(scope="module")
def shop(table, place):
    return workshop(place, preset_files("smoke", NAME, gpu=False), table)


def workshop(place, presets, results, work="work"):
    source = open_source(NAME, None, place / "work", split=0, workers=1)
    folder = results
    if not isinstance(results, ResultsFolder):
        stored = json.loads((results / "folder.json").read_text())
        settings = {k.removeprefix("preset's "): v for k, v in stored.items() if "preset's" in k}
        folder = ResultsFolder(results, NAME, "smoke", settings)
    return Workshop(folder, place / work / WHERE, source, presets, "cpu", 0)


def jobs(shop, experiment=COMPONENTS, names=None):
    found = jobs_of(experiment, names, shop.source, shop.presets, [Unit(0, 0)])
    return {job.row.name: job for job in found}


def read(shop, job):
    """What a finished run scored."""
    return shop.results.read(job.key, ranking_task(shop.source.load(job.unit.split)))


def test_two_runners_on_one_folder_do_every_run_once(shop):
    for job in jobs(shop).values():
        assert shop.log(job).read_text().count(f"({job.key})") == 1
    assert not list(shop.results.claims.iterdir())


def test_the_table_has_every_row(table, shop):
    text = (table / "components.md").read_text()
    rows = [line.split(" | ") for line in text.split("\n## ")[1].splitlines() if "| " in line]
    assert [row[0].strip("| ") for row in rows[2:]] == [row.name for row in COMPONENTS.rows]
    pairs = text.split("\n## ")[2]
    assert pairs.startswith("mars-official, rows less others")
    assert "\n| STGCN less Ensemble | 1 | " in pairs
    machine = read(shop, jobs(shop)["STGCN"]).about["machine"]
    assert f"5 of 5 runs, 1 a row, on {machine['device']}; torch" in text
    assert "Scored by one clip spread evenly, of 2 frames; normalized embeddings." in text
    assert "–" not in "".join(row[2] for row in rows[2:])
    assert {p.suffix for p in table.glob("components.*")} == {".csv", ".md", ".tex"}


def test_a_run_is_what_the_command_train_makes_of_the_same_settings(shop, tmp_path):
    job = jobs(shop)["TGCN+global"]
    options = shop.options(job)
    arguments = ["mars", str(shop.source.root), "--output", str(tmp_path / "run")]
    arguments += ["--accelerator", "cpu", "--data.num_workers", "0"]
    for file in shop.presets:
        arguments += ["--config", str(file)]
    assert options.model["branches"] == ["global", "temporal"]
    assert train.main([*arguments, '--model.branches=["global","temporal"]']) == 0
    scores = read_scores(tmp_path / "run" / "metrics.json")
    run = read(shop, job)
    for protocol, rows in scores.items():
        assert run.about["scores"][protocol]["mAP"] == rows["trained"]["mAP"]


def test_what_a_run_was_is_kept_beside_its_scores(shop):
    about = read(shop, jobs(shop)["STGCN"]).about
    assert about["kind"] == "variant" and about["config"]["model.temporal_layers"] == 3
    assert about["seed"] == about["split"] == 0 and not about["resumed"]
    assert about["machine"]["torch"] and about["environment"]["stgcn-pyg"]
    assert len(about["environment"]["commit"]) == 40 and about["seconds"]["training"] > 0
    assert "root" not in about["config"] and str(shop.work) not in json.dumps(about)


def test_a_finished_run_keeps_its_weights_and_no_more(shop):
    job = jobs(shop)["baseline"]
    names = {file.name for file in shop.run_folder(job).iterdir()}
    expected = {"checkpoint.ckpt", "config.yaml", "environment.json", "log", "tensorboard"}
    assert names == expected
    assert (shop.run_folder(job) / "checkpoint.ckpt").stat().st_size < 60e6


def test_the_ensemble_is_made_of_the_embeddings_of_two_runs(shop):
    job = jobs(shop)["Ensemble"]
    dataset = shop.source.load(0)
    labels = label_tracklets(dataset)
    parts = [np.load(shop.embeddings(part)) for part in job.needs]
    assert [part.shape[0] for part in parts] == [len(labels)] * 2
    pairs = [(part[labels.is_query], part[labels.is_gallery]) for part in parts]
    expected = rank_by_distances(ranking_task(dataset), sum_of_distances(pairs))
    found = read(shop, job).results
    for name, result in expected.items():
        assert np.allclose(found[name].average_precision, result.average_precision, atol=1e-7)


def test_finished_runs_are_not_run_again(table, place, shop, capsys):
    before = {path: path.stat().st_mtime_ns for path in table.rglob("run.json")}
    assert main(COMPONENTS, arguments(place, "--dry-run")) == 0
    told = capsys.readouterr().out
    assert told.count("finished") == 5 and "nothing to train" in told
    assert main(STATE_OF_THE_ART, arguments(place)) == 0  # the STGCN of Table 3
    assert {path: path.stat().st_mtime_ns for path in table.rglob("run.json")} == before
    assert "TF-CLIP" in capsys.readouterr().out


def test_small_files_alone_are_enough_for_the_table(table, place, tmp_path, capsys):
    shutil.copytree(table, tmp_path / "results" / WHERE)
    (tmp_path / "work").mkdir()
    shutil.copytree(place / "work" / "data", tmp_path / "work" / "data")
    (tmp_path / "results" / WHERE / "components.md").unlink()
    assert main(COMPONENTS, arguments(tmp_path)) == 0
    assert (tmp_path / "results" / WHERE / "components.md").read_bytes() == (
        table / "components.md"
    ).read_bytes()
    assert not list((tmp_path / "work").rglob("checkpoint.ckpt"))


def test_scores_are_made_anew_from_embeddings_and_tell_how_these_came_about(table, place, shop):
    job = jobs(shop)["SGCN+global"]
    file = shop.results.run(job.key) / "run.json"
    before, trained = json.loads(file.read_text()), shop.run_folder(job) / "checkpoint.ckpt"
    mtime = trained.stat().st_mtime_ns
    file.unlink()
    assert main(COMPONENTS, arguments(place)) == 0
    after = json.loads(file.read_text())
    assert before | {"finished": after["finished"]} == after
    assert trained.stat().st_mtime_ns == mtime


def test_what_is_left_to_do_is_told_with_a_time(table, place, capsys):
    assert main(COMPONENTS, arguments(place, "--dry-run", "--seeds", "0", "1")) == 0
    told = capsys.readouterr().out
    assert told.count("to do") == 4 and told.count("made of others") == 1
    assert "4 runs to train, about" in told and "minutes each" in told


def test_a_failed_run_is_reported_and_the_others_go_on(table, place, capsys):
    rows = [
        Variant("too few rows", {"data.height": 32}),
        Variant("STGCN"),
        Retested("tested again", "STGCN", {"data.test_clips": "first"}),
        Retested("of what failed", "too few rows", {"data.test_clips": "first"}),
    ]
    experiment = Experiment("some_fail", "Some fail", rows, baseline="STGCN")
    assert main(experiment, arguments(place)) == 1
    told = capsys.readouterr()
    [failed] = [line for line in told.err.splitlines() if line.startswith("failed")]
    assert "too few rows, split 0, seed 0: --data.height 32 gives feature maps of 2 rows" in failed
    assert "left out: of what failed" in told.out
    table = [line for line in told.out.split("## full")[0].splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[1] for line in table[2:]] == ["0", "1", "1", "0"]


def test_what_is_tested_again_is_the_same_network(table, place, shop):
    row = Retested("raw", "STGCN", {"model.embedding": "raw"})
    experiment = Experiment("raw", "Raw", [Variant("STGCN"), row], baseline="STGCN")
    assert main(experiment, arguments(place)) == 0
    whole, raw = jobs(shop, experiment).values()
    first, second = (np.load(shop.embeddings(job)) for job in (whole, raw))
    branch = first.shape[1] // 3  # 512 each for T = 2
    assert first.shape == second.shape and not np.allclose(first, second)
    cosine = (first * second)[:, :branch].sum(1)
    cosine /= np.linalg.norm(first[:, :branch], axis=1) * np.linalg.norm(second[:, :branch], axis=1)
    assert cosine.min() > 0.99 and not (shop.work / raw.key / "run").exists()


def test_the_hidden_share_of_a_query_is_the_mean_over_its_frames(shop):
    dataset = shop.source.load(0)
    truth = pd.read_parquet(shop.source.root / "ground_truth.parquet")
    means = truth.groupby(["pid", "camid", "tracklet"])["hidden"].mean()
    by_path = truth.set_index("path")[["pid", "camid", "tracklet"]]
    first = dataset.frames.to_numpy()[dataset.query.sort_index()["first_frame"]]
    expected = [means[tuple(by_path.loc[path])] for path in first]
    assert np.allclose(hidden_shares(shop.source), expected)
    assert (ranking_task(dataset).query_pids == by_path.loc[first, "pid"]).all()


@pytest.mark.parametrize("experiment", [OCCLUSION_CURVE, LOOK_ALIKE_CURVE], ids=lambda e: e.name)
def test_a_curve_is_made_of_the_runs_of_tables_3_and_4(table, place, experiment):
    before = set(table.glob("runs/*"))
    assert main(experiment, arguments(place)) == 0
    of_table_4 = {"TFCN+global"} & {row.name for row in experiment.rows}
    assert len(set(table.glob("runs/*")) - before) == len(of_table_4)
    text = (table / f"{experiment.name}.md").read_text()
    assert all(f"| {row.name} |" in text for row in experiment.rows) and "chance" in text
    assert (table / f"{experiment.name}.png").stat().st_size > 5000
    assert (table / f"{experiment.name}.svg").read_text().startswith("<?xml")


def wait_for(condition):
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def test_stopped_and_killed_runs_go_on_to_the_same_weights(place, shop, tmp_path):
    longer = tmp_path / "longer.yaml"
    longer.write_text("epochs: 7\ncheckpoint_every: 3\n")
    presets = [*shop.presets, longer]
    results = [ResultsFolder(tmp_path / name, NAME, "longer", {}) for name in ("cut", "whole")]
    cut, whole = (workshop(place, presets, each, f"work-{each.path.name}") for each in results)
    [job] = jobs(cut, names=["baseline"]).values()
    claim = Claim(cut.results.claims, job.key)

    def begun(epochs):
        file = cut.run_folder(job) / "log" / "metrics.csv"
        return file.is_file() and len(file.read_text().splitlines()) > epochs

    def stop_myself():
        wait_for(lambda: begun(1))
        os.kill(os.getpid(), signal.SIGTERM)

    stopper = threading.Thread(target=stop_myself)
    stopper.start()
    with pytest.raises(SignalledError) as stopped:
        Runner([job], cut, after_each=lambda: None).run()
    stopper.join()
    assert stopped.value.status == 143 and claim.holder() is None
    assert cut.log(job).read_text().count("saved") == 1

    process = start(job, cut)
    wait_for(lambda: begun(4))
    process.kill()
    process.join()
    assert failure(cut.log(job), process.exitcode).startswith("killed by SIGKILL")
    assert claim.holder() is None and not cut.results.is_finished(job.key)

    for each in (cut, whole):
        runner = Runner([job], each, after_each=lambda: None)
        runner.run()
        assert not runner.failed and each.results.is_finished(job.key)
    assert read(cut, job).about["resumed"]
    assert not read(whole, job).about["resumed"]
    first, second = (np.load(each.embeddings(job)) for each in (cut, whole))
    assert np.array_equal(first, second)


def watched_work():
    threading.Thread(target=end_with_parent, daemon=True).start()
    time.sleep(300)


def start_work(end):
    child = FORK.Process(target=watched_work)
    child.start()
    end.close()
    child.join()


def test_a_run_ends_with_the_runner_that_started_it():
    ours, theirs = FORK.Pipe(duplex=False)
    runner = FORK.Process(target=start_work, args=(theirs,))
    runner.start()
    theirs.close()
    assert not ours.poll(1)  # both live
    runner.kill()
    assert ours.poll(20)  # nobody is left who could write
    with pytest.raises(EOFError):
        ours.recv()


def test_a_full_disk_keeps_the_table_so_far(table, place, capsys):
    before = {path: path.read_bytes() for path in table.glob("components.*")}
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        status = main(COMPONENTS, arguments(place, "--variants", "baseline"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert status == 1
    told = capsys.readouterr().err.strip().splitlines()
    assert told[-1].startswith("components: error: ") and "cannot be written" in told[-1]
    assert {path: path.read_bytes() for path in table.glob("components.*")} == before


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--preset", "large"], "preset 'large' is unknown: use paper, small, smoke"),
        (["--variants", "SGNC"], "variant 'SGNC' is unknown: components has 'baseline'"),
        (["--seeds", "-1"], "--seeds: pass 0 or more"),
        (["--seeds", "one"], "argument --seeds: invalid int value: 'one'"),
        (["--dataset", "ward"], "--dataset ward needs --root"),
        (["--dataset", "mars", "--root", "nowhere"], "nowhere: no such folder"),
        (["--dataset", "mars", "--splits", "1"], "mars has one split of its own"),
        (["--dataset", "stgcn-synth-v1", "--root", "."], ".: is not stgcn-synth-v1"),
        (["--dataset", "cuhk", "--root", "."], "data set 'cuhk' is unknown"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(tmp_path, capsys, more, told):
    assert main(COMPONENTS, arguments(tmp_path, *more)) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("components: error: ") and told in line
    assert not (tmp_path / "results").exists()


def test_a_data_set_that_check_refuses_is_refused(place, table, tmp_path, capsys):
    root = tmp_path / "bad"
    shutil.copytree(place / "work" / "data" / NAME, root)
    picture = sorted(root.rglob("*.jpg"))[5]
    picture.write_bytes(picture.read_bytes()[:200])
    assert main(COMPONENTS, arguments(tmp_path, "--root", str(root))) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert picture.name in line and "1 truncated or damaged" in line and "stgcn check mars" in line
    assert not (tmp_path / "results").exists()


def test_a_changed_preset_is_refused(table, place, capsys):
    stored = table / "folder.json"
    before = stored.read_text()
    stored.write_text(before.replace('"preset\'s epochs": 2', '"preset\'s epochs": 3'))
    try:
        assert main(COMPONENTS, arguments(place)) == 2
    finally:
        stored.write_text(before)
    assert "preset's epochs is 3 there, 2 here" in capsys.readouterr().err
