"""Tables from real runs: small networks, trained on rendered people in processes of their own."""

import json
import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from command_server import serving
from experiment_runs import (
    NAME,
    WHERE,
    arguments,
    context_of,
    forked_trainings,
    jobs,
    make,
    read,
    shared_place,
)
from score_files import read_scores
from several_processes import forked, status_of

from experiments.__main__ import run
from experiments.beyond_the_paper import LOOK_ALIKE_CURVE, OCCLUSION_CURVE
from experiments.experiment import Experiment, Row
from experiments.running.datasets import open_source
from experiments.running.scores import rank_by_distances, sum_of_distances
from experiments.tables.curves import occluded_shares
from experiments.tables_1_to_4 import TABLE_3, TABLES_1_AND_2
from stgcn_pyg.runs.embedding import label_tracklets, ranking_task

pytestmark = pytest.mark.usefixtures("narrow_backbone")


@pytest.fixture(scope="module", autouse=True)
def _forked_trainings():
    with forked_trainings():
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return shared_place(tmp_path_factory)


@pytest.fixture(scope="module")
def begin():
    with serving() as begin:
        yield begin


@pytest.fixture(scope="module")
def table(place):
    """The results folder, with Table 3 made by two commands at once."""
    other = forked(run, TABLE_3, arguments(place))
    assert [run(TABLE_3, arguments(place)), status_of(other)] == [0, 0]
    return place / "results" / WHERE


@pytest.fixture(scope="module")
def context(table, place):
    return context_of(place)


@pytest.fixture
def copied(table, place, tmp_path):
    """Another results folder with the same runs, beside the same work: options that name them."""
    shutil.copytree(table, tmp_path / "results" / WHERE)
    return [*arguments(place), "--results", str(tmp_path / "results")]


@pytest.mark.slow
def test_two_commands_on_one_folder_do_every_run_once(context):
    for job in jobs(context).values():
        if not job.needs:
            assert context.log(job).read_text().count(f"({job.key})") == 1


@pytest.mark.slow
def test_the_table_has_every_row(table, context):
    text = (table / "components.md").read_text()
    rows = [line.split(" | ") for line in text.split("\n## ")[1].splitlines() if "| " in line]
    assert [row[0].strip("| ") for row in rows[2:]] == [row.name for row in TABLE_3.rows]
    pairs = text.split("\n## ")[2]
    assert pairs.startswith("mars-official, rows less others")
    assert "\n| STGCN less Ensemble | 1 | " in pairs
    machine = read(context, jobs(context)["STGCN"]).about["machine"]
    assert f"5 of 5 runs, 1 a row, on {machine['device']}; torch" in text
    assert "Scored by one clip spread evenly, of 2 frames; normalized embeddings." in text
    assert "–" not in "".join(row[2] for row in rows[2:])
    assert {p.suffix for p in table.glob("components.*")} == {".csv", ".md", ".tex"}


@pytest.mark.slow
def test_a_run_scores_what_the_command_train_finds(context):
    job = jobs(context)["TGCN+global"]
    assert context.settings(job).model["branches"] == ["global", "temporal"]
    about = read(context, job).about
    for protocol, rows in read_scores(context.run_folder(job) / "metrics.json").items():
        assert about["scores"][protocol]["mAP"] == rows["trained"]["mAP"]


@pytest.mark.slow
def test_how_a_run_was_made_is_kept_beside_its_scores(context):
    about = read(context, jobs(context)["STGCN"]).about
    assert about["kind"] == "variant" and about["config"]["model.temporal_layers"] == 3
    assert about["seed"] == about["split"] == 0 and not about["resumed"]
    assert about["machine"]["torch"] and about["environment"]["stgcn-pyg"]
    assert len(about["environment"]["commit"]) == 40 and about["seconds"]["training"] > 0
    assert "root" not in about["config"]
    assert str(context.work) not in context.results.runs.read_text()


