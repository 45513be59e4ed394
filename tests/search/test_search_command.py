"""`stgcn search`: what is found, in the terminal, in files and on the page."""

import json
import os
import re

import numpy as np
import pandas as pd
import pytest
from conftest import MarsTree
from PIL import Image
from rendered import tiny
from small_video import write_video
from stored_embeddings import table, write_extraction
from test_index_command import manifest_of
from tiny_run import write_run

from stgcn_pyg.cli import main
from stgcn_pyg.evaluation import pairwise_distances
from stgcn_pyg.runs.embedder import Embedder
from stgcn_pyg.runs.extraction import StoredEmbeddings
from stgcn_pyg.search import Gallery
from stgcn_pyg.tracks import COLUMNS, tracks_of, write_tracks

pytestmark = pytest.mark.usefixtures("one_thread", "narrow_backbone")

# Tracklets 10 to 15: two people in two cameras, one of nobody known, and a near duplicate.
KNOWN = table([3, 3, 7, 7, -1, 3], [1, 2, 1, 2, 2, 1])
EMBEDDINGS = np.float32([[0], [1], [4], [6], [9], [0.25]])


@pytest.fixture
def station(tmp_path):
    """An extraction of videos with times, whose frames lie beside the manifest."""
    path = manifest_of(tmp_path / "videos", KNOWN)
    for image in pd.read_csv(path)["path"]:
        Image.new("RGB", (20, 40), (int(image[:2]) * 9, 50, 80)).save(path.parent / image)
    queries = KNOWN.assign(is_query=[True, False, True, False, False, False])
    queries = queries.assign(first_frame_path=[f"{number}-0.jpg" for number in KNOWN.index])
    return write_extraction(tmp_path / "station", queries, EMBEDDINGS, root=str(path))


@pytest.fixture
def gallery(station, tmp_path):
    assert main(["index", str(station), f"--output={tmp_path / 'gallery'}"]) == 0
    return tmp_path / "gallery"


def search(gallery, query, *options):
    return main(["search", str(gallery), str(query), *map(str, options)])


def found(gallery, query, *options):
    """The rows of the file that is written."""
    path = gallery.parent / "found.csv"
    path.unlink(missing_ok=True)
    assert search(gallery, query, f"--output={path}", *options) == 0
    return pd.read_csv(path)


def error_of(capsys):
    *_, line = capsys.readouterr().err.strip().splitlines()
    return line


def test_the_queries_of_an_extraction_are_looked_for(gallery, station, capsys):
    rows = found(gallery, station, "--top=3")
    assert rows["query"].tolist() == [10] * 3 + [12] * 3
    assert rows["rank"].tolist() == [1, 2, 3] * 2
    assert rows["tracklet"].tolist() == [10, 15, 11, 12, 13, 11]
    assert rows["distance"].tolist() == [0, 0.25, 1, 0, 2, 3]
    assert rows["query_pid"].tolist() == [3] * 3 + [7] * 3
    assert rows["first_time"].tolist() == rows["tracklet"].tolist()
    said = capsys.readouterr().out
    assert "query 10\n" in said
    assert re.search(r"2 +0\.2500 +station:15 +3 +1 +3 +15\.0 to 16\.0 +15-0\.jpg\n", said)
    assert set(found(gallery, station, "--parts=all")["query"]) == set(range(10, 16))


def test_a_tracklet_of_the_gallery_does_not_find_itself(gallery, capsys):
    rows = found(gallery, "station:10", "--top=2")
    assert rows["query"].tolist() == ["station:10"] * 2
    assert rows["tracklet"].tolist() == [15, 11]
    assert len(found(gallery, "station:10", "--top=50")) == 5
    said = capsys.readouterr().out
    assert "--top 50: the gallery has only 5 tracklets to find" in said
    assert "queries find fewer" not in said
    # Nor is one less found where the filter leaves it out already.
    rows = found(gallery, "station:10", "--top=2", "--camera", "2")
    assert rows["tracklet"].tolist() == [11, 13]


def test_seconds_are_empty_where_times_are_not_known(station, tmp_path, capsys):
    path = tmp_path / "videos" / "manifest.csv"
    rows = pd.read_csv(path)
    rows.assign(time=rows["time"].where(rows["tracklet"] != 11)).to_csv(path, index=False)
    assert main(["index", str(station), f"--output={tmp_path / 'gallery'}"]) == 0
    assert search(tmp_path / "gallery", "station:10", "--top=2") == 0
    said = capsys.readouterr().out
    assert re.search(r" 15\.0 to 16\.0 +15-0\.jpg\n", said)
    assert re.search(r"station:11 +3 +2 +\d +11-0\.jpg\n", said)


