"""`stgcn extract`: embeddings in files, also if it is killed."""

import hashlib
import itertools
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pytest
import torch
from conftest import MarsTree
from full_disk import largest_file
from pyarrow import parquet
from safetensors.numpy import load_file
from scipy.io import savemat
from tiny_run import write_run

from stgcn_pyg.cli import main
from stgcn_pyg.data import load_dataset
from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.embedding import embed_tracklets
from stgcn_pyg.runs.trained_model import TrainedModel

pytestmark = pytest.mark.usefixtures("one_thread", "narrow_backbone")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extract")
    return write_run(folder / "run", MarsTree(folder / "mars").write())


@pytest.fixture
def root(run):
    return run.parent / "mars"


@pytest.fixture(scope="module")
def extracted(run):
    """An extraction in shards of 2, 2 and 2 tracklets; not to be altered."""
    output = run.parent / "extracted"
    assert main(command(run, output)) == 0
    return output


@pytest.fixture
def copy(extracted, tmp_path):
    """The same, to be bent."""
    return Path(shutil.copytree(extracted, tmp_path / "copy"))


def command(run, output, *more):
    fixed = ["--num-workers=0", "--clips-per-batch=3", "--shard-size=2"]
    return ["extract", str(run), str(output), *fixed, *more]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def error_line(capsys):
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def last_line(capsys):
    """Of an error that comes after a progress bar has begun."""
    return capsys.readouterr().err.strip().splitlines()[-1]


