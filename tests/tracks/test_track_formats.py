"""Formats of tracks beside MOT, in files that are written here."""

import json

import numpy as np
import pytest

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks import read_tracks

BOX = ["left", "top", "width", "height"]


def rows(tracks, columns=("frame", "track", *BOX)):
    return tracks.table[list(columns)].to_numpy().tolist()


@pytest.fixture
def labels(tmp_path):
    """Writes a folder of ultralytics' text, a file for each number."""

    def labels(texts, name="video_{}.txt"):
        for number, text in texts.items():
            (tmp_path / name.format(number)).write_text(text)
        return tmp_path

    return labels


def test_files_of_ultralytics_are_sorted_by_number(labels):
    row = "0 0.5 0.5 0.25 0.5 {}\n"
    folder = labels({number: row.format(number) for number in (1, 2, 10, 9)})
    tracks = read_tracks(folder, image_size=(200, 100))
    assert rows(tracks, ["frame", "track"]) == [[0, "1"], [1, "2"], [8, "9"], [9, "10"]]
    assert rows(tracks, BOX)[0] == [75, 25, 50, 50]


def test_rows_of_ultralytics_without_an_id_are_nobodys(labels):
    texts = {1: "0 0.5 0.5 0.25 0.5\n", 2: "0 0.5 0.5 0.25 0.5 7\n2 0.5 0.5 0.25 0.5 8\n"}
    tracks = read_tracks(labels(texts), image_size=(200, 100))
    assert rows(tracks, ["frame", "track"]) == [[1, "7"]]
    assert tracks.dropped == {"without an id": 1, "other class": 1}
    assert tracks.table["confidence"].isna().all()


def test_six_columns_are_a_confidence_where_others_have_seven(labels):
    texts = {1: "0 0.5 0.5 0.25 0.5 1\n", 2: "0 0.5 0.5 0.25 0.5 0.875 7\n"}
    tracks = read_tracks(labels(texts), image_size=(200, 100))
    assert rows(tracks, ["frame", "track", "confidence"]) == [[1, "7", 0.875]]
    assert tracks.dropped == {"without an id": 1}


def test_six_columns_with_fractions_are_confidences_of_nobody(labels):
    tracks = read_tracks(labels({1: "0 0.5 0.5 0.25 0.5 0.875\n"}), image_size=(200, 100))
    assert tracks.dropped == {"without an id": 1}


def test_rounded_ids_of_ultralytics_are_told(labels):
    tracks = read_tracks(labels({1: "0 0.5 0.5 0.25 0.5 1.23457e+06\n"}), image_size=(200, 100))
    assert rows(tracks, ["track"]) == [["1234570"]]
    assert "1 ids above 999,999 are rounded" in tracks.summary()


def test_ultralytics_decodes_the_last_frame_of_a_stride(labels):
    texts = dict.fromkeys((1, 2), "0 0.5 0.5 0.25 0.5 7\n")
    tracks = read_tracks(labels(texts), image_size=(200, 100), stride=3)
    assert rows(tracks, ["frame"]) == [[2], [5]]


def test_pictures_of_ultralytics_are_counted_by_their_names(labels):
    texts = {f"{number:06d}": "0 0.5 0.5 0.25 0.5 7\n" for number in (0, 1)}
    folder = labels(texts, "{}.txt")
    assert rows(read_tracks(folder, image_size=(200, 100)), ["frame"]) == [[0], [1]]
    assert rows(read_tracks(folder, image_size=(200, 100), stride=3), ["frame"]) == [[0], [3]]
    (folder / "000000.txt").unlink()
    assert rows(read_tracks(folder, image_size=(200, 100)), ["frame"]) == [[0]]