@pytest.mark.parametrize(
    ("options", "tracklets"),
    [
        (["--camera", "2"], [11, 13, 14]),
        (["--camera", "2", "1", "--identity", "7"], [12, 13]),
        (["--identity", "-1"], [14]),
        (["--dataset", "station"], [15, 11, 12, 13, 14]),
        (["--after", "15"], [15, 14]),
        (["--before=11"], [11]),
        (["--same-camera=person"], [11, 12, 13, 14]),
        (["--same-camera=all"], [11, 13, 14]),
        (["--same_camera", "all", "--after=13", "--before=13.5"], [13]),
    ],
)
def test_filters_choose_what_may_be_found(gallery, options, tracklets):
    assert found(gallery, "station:10", *options)["tracklet"].tolist() == tracklets


def test_beyond_the_threshold_is_nobody(gallery, station, capsys):
    rows = found(gallery, station, "--threshold=0.25", "--same-camera=all")
    assert rows.empty
    assert "nobody within it: 2 of 2 queries" in capsys.readouterr().out
    rows = found(gallery, station, "--threshold=1", "--same-camera=all")
    assert rows["query"].tolist() == [10]
    assert rows["tracklet"].tolist() == [11]
    said = capsys.readouterr().out
    assert "threshold 1.0\nnobody within it: 1 of 2 queries" in said
    assert said.count("\nnobody\n") == 1
    page = gallery.parent / "found.html"
    assert search(gallery, station, "--threshold=0.25", "--same-camera=all", f"--page={page}") == 0
    shown = re.sub(r"<[^>]*>\s*", " ", page.read_text())
    assert re.search(r"Queries with nobody within it\s+10, 12\s", shown)


def test_the_threshold_is_chosen_for_a_wanted_share_of_wrong_pairs(gallery, station, capsys):
    rows = found(gallery, station, f"--labelled={station}", "--fpr=0.2")
    # Of the distances of two people, 3, 3.75, 4, 5, 5.75 and 6, one may be within it.
    assert rows["distance"].max() == 3
    assert rows["tracklet"].tolist() == [10, 15, 11, 12, 13, 11]
    said = capsys.readouterr().out
    assert "threshold 3.7500 [" in said
    assert "a search of 6 tracklets finds up to 1.2 wrong ones on average" in said
    assert "nobody within it: 0 of 2 queries" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fpr=0.1"], "--labelled, --fpr: give both, or neither"),
        (["--labelled=x"], "--labelled, --fpr: give both, or neither"),
        (["--labelled=x", "--fpr=0.1", "--threshold=1"], "--threshold, --labelled: give one"),
        (["--labelled=x", "--fpr=0.1"], "x: no extraction"),
        (["--threshold=-1"], "--threshold -1: pass a number of at least 0"),
        (
            ["--labelled={station}", "--fpr=0.1"],
            "is less than one of 6 pairs of two people: give at least 0.167",
        ),
        (["--labelled={other}", "--fpr=0.1"], "checkpoint"),
    ],
)
def test_a_threshold_that_cannot_be_is_one_line(
    gallery, station, tmp_path, capsys, options, message
):
    other = write_extraction(tmp_path / "other", KNOWN, EMBEDDINGS, checkpoint_sha256="b" * 64)
    given = [option.format(station=station, other=other) for option in options]
    assert search(gallery, station, *given) == 2
    assert message in error_of(capsys)


def test_more_than_there_are_gives_all_and_says_so(gallery, station, capsys):
    rows = found(gallery, station, "--top=50")
    assert len(rows) == 12
    assert "--top 50: the gallery has only 6 tracklets to find" in capsys.readouterr().out
    rows = found(gallery, station, "--top=3", "--camera=2", "--identity", "3", "7")
    assert len(rows) == 4
    assert "2 of 2 queries find fewer than 3: the filter passes no more" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--after=99"], "the filter passes no tracklet: widen it"),
        (["--camera=1", "--identity=-1"], "the filter passes no tracklet: widen it"),
        (["--camera", "1", "9"], "--camera 9: "),
        (["--identity", "8"], "--identity 8: "),
        (["--dataset", "statoin"], "--dataset statoin: "),
        (["--same-camera=none"], "--same-camera none: pass person or all"),
        (["--top=0"], "top"),
        (["--output=found.txt"], "--output found.txt: ends in none of .csv, .json, .parquet"),
        (["--output=a.csv", "--page=a.csv"], "--output and --page are the same file"),
        (["--output={gallery}/gallery.json"], "is among the files of {gallery}: name a file in an"),
        (["--page={gallery}/new.html"], "is among the files of {gallery}: name a file in another"),
        (["--run=runs/other"], "--run runs/other: station:10 is a tracklet of the gallery: leave"),
        (["--tracks=a.txt"], "--tracks a.txt: station:10 is a tracklet of the gallery: leave"),
        (["--parts=all"], "--parts all: station:10 is a tracklet of the gallery: leave"),
    ],
)
def test_what_finds_nobody_or_cannot_be_meant_is_one_line(gallery, capsys, options, message):
    before = sorted(gallery.parent.rglob("*"))
    given = [option.format(gallery=gallery) for option in options]
    assert search(gallery, "station:10", *given) == 2
    assert message.format(gallery=gallery) in error_of(capsys)
    assert sorted(gallery.parent.rglob("*")) == before
    assert search(gallery, "station:10") == 0