def read(folder):
    """The shards as anyone reads them."""
    embeddings = [load_file(path)["embedding"] for path in sorted(folder.glob("*.safetensors"))]
    tables = [pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    return np.concatenate(embeddings), pd.concat(tables, ignore_index=True)


def test_the_help_has_an_example(capsys):
    with pytest.raises(SystemExit) as left:
        main(["extract", "--help"])
    assert left.value.code == 0
    assert "stgcn extract runs/mars embeddings/mars" in capsys.readouterr().out


def embed(run, table):
    """The embeddings of a table of the data set, all at once, by the function of evaluation."""
    trained = TrainedModel(run, num_workers=0)
    tracklets = getattr(trained.data.dataset, table)
    return embed_tracklets(trained.model, trained.data, tracklets, "cpu").numpy()


def test_the_shards_hold_the_embeddings_that_evaluation_ranks(run, extracted):
    embeddings, table = read(extracted)
    files = {f"0000{shard}.{end}" for shard in range(3) for end in ("safetensors", "parquet")}
    assert set(contents(extracted)) == {"embeddings.json", *files}
    assert embeddings.dtype == np.float32
    expected = embed(run, "gallery")
    np.testing.assert_allclose(embeddings, expected, rtol=0, atol=1e-6)
    assert len(np.unique(expected.round(4), axis=0)) == len(table)  # so that an order is seen


def test_the_tables_hold_each_tracklets_labels(root, extracted):
    dataset = load_dataset("mars", root)
    _, table = read(extracted)
    assert table["tracklet"].tolist() == [8, 9, 10, 11, 12, 13]
    for row in table.itertuples():
        tracklet = dataset.gallery.loc[row.tracklet]
        assert (row.pid, row.camid, row.num_frames) == tuple(
            tracklet[["pid", "camid", "num_frames"]]
        )
        assert root / row.first_frame_path == dataset.paths(tracklet)[0]
        assert (row.is_query, row.is_gallery, row.is_train) == (
            row.tracklet in (10, 11),
            True,
            False,
        )


def test_the_description_tells_what_they_are(run, root, extracted):
    told = json.loads((extracted / "embeddings.json").read_text())
    assert told["dataset"] == "mars"
    assert told["root"] == str(root)
    assert told["protocols"] == ["mars-official", "full-gallery", "query-free"]
    assert (told["run"], told["num_frames"], told["embedding"]) == (str(run), 2, "normalized")
    assert (told["parts"], told["test_clips"], told["split"]) == ("test", "all", 0)
    assert (told["num_tracklets"], told["width"], told["shard_size"]) == (6, 64 + 32, 2)
    assert len(told["checkpoint_sha256"]) == len(told["key"]) == 64


def test_parts_choose_the_tracklets(run, tmp_path):
    for parts, numbers in (("train", range(8)), ("all", range(14))):
        output = tmp_path / parts
        assert main(command(run, output, f"--parts={parts}", "--shard-size=5")) == 0
        embeddings, table = read(output)
        assert table["tracklet"].tolist() == list(numbers)
        assert table["is_train"].tolist() == [number < 8 for number in numbers]
        assert len(embeddings) == len(table)
    train, _ = read(tmp_path / "train")
    np.testing.assert_allclose(embeddings[:8], train, rtol=0, atol=1e-6)


def killed(run_command, call):
    """Whether the command, in a process of its own, was killed at its n-th step.

    A step is a batch through the network, or a file's way to the disk and to its name.
    """
    process = os.fork()
    if process == 0:
        torch.set_num_threads(1)
        steps = itertools.count(1)

        def deadly(step):
            def at_last(*arguments):
                if next(steps) == call:
                    if step is fsync and os.path.isfile(f"/proc/self/fd/{arguments[0]}"):
                        os.ftruncate(arguments[0], os.fstat(arguments[0]).st_size // 2)
                    os.kill(os.getpid(), signal.SIGKILL)
                return step(*arguments)

            return at_last

        fsync = os.fsync
        os.fsync = deadly(os.fsync)
        Path.replace = deadly(Path.replace)
        STGCN.from_feature_maps = deadly(STGCN.from_feature_maps)
        os._exit(main(run_command))
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.slow
def test_killed_again_and_again_it_goes_on_and_ends_with_the_same_bytes(run, extracted, tmp_path):
    output, shards = tmp_path / "killed", []
    # Steps: 3 for embeddings.json; then, for each shard, 2 batches and 3 for each of its files.
    for call in (1, 5, 3, 6, 8, 2, 14):
        assert killed(command(run, output), call)
        shards.append(len(list(output.glob("*.parquet"))))
    assert shards == [0, 0, 0, 0, 1, 1, 2]
    assert not killed(command(run, output), None)
    assert contents(output) == contents(extracted)


def test_what_is_there_is_not_embedded_again(run, extracted, copy, capsys, monkeypatch):
    (copy / "00001.parquet").unlink()
    assert main(command(run, copy)) == 0
    captured = capsys.readouterr()
    assert f"{copy}: 4 of 6 tracklets are there already" in captured.out
    assert "| 4/6 [" in captured.err  # the bar begins there, and ends
    assert "| 6/6 [" in captured.err
    assert contents(copy) == contents(extracted)
    monkeypatch.setattr(STGCN, "from_feature_maps", None)
    assert main(command(run, copy)) == 0
    assert contents(copy) == contents(extracted)


@pytest.mark.parametrize("end", ["safetensors", "parquet"])
def test_a_shard_that_is_not_whole_or_not_its_own_is_written_anew(run, extracted, copy, end):
    half, flipped, exchanged = (copy / f"0000{shard}.{end}" for shard in range(3))
    exchanged.write_bytes(flipped.read_bytes())
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1
    flipped.write_bytes(content)
    assert main(command(run, copy)) == 0
    assert contents(copy) == contents(extracted)


def test_a_shard_of_another_extraction_is_written_anew(run, extracted, copy):
    key = json.loads((copy / "embeddings.json").read_text())["key"].encode()
    for path in (copy / "00000.safetensors", copy / "00001.parquet"):
        path.write_bytes(path.read_bytes().replace(key, key[::-1]))
    assert main(command(run, copy)) == 0
    assert contents(copy) == contents(extracted)


def test_shards_that_have_changed_places_are_found_at_evaluation(copy, capsys):
    for end in ("safetensors", "parquet"):
        first, second = copy / f"00000.{end}", copy / f"00001.{end}"
        first.rename(copy / "third")
        second.rename(first)
        (copy / "third").rename(second)
    assert main(["evaluate", str(copy)]) == 2
    assert error_line(capsys) == (
        f"stgcn evaluate: error: {copy / '00000.parquet'}: is shard 1, not 0: run the same "
        "`stgcn extract` again, which writes it anew"
    )


def test_labels_that_were_changed_are_found_at_evaluation(copy, capsys):
    path = copy / "00001.parquet"
    table = parquet.read_table(path)
    pids = table.column_names.index("pid")
    parquet.write_table(table.set_column(pids, "pid", [[1, 1]]), path)
    assert main(["evaluate", str(copy)]) == 2
    assert error_line(capsys) == (
        f"stgcn evaluate: error: {copy}: its tracklets are not those that embeddings.json names: "
        "run the same `stgcn extract` again, which writes it anew"
    )


def rewritten(path):
    """The same Parquet table in other bytes, as another version of pyarrow writes it."""
    table, version = parquet.read_table(path), f"version {pyarrow.__version__}".encode()
    parquet.write_table(table, path, compression="zstd", write_page_checksum=True)
    assert version in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(version, version[::-1]))


def test_a_shard_in_the_bytes_of_another_pyarrow_is_not_embedded_again(run, copy, monkeypatch):
    for shard in range(3):
        rewritten(copy / f"0000{shard}.parquet")
    before = contents(copy)
    monkeypatch.setattr(STGCN, "from_feature_maps", None)
    assert main(command(run, copy)) == 0
    assert contents(copy) == before


def test_labels_that_were_changed_are_written_anew(run, extracted, copy):
    path = copy / "00001.parquet"
    table = parquet.read_table(path)
    pids = table.column_names.index("pid")
    parquet.write_table(table.set_column(pids, "pid", [[1, 1]]), path)
    assert main(command(run, copy)) == 0
    assert contents(copy) == contents(extracted)


@pytest.fixture
def bad_picture(root):
    """A picture of the second shard, damaged; called, it is mended."""
    (path,) = root.rglob("0001C1T0001F002.jpg")
    content = path.read_bytes()
    path.write_bytes(content[:300])

    def mend():
        path.write_bytes(content)

    mend.path = path
    yield mend
    mend()


def test_a_picture_mended_between_two_runs_takes_the_place_of_its_substitute(
    run, extracted, bad_picture, tmp_path, capsys
):
    output = tmp_path / "output"
    skip = command(run, output, "--on-bad-frame=skip")
    assert main(skip) == 0
    whole, substituted = contents(extracted), contents(output)
    changed = [name for name in whole if whole[name] != substituted[name]]
    assert sorted(changed) == ["00001.parquet", "00001.safetensors"]
    bad_picture()
    capsys.readouterr()
    assert main(skip) == 0
    assert f"{output}: 4 of 6 tracklets are there already" in capsys.readouterr().out
    assert contents(output) == contents(extracted)


def test_a_substitute_stays_while_its_picture_is_bad_and_is_not_for_those_who_stop(
    run, bad_picture, tmp_path, capsys, monkeypatch
):
    output = tmp_path / "output"
    assert main(command(run, output, "--on-bad-frame=skip")) == 0
    before = contents(output)
    told = json.loads(parquet.read_schema(output / "00001.parquet").metadata[b"passed_over"])
    assert [line.partition(":")[0] for line in told] == [str(bad_picture.path)]
    assert b"passed_over" not in parquet.read_schema(output / "00000.parquet").metadata
    assert main(command(run, output, "--on-bad-frame=stop")) == 2
    assert str(bad_picture.path) in last_line(capsys)
    assert contents(output) == before
    monkeypatch.setattr(STGCN, "from_feature_maps", None)
    assert main(command(run, output, "--on-bad-frame=skip")) == 0
    assert contents(output) == before


def test_the_digest_is_of_the_weights_that_embed_while_a_training_goes_on(
    run, root, extracted, tmp_path, monkeypatch
):
    training, output = tmp_path / "training", tmp_path / "output"
    shutil.copytree(run, training)
    later = write_run(tmp_path / "later", root, seed=1) / "checkpoint.ckpt"
    load = TrainedModel.__init__

    def load_while_it_goes_on(self, *arguments, **options):
        load(self, *arguments, **options)
        shutil.copy(later, training / "checkpoint.ckpt")

    monkeypatch.setattr(TrainedModel, "__init__", load_while_it_goes_on)
    assert main(command(training, output)) == 0
    told, expected = (
        json.loads((folder / "embeddings.json").read_text()) for folder in (output, extracted)
    )
    assert told["checkpoint_sha256"] == expected["checkpoint_sha256"]
    np.testing.assert_array_equal(read(output)[0], read(extracted)[0])


def of_an_older_version(folder):
    """Makes an extraction one of before the run, T and the kind of embedding were told."""
    path = folder / "embeddings.json"
    told = json.loads(path.read_text())
    key = told.pop("key")
    for name in ("run", "num_frames", "embedding"):
        del told[name]
    old = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(told | {"key": old}))
    for path in folder.glob("*.safetensors"):
        path.write_bytes(path.read_bytes().replace(key.encode(), old.encode()))
    for path in folder.glob("*.parquet"):
        table = parquet.read_table(path)
        table = table.replace_schema_metadata({**table.schema.metadata, b"extraction": old})
        parquet.write_table(table, path, write_page_checksum=True)


