"""`stgcn index`: extractions into a gallery, whole or not at all."""

import numpy as np
import pandas as pd
import pytest
from full_disk import largest_file
from stored_embeddings import table, write_extraction

from stgcn_pyg.cli import main
from stgcn_pyg.runs.extraction import EmbeddingWriter, describe
from stgcn_pyg.search import Gallery

KNOWN = table([3, 3, 7, -1], [1, 2, 1, 2])
EMBEDDINGS = np.float32([[0, 0], [1, 0], [8, 0], [9, 0]])


@pytest.fixture
def mars(tmp_path):
    return write_extraction(tmp_path / "embeddings", KNOWN, EMBEDDINGS, dataset="mars")


def index(folder, *options):
    return main(["index", f"--output={folder}", *map(str, options)])


def error_of(capsys):
    *_, line = capsys.readouterr().err.strip().splitlines()
    return line


def manifest_of(folder, tracklets, **columns):
    rows = [
        {"path": f"{n}-{f}.jpg", "camid": row.camid, "tracklet": n, "frame": f, "time": n + f / 2}
        for n, row in zip(tracklets.index, tracklets.itertuples(), strict=True)
        for f in range(row.num_frames)
    ]
    folder.mkdir(exist_ok=True)
    pd.DataFrame(rows).assign(**columns).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


def test_an_extraction_becomes_a_gallery(mars, tmp_path, capsys):
    assert index(tmp_path / "gallery", mars) == 0
    gallery = Gallery(tmp_path / "gallery")
    rows = gallery.tracklets()
    assert (rows["dataset"] == "mars").all()
    for name in ("pid", "camid", "num_frames"):
        assert rows[name].tolist() == KNOWN[name].tolist()
    assert rows["tracklet"].tolist() == [10, 11, 12, 13]
    assert rows[["first_time", "last_time"]].isna().all(axis=None)
    np.testing.assert_array_equal(gallery.embeddings(rows.index), EMBEDDINGS)
    assert gallery.checkpoint_sha256 == "a" * 64
    assert (gallery.facts["embedding"], gallery.facts["num_frames"]) == ("normalized", 4)
    assert "mars: 4 tracklets of " in capsys.readouterr().out


def test_shards_are_added_one_after_the_other(tmp_path):
    facts = {"run": "r", "dataset": "mars", "root": "nowhere", "split": 0, "protocols": ()}
    facts |= {"parts": "test", "test_clips": "all", "num_frames": 4, "embedding": "raw"}
    facts |= {"checkpoint_sha256": "a" * 64, "width": 2}
    rows = KNOWN.assign(first_frame_path="", is_query=False, is_gallery=True, is_train=False)
    description = describe(rows, 3, **facts)
    writer = EmbeddingWriter(tmp_path / "sharded", description, rows, lambda *_: False)
    writer.write(0, EMBEDDINGS[:3])
    writer.write(1, EMBEDDINGS[3:])
    assert index(tmp_path / "gallery", tmp_path / "sharded") == 0
    gallery = Gallery(tmp_path / "gallery")
    np.testing.assert_array_equal(gallery.embeddings(gallery.tracklets().index), EMBEDDINGS)


def test_indexing_again_replaces_and_another_name_adds(mars, tmp_path, capsys):
    folder = tmp_path / "gallery"
    assert index(folder, mars) == 0
    capsys.readouterr()
    assert index(folder, mars) == 0
    assert "mars: 4 tracklets of" in (said := capsys.readouterr().out)
    assert "4 of which replace earlier ones" in said
    assert len(Gallery(folder)) == 4
    assert index(folder, mars, mars, "--name", "hall", "yard") == 0
    assert "of which replace" not in capsys.readouterr().out
    assert Gallery(folder).tracklets()["dataset"].value_counts().to_dict() == {
        "mars": 4,
        "hall": 4,
        "yard": 4,
    }


def test_tracklets_and_data_sets_are_removed(mars, tmp_path, capsys):
    folder = tmp_path / "gallery"
    assert index(folder, mars, mars, "--name", "hall", "a:b") == 0
    assert index(folder, "--remove", "hall:12", "a:b", "--compact") == 0
    assert "5 tracklets removed" in capsys.readouterr().out
    gallery = Gallery(folder)
    assert gallery.tracklets()["tracklet"].tolist() == [10, 11, 13]
    assert [segment.facts.removed for segment in gallery.segments] == [[]]


def test_the_times_are_those_of_the_manifest(tmp_path, capsys):
    path = manifest_of(tmp_path / "videos", KNOWN)
    stored = write_extraction(tmp_path / "station", KNOWN, EMBEDDINGS, root=str(path))
    assert index(tmp_path / "gallery", stored) == 0
    rows = Gallery(tmp_path / "gallery").tracklets()
    assert (rows["dataset"] == "station").all()  # a manifest has no name of its own
    assert rows["first_time"].tolist() == [10, 11, 12, 13]
    assert rows["last_time"].tolist() == [11, 12, 13, 14]
    assert "no times" not in capsys.readouterr().out