def test_results_do_not_replace_the_files_of_an_extraction(gallery, station, capsys):
    before = {path.name: path.read_bytes() for path in station.iterdir()}
    path = station / "00000.parquet"
    assert search(gallery, station, f"--output={path}") == 2
    assert f"--output {path}: is among the files of {station}" in error_of(capsys)
    labelled = [f"--labelled={station}", "--fpr=0.5"]
    assert search(gallery, "station:10", *labelled, f"--output={path}") == 2
    assert f"--output {path}: is among the files of {station}" in error_of(capsys)
    assert search(gallery, station, "--run=runs/other") == 2
    assert "--run runs/other: " in error_of(capsys)
    assert {path.name: path.read_bytes() for path in station.iterdir()} == before


def test_an_empty_gallery_has_nothing_to_find(gallery, station, capsys):
    assert main(["index", f"--output={gallery}", "--remove", "station"]) == 0
    assert search(gallery, station) == 2
    assert f"{gallery}: holds no tracklet to find: index an extraction" in error_of(capsys)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("nowhere", "nowhere: no such folder or video, and no tracklet of the gallery"),
        ("station:99", "has no tracklet station:99; it has "),
        ("hall:10", "has no tracklet hall:10"),
        ("{folder}/videos", "is no extraction: pass --run"),
    ],
)
def test_a_query_that_is_not_there_is_named(gallery, capsys, query, message):
    assert search(gallery, query.format(folder=gallery.parent)) == 2
    assert message in error_of(capsys)


def test_queries_of_another_model_are_refused(gallery, tmp_path, capsys):
    facts = {"checkpoint_sha256": "b" * 64}
    other = write_extraction(tmp_path / "other", KNOWN, EMBEDDINGS, **facts)
    assert search(gallery, other) == 2
    assert "is of another model than" in error_of(capsys)
    only = write_extraction(tmp_path / "only", KNOWN, EMBEDDINGS)
    assert search(gallery, only, "--parts=query") == 2
    assert "holds no query: pass --parts all" in error_of(capsys)


def test_the_files_agree(gallery, station, tmp_path):
    rows = found(gallery, station)
    for name in ("found.json", "found.parquet"):
        assert search(gallery, station, f"--output={tmp_path / name}") == 0
    of_json = pd.DataFrame(json.loads((tmp_path / "found.json").read_text()))
    of_parquet = pd.read_parquet(tmp_path / "found.parquet").astype({"query": int})
    for other in (of_json, of_parquet):
        pd.testing.assert_frame_equal(other, rows, check_dtype=False)


def test_the_page_shows_the_frames_of_queries_and_of_what_was_found(gallery, station, tmp_path):
    page = tmp_path / "found.html"
    for query, name in ((station, "10"), ("station:10", "station:10")):
        options = ["--top=2", "--camera", "1", "2", "--before=50"]
        assert search(gallery, query, *options, f"--page={page}") == 0
        text = page.read_text()
        captions = re.findall(r"<figcaption>(.*?)</figcaption>", text)
        assert captions[0] == "the query, identity 3, camera 1"
        assert "distance 0.250, identity 3, camera 1, 15.0 to 16.0 s, station:15" in text
        assert f"Query {name}" in text
        assert "<dt>--camera</dt><dd>1 2</dd>" in text
        assert "<dt>--before</dt><dd>50.0</dd>" in text
        assert text.count('src="data:image/webp;base64,') == len(captions)
        assert not re.findall(r'(?:src|href)="(?!data:|#)', text)


