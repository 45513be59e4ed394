"""`stgcn link`: identities, boxes and a page out of an extraction and its manifest."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from conftest import MarsTree
from PIL import Image
from stored_embeddings import table, write_extraction
from tiny_run import write_run

from stgcn_pyg.cli import main
from stgcn_pyg.data import load_dataset, write_manifest
from stgcn_pyg.evaluation import threshold_at_fpr
from stgcn_pyg.linking import choose_threshold, link_tracklets
from stgcn_pyg.runs.extraction import StoredEmbeddings

pytestmark = pytest.mark.usefixtures("one_thread", "narrow_backbone")

# Who is seen where: 10 and 11 at one time by one camera, 12 before them by the other.
EMBEDDINGS = [[0.0, 0.0], [0.2, 0.0], [0.5, 0.0], [9.0, 0.0]]
UNKNOWN = table([-1] * 4, [1, 1, 2, 2])
COLUMNS = ["camera", "track", "left", "top", "width", "height", "confidence"]
BEGINS = {10: 20.0, 11: 21.0, 12: 5.0, 13: 40.0}


@pytest.fixture
def videos(tmp_path):
    """A manifest of tracklets of two cameras, as it is written beside the frames."""
    rows = []
    for number, camid in UNKNOWN["camid"].items():
        for frame in range(3):
            path = f"{number}-{frame}.jpg"
            Image.new("RGB", (20, 40), (number * 10, 50, 80 * frame)).save(tmp_path / path)
            rows.append(
                {
                    "path": path,
                    "camid": camid,
                    "tracklet": number,
                    "frame": 100 + 10 * frame,
                    "time": BEGINS[number] + frame,
                    "camera": {1: "door", 2: "2nd hall"}[camid],
                    "track": f"t{number}",
                    "left": number + 0.5,
                    "top": 10 * frame,
                    "width": 20,
                    "height": 40,
                    "confidence": 0.5,
                }
            )
    pd.DataFrame(rows).to_csv(tmp_path / "manifest.csv", index=False)
    return tmp_path


@pytest.fixture
def unlabelled(videos):
    """Their embeddings; nobody knows who they are."""
    return write_extraction(videos / "embeddings", UNKNOWN, EMBEDDINGS, root=str(videos))


@pytest.fixture
def labelled(tmp_path):
    """Known people, 1 apart from their own and about 8 from each other."""
    known = table([3, 3, 7, 7], [1, 2, 1, 2])
    embeddings = [[0.0, 0.0], [1.0, 0.0], [8.0, 0.0], [9.0, 0.0]]
    return write_extraction(tmp_path / "labelled", known, embeddings)


def link(embeddings, *options):
    output = embeddings.parent / "linked"
    return main(["link", str(embeddings), f"--output={output}", *map(str, options)]), output


def test_two_tracklets_of_one_camera_at_one_time_get_two_identities(unlabelled):
    status, output = link(unlabelled, "--threshold=1")
    assert status == 0
    identities = pd.read_csv(output / "identities.csv")
    # 12 is first seen; it is nearer to 11 than to 10.
    assert identities.to_dict("list") == {
        "tracklet": [10, 11, 12, 13],
        "camera": ["door", "door", "2nd hall", "2nd hall"],
        "track": ["t10", "t11", "t12", "t13"],
        "camid": [1, 1, 2, 2],
        "identity": [2, 1, 1, 3],
        "first_time": [20.0, 21.0, 5.0, 40.0],
        "last_time": [22.0, 23.0, 7.0, 42.0],
        "num_frames": [3, 3, 3, 3],
    }


def test_the_boxes_of_each_camera_have_the_identities_in_motchallenges_format(unlabelled):
    _, output = link(unlabelled, "--threshold=1")
    assert sorted(path.name for path in (output / "mot").iterdir()) == [
        "1-door.txt",
        "2-2nd-hall.txt",
    ]
    # The manifest counts frames from 0, MOTChallenge from 1.
    lines = (output / "mot" / "1-door.txt").read_text().splitlines()
    assert lines[:3] == [
        "101,1,11.5,0.0,20.0,40.0,0.5,-1,-1,-1",
        "101,2,10.5,0.0,20.0,40.0,0.5,-1,-1,-1",
        "111,1,11.5,10.0,20.0,40.0,0.5,-1,-1,-1",
    ]
    assert len(lines) == 6


def test_the_files_and_the_page_say_what_was_used(unlabelled, capsys):
    _, output = link(unlabelled, "--threshold=1")
    facts = json.loads((output / "identities.json").read_text())
    assert (facts["threshold"], facts["chosen"], facts["times"]) == (1, None, True)
    assert (facts["num_tracklets"], facts["num_identities"], facts["scores"]) == (4, 3, None)
    assert facts["about"]["checkpoint_sha256"] == "a" * 64
    page = (output / "identities.html").read_text()
    assert page.count('src="data:image/webp;base64,') == 4
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    titles = re.findall(r"<h3[^>]*>(.*?)</h3>", page)
    assert titles == [
        "Identity 1: 2 tracklets, 2 cameras",
        "Identity 2: 1 tracklet, 1 camera",
        "Identity 3: 1 tracklet, 1 camera",
    ]
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert captions[:2] == [
        "camera 2nd hall, 5.0 to 7.0 s, track t12, tracklet 12",
        "camera door, 21.0 to 23.0 s, track t11, tracklet 11",
    ]
    said = capsys.readouterr().out
    assert "4 tracklets, 3 identities; threshold 1\n" in said
    assert "no times" not in said
    assert "B-cubed" not in said + page


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_camera_may_have_no_times_and_no_name_where_others_have(unlabelled, videos, suffix):
    rows = pd.read_csv(videos / "manifest.csv")
    rows[["time", "camera"]] = rows[["time", "camera"]].where(rows["camid"] == 1)
    (videos / "manifest.csv").unlink()
    path = videos / f"manifest.{suffix}"
    rows.to_csv(path, index=False) if suffix == "csv" else rows.to_parquet(path)
    status, output = link(unlabelled, "--threshold=1")
    assert status == 0
    identities = pd.read_csv(output / "identities.csv")
    # 10 and 11 are still seen at one time; whose time is unknown comes last.
    assert identities["identity"].tolist() == [1, 2, 2, 3]
    assert identities["first_time"].fillna(-1).tolist() == [20, 21, -1, -1]
    assert identities["camera"].fillna("").tolist() == ["door", "door", "", ""]
    assert sorted(path.name for path in (output / "mot").iterdir()) == ["1-door.txt", "2.txt"]
    captions = re.findall(
        r"<figcaption>(.*?)</figcaption>", (output / "identities.html").read_text()
    )
    assert captions[2] == "camera 2, track t12, tracklet 12"


@pytest.mark.parametrize("left_out", [["time"], ["time", *COLUMNS]])
def test_without_times_tracklets_of_one_camera_may_be_one_person_and_that_is_said(
    unlabelled, videos, capsys, left_out
):
    rows = pd.read_csv(videos / "manifest.csv")
    rows.drop(columns=left_out).to_csv(videos / "manifest.csv", index=False)
    _, output = link(unlabelled, "--threshold=1")
    identities = pd.read_csv(output / "identities.csv")
    assert identities["identity"].tolist() == [1, 1, 1, 2]
    assert identities[["first_time", "last_time"]].isna().all(axis=None)
    assert identities["camera"].isna().all() == ("camera" in left_out)
    assert not (output / "mot").exists()
    assert "no times are known" in capsys.readouterr().out


def test_the_threshold_is_chosen_on_labelled_tracklets(unlabelled, labelled, capsys):
    _, output = link(unlabelled, f"--labelled={labelled}")
    embeddings = np.float32([[0, 0], [1, 0], [8, 0], [9, 0]])
    expected = choose_threshold(embeddings, [3, 3, 7, 7])
    assert expected.threshold == 4.5  # between 1 and 8
    chosen = json.loads((output / "identities.json").read_text())["chosen"]
    assert chosen == expected.to_dict()
    assert f" identities; {expected}\n" in capsys.readouterr().out
    assert pd.read_csv(output / "identities.csv")["identity"].tolist() == [2, 1, 1, 3]


def test_the_threshold_is_chosen_for_a_wanted_share_of_wrong_pairs(unlabelled, labelled, capsys):
    _, output = link(unlabelled, f"--labelled={labelled}", "--fpr=0.3")
    embeddings = np.float32([[0, 0], [1, 0], [8, 0], [9, 0]])
    # One of the four pairs of two people may be nearer: 7, then 8, 8 and 9.
    expected = threshold_at_fpr(embeddings, [3, 3, 7, 7], [1, 2, 1, 2], 0.3)
    assert expected.threshold == pytest.approx(8)
    facts = json.loads((output / "identities.json").read_text())
    assert facts["chosen"] == expected.to_dict()
    assert facts["threshold"] == expected.threshold
    said = capsys.readouterr().out
    assert f" identities; {expected}\n" in said
    alone = pd.read_csv(output / "identities.csv")["identity"].value_counts() == 1
    assert facts["num_alone"] == alone.sum()
    assert f"merged with no other: {alone.sum()}\n" in said


def test_cameras_are_centred_on_both_sides_if_asked_for(tmp_path):
    known = table([3, 7, 3, 7], [1, 1, 2, 2])
    # The second camera's embeddings are 5 further on: centred, they are those of the first.
    moved = [[0.0], [3.0], [5.0], [8.0]]
    stored = write_extraction(tmp_path / "embeddings", known, moved, dataset="mars")
    # Centred -1.5, 1.5, -2 and 2: merged at 0.5, and at (3 + 3.5 + 3.5 + 4) / 4 = 3.5.
    wider = [[0.0], [3.0], [8.0], [12.0]]
    labelled = write_extraction(tmp_path / "known", known, wider, dataset="mars")
    _, output = link(stored, f"--labelled={labelled}", "--centre-cameras")
    facts = json.loads((output / "identities.json").read_text())
    assert (facts["centre_cameras"], facts["threshold"]) == (True, 2)
    assert pd.read_csv(output / "identities.csv")["identity"].tolist() == [1, 2, 1, 2]


def test_known_identities_are_scored_without_junk_and_distractors(tmp_path, capsys):
    # 0 is a distractor as no query has it, -1 is junk: both are beside identity 5.
    known = table([5, 5, 7, 7, 0, -1], [1, 2, 1, 2, 1, 1]).assign(is_query=[True] * 4 + [False] * 2)
    embeddings = [[0.0], [0.1], [5.0], [5.1], [0.0], [0.0]]
    stored = write_extraction(tmp_path / "embeddings", known, embeddings, dataset="mars")
    status, output = link(stored, "--threshold=1")
    assert status == 0
    scores = json.loads((output / "identities.json").read_text())["scores"]
    assert (scores["num_tracklets"], scores["num_people"]) == (4, 2)
    assert scores["statistics"]["B-cubed F"]["estimate"] == 1
    said = capsys.readouterr().out
    assert "B-cubed F" in said
    assert "the frames are not known: nowhere: no such folder" in said
    assert "B-cubed F" in (output / "identities.html").read_text()


def test_a_missing_picture_leaves_a_gap_on_the_page_that_is_said(unlabelled, videos, capsys):
    for frame in range(3):
        (videos / f"13-{frame}.jpg").unlink()
    status, output = link(unlabelled, "--threshold=1")
    assert status == 0
    assert "3 frames cannot be shown, the first: " in capsys.readouterr().out
    page = (output / "identities.html").read_text()
    assert page.count('src="data:image/webp') == 3
    assert "tracklet 13" in page


def test_a_page_that_gets_too_large_says_how_many_identities_it_shows(
    unlabelled, capsys, monkeypatch
):
    monkeypatch.setattr("stgcn_pyg.report.strips.MOST_BYTES", 2000)
    _, output = link(unlabelled, "--threshold=1")
    said = "on the page: the first 2 of 3 identities are shown"
    assert said in capsys.readouterr().out
    page = (output / "identities.html").read_text()
    assert len(re.findall("<h3", page)) == 2
    assert len(pd.read_csv(output / "identities.csv")) == 4


def test_a_camera_may_have_any_name(unlabelled, videos):
    rows = pd.read_csv(videos / "manifest.csv")
    rows["camera"] = rows["camera"].replace({"door": "../a<b>/..", "2nd hall": "Hof ö"})
    rows.to_csv(videos / "manifest.csv", index=False)
    _, output = link(unlabelled, "--threshold=1")
    assert sorted(path.name for path in (output / "mot").iterdir()) == [
        "1-..-a-b-...txt",
        "2-Hof-ö.txt",
    ]
    assert "<b>" not in (output / "identities.html").read_text().partition("<main")[2]


def test_a_camera_may_have_a_name_too_long_for_a_file(unlabelled, videos):
    rows = pd.read_csv(videos / "manifest.csv")
    rows["camera"] = rows["camera"].replace({"door": "ö" * 300})
    rows.to_csv(videos / "manifest.csv", index=False)
    status, output = link(unlabelled, "--threshold=1")
    assert status == 0
    assert sorted(path.name for path in (output / "mot").iterdir()) == [
        f"1-{'ö' * 99}.txt",
        "2-2nd-hall.txt",
    ]


def error_of(capsys):
    *_, line = capsys.readouterr().err.strip().splitlines()
    return line


def test_embeddings_of_another_model_choose_no_threshold(unlabelled, tmp_path, capsys):
    known = table([3, 3, 7, 7], [1, 2, 1, 2])
    for name, facts, width in (
        ("checkpoint", {"checkpoint_sha256": "b" * 64}, 2),
        ("width", {}, 3),
        ("embedding", {"embedding": "raw"}, 2),
    ):
        other = write_extraction(tmp_path / name, known, np.eye(4, width), **facts)
        status, output = link(unlabelled, f"--labelled={other}")
        assert status == 2
        assert f"is of another model than {unlabelled} ({name}" in error_of(capsys)
        assert not output.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--threshold, --labelled: give one of the two"),
        (["--threshold=1", "--labelled=x"], "--threshold, --labelled: give one of the two"),
        (["--threshold=-1"], "pass a number of at least 0"),
        (["--threshold=nan"], "pass a number of at least 0"),
        (["--threshold=inf"], "pass a number of at least 0"),
        (["--labelled=away"], "away: no extraction"),
        (["--threshold=1", "--fpr=0.1"], "--fpr: is for a threshold chosen on tracklets"),
        (["--threshold=1", "--manifest=away.csv"], "away.csv: no such file"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_leaves_nothing(unlabelled, capsys, options, message):
    before = sorted(unlabelled.parent.iterdir())
    status, _ = link(unlabelled, *options)
    assert status == 2
    assert message in error_of(capsys)
    assert sorted(unlabelled.parent.iterdir()) == before


def test_unlabelled_tracklets_choose_no_threshold(unlabelled, capsys):
    assert link(unlabelled, f"--labelled={unlabelled}")[0] == 2
    assert "holds fewer than two identities" in error_of(capsys)


def test_a_folder_that_is_no_extraction_is_refused(tmp_path, capsys):
    assert link(tmp_path / "nothing", "--threshold=1")[0] == 2
    assert "no extraction" in error_of(capsys)


def test_what_is_in_the_output_folder_is_kept(unlabelled, capsys):
    output = unlabelled.parent / "linked"
    output.mkdir()
    (output / "notes").write_text("mine")
    assert link(unlabelled, "--threshold=1")[0] == 2
    assert "is not empty" in error_of(capsys)
    assert [path.name for path in output.iterdir()] == ["notes"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop(columns="camid"), "lacks the columns camid"),
        (lambda rows: rows[rows["tracklet"] != 12], "has not tracklet 12"),
        (lambda rows: rows.iloc[:-1], "has not tracklet 13"),
        (lambda rows: rows.assign(camid=3), "has not tracklet 10"),
        (lambda rows: rows.assign(time=["x", *rows["time"][1:]]), "row 1: time 'x' is no number"),
        (
            lambda rows: rows.assign(time=rows["time"].where(rows.index != 1)),
            "row 2: time '' is no number: write one in every row of tracklet 10, or leave all",
        ),
        (lambda rows: rows.assign(left=[*rows["left"][:-1], np.nan]), "row 12: left '' is no"),
        (lambda rows: rows.assign(frame=["1.5", *rows["frame"][1:]]), "row 1: frame '1.5' is no"),
    ],
)
def test_a_manifest_that_does_not_fit_is_named_with_what_is_wrong(
    unlabelled, videos, capsys, change, message
):
    change(pd.read_csv(videos / "manifest.csv")).to_csv(videos / "manifest.csv", index=False)
    assert link(unlabelled, "--threshold=1")[0] == 2
    assert message in error_of(capsys)


def test_another_place_of_the_manifest_is_named_by_an_option(unlabelled, videos, capsys):
    rows = pd.read_csv(videos / "manifest.csv", dtype={"track": str})
    (videos / "manifest.csv").unlink()
    assert link(unlabelled, "--threshold=1")[0] == 2
    assert "holds no manifest.csv: pass --manifest" in error_of(capsys)
    rows.to_parquet(videos / "mine.parquet")
    status, output = link(unlabelled, "--threshold=1", f"--manifest={videos / 'mine.parquet'}")
    assert status == 0
    assert pd.read_csv(output / "identities.csv")["identity"].tolist() == [2, 1, 1, 3]


def test_what_a_network_extracted_from_a_manifest_is_linked(tmp_path):
    root = MarsTree(tmp_path / "mars").write()
    run = write_run(tmp_path / "run", root)
    write_manifest(load_dataset("mars", root), root / "manifest.csv")
    stored, more = tmp_path / "embeddings", ["--num-workers=0"]
    chosen = ["--dataset=manifest", f"--root={root / 'manifest.csv'}"]
    assert main(["extract", str(run), str(stored), *chosen, *more]) == 0
    train = tmp_path / "train"
    assert main(["extract", str(run), str(train), "--parts=train", *chosen, *more]) == 0
    status, output = link(stored, f"--labelled={train}")
    assert status == 0
    facts = json.loads((output / "identities.json").read_text())
    assert facts["chosen"]["num_people"] == 4
    labels = link_tracklets(StoredEmbeddings(stored).embeddings, threshold=facts["threshold"])
    assert (pd.read_csv(output / "identities.csv")["identity"] == labels + 1).all()
    assert (output / "identities.html").read_text().count("data:image/webp") == 6
