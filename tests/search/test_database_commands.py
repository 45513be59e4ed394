"""`stgcn index` and `stgcn search` with the address of a database in place of a folder."""

import numpy as np
import pandas as pd
import pytest
from every_gallery import folder_in_memory, new_place
from stored_embeddings import table

from stgcn_pyg.cli import main
from stgcn_pyg.runs.extraction import EmbeddingWriter, describe
from stgcn_pyg.search import open_gallery

KNOWN = table([3, 3, 7, -1, 7], [1, 2, 1, 2, 2])
EMBEDDINGS = np.float32([[0, 0], [1, 0], [8, 0], [9, 0], [8, 1]])


@pytest.fixture(params=["qdrant", "postgres"])
def place(request):
    with folder_in_memory() as folder:
        postgres = request.getfixturevalue("postgres") if request.param == "postgres" else None
        place = new_place(request.param, folder, postgres)
        # PostgreSQL here trusts whoever connects, with any password.
        yield place.replace("postgres:@", "postgres:s3cret@")


@pytest.fixture
def write(tmp_path):
    """Writes an extraction in shards of 2 tracklets."""

    def write(name="mars", shards=(0, 1, 2), sha="a"):
        facts = {"run": "r", "dataset": "mars", "root": "nowhere", "split": 0, "protocols": ()}
        facts |= {"parts": "test", "test_clips": "all", "num_frames": 4, "embedding": "raw"}
        facts |= {"checkpoint_sha256": sha * 64, "width": 2}
        rows = KNOWN.assign(first_frame_path="", is_query=False, is_gallery=True, is_train=False)
        description = describe(rows, 2, **facts)
        writer = EmbeddingWriter(tmp_path / name, description, rows, lambda *_: False)
        for shard in shards:
            writer.write(shard, EMBEDDINGS[2 * shard : 2 * shard + 2])
        return tmp_path / name

    return write


def index(place, *options):
    return main(["index", f"--output={place}", *map(str, options)])


def numbers_in(place):
    gallery = open_gallery(place)
    numbers = gallery.tracklets()["tracklet"].tolist()
    gallery.close()
    return numbers


def test_a_database_finds_what_a_folder_finds(place, write, tmp_path, capsys):
    found = {}
    for name, gallery in (("folder", tmp_path / "gallery"), ("database", place)):
        assert index(gallery, write()) == 0
        output = tmp_path / f"{name}.csv"
        options = ["--top", "3", "--same-camera", "person", f"--output={output}"]
        assert main(["search", str(gallery), "mars:12", *options]) == 0
        found[name] = pd.read_csv(output)
    pd.testing.assert_frame_equal(found["folder"], found["database"])
    assert found["database"]["tracklet"].tolist() == [13, 14, 11]  # two at distance 1
    assert "s3cret" not in capsys.readouterr().out


def test_the_page_names_the_gallery_without_its_password(postgres, write, tmp_path):
    place = new_place("postgres", None, postgres).replace("postgres:@", "postgres:s3cret@")
    assert index(place, write()) == 0
    assert main(["search", place, "mars:12", f"--page={tmp_path / 'found.html'}"]) == 0
    page = (tmp_path / "found.html").read_text()
    assert place.rpartition("/")[2].partition("?")[0] in page and "s3cret" not in page


def test_a_shard_at_a_time_comes_in_and_the_same_command_goes_on(place, write, capsys):
    assert index(place, write(shards=(0, 1))) == 2  # two processes were killed before the third
    assert "00002.safetensors: missing" in (told := capsys.readouterr().err)
    assert "s3cret" not in told
    assert numbers_in(place) == [10, 11, 12, 13]
    assert index(place, write()) == 0
    assert numbers_in(place) == [10, 11, 12, 13, 14]


def test_tracklets_are_removed_and_other_models_refused(place, write, capsys):
    assert index(place, write(), write(), "--name", "hall", "yard") == 0
    assert index(place, "--remove", "hall:12", "yard", "--compact") == 0
    assert "6 tracklets removed" in capsys.readouterr().out
    assert numbers_in(place) == [10, 11, 13, 14]
    assert index(place, write("others", sha="b")) == 2
    assert "is of another model than" in (told := capsys.readouterr().err)
    assert "s3cret" not in told
    assert numbers_in(place) == [10, 11, 13, 14]


@pytest.mark.parametrize(
    "place, words",
    [
        ("qdrant://127.0.0.1:1/people", "no Qdrant server answers there"),
        ("postgresql://me:s3cret@127.0.0.1:1/db/people", "no PostgreSQL opens this database"),
    ],
)
def test_a_server_that_is_not_there_is_told_in_one_line(place, words, write, capsys):
    for arguments in (["index", str(write()), f"--output={place}"], ["search", place, "mars:10"]):
        assert main(arguments) == 2
        *_, told = capsys.readouterr().err.strip().splitlines()
        assert words in told and "s3cret" not in told


def test_an_index_is_made_by_the_command_and_exact_passes_it_over(place, write, capsys):
    assert index(place, write(), "--codes") == 0
    assert "searches take candidates from its index, unless they are --exact" in (
        capsys.readouterr().out
    )
    for options in ([], ["--exact"]):
        assert main(["search", place, "mars:12", "--top", "2", *options]) == 0
        assert "1.0000  mars:13" in capsys.readouterr().out