def test_frames_that_are_gone_leave_gaps_that_are_said(gallery, tmp_path, capsys):
    page = tmp_path / "found.html"
    (tmp_path / "videos" / "15-0.jpg").unlink()
    assert search(gallery, "station:10", f"--page={page}") == 0
    assert "on the page: 1 frames cannot be shown, the first: " in capsys.readouterr().out
    (tmp_path / "videos" / "manifest.csv").unlink()
    assert search(gallery, "station:10", f"--page={page}") == 0
    assert "on the page: the frames are not known: " in capsys.readouterr().out
    assert "data:image/webp" not in page.read_text()


def test_the_page_shows_a_querys_frames_where_all_found_is_of_another_data_set(
    gallery, station, tmp_path
):
    page = tmp_path / "found.html"
    assert main(["index", str(station), "--name=yard", f"--output={gallery}"]) == 0
    assert search(gallery, "station:10", "--top=2", "--dataset=yard", f"--page={page}") == 0
    assert page.read_text().count("data:image/webp") == 3


def test_frames_that_the_gallery_knows_no_place_of_are_said(gallery, tmp_path, capsys):
    rows = Gallery(gallery).tracklets().assign(dataset="yard").iloc[:2]
    Gallery(gallery).add(EMBEDDINGS[:2], rows)
    page, line = tmp_path / "found.html", "the frames of yard are not known: "
    for query, dataset in (("yard:10", "station"), ("station:10", "yard")):
        assert search(gallery, query, f"--dataset={dataset}", f"--page={page}") == 0
        assert capsys.readouterr().out.count(f"on the page: {line}") == 1
        assert line in page.read_text()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """A gallery of the test tracklets of a small data set, with the run that embedded them."""
    folder = tmp_path_factory.mktemp("embedded")
    tree = MarsTree(folder / "mars")
    root = tree.write()
    run = write_run(folder / "run", root)
    stored = folder / "stored"
    assert main(["extract", str(run), str(stored), "--num-workers=0"]) == 0
    assert main(["index", str(stored), f"--output={folder / 'gallery'}"]) == 0
    return tree, run, stored, folder / "gallery"


def test_a_folder_of_frames_finds_its_own_tracklet(embedded, tmp_path):
    tree, run, stored, gallery = embedded
    frames = tmp_path / "somebody"
    frames.mkdir()
    for name in [name for name in tree.names["test"] if name.startswith("0003C2")]:
        os.link(tree.path(name), frames / name)
    page = tmp_path / "page.html"
    rows = found(gallery, frames, f"--run={run}", "--top=2", f"--page={page}")
    assert rows["query"].tolist() == ["somebody"] * 2
    assert rows.loc[0, ["pid", "camid"]].tolist() == [3, 2]
    embeddings = StoredEmbeddings(stored).embeddings
    vector = Embedder(run).embed(sorted(frames.iterdir()))
    expected = np.sort(pairwise_distances(vector[None], embeddings).numpy()[0])[:2]
    np.testing.assert_array_equal(rows["distance"].to_numpy(np.float32), expected)
    assert page.read_text().count("data:image/webp") == 3


def test_frames_need_the_run_of_the_gallery_and_have_no_camera(embedded, tmp_path, capsys):
    tree, run, _, gallery = embedded
    frames = tmp_path / "somebody"
    frames.mkdir()
    assert search(gallery, frames, f"--run={run}") == 2
    assert "holds neither an extraction nor images" in error_of(capsys)
    os.link(tree.path(tree.names["test"][0]), frames / "1.jpg")
    assert search(gallery, frames, f"--run={run}", "--same-camera=all") == 2
    assert "--same-camera: the camera of the query is not known: leave the" in error_of(capsys)
    other = write_run(tmp_path / "run", tree.root, seed=1)
    assert search(gallery, frames, f"--run={other}") == 2
    assert f"{other}: is of another model than {gallery}" in error_of(capsys)
    assert search(gallery, frames / "1.jpg", f"--run={run}") == 2
    assert "pass --tracks and the file of the video's tracks" in error_of(capsys)


def test_the_tracks_of_a_video_are_looked_for(embedded, tmp_path):
    _, run, _, gallery = embedded
    video, tracks = write_video(tmp_path / "hall.mp4", count=12), tmp_path / "hall.txt"
    boxes = [f"{f},{t},{9 * t},20,12,30,1,-1,-1,-1" for f in range(1, 13) for t in (4, 7)]
    tracks.write_text("\n".join(boxes))
    page = tmp_path / "page.html"
    rows = found(gallery, video, f"--tracks={tracks}", f"--run={run}", "--top=3", f"--page={page}")
    assert "the frames of the queries are not shown: they are of a video" in page.read_text()
    names = ["track 4 from frame 0", "track 7 from frame 0"]
    assert rows["query"].tolist() == [names[0]] * 3 + [names[1]] * 3
    vectors = Embedder(run).embed_video(video, tracks).embeddings
    embeddings = StoredEmbeddings(embedded[2]).embeddings
    expected = np.sort(pairwise_distances(vectors, embeddings).numpy(), axis=1)[:, :3]
    np.testing.assert_array_equal(rows["distance"].to_numpy(np.float32), expected.ravel())