def test_an_extraction_of_an_older_version_is_read_and_gone_on_with(run, extracted, copy, capsys):
    of_an_older_version(copy)
    told = (copy / "embeddings.json").read_bytes()
    assert main(["evaluate", str(copy)]) == 0
    (copy / "00002.parquet").unlink()
    capsys.readouterr()
    assert main(command(run, copy)) == 0
    assert f"{copy}: 4 of 6 tracklets are there already" in capsys.readouterr().out
    assert main(["evaluate", str(copy)]) == 0
    assert (copy / "embeddings.json").read_bytes() == told
    np.testing.assert_array_equal(read(copy)[0], read(extracted)[0])


def test_an_extraction_of_no_tracklet_is_told_wherever_it_is_read(extracted, tmp_path, capsys):
    path, gallery = tmp_path / "empty" / "embeddings.json", tmp_path / "gallery"
    told = json.loads((extracted / path.name).read_text())
    told |= {"num_tracklets": 0, "parts": "train"}
    del told["key"]
    path.parent.mkdir()
    key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(told | {"key": key}))
    assert main(["index", str(extracted), f"--output={gallery}"]) == 0
    capsys.readouterr()
    for command in (
        ["evaluate", path.parent],
        ["link", path.parent, "--threshold=1", f"--output={tmp_path / 'linked.csv'}"],
        ["threshold", path.parent, "--fpr=0.1"],
        ["index", path.parent, f"--output={tmp_path / 'other'}"],
        ["search", gallery, path.parent],
    ):
        assert main([str(argument) for argument in command]) == 2
        assert error_line(capsys) == (
            f"stgcn {command[0]}: error: {path.parent}: holds no tracklet: extract other --parts "
            "into a new folder"
        )
    assert not (tmp_path / "other").exists()


