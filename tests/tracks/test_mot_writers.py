"""MOT files, each as its program writes it."""

import pytest

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks import read_tracks

SEEN = ["frame", "track", "left"]


@pytest.fixture
def write(tmp_path):
    """Writes a file."""

    def write(text, name="tracks.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
        return path

    return write


def rows(tracks, columns=SEEN):
    return tracks.table[columns].to_numpy().tolist()


def test_boxmot_counts_ids_and_classes_from_zero_and_frames_from_one(write):
    path = write(
        "1,0,-7.5,20.0,30.0,60.0,0.91,0,-1\n"
        "1,1,100.0,20.0,30.0,60.0,0.5,2,-1\n"
        "3,0,14.0,20.0,30.0,60.0,0.82,0,-1\n"
    )
    tracks = read_tracks(path)
    assert tracks.format == "boxmot"
    assert rows(tracks) == [[0, "0", -7.5], [2, "0", 14.0]]
    assert tracks.table["confidence"].tolist() == [0.91, 0.82]
    assert tracks.dropped == {"other class": 1}
    assert rows(read_tracks(path, classes=("2",))) == [[0, "1", 100.0]]
    assert rows(read_tracks(path, classes=["0", "2"])) == [
        *([0, "0", -7.5], [0, "1", 100.0]),
        [2, "0", 14.0],
    ]


def test_the_third_frame_of_every_second_is_the_videos_fifth(write):
    path = write("1,0,1,20,30,60,0.9,0,-1\n3,0,2,20,30,60,0.8,0,-1\n")
    assert read_tracks(path, stride=2).table["frame"].tolist() == [0, 4]
    assert read_tracks(path, stride=2, first_frame=0).table["frame"].tolist() == [2, 6]


def test_minus_one_of_trackers_is_nobody_and_zero_is_a_person(write):
    path = write(
        "1,-1,1.00,20.00,30.00,60.00,0.9000,-1,-1,-1\n"
        "2,0,1.00,20.00,30.00,60.00,0.8000,-1,-1,-1\n"
        "2,1,90.00,20.00,30.00,60.00,-1.0000,-1,-1,-1\n"
    )
    tracks = read_tracks(path)
    assert (tracks.format, tracks.dropped) == ("trackers", {"nobody yet (id -1)": 1})
    assert rows(tracks) == [[1, "0", 1.0], [1, "1", 90.0]]
    assert tracks.table["confidence"].fillna(7).tolist() == [0.8, 7]


def test_norfair_has_no_confidence(write):
    tracks = read_tracks(write("1,1,1.25,20,30,60,-1,-1,-1,-1\n"))
    assert (tracks.format, rows(tracks)) == ("norfair", [[0, "1", 1.25]])
    assert tracks.table["confidence"].isna().all()
    assert "boxes that norfair predicted" in tracks.summary()


def test_datumaro_names_classes_by_the_lines_of_its_labels(write):
    write("car\nperson\n", "gt/labels.txt")
    path = write("1,1,0,4,4,8,1,2,1.0\n1,2,50,4,4,8,1,1,1.0\n2,1,0,4,4,8,0,2,0.5\n", "gt/gt.txt")
    tracks = read_tracks(path)
    assert (tracks.format, rows(tracks, [*SEEN, "class"])) == (
        "datumaro",
        [[0, "1", 0.0, "person"]],
    )
    assert tracks.dropped == {"ignore flag": 1, "other class": 1}


def test_labels_with_one_name_twice_are_one_class(write):
    write("person\nperson\n", "gt/labels.txt")
    path = write("1,1,0,4,4,8,1,2,1.0\n1,2,50,4,4,8,1,1,1.0\n", "gt/gt.txt")
    assert len(read_tracks(path).table) == 2


def test_labels_without_people_count_all_and_with_people_only_those(write):
    path = write("1,2,50,4,4,8,1,1,1.0\n", "gt/gt.txt")
    write("car\nperson\n", "gt/labels.txt")
    assert read_tracks(path).dropped == {"other class": 1}
    write("car\nbus\n", "gt/labels.txt")
    assert len(read_tracks(path).table) == 1


def test_visdrone_has_ignored_regions_and_truncation_where_others_have_visibility(write):
    path = write(
        "1,0,0,0,90,90,0,0,0,0\n1,9,0,0,90,90,1,0,0,0\n"
        "1,1,10,4,4,8,1,1,0,1\n1,2,50,4,4,8,1,2,1,2\n1,3,90,4,4,8,1,4,0,0\n"
    )
    tracks = read_tracks(path)
    assert (tracks.format, rows(tracks, ["track", "class"])) == (
        "visdrone",
        [["1", "pedestrian"], ["2", "people"]],
    )
    assert tracks.table["visibility"].isna().all()
    assert tracks.dropped == {"ignore flag": 2, "other class": 1}


def test_places_in_space_of_mot15_are_no_class(write):
    path = write("1,1,10,4,4,8,1,3.5,7.25,0\n1,2,50,4,4,8,0,3.5,7.25,0\n")
    tracks = read_tracks(path)
    assert (tracks.format, rows(tracks)) == ("mot15", [[0, "1", 10.0]])
    assert tracks.dropped == {"ignore flag": 1}


def test_six_columns_are_enough(write):
    assert rows(read_tracks(write("1,5,10,4,4,8\n\n2,5,11,4,4,8\n\n"))) == [
        [0, "5", 10.0],
        [1, "5", 11.0],
    ]


def test_columns_that_nobody_writes_are_said_not_to_be_read(write):
    tracks = read_tracks(write("1,5,10,4,4,8,0.5,3.5,7\n"))
    assert "nothing is known" in tracks.summary()
    assert tracks.table["confidence"].tolist() == [0.5]


def test_ids_keep_every_digit(write):
    path = write(
        "1,9007199254740993,10,4,4,8\n"
        "1,9007199254740992,50,4,4,8\n"
        "1,3.000000,90,4,4,8\n"
        "2,3,90,4,4,8\n"
    )
    tracks = read_tracks(path)
    ids = ["9007199254740993", "9007199254740992", "3", "3"]
    assert tracks.table["track"].tolist() == ids


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("rest", ["1,-1,-1,-1", "0.9,0,-1"])
def test_an_empty_id_is_nobodys_wherever_it_stands(write, first, rest):
    lines = ["1,,10,20,30,60", "1,2,15,20,30,60"]
    rows_of_file = [lines[first], lines[1 - first], "2,2,16,20,30,60"]
    tracks = read_tracks(write("".join(f"{row},{rest}\n" for row in rows_of_file)))
    assert rows(tracks) == [[0, "2", 15.0], [1, "2", 16.0]]
    assert tracks.dropped == {"without an id": 1}


def test_a_file_without_any_id_has_nobody(write):
    tracks = read_tracks(write("1,,10,4,4,8\n2,,10,4,4,8\n"))
    assert (len(tracks.table), tracks.dropped) == (0, {"without an id": 2})


def test_an_id_that_a_program_wrote_as_a_float_is_the_whole_number(write):
    path = write("1,-1.0,10,4,4,8,1,-1,-1,-1\n1,3.0,50,4,4,8,1,-1,-1,-1\n2,3,50,4,4,8,1,-1,-1,-1")
    tracks = read_tracks(path)
    assert (tracks.format, tracks.dropped) == ("trackers", {"nobody yet (id -1)": 1})
    assert rows(tracks) == [[0, "3", 50.0], [1, "3", 50.0]]


def test_letters_of_an_id_are_no_exponent(write):
    # As digits to the base 16; as numbers both would be 100.
    tracks = read_tracks(write("1,10e1,10,4,4,8\n1,1e02,50,4,4,8\n"))
    assert tracks.table["track"].tolist() == ["10e1", "1e02"]


@pytest.mark.parametrize(
    "said, row, instead",
    [
        ("boxmot", "1,1,10,4,4,8,1,1,0.5", "motchallenge"),
        ("motchallenge", "1,0,10,4,4,8,0.5,0,-1", "boxmot"),
        ("trackers", "1,0,10,4,4,8,0.5,0,-1", "boxmot"),
        ("mot15", "1,1,10,4,4,8,1,1,0.5", "motchallenge"),
        ("visdrone", "1,1,10,4,4,8,1,-1,-1,-1", "mot15"),
        ("norfair", "1,0,10,4,4,8,0.5,-1,-1,-1", "trackers"),
        ("datumaro", "1,0,10,4,4,8,0.5,0,-1", "boxmot"),
    ],
)
def test_a_file_of_another_writer_is_refused(write, said, row, instead):
    path = write(row)
    with pytest.raises(UserError) as error:
        read_tracks(path, format=said)
    assert str(error.value) == (
        f"{path}: its columns are not those that {said} writes: pass format='{instead}'"
    )


@pytest.mark.parametrize(
    "text, what",
    [
        ("1,1,10,4,4,8\n1,2,x,4,4,8\n", "row 2: column 3 is 'x': write a number"),
        ("1,1,10,4,4,8\n\n1,2,10,4,4\n", "row 3: column 6 holds no number"),
        ("1,1,10,4,4,8\n\n1,2,10,4,4,8,9\n", "row 3: has 7 columns, and the first row 6"),
        ("1,1,10,4,4,8\n1.5,2,10,4,4,8\n", "row 2: its frame is no whole number"),
        ("1,1,10,4,4,8\n1,2,inf,4,4,8\n", "row 2: its left is no number"),
        ("1,1,10,4,4,8\n0,2,10,4,4,8\n", "row 2: is of frame 0, but this format counts from 1"),
        (
            "4,7,10,4,4,8\n5,7,10,4,4,8\n4,7,90,4,4,8\n",
            "row 3: track 7 is in frame 4 again, after row 1",
        ),
        ('1,1,10,4,4,8\n1,2,"10,4,4,8\n', "is no text of a table"),
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("1,1,10,4\n", "is in no format of tracks that is known"),
        ("frame,id,x,y,w,h\n", "is in no format of tracks that is known"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(write, text, what):
    path = write(text)
    with pytest.raises(UserError, match=r"^[^\n]+$") as error:
        read_tracks(path)
    assert str(error.value).startswith(f"{path}: {what}")


def test_a_sequence_info_that_is_none_is_named(write):
    path = write("1,1,10,4,4,8\n", "gt/gt.txt")
    info = write("[Sequence]\nimWidth=wide\n", "seqinfo.ini")
    with pytest.raises(UserError, match=r"^[^\n]+$") as error:
        read_tracks(path)
    assert str(error.value).startswith(f"{info}: cannot be read")