@pytest.mark.slow
def test_a_finished_run_keeps_of_its_checkpoints_the_weights_alone(context):
    folder = context.run_folder(jobs(context)["baseline"])
    assert [file.name for file in folder.glob("*.ckpt*")] == ["checkpoint.ckpt"]
    weights = torch.load(folder / "checkpoint.ckpt", weights_only=True)["state_dict"].values()
    size = sum(weight.numel() * weight.element_size() for weight in weights)
    assert size < (folder / "checkpoint.ckpt").stat().st_size < 1.2 * size + 1e5


@pytest.mark.slow
def test_the_ensemble_is_made_of_the_embeddings_of_two_runs(context):
    job = jobs(context)["Ensemble"]
    dataset = context.source.load(0)
    labels = label_tracklets(dataset)
    parts = [np.load(context.embeddings(part)) for part in job.needs]
    assert [part.shape[0] for part in parts] == [len(labels)] * 2
    pairs = [(part[labels.is_query], part[labels.is_gallery]) for part in parts]
    expected = rank_by_distances(ranking_task(dataset), sum_of_distances(pairs))
    found = read(context, job).results
    for name, result in expected.items():
        assert np.allclose(found[name].average_precision, result.average_precision, atol=1e-7)


@pytest.mark.slow
def test_finished_runs_are_not_run_again(copied, tmp_path, capsys):
    runs = tmp_path / "results" / WHERE / "runs.jsonl"
    before = runs.read_bytes()
    assert run(TABLE_3, [*copied, "--dry-run"]) == 0
    answer = capsys.readouterr().out
    assert answer.count("finished") == 5 and "nothing to train" in answer
    assert run(TABLES_1_AND_2, copied) == 0  # the STGCN of Table 3
    assert runs.read_bytes() == before
    out, bar = capsys.readouterr()
    assert "TF-CLIP" in out
    assert " 1/1 " in bar and " 0/1 " not in bar  # no part of the time that is left


@pytest.mark.slow
def test_what_is_left_to_do_is_shown_with_a_time(copied, capsys):
    assert run(TABLE_3, [*copied, "--dry-run", "--seeds", "0", "1"]) == 0
    answer = capsys.readouterr().out
    assert answer.count("to do") == 4 and answer.count("made of others") == 1
    assert "4 runs to train, about" in answer and "minutes each" in answer


def test_a_dry_run_writes_no_results(mars_tree, tmp_path, capsys):
    options = ["--dataset", "mars", "--root", str(mars_tree.write()), "--dry-run"]
    assert run(TABLE_3, arguments(tmp_path, *options)) == 0
    assert "no run is finished in" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()
    there = tmp_path / "results" / "mars-smoke-cpu"
    there.mkdir(parents=True)
    assert run(TABLE_3, arguments(tmp_path, *options)) == 0
    assert not list(there.iterdir())


@pytest.mark.slow
def test_the_results_alone_are_enough_for_the_table(copied, table, place, tmp_path):
    (tmp_path / "results" / WHERE / "components.md").unlink()
    root = str(place / "work" / "data" / NAME)
    assert run(TABLE_3, [*copied, "--work", str(tmp_path / "work"), "--root", root]) == 0
    table_again = tmp_path / "results" / WHERE / "components.md"
    assert table_again.read_bytes() == (table / "components.md").read_bytes()
    assert not list((tmp_path / "work").rglob("checkpoint.ckpt"))


@pytest.mark.slow
def test_scores_are_made_anew_from_embeddings(copied, context, tmp_path):
    job = jobs(context)["SGCN+global"]
    runs = tmp_path / "results" / WHERE / "runs.jsonl"
    lines = runs.read_text().splitlines()
    [line] = [line for line in lines if f'"key": "{job.key}"' in line]
    runs.write_text("".join(f"{each}\n" for each in lines if each != line))
    trained = context.run_folder(job) / "checkpoint.ckpt"
    mtime = trained.stat().st_mtime_ns
    assert run(TABLE_3, copied) == 0
    again = runs.read_text().splitlines()[-1]
    before, after = (json.loads(each) for each in (line, again))
    assert before | {"finished": after["finished"]} == after
    assert trained.stat().st_mtime_ns == mtime