@pytest.mark.parametrize(
    "texts, what",
    [
        ({1: "0 0.5 0.5 0.25 0.5 7\n"}, "gives boxes in parts of the picture"),
        ({1: "0 0.5 0.5 0.25 0.5 0.5 0.5 0.5 7\n"}, "video_1.txt: row 1: has 9 columns"),
        (
            {1: "0 0.5 0.5 0.25 0.5\n", 2: "0 0.5 0.5 0.25 0.5 0.9 7\n"},
            "video_1.txt: row 1: has 5 columns",
        ),
        ({1: "0 0.5 0.5 0.25 x 7\n"}, "video_1.txt: row 1: holds a word"),
        ({1: "0 0.5 0.5 0.2 0.5 7\n" * 2}, "video_1.txt: row 2: track 7 is in frame 1 again"),
        ({1: "", "1_2": ""}, "is of another video than"),
        ({"x": ""}, "has no number of a frame"),
        ({1: ""}, "has no boxes"),
    ],
)
def test_what_is_wrong_with_a_folder_of_ultralytics_is_one_line(labels, texts, what):
    with pytest.raises(UserError, match=r"^[^\n]+$") as error:
        read_tracks(labels(texts), image_size=None if "parts" in what else (200, 100))
    assert what in str(error.value)


SINK = """\
x_min,y_min,x_max,y_max,class_id,confidence,tracker_id,class_name,frame_number
10.0,20.0,15.0,40.0,0,0.5,0,person,0
30.0,20.0,35.0,40.0,0,0.5,,person,0
50.0,20.0,55.0,40.0,0,0.5,-1,person,0
70.0,20.0,75.0,40.0,2,0.5,4,car,0
11.0,20.0,16.0,40.0,0,,0,person,1
"""


def test_an_empty_id_of_supervision_is_nobodys(tmp_path):
    path = tmp_path / "sink.csv"
    path.write_text(SINK)
    tracks = read_tracks(path)
    assert rows(tracks) == [[0, "0", 10, 20, 5, 20], [1, "0", 11, 20, 5, 20]]
    assert tracks.table["confidence"].fillna(7).tolist() == [0.5, 7]
    dropped = {"without an id": 1, "nobody yet (id -1)": 1, "other class": 1}
    assert (tracks.format, tracks.dropped) == ("supervision", dropped)


def test_classes_that_became_floats_are_those_of_coco(tmp_path):
    path = tmp_path / "sink.csv"
    lines = [line.split(",") for line in SINK.splitlines()]
    for line in lines:
        del line[7]
    lines[1][4], lines[4][4], lines[5][4] = "0.0", "2.0", ""
    path.write_text("\n".join(map(",".join, lines)))
    tracks = read_tracks(path)
    assert rows(tracks, ["frame", "track", "class"]) == [[0, "0", "0"]]
    assert tracks.dropped["other class"] == 2


def test_supervisions_json_reads_as_its_csv(tmp_path):
    header, *lines = (line.split(",") for line in SINK.splitlines())
    entries = [dict(zip(header, line, strict=True)) for line in lines]
    for entry in entries:
        for name in entry:
            if name != "class_name" and entry[name]:
                number = float(entry[name])
                entry[name] = int(number) if name.endswith(("id", "number")) else number
    (tmp_path / "sink.json").write_text(json.dumps(entries))
    (tmp_path / "sink.csv").write_text(SINK)
    one, other = (read_tracks(tmp_path / f"sink.{kind}") for kind in ("json", "csv"))
    assert one.table.equals(other.table)
    assert one.dropped == other.dropped


def test_a_sink_without_frames_says_how_to_write_them(tmp_path):
    path = tmp_path / "sink.csv"
    path.write_text(SINK.replace("frame_number", "note"))
    with pytest.raises(UserError, match="has no column for the frame: append with custom_data"):
        read_tracks(path)
    path.write_text(SINK.replace("11.0", "left"))
    with pytest.raises(UserError, match="row 6: x_min is no number"):
        read_tracks(path)


