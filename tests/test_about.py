"""Tables and files of scores say what they are of."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import MarsTree
from tiny_run import write_run

from stgcn_pyg import __version__
from stgcn_pyg.cli import main
from stgcn_pyg.runs.about import in_words, split_about

pytestmark = pytest.mark.usefixtures("narrow_backbone")

COLUMNS = [
    "protocol",
    "tracklet",
    "pid",
    "camid",
    "num_matches",
    "average_precision",
    "first_match_rank",
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder that commands are run in, with a run and a data set, named by relative paths."""
    monkeypatch.chdir(tmp_path)
    MarsTree(Path("data/mars")).write()
    write_run(Path("runs/tiny"), "data/mars")
    return tmp_path


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def evaluated(source, *more):
    """What `--json` says that the scores are of."""
    assert main(["evaluate", source, "--json=scores.json", *more]) == 0
    return json.loads(Path("scores.json").read_text())["about"]


OF_THE_RUN = {
    "version": __version__,
    "run": "runs/tiny",
    "dataset": "mars",
    "root": "data/mars",
    "split": 0,
    "test_clips": "all",
    "num_frames": 2,
    "embedding": "normalized",
    "on_bad_frame": "stop",
    "passed_over": 0,
    "reranking": None,
    "ranks": [1, 5, 10, 20],
}


def test_scores_of_a_run_name_it_its_weights_its_data_and_its_clips(place):
    expected = OF_THE_RUN | {"checkpoint_sha256": digest("runs/tiny/checkpoint.ckpt")}
    assert evaluated("runs/tiny", "--num-workers=0") == expected
    other = evaluated("runs/tiny", "--num-workers=0", "--test-clips=first", "--ranks", "1", "3")
    assert other == expected | {"test_clips": "first", "ranks": [1, 3]}


def test_re_ranked_scores_name_its_parameters(place, capsys):
    more = ("--num-workers=0", "--rerank", "--k1=3", "--k2=2", "--lambda-value=0.25")
    told = evaluated("runs/tiny", *more)["reranking"]
    assert told == {"k1": 3, "k2": 2, "lambda_value": 0.25}
    assert "k1 = 3, k2 = 2, lambda = 0.25" in capsys.readouterr().out


def test_the_table_says_what_it_is_of_before_it_begins(place, capsys):
    assert main(["evaluate", "runs/tiny", "--num-workers=0"]) == 0
    first = capsys.readouterr().out.strip().splitlines()[0]
    checkpoint = digest("runs/tiny/checkpoint.ckpt")[:12]
    for told in ("runs/tiny", checkpoint, "mars at data/mars", "split 0", "all clips of 2 frames"):
        assert told in first


def test_pictures_that_were_passed_over_are_counted(place, capsys):
    (bad,) = Path("data").rglob("0001C1T0001F002.jpg")
    bad.write_bytes(bad.read_bytes()[:300])
    skip = ("--num-workers=0", "--on-bad-frame=skip")
    told = evaluated("runs/tiny", *skip)
    assert (told["on_bad_frame"], told["passed_over"]) == ("skip", 1)
    assert "bad images, replaced by other frames: 1" in capsys.readouterr().out
    assert main(["extract", "runs/tiny", "embeddings", *skip]) == 0
    assert evaluated("embeddings")["passed_over"] == 1


def test_scores_of_an_extraction_name_the_run_too(place):
    assert main(["extract", "runs/tiny", "embeddings", "--num-workers=0"]) == 0
    key = json.loads(Path("embeddings/embeddings.json").read_text())["key"]
    told = evaluated("embeddings")
    assert told.pop("checkpoint_sha256") == digest("runs/tiny/checkpoint.ckpt")
    expected = {name: value for name, value in OF_THE_RUN.items() if name != "on_bad_frame"}
    assert told == expected | {"extraction": "embeddings", "extraction_key": key}