@pytest.mark.slow
def test_a_failed_run_is_reported_and_the_others_go_on(copied, capsys):
    rows = [
        Row("too few rows", {"data.height": 32}),
        Row("STGCN"),
        Row("tested again", {"data.test_clips": "first"}, of=("STGCN",)),
        Row("of what failed", {"data.test_clips": "first"}, of=("too few rows",)),
    ]
    experiment = Experiment("some_fail", "Some fail", rows, baseline="STGCN")
    assert run(experiment, copied) == 1
    answer = capsys.readouterr()
    [failed] = [line for line in answer.err.splitlines() if line.startswith("failed")]
    assert "too few rows, split 0, seed 0: --data.height 32 gives feature maps of 2 x 2" in failed
    assert "left out: of what failed" in answer.out
    table = [line for line in answer.out.split("## full")[0].splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[1] for line in table[2:]] == ["0", "1", "1", "0"]


@pytest.mark.slow
def test_what_is_tested_again_is_the_same_network(copied, context):
    row = Row("raw", {"model.embedding": "raw"}, of=("STGCN",))
    experiment = Experiment("raw", "Raw", [Row("STGCN"), row], baseline="STGCN")
    assert run(experiment, copied) == 0
    whole, raw = jobs(context, experiment).values()
    first, second = (np.load(context.embeddings(job)) for job in (whole, raw))
    branch = 64  # the channels of the narrow backbone
    assert first.shape == second.shape and not np.allclose(first, second)
    cosine = (first * second)[:, :branch].sum(1)
    cosine /= np.linalg.norm(first[:, :branch], axis=1) * np.linalg.norm(second[:, :branch], axis=1)
    assert cosine.min() > 0.99 and not context.run_folder(raw).exists()