@pytest.mark.filterwarnings("default:.*pass --stride")
def test_the_tracks_of_one_camera_of_several_are_looked_for(embedded, tmp_path, capsys):
    _, run, stored, gallery = embedded
    video, tracks = write_video(tmp_path / "hall.mp4", count=24), tmp_path / "tracks.csv"
    boxes = [("hall", f, 4, 9, 20, 12, 30) for f in range(12)] + [("yard", 23, 4, 40, 20, 12, 30)]
    write_tracks(tracks_of(pd.DataFrame(boxes, columns=COLUMNS[:7])), tracks)
    options = f"--tracks={tracks}", f"--run={run}", "--top=1"
    assert search(gallery, video, *options) == 2
    assert "(hall, yard): name the one that the video is of by camera" in error_of(capsys)
    assert search(gallery, video, *options, "--tracks-camera=stairs") == 2
    assert "has no camera 'stairs': name one of hall, yard" in error_of(capsys)
    rows = found(gallery, video, *options, "--tracks-camera=yard")
    assert rows["query"].tolist() == ["track 4 from frame 23"]
    assert "warning" not in capsys.readouterr().err
    rows = found(gallery, video, *options, "--tracks-camera=hall")
    assert rows["query"].tolist() == ["track 4 from frame 0"]
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert line.startswith(f"stgcn search: warning: {video}: ") and "pass --stride 2" in line
    for query in (stored, "mars:3"):
        assert search(gallery, query, "--tracks-camera=hall") == 2
        assert "--tracks-camera hall: " in error_of(capsys)
    frames = tmp_path / "somebody"
    frames.mkdir()
    assert search(gallery, frames, f"--run={run}", "--tracks-camera=hall") == 2
    assert "is a folder of one tracklet without --tracks: leave the option out" in error_of(capsys)


def average_precisions(rows, queries, tracklets):
    """Of each query, by a plain loop over what was found for it, without junk."""
    values = []
    for number in queries.index:
        pid, camid = queries.loc[number, ["pid", "camid"]]
        # At equal distance the protocols rank a match last.
        ranked = sorted(
            (row.distance, row.pid == pid)
            for row in rows[rows["query"] == number].itertuples()
            if row.pid != -1
        )
        hits = [right for _, right in ranked]
        precisions = [sum(hits[: i + 1]) / (i + 1) for i, right in enumerate(hits) if right]
        # All of the gallery is in the list.
        matches = (tracklets["pid"] == pid) & (tracklets["camid"] != camid)
        assert len(precisions) == matches.sum()
        if precisions:
            values.append(sum(precisions) / len(precisions))
    return values


def require_the_protocols_score(folder, run, protocol, same_camera, *chosen):
    """Extracts, indexes and searches, and compares the lists with `stgcn evaluate`."""
    stored, gallery, scores = (folder / name for name in ("stored", "gallery", "scores.json"))
    assert main(["extract", str(run), str(stored), "--num-workers=0", *chosen]) == 0
    assert main(["index", str(stored), f"--output={gallery}"]) == 0
    everything = ["--top=100000", f"--same-camera={same_camera}"]
    rows = found(gallery, stored, "--parts=query", *everything)
    assert main(["evaluate", str(stored), f"--protocols={protocol}", f"--json={scores}"]) == 0
    evaluated = json.loads(scores.read_text())[protocol]["trained"]
    table = StoredEmbeddings(stored).tracklets
    values = average_precisions(rows, table[table["is_query"]], table[table["is_gallery"]])
    assert len(values) == evaluated["num_valid_queries"]
    assert 0 < np.mean(values) == pytest.approx(evaluated["mAP"], abs=1e-12)


def test_the_lists_have_the_mean_average_precision_of_marss_protocol(tmp_path):
    benchmark = tiny(tmp_path / "mars", test_people=5, cameras=3, tracklets_per_camera=2, junk=4)
    run = write_run(tmp_path / "run", benchmark.path)
    require_the_protocols_score(tmp_path, run, "full-gallery", "person")


def test_the_lists_have_the_mean_average_precision_of_wards_protocol(ward_root, tmp_path):
    run = write_run(tmp_path / "run", ward_root)
    chosen = ["--dataset=ward", f"--root={ward_root}"]
    require_the_protocols_score(tmp_path, run, "cross-camera", "all", *chosen)