def test_scores_of_arrays_name_the_file_and_its_digest(place):
    labels = {"query_pids": [1, 2], "gallery_pids": [1, 2], "query_camids": [1, 1]}
    features = {"query_features": np.eye(2), "gallery_features": np.eye(2)}
    np.savez("features.npz", **features, **labels, gallery_camids=[2, 2])
    told = evaluated("features.npz")
    assert (told["file"], told["file_sha256"]) == ("features.npz", digest("features.npz"))
    assert "run" not in told


def test_the_csv_has_its_columns_as_before_and_says_behind_them_what_it_is_of(place):
    path = ["--per-query", "queries.csv", "--num-workers=0"]
    told = evaluated("runs/tiny", *path, "--rerank", "--k1=3", "--k2=2")
    table = pd.read_csv("queries.csv")
    assert list(table)[: len(COLUMNS)] == COLUMNS
    plain = {name: value for name, value in told.items() if isinstance(value, str | int)}
    same = table[list(table)[len(COLUMNS) :]].drop_duplicates()
    assert same.to_dict("records") == [{"method": "trained"} | plain]


def test_a_training_says_what_its_metrics_are_of(place, capsys):
    settings = [
        "--model.backbone=resnet18", "--model.weights=null", "--model.num-frames=2",
        "--model.spatial-channels=16", "--data.height=64", "--data.width=32", "--epochs=1",
        "--data.identities-per-batch=2", "--data.tracklets-per-identity=2", "--data.num-workers=0",
    ]  # fmt: skip
    (bad,) = Path("data").rglob("0002C1T0001F001.jpg")  # to train on, not to be tested on
    bad.write_bytes(bad.read_bytes()[:300])
    command = ["train", "mars", "data/mars", "--output=runs/new", "--on-bad-frame=skip"]
    assert main([*command, *settings, "--json=copy.json"]) == 0
    told, scores = split_about(json.loads(Path("runs/new/metrics.json").read_text()))
    expected = {name: OF_THE_RUN[name] for name in OF_THE_RUN if name not in ("reranking", "ranks")}
    checkpoint = {"run": "runs/new", "checkpoint_sha256": digest("runs/new/checkpoint.ckpt")}
    assert told == expected | checkpoint | {"on_bad_frame": "skip"}
    assert list(scores) == ["mars-official", "full-gallery", "query-free"]
    assert json.loads(Path("copy.json").read_text()) == {"about": told} | scores
    assert in_words(told) in capsys.readouterr().out


def test_an_explanation_says_what_it_is_of(place):
    write_run(Path("runs/other"), "data/mars", seed=1)
    command = ["explain", "runs/tiny", "explained", "--num-workers=0", "--parts", "lists"]
    assert main([*command, "--other=runs/other"]) == 0
    told = json.loads(Path("explained/explain.json").read_text())
    expected = {name: OF_THE_RUN[name] for name in OF_THE_RUN if name not in ("reranking", "ranks")}
    checkpoint = {"checkpoint_sha256": digest("runs/tiny/checkpoint.ckpt")}
    assert told["about"] == expected | checkpoint
    other = {"run": "runs/other", "checkpoint_sha256": digest("runs/other/checkpoint.ckpt")}
    assert told["other"] == expected | other
    assert (told["run"], told["protocol"]) == ("runs/tiny", "mars-official")


def test_the_numbers_of_an_explanation_are_those_of_its_tables(place):
    command = ["explain", "runs/tiny", "explained", "--num-workers=0", "--parts", "summary"]
    assert main(command) == 0
    told = json.loads(Path("explained/explain.json").read_text())["summary"]["weight_by_stripe"]
    table = pd.read_csv("explained/summary/weight_by_stripe.csv")
    values = table.select_dtypes(float)
    assert values.size
    np.testing.assert_allclose(pd.DataFrame(told)[list(values)], values, rtol=1e-13, atol=0)


def test_nothing_tells_where_this_folder_is(place):
    assert main(["extract", "runs/tiny", "embeddings", "--num-workers=0"]) == 0
    evaluated("embeddings", "--per-query=queries.csv")
    for path in (*Path("embeddings").iterdir(), Path("scores.json"), Path("queries.csv")):
        assert os.fsencode(place) not in path.read_bytes(), path