@pytest.mark.slow
def test_the_occluded_share_of_a_query_is_the_mean_over_its_frames(context):
    dataset = context.source.load(0)
    truth = pd.read_parquet(context.source.root / "ground_truth.parquet")
    means = truth.groupby(["pid", "camid", "tracklet"])["hidden"].mean()
    by_path = truth.set_index("path")[["pid", "camid", "tracklet"]]
    first = dataset.frames.to_numpy()[dataset.query.sort_index()["first_frame"]]
    expected = [means[tuple(by_path.loc[path])] for path in first]
    assert np.allclose(occluded_shares(context.source), expected)
    assert (ranking_task(dataset).query_pids == by_path.loc[first, "pid"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("experiment", [OCCLUSION_CURVE, LOOK_ALIKE_CURVE], ids=lambda e: e.name)
def test_a_curve_is_made_of_the_runs_of_table_3(table, place, experiment):
    rows = [row.name for row in TABLE_3.rows if not row.of]
    assert make(experiment, place, "--variants", *rows) == table
    text = (table / f"{experiment.name}.md").read_text()
    assert all(f"| {name} |" in text for name in rows) and "chance" in text
    assert (table / f"{experiment.name}.png").stat().st_size > 5000
    assert (table / f"{experiment.name}.svg").read_text().startswith("<?xml")


LONGER = """
import sys
sys.path.insert(0, {root!r})
from experiments.__main__ import run
from experiments.experiment import Experiment, Row

settings = {{"model.branches": ["global"], "epochs": 9, "checkpoint_every": 2, "data.height": 64}}
experiment = Experiment("longer", "Longer", [Row("baseline", settings)], "baseline")
sys.exit(run(experiment, {arguments!r}))
"""


def wait_for(condition):
    until = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def training_of(runner):
    """The process that trains for a command."""
    children = Path(f"/proc/{runner.pid}/task/{runner.pid}/children").read_text().split()
    return next((int(pid) for pid in children), None)


def is_alive(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_stopped_and_killed_runs_go_on_to_the_same_weights(begin, place, tmp_path):
    """However a command or its training ends, the same command goes on from what was saved."""
    source = open_source(NAME, None, place / "work", split=0, workers=1)
    cut = tmp_path / "cut"

    def start(place):
        more = arguments(place, "--root", str(source.root))
        script = LONGER.format(root=str(Path(__file__).parents[1]), arguments=more)
        return begin(script, tmp_path / "told")

    def epochs():
        files = list(cut.rglob("metrics.csv"))
        return len(files[0].read_text().splitlines()) - 1 if files else 0

    # SIGTERM to the command: the training saves.
    runner = start(cut)
    wait_for(lambda: epochs() >= 1)
    os.kill(runner.pid, signal.SIGTERM)
    assert runner.status() == 143
    assert (
        runner.log.read_text().splitlines()[-1]
        == "longer: stopped; the same command goes on from here"
    )
    [log] = cut.rglob("log.txt")
    assert log.read_text().count("saved") == 1

    # SIGKILL to the command: its training saves too, and ends.
    done, runner = epochs(), start(cut)
    wait_for(lambda: epochs() > done)
    training = training_of(runner)
    os.kill(runner.pid, signal.SIGKILL)
    assert runner.status() == -signal.SIGKILL
    wait_for(lambda: not is_alive(training))
    assert log.read_text().count("saved") == 2

    # SIGKILL to the training: the command reports it.
    done, runner = epochs(), start(cut)
    wait_for(lambda: epochs() > done)
    os.kill(training_of(runner), signal.SIGKILL)
    assert runner.status() == 1
    assert "failed: baseline, split 0, seed 0: killed by SIGKILL" in runner.log.read_text()

    whole = tmp_path / "whole"
    for place, resumed in ((cut, "true"), (whole, "false")):
        runner = start(place)
        wait_for(lambda: not is_alive(runner.pid))  # noqa: B023
        assert runner.status() == 0, runner.log.read_text()
        [runs] = place.rglob("runs.jsonl")
        assert f'"resumed": {resumed}' in runs.read_text()
    first, second = (next(each.rglob("embeddings.npy")) for each in (cut, whole))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.slow
def test_a_full_disk_keeps_the_table_so_far(copied, tmp_path, capsys):
    table = tmp_path / "results" / WHERE
    before = {path: path.read_bytes() for path in table.glob("components.*")}
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        status = run(TABLE_3, [*copied, "--variants", "baseline"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert status == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("components: error: ") and "cannot be written" in line
    assert {path: path.read_bytes() for path in table.glob("components.*")} == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--preset", "large"], "preset 'large' is unknown: use paper, finetune, "),
        (["--variants", "SGNC"], "variant 'SGNC' is unknown: components has 'baseline'"),
        (["--seeds", "-1"], "--seeds=-1: pass a whole number from 0 to 1844"),
        (["--seeds", "0", str(2**64)], "--seeds=18446744073709551616: pass a whole number"),
        (["--num-workers", "-3"], "--num-workers=-3: pass a whole number of at least 0"),
        (["--seeds", "one"], "argument --seeds: invalid int value: 'one'"),
        (["--dataset", "ward"], "--dataset ward needs --root"),
        (["--dataset", "mars", "--root", "nowhere"], "nowhere: no such folder"),
        (["--dataset", "mars", "--splits", "1"], "mars has one split of its own"),
        (["--dataset", "stgcn-synth-v1", "--root", "."], ".: is not stgcn-synth-v1"),
        (["--dataset", "cuhk", "--root", "."], "data set 'cuhk' is unknown"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(tmp_path, capsys, more, message):
    assert run(TABLE_3, arguments(tmp_path, *more)) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("components: error: ") and message in line
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_a_data_set_that_check_refuses_is_refused(place, table, tmp_path, capsys):
    root = tmp_path / "bad"
    shutil.copytree(place / "work" / "data" / NAME, root)
    image = sorted(root.rglob("*.jpg"))[5]
    image.write_bytes(image.read_bytes()[:200])
    assert run(TABLE_3, arguments(tmp_path, "--root", str(root))) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert image.name in line and "1 truncated or damaged" in line and "stgcn check mars" in line
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_a_changed_preset_is_refused(copied, tmp_path, capsys):
    stored = tmp_path / "results" / WHERE / "folder.json"
    stored.write_text(stored.read_text().replace('"preset\'s epochs": 2', '"preset\'s epochs": 3'))
    assert run(TABLE_3, copied) == 2
    assert "preset's epochs is 3 there, 2 here" in capsys.readouterr().err