def test_where_no_times_are_known_that_is_said(tmp_path, capsys):
    path = manifest_of(tmp_path / "videos", KNOWN, time="")
    stored = write_extraction(tmp_path / "station", KNOWN, EMBEDDINGS, root=str(path))
    assert index(tmp_path / "gallery", stored) == 0
    assert "has no column time: no times are known" in capsys.readouterr().out
    path.rename(moved := tmp_path / "moved.csv")
    assert index(tmp_path / "gallery", stored) == 0
    assert "no times are known: " in capsys.readouterr().out
    manifest_of(tmp_path / "videos", KNOWN).rename(moved)
    assert index(tmp_path / "gallery", stored, f"--manifest={moved}") == 0
    assert Gallery(tmp_path / "gallery").tracklets()["first_time"].notna().all()


def test_a_manifest_of_other_tracklets_is_refused(tmp_path, capsys):
    path = manifest_of(tmp_path / "videos", KNOWN.iloc[:3])
    stored = write_extraction(tmp_path / "station", KNOWN, EMBEDDINGS, root=str(path))
    assert index(tmp_path / "gallery", stored) == 2
    assert "has not tracklet 13 as" in error_of(capsys)
    assert not (tmp_path / "gallery").exists()


@pytest.mark.parametrize(
    ("name", "facts", "width"),
    [
        ("checkpoint_sha256", {"checkpoint_sha256": "b" * 64}, 2),
        ("width", {}, 3),
        ("embedding", {"embedding": "raw"}, 2),
        ("test_clips", {"test_clips": "first"}, 2),
    ],
)
def test_another_models_embeddings_are_refused(mars, tmp_path, capsys, name, facts, width):
    other = write_extraction(tmp_path / "other", KNOWN, np.eye(4, width), **facts)
    for there in ([], [mars]):  # in one command, and in a second one
        if there:
            assert index(tmp_path / "gallery", mars) == 0
        assert index(tmp_path / "gallery", *([] if there else [mars]), other) == 2
        said = error_of(capsys)
        assert f"{other}: is of another model than {tmp_path / 'gallery'} ({name} is " in said
        assert (tmp_path / "gallery").exists() == bool(there)
    assert len(Gallery(tmp_path / "gallery")) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "EMBEDDINGS: name an extraction, or give --remove, --compact or --codes"),
        (["--compact"], "no gallery"),
        (["nowhere"], "nowhere: no extraction"),
        (["{mars}", "--name", "a", "b"], "--name: has 2 names for 1 extractions"),
        (["{mars}", "{mars}", "--manifest=x"], "--manifest: is of one extraction; 2 are named"),
        (["{mars}", "--manifest=away.csv"], "away.csv: no such file"),
        (["{mars}", "--remove", "duke"], "has no tracklet duke"),
        (["--codes", "--reduce=2"], "--reduce 2: is computed from an extraction: name one"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_leaves_nothing(
    mars, tmp_path, capsys, options, message
):
    given = [option.format(mars=mars) for option in options]
    assert index(tmp_path / "gallery", *given) == 2
    assert message in error_of(capsys)
    assert not (tmp_path / "gallery").exists()


def test_a_damaged_extraction_and_a_full_disk_leave_the_gallery_as_it_was(mars, tmp_path, capsys):
    folder = tmp_path / "gallery"
    assert index(folder, mars) == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    many = table([1] * 9000, [1] * 9000)
    large = write_extraction(tmp_path / "large", many, np.zeros((9000, 2)), dataset="duke")
    with largest_file(20_000):
        assert index(folder, large) == 2
    assert "cannot be written (File too large): make room there" in error_of(capsys)
    shard = mars / "00000.safetensors"
    shard.write_bytes(shard.read_bytes()[:-4] + b"0000")
    assert index(folder, mars) == 2
    assert "00000.safetensors: damaged" in error_of(capsys)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("fault", ["missing", "damaged"])
def test_a_command_of_several_parts_does_all_of_them_or_nothing(mars, tmp_path, capsys, fault):
    folder = tmp_path / "gallery"
    assert index(folder, mars) == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    other = write_extraction(tmp_path / "other", KNOWN, EMBEDDINGS, dataset="duke")
    shard = other / "00000.safetensors"
    content = shard.read_bytes()
    shard.unlink()
    if fault == "damaged":
        shard.write_bytes(content[:-4] + b"0000")
    assert index(folder, other, "--remove", "mars:12") == 2
    assert index(folder, mars, other) == 2
    assert f"00000.safetensors: {fault}" in error_of(capsys)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert index(tmp_path / "new", mars, other) == 2
    assert not (tmp_path / "new").exists()