def test_a_row_of_youtube_vis_is_a_track(tmp_path):
    content = {
        "videos": [
            {"id": 3, "width": 64, "height": 48, "length": 3, "file_names": ["a/0.jpg", "a/5.jpg"]}
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 26, "name": "person-like statue"}],
        "annotations": [
            {
                "id": 9,
                "video_id": 3,
                "category_id": 1,
                "bboxes": [None, [1, 2, 3, 4], [2, 2, 3, 4]],
            },
            {"id": 8, "video_id": 3, "category_id": 26, "bboxes": [[1, 2, 3, 4], None, None]},
            {"id": 7, "video_id": 3, "category_id": 1, "iscrowd": 1, "bboxes": [[1, 2, 3, 4]]},
        ],
    }
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content))
    tracks = read_tracks(path)
    assert rows(tracks) == [[1, "9", 1, 2, 3, 4], [2, "9", 2, 2, 3, 4]]
    assert tracks.dropped == {"ignore flag": 1, "other class": 1}
    assert (tracks.image_size, tracks.num_frames) == ((64, 48), 3)
    assert set(tracks.table["camera"]) == {""}


def coco(tmp_path, **annotation):
    content = {
        "images": [{"id": 1, "video_id": 2, "frame_id": 6, "file_name": "x/000009.jpg"}],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], **annotation}],
    }
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(content))
    return path


def test_coco_without_an_id_of_a_track_is_nobodys(tmp_path):
    assert read_tracks(coco(tmp_path)).dropped == {"without an id": 1}
    tracks = read_tracks(coco(tmp_path, instance_id=0))
    assert rows(tracks) == [[6, "0", 1, 2, 3, 4]]
    tracks = read_tracks(coco(tmp_path, attributes={"track_id": 5}))
    assert rows(tracks, ["track"]) == [["5"]]
    assert read_tracks(coco(tmp_path, bbox=[], track_id=1)).dropped == {"without a box": 1}


@pytest.mark.parametrize(
    "written, track", [(7.0, "7"), ("7.0", "7"), ("007", "007"), (7, "7"), ("10e1", "10e1")]
)
def test_a_float_of_coco_is_the_id_of_its_whole_number(tmp_path, written, track):
    assert rows(read_tracks(coco(tmp_path, track_id=written)), ["track"]) == [[track]]


@pytest.mark.parametrize(
    "written, reason", [(-1.0, "nobody yet (id -1)"), (np.nan, "without an id")]
)
def test_minus_one_and_nan_of_coco_are_nobody(tmp_path, written, reason):
    assert read_tracks(coco(tmp_path, track_id=written)).dropped == {reason: 1}


def test_cars_of_coco_are_no_people_though_there_are_no_others(tmp_path):
    tracks = read_tracks(coco(tmp_path, track_id=1, category_id=2))
    assert tracks.dropped == {"other class": 1}


def test_scalabels_classes_are_text_whatever_stands_there(tmp_path):
    label = {"id": 1, "category": ["car"], "box2d": {"x1": 1, "y1": 2, "x2": 3, "y2": 4}}
    frames = [{"name": "a", "frameIndex": 0, "labels": [label]}]
    path = tmp_path / "scalabel.json"
    path.write_text(json.dumps({"frames": frames, "config": {"imageSize": None}}))
    assert read_tracks(path).dropped == {"other class": 1}
    config = {"imageSize": {"width": 3, "height": 9}}
    path.write_text(json.dumps({"frames": frames, "config": config}))
    tracks = read_tracks(path, classes="all")
    assert rows(tracks) == [[0, "1", 1, 2, 2, 3]]  # columns 1 to 3, of which the picture has 2
    assert tracks.image_size == (3, 9)


