"""A data set whose identities nobody knows: what works, and what says why it cannot."""

import numpy as np
import pandas as pd
import pytest
from conftest import MarsTree
from tiny_run import write_run

from stgcn_pyg.cli import main
from stgcn_pyg.data import TrackletDataset, load_dataset, write_manifest
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import pairwise_distances
from stgcn_pyg.runs.extraction import StoredEmbeddings

pytestmark = pytest.mark.usefixtures("one_thread", "narrow_backbone")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unlabelled")
    root = MarsTree(folder / "mars").write()
    dataset = load_dataset("mars", root)
    write_manifest(dataset, root / "labelled.csv")
    table = pd.read_csv(root / "labelled.csv")
    table = table[table["split"] != "train"].drop_duplicates("path").drop(columns=["pid", "split"])
    table.to_csv(root / "manifest.csv", index=False)
    return write_run(folder / "run", root)


@pytest.fixture
def manifest(run):
    return run.parent / "mars" / "manifest.csv"


@pytest.fixture
def own(manifest):
    return ["--dataset", "manifest", "--root", str(manifest), "--num-workers", "0"]


def test_all_tracklets_are_query_and_gallery(manifest):
    dataset = load_dataset("manifest", manifest)
    assert not dataset.labelled and dataset.train.empty
    test = dataset.test()
    assert (test["pid"] == -1).all() and test["is_query"].all() and test["is_gallery"].all()
    assert len(test) == pd.read_csv(manifest)["tracklet"].nunique()


def test_a_manifest_without_identities_survives_being_written(manifest):
    dataset = load_dataset("manifest", manifest)
    for name in ("again.csv", "again.parquet"):
        write_manifest(dataset, manifest.with_name(name))
        again = load_dataset("manifest", manifest.with_name(name))
        pd.testing.assert_frame_equal(again.gallery, dataset.gallery)
        assert not again.labelled


def test_half_of_the_labels_are_too_few(manifest):
    table = pd.read_csv(manifest).assign(pid=3)
    table.to_csv(manifest.with_name("half.csv"), index=False)
    with pytest.raises(UserError, match="lacks the columns split"):
        load_dataset("manifest", manifest.with_name("half.csv"))


def test_identities_without_a_protocol_are_refused(manifest):
    some = load_dataset("manifest", manifest)
    labelled = some.gallery.assign(pid=4)
    with pytest.raises(UserError, match="pid is 4 where no protocol is given"):
        TrackletDataset("mine", some.root, some.train, labelled, labelled, some.frames, ())


def test_it_is_checked(manifest, capsys):
    assert main(["check", "manifest", str(manifest)]) == 0
    assert "no identities" in capsys.readouterr().out


def test_it_is_extracted_and_its_lists_are_drawn(run, own, tmp_path, capsys):
    assert main(["extract", str(run), str(tmp_path / "vectors"), *own]) == 0
    explain = ["explain", str(run), str(tmp_path / "why"), *own, "--count", "2", "--top", "3"]
    assert main(explain) == 0
    assert "no identity is known: lists" in capsys.readouterr().out
    lists = pd.read_csv(tmp_path / "why" / "lists.csv")
    stored = StoredEmbeddings(tmp_path / "vectors")
    distances = pairwise_distances(stored.embeddings, stored.embeddings).numpy()
    np.fill_diagonal(distances, np.inf)
    for query, ranked in lists.groupby("query"):
        row = stored.tracklets.index.get_loc(query)
        nearest = np.argsort(distances[row], kind="stable")[:3]
        assert ranked["tracklet"].tolist() == stored.tracklets.index[nearest].tolist()
        np.testing.assert_allclose(ranked["distance"], distances[row][nearest], atol=1e-6)
    assert set(lists["kind"]) == {"unknown"}
    assert {"list.png", "maps.png"} <= {path.name for path in (tmp_path / "why").glob("*/*")}


@pytest.mark.parametrize(
    "command",
    [
        "train manifest {manifest} --output {tmp}/run --preset small",
        "evaluate {run} --dataset manifest --root {manifest}",
        "explain {run} {tmp}/e --dataset manifest --root {manifest} --parts summary",
    ],
    ids=lambda command: command.split()[0],
)
def test_what_needs_identities_says_so_in_one_line(run, manifest, tmp_path, capsys, command):
    places = {"manifest": str(manifest), "run": str(run), "tmp": str(tmp_path)}
    assert main(command.format(**places).split()) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(f"stgcn {command.split()[0]}: error: ")
    assert "no identity is known: training and evaluation need the columns pid and split" in said
    assert not (tmp_path / "run").exists() and not (tmp_path / "e").exists()


def test_there_is_nothing_to_train_on_to_be_extracted(run, own, tmp_path, capsys):
    assert main(["extract", str(run), str(tmp_path / "vectors"), *own, "--parts", "train"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"stgcn extract: error: --parts train: manifest at {run.parent / 'mars'} has no such "
        "tracklets: pass test or all"
    ]
    assert not (tmp_path / "vectors").exists()


def test_an_extraction_without_identities_cannot_be_evaluated(run, own, tmp_path, capsys):
    assert main(["extract", str(run), str(tmp_path / "vectors"), *own]) == 0
    assert main(["evaluate", str(tmp_path / "vectors")]) == 2
    assert "no identity is known" in capsys.readouterr().err