def test_the_same_data_set_at_another_place_is_the_same_and_said_so(
    run, root, extracted, copy, tmp_path, capsys
):
    moved = tmp_path / "moved"
    moved.symlink_to(root)
    shutil.copytree(root, tmp_path / "copied")
    (copy / "00001.parquet").unlink()
    assert main(command(run, copy, f"--root={moved}")) == 0
    assert "so far" not in capsys.readouterr().out
    assert main(command(run, copy, f"--root={tmp_path / 'copied'}")) == 0
    assert f"until now they were read at {root}" in capsys.readouterr().out
    assert contents(copy) == contents(extracted)


def test_an_embedding_of_one_branch_has_its_width(root, tmp_path, monkeypatch):
    run = write_run(tmp_path / "run", root, embedding="spatial")
    output = tmp_path / "output"
    assert main(command(run, output)) == 0
    assert json.loads((output / "embeddings.json").read_text())["width"] == 32
    assert main(["evaluate", str(output)]) == 0
    monkeypatch.setattr(STGCN, "from_feature_maps", None)
    assert main(command(run, output)) == 0


def test_another_extraction_is_refused_with_the_difference(run, root, copy, tmp_path, capsys):
    before = contents(copy)
    other = write_run(tmp_path / "other", root, seed=1)
    for another, words in (
        (command(run, copy, "--test-clips=first"), "test_clips is all there, first here"),
        (command(run, copy, "--shard-size=3"), "shard_size is 2 there, 3 here"),
        (command(run, copy, "--parts=all"), "parts is test there, all here"),
        (command(other, copy), "checkpoint_sha256 is "),
    ):
        assert main(another) == 2
        line = error_line(capsys)
        assert line.startswith(f"stgcn extract: error: {copy}: holds another extraction ({words}")
        assert line.endswith(" here); choose another folder")
    assert contents(copy) == before