@pytest.mark.parametrize(
    "change, what",
    [
        ({"image_id": 5}, "annotation 1: lacks 5"),
        ({"bbox": [1, 2, "x", 4]}, "annotation 1: cannot be read"),
        ({"bbox": [1, 2, 3, 4, 5]}, "annotation 1: cannot be read (a box of 5 numbers)"),
        ({"category_id": []}, "annotation 1: cannot be read"),
    ],
)
def test_what_is_wrong_with_coco_is_one_line(tmp_path, change, what):
    with pytest.raises(UserError, match=r"^[^\n]+$") as error:
        read_tracks(coco(tmp_path, **change))
    assert f"coco.json: {what}" in str(error.value)


def test_an_export_of_label_studio_has_a_camera_a_task(tmp_path):
    def region(name, *keys):
        sequence = [
            dict(zip(("frame", "x", "enabled"), key, strict=True), y=0, width=10, height=50)
            for key in keys
        ]
        value = {"framesCount": 4, "labels": ["Person"], "sequence": sequence}
        return {"id": name, "type": "videorectangle", "value": value}

    tasks = [
        {"id": 5, "annotations": [{"result": [region("a", (1, 0, True), (3, 20, False))]}]},
        {
            "id": 6,
            "annotations": [
                {"was_cancelled": True, "result": []},
                {"result": [region("a", (4, 20, True)), {"type": "choices", "value": {}}]},
            ],
        },
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    tracks = read_tracks(path, image_size=(100, 100))
    assert rows(tracks, ["camera", "frame", "left"]) == [
        ["5", 0, 0],
        ["5", 1, 10],
        ["5", 2, 20],
        ["6", 3, 20],
    ]
    assert tracks.num_frames == 4


@pytest.mark.parametrize("first", [True, False])
def test_of_two_keyframes_at_one_frame_the_last_counts(tmp_path, first):
    keys = [(1, 0, True), (3, 90, first), (3, 20, True), (5, 40, False)]
    sequence = [
        {"frame": frame, "x": x, "enabled": enabled, "y": 0, "width": 10, "height": 50}
        for frame, x, enabled in keys
    ]
    value = {"framesCount": 9, "labels": ["Person"], "sequence": sequence}
    path = tmp_path / "regions.json"
    path.write_text(
        json.dumps([{"from_name": "box", "id": "a", "type": "videorectangle", "value": value}])
    )
    tracks = read_tracks(path, image_size=(100, 100))
    assert rows(tracks, ["frame", "left"]) == [[0, 0], [1, 10], [2, 20], [3, 30], [4, 40]]


def test_labels_of_a_users_own_count_all_unless_one_means_people(tmp_path):
    row = '{0} {1} 2 {2} 8 0 0 0 0 "{3}"\n'
    path = tmp_path / "vatic.txt"
    path.write_text(row.format(0, 1, 5, "Biker") + row.format(1, 20, 25, "Cart"))
    tracks = read_tracks(path)
    assert len(tracks.table) == 2
    assert "no class is called person or pedestrian, so all count: Biker, Cart" in tracks.assumed
    path.write_text(row.format(0, 1, 5, "Biker") + row.format(1, 20, 25, "Pedestrian"))
    assert rows(read_tracks(path), ["track"]) == [["1"]]


def test_an_empty_name_of_viame_is_one_where_a_species_follows(tmp_path):
    path = tmp_path / "viame.csv"
    path.write_text("3,,7,1,2,11,22,0.9,-1,person,0.5\n")
    tracks = read_tracks(path)
    assert (tracks.format, rows(tracks)) == ("viame", [[7, "3", 1, 2, 10, 20]])


def test_kitti_results_have_a_score(tmp_path):
    path = tmp_path / "0000.txt"
    path.write_text("0 3 Pedestrian -1 -1 -10 5.5 6 9.5 20 1 1 1 1 1 1 1 0.25\n")
    assert rows(read_tracks(path), [*BOX, "confidence"]) == [[5.5, 6, 4, 14, 0.25]]


def test_groups_of_cvml_are_no_people_and_a_late_first_frame_is_the_videos_first(tmp_path):
    path = tmp_path / "caviar.xml"
    person = '<object id="0" confidence="0.5"><box h="8" w="4" xc="10" yc="20"/></object>'
    group = '<group id="9"><box h="8" w="4" xc="10" yc="20"/></group>'
    path.write_text(
        f'<dataset><frame number="100"><objectlist>{person}</objectlist>'
        f'<grouplist>{group}</grouplist></frame><frame number="101"/></dataset>'
    )
    tracks = read_tracks(path)
    assert rows(tracks) == [[0, "0", 8, 16, 4, 8]]
    assert (tracks.num_frames, tracks.table["confidence"].tolist()) == (2, [0.5])


def test_a_true_box_of_wildtrack_may_hold_minus_one(tmp_path):
    def view(number, *sides):
        names = ("xmin", "ymin", "xmax", "ymax")
        return {"viewNum": number, **dict(zip(names, sides, strict=True))}

    views = [view(0, -1, 20, 30, 90), view(1, -1, -1, -1, -1), view(2, 1930, 5, 1990, 80)]
    path = tmp_path / "00000015.json"
    path.write_text(json.dumps([{"personID": 3, "views": views}]))
    tracks = read_tracks(path)
    assert rows(tracks, ["camera", "frame", *BOX]) == [["0", 15, 0, 20, 30, 70]]
    assert tracks.dropped == {"outside": 1, "beyond the picture": 1}


def test_a_file_that_knows_people_but_has_none_gives_no_cars(tmp_path):
    box = '<box frame="7" outside="0" xtl="1" ytl="2" xbr="4" ybr="6"/>'
    labels = "<label><name>Person</name></label><label><name>car</name></label>"
    path = tmp_path / "cvat.xml"
    text = f'<annotations><meta>{{}}</meta><track id="0" label="car">{box}</track></annotations>'
    path.write_text(text.format(labels))
    assert read_tracks(path).dropped == {"other class": 1}
    path.write_text(text.format(labels.replace("Person", "Bus")))
    assert len(read_tracks(path).table) == 1


def test_tasks_of_cvat_are_cameras(tmp_path):
    box = '<box frame="{}" outside="0" xtl="1" ytl="2" xbr="4" ybr="6"/>'
    track = '<track id="0" task_id="{}" label="person">{}</track>'
    tasks = (track.format(task, box.format(7)) for task in (1, 2))
    path = tmp_path / "cvat.xml"
    path.write_text(f"<annotations>{''.join(tasks)}</annotations>")
    tracks = read_tracks(path)
    assert rows(tracks, ["camera", "frame", *BOX]) == [["1", 7, 1, 2, 3, 4], ["2", 7, 1, 2, 3, 4]]


def test_a_turned_box_of_cvat_is_read_as_the_upright_box_around_it(tmp_path):
    # A square of side 10 about (15, 25): turned by 45 degrees it is 10 times the root of 2 wide.
    shape = '<box frame="{}" outside="0" xtl="10" ytl="20" xbr="20" ybr="30" rotation="{}"/>'
    boxes = "".join(shape.format(frame, turn) for frame, turn in enumerate((0, 45, 315)))
    path = tmp_path / "cvat.xml"
    path.write_text(f'<annotations><track id="0" label="person">{boxes}</track></annotations>')
    tracks = read_tracks(path)
    half = 50**0.5
    around = [15 - half, 25 - half, 2 * half, 2 * half]
    expected = [[10, 20, 10, 10], around, around]
    assert np.allclose(tracks.table[BOX], expected)
    assert "2 turned boxes are read as the upright boxes around them" in str(tracks.assumed)


@pytest.mark.parametrize(
    "name, text, what",
    [
        ("a.xml", "<annotations/>", "has no tracks: export it from CVAT as 'CVAT for video 1.1'"),
        ("a.xml", '<annotations><track id="4"><box frame="1"/></track></annotations>', "track 4"),
        ("a.xml", "<annotations>", "is no XML"),
        ("a.xml", '<?xml version="1.0" encoding="u1.58"?><annotations/>', "is no XML"),
        ("a.xml", "<html/>", "is in no format of tracks"),
        ("a.xml", "<dataset/>", "has no frames"),
        ("a.xml", '<dataset><frame number="x"/></dataset>', "frame 0: cannot be read"),
        ("a.json", "[", "is no JSON"),
        ("a.json", "[]", "is in no format of tracks"),
        ("a.json", "[1]", "is in no format of tracks"),
        ("a.json", '[{"x_min": 1}, 2]', "holds what is no detection"),
        ("a.json", "{}", "is in no format of tracks"),
        ("a.json", '[{"name": "a", "labels": [{"id": 1, "box2d": {}}]}]', "has no boxes"),
        (
            "a.json",
            '[{"name": "a", "labels": [{"id": 1, "box2d": {"x1": 1}}]}]',
            "frame 'a': lacks",
        ),
        ("a.json", '[{"personID": 1, "views": []}]', "is not named by its frame"),
        ("a.json", '[{"from_name": 1, "type": "videorectangle"}]', "region None: lacks 'value'"),
        (
            "a.json",
            '[{"from_name": 1, "id": "r", "type": "videorectangle", "value": {"framesCount": 1e99, '
            '"sequence": [{"frame": 1, "x": 0, "y": 0, "width": 1, "height": 1}]}}]',
            "region 'r': cannot be read (more than 10,000,000 frames)",
        ),
        ("a.csv", "# VIAME\n1,a.png,0,1,2,3,x,0.5,-1\n", "row 2: cannot be read"),
        ("a.txt", "0 0.5 0.5 0.1 0.2 7\n", "is one frame of ultralytics' labels: pass its folder"),
        ("a.txt", "1 1 10 20 30 60\n", "has spaces between its columns: write commas"),
        ("a.txt", "1 1 10 20 30 60 1 -1 -1 -1\n", "has spaces between its columns: write"),
        ("a.txt", "1\t1\t10\t20\t30\t60\n", "has tabs between its columns: write commas"),
        ("a.csv", "frame;track;left;top;width;height\n", "has semicolons between its columns"),
        ("a.txt", "\0\1\2", "is in no format of tracks that is known: write MOT's text (frame,id"),
        ("a.csv", "# VIAME\n" + 200_000 * "1", "is no text of a table"),
        ("a.csv", SINK.splitlines()[0] + "\n" + 10 * "1," + "1\n", "its rows have more columns"),
        ("a.parquet", "frame", "cannot be read as a table"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(tmp_path, name, text, what):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError, match=r"^[^\n]+$") as error:
        read_tracks(path)
    assert str(error.value).startswith(f"{path}: {what}")


def test_no_text_no_file_and_no_tracks_are_one_line(tmp_path):
    path = tmp_path / "video.mp4"
    path.write_bytes(b"\xff\xd8\xff\xe0\x00")
    for place, what in (
        (path, "is no text"),
        (tmp_path / "none.txt", "no such file"),
        (tmp_path, "holds no tracks"),
    ):
        with pytest.raises(UserError, match=what):
            read_tracks(place)


def test_a_file_in_another_format_than_said_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("1,1,10,4,4,8\n")
    with pytest.raises(
        UserError, match="is not in the format kitti, but a MOT file: leave the format out"
    ):
        read_tracks(path, format="kitti")
    path.write_text("0 3 Pedestrian -1 -1 -10 5 6 9 20 1 1 1 1 1 1 1\n")
    with pytest.raises(UserError, match="is not in the format boxmot, but in the format kitti"):
        read_tracks(path, format="boxmot")
    with pytest.raises(UserError, match="format='mot' is unknown: use auto, motchallenge, mot15"):
        read_tracks(path, format="mot")