def test_the_same_data_set_with_other_queries_is_another(run, root, copy, capsys):
    queries = root / "info" / "query_IDX.mat"
    before = queries.read_bytes()
    savemat(queries, {"query_IDX": np.array([[3, 5]])})
    try:
        assert main(command(run, copy)) == 2
    finally:
        queries.write_bytes(before)
    assert "holds another extraction (tracklets_sha256 is " in error_line(capsys)


def test_a_folder_that_holds_something_else_is_left_alone(run, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("precious")
    for output in (tmp_path, tmp_path / "thesis.txt"):
        assert main(command(run, output)) == 2
        assert error_line(capsys) == (
            f"stgcn extract: error: {output}: holds something that is no extraction; choose "
            "another folder"
        )
    assert contents(tmp_path) == {"thesis.txt": b"precious"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "damaged"),
        ('{"format": 0}', "of another version than 1"),
        (None, "altered since it was written"),
    ],
)
def test_a_damaged_description_is_told(run, copy, content, words, capsys):
    path = copy / "embeddings.json"
    path.write_text(content or path.read_text().replace('"width": 96', '"width": 97'))
    assert main(["evaluate", str(copy)]) == 2
    line = f"error: {path}: {words}: extract into a new folder"
    assert error_line(capsys) == f"stgcn evaluate: {line}"
    if words == "damaged":
        assert main(command(run, copy)) == 2
        assert error_line(capsys) == f"stgcn extract: {line}"


@pytest.mark.parametrize(("size", "written"), [(100, set()), (800, {"embeddings.json"})])
def test_a_full_disk_is_told_in_one_line_and_nothing_half_written_stays(
    run, extracted, tmp_path, size, written, capsys
):
    output = tmp_path / "full"
    with largest_file(size):
        assert main(command(run, output)) == 2
    name = "00000.safetensors" if written else "embeddings.json"
    assert last_line(capsys) == (
        f"stgcn extract: error: {output / name}: cannot be written (File too large): mend that and "
        "run the same command again, which goes on here"
    )
    assert set(contents(output)) == written
    if written:
        assert main(command(run, output)) == 0
        assert contents(output) == contents(extracted)


def test_a_bad_picture_stops_it_and_what_was_written_before_stays(
    run, extracted, root, tmp_path, capsys
):
    (bad,) = root.rglob("0003C1T0001F002.jpg")
    content = bad.read_bytes()
    bad.write_bytes(content[:300])
    try:
        assert main(command(run, tmp_path / "output")) == 2
    finally:
        bad.write_bytes(content)
    assert last_line(capsys) == (
        f"stgcn extract: error: {bad}: truncated or no image; `stgcn check` finds all that are bad"
    )
    written = contents(tmp_path / "output")
    assert set(written) == {"embeddings.json", "00000.safetensors", "00000.parquet"}
    assert written.items() <= contents(extracted).items()


def test_a_missing_model_is_told_and_nothing_is_written(tmp_path, capsys):
    assert main(command(tmp_path / "absent", tmp_path / "output")) == 2
    assert error_line(capsys) == (
        f"stgcn extract: error: {tmp_path / 'absent'}: no such checkpoint; pass a run's folder or "
        "its checkpoint.ckpt"
    )
    assert not (tmp_path / "output").exists()
