"""Files that tools and data sets hold: the numbers below were read off the files themselves."""

import pytest

from stgcn_pyg.tracks import COLUMNS, read_tracks

BOX = ["left", "top", "width", "height"]


def boxes(tracks, track, frame, camera=""):
    """The boxes of a track in a frame."""
    table = tracks.table
    rows = (table["track"] == track) & (table["frame"] == frame) & (table["camera"] == camera)
    return table.loc[rows, BOX].to_numpy().tolist()


def rows_of(tracks):
    """Rows by track."""
    return tracks.table["track"].value_counts(sort=False).to_dict()


@pytest.mark.parametrize("name", ["gt.txt", "gt_floats.txt"])
def test_mot17_has_42_pedestrians_in_8_frames(track_samples, name):
    tracks = read_tracks(track_samples / "mot17_04_first8" / "gt" / name)
    assert (tracks.format, tracks.image_size, tracks.num_frames) == (
        "motchallenge",
        (1920, 1080),
        8,
    )
    assert set(rows_of(tracks).values()) == {8}
    assert len(rows_of(tracks)) == 42
    assert tracks.table["frame"].unique().tolist() == list(range(8))
    assert tracks.dropped == {"ignore flag": 456}
    assert boxes(tracks, "1", 1) == [[1362, 568, 103, 241]]
    # 1,5,1098,980,78,208 ends 108 below the picture, and 1,116,1220,-14,63,148 begins above it.
    assert boxes(tracks, "5", 0) == [[1098, 980, 78, 100]]
    assert boxes(tracks, "116", 0) == [[1220, 0, 63, 134]]
    first = tracks.table.iloc[0]
    assert (first["class"], first["visibility"]) == ("pedestrian", 0.86014)
    assert tracks.table["confidence"].isna().all()  # the column is a flag
    assert tracks.table["track"].tolist()[:3] == ["1", "2", "3"]  # as in the file within a frame


def test_other_classes_of_mot17_are_taken_by_name_or_number(track_samples):
    path = track_samples / "mot17_04_first8" / "gt" / "gt.txt"
    for name in ("Static person", "7"):
        tracks = read_tracks(path, classes=(name,))
        assert (len(tracks.table), tracks.dropped) == (32, {"other class": 760})
    assert len(read_tracks(path, classes="all").table) == 792


def test_the_eighth_column_of_mot15_is_no_class(track_samples):
    tracks = read_tracks(track_samples / "tud_campus" / "gt.txt")  # its lines end in CRLF
    assert (tracks.format, len(tracks.table), len(rows_of(tracks))) == ("mot15", 359, 8)
    assert (tracks.image_size, tracks.num_frames, tracks.dropped) == (None, 71, {})
    assert boxes(tracks, "5", 4) == [[136, 208, 74.364, 153.95]]  # nothing is taken off
    assert boxes(tracks, "8", 70) == [[416, 204, 58, 164]]
    assert set(tracks.table["class"]) == {""}


def test_results_in_the_form_of_mot15_have_no_flag(track_samples):
    tracks = read_tracks(track_samples / "tud_campus" / "test.txt")
    assert (tracks.format, len(tracks.table), len(rows_of(tracks))) == ("mot15", 222, 13)
    assert boxes(tracks, "3", 0) == [[113.84, 274.5, 57.307, 130.05]]
    assert tracks.table["confidence"].isna().all()


def test_who_sits_is_a_person_in_kitti(track_samples):
    tracks = read_tracks(track_samples / "kitti" / "0013.txt")
    assert tracks.table["class"].value_counts().to_dict() == {"Pedestrian": 929, "Person": 167}
    assert tracks.dropped == {"ignore flag": 935, "other class": 55 + 237 + 18 + 69}
    assert len(rows_of(tracks)) == 42 + 14
    [box] = boxes(tracks, "8", 51)
    assert box == pytest.approx([1141.651435, 190.589363, 83.234383, 119.07548])


def test_ends_of_scalabel_belong_to_the_box(track_samples):
    tracks = read_tracks(track_samples / "bdd100k" / "track_sample_anns.json")
    assert (tracks.format, len(tracks.table), len(rows_of(tracks))) == ("scalabel", 191, 11)
    [box] = boxes(tracks, "a-00122160", 93)
    x1, x2, y1, y2 = 742.5402963212679, 755.6119099495014, 350.1908775640251, 381.93622494687804
    assert box == pytest.approx([x1, y1, x2 - x1 + 1, y2 - y1 + 1])
    assert tracks.dropped == {"ignore flag": 132, "other class": 3241 - 132 - 191}


def test_wildtrack_has_seven_cameras_with_common_ids(track_samples):
    tracks = read_tracks(track_samples / "wildtrack")
    seen = {"0": 95, "1": 77, "2": 71, "3": 30, "4": 18, "5": 102, "6": 42}
    assert tracks.table["camera"].value_counts().sort_index().to_dict() == seen
    assert tracks.dropped == {"outside": 756 - 435}
    assert tracks.table["frame"].unique().tolist() == [0, 5, 10]
    # ymin is -11, and ymax 179
    assert boxes(tracks, "4", 5, camera="1") == [[1478, 0, 54, 179]]
    # xmax is 1991, in pictures that are 1920 wide
    assert boxes(tracks, "18", 10, camera="6") == [[1875, 80, 45, 225]]
    one = read_tracks(track_samples / "wildtrack", camera="3")
    assert (len(one.table), set(one.table["camera"])) == (30, {"3"})


def test_one_file_of_wildtrack_is_one_frame(track_samples):
    tracks = read_tracks(track_samples / "wildtrack" / "00000005.json")
    assert set(tracks.table["frame"]) == {5}


def test_lost_rows_of_vatic_go(track_samples):
    tracks = read_tracks(track_samples / "stanford_drone" / "annotations.txt")
    kept = {"0": 316, "1": 509, "2": 125, "3": 234, "4": 509, "5": 419, "6": 107, "7": 229}
    assert {track: rows_of(tracks)[track] for track in sorted(rows_of(tracks))} == kept
    assert (tracks.format, tracks.dropped) == ("vatic", {"lost": 1624})
    assert boxes(tracks, "0", 192) == []
    assert boxes(tracks, "0", 193) == [[5, 827, 47, 47]]


def test_cvml_gives_centres_and_counts_from_its_first_frame(track_samples):
    tracks = read_tracks(track_samples / "cvml" / "PETS2009-S3MF1.xml")
    assert (len(tracks.table), len(rows_of(tracks)), tracks.num_frames) == (620, 7, 107)
    [box] = boxes(tracks, "1", 0)  # frame 1 in the file
    assert box == pytest.approx([699.2265 - 17.15995, 337.0799 - 51.12445, 34.3199, 102.2489])


def test_cvml_under_another_root_counts_from_zero(track_samples):
    tracks = read_tracks(track_samples / "cvml" / "jelmoli_assc_gt.xml")
    assert (len(tracks.table), len(rows_of(tracks)), tracks.num_frames) == (2582, 74, 446)
    assert boxes(tracks, "1", 0) == [[394, 150, 78, 222]]
    assert tracks.table["frame"].max() == 439  # the last frames are empty


def test_outside_ends_a_track_of_cvat_and_frames_are_the_videos(track_samples):
    tracks = read_tracks(track_samples / "cvat" / "annotations.xml")
    assert (tracks.format, tracks.image_size) == ("cvat", (25, 20))
    assert boxes(tracks, "0", 10) == [[3, 4, 7, 1]]
    assert len(tracks.table) == 1
    assert tracks.dropped == {"outside": 2}
    assert any("2 tracks of points, lines or masks" in sentence for sentence in tracks.assumed)


def test_a_row_of_datumaro_without_a_track_is_nobody(track_samples):
    tracks = read_tracks(track_samples / "mot_with_labels" / "gt.txt")
    assert (tracks.format, len(tracks.table)) == ("datumaro", 0)
    assert tracks.dropped == {"nobody yet (id -1)": 1}
    assert not any("so all count" in sentence for sentence in tracks.assumed)
    assert list(tracks.table) == list(COLUMNS)


def test_label_studio_is_linear_between_keyframes_and_stops_at_disabled_ones(track_samples):
    path = track_samples / "label_studio" / "woman_videorectangle.json"
    tracks = read_tracks(path, image_size=(1000, 500))
    # From 1: keyframes 2, 10 (the last before a gap), 13 (alone) and 16, which stays to the end.
    frames = [*range(1, 10), 12, *range(15, 299)]
    assert tracks.table["frame"].tolist() == frames
    assert (tracks.num_frames, set(tracks.table["class"])) == (299, {"Woman"})
    # Half-way from frame 2 to frame 10: x = 40.4255319149 %, y = 24.6863066014 %.
    [box] = boxes(tracks, "XgRSxLA2GG", 5)
    assert box == pytest.approx([404.255319149, 123.431533007, 184.942716858, 251.682124022])
    # Frame 16 begins at -1.4729950900 %: what is left of the picture is cut off.
    [box] = boxes(tracks, "XgRSxLA2GG", 298)
    assert box == pytest.approx([0, 250, 184.942716858 - 14.729950900, 250])


def test_viame_has_rows_of_any_length_and_the_likeliest_species_counts(track_samples):
    tracks = read_tracks(track_samples / "viame" / "viame_head.csv")
    assert rows_of(tracks) == {"1": 3, "2": 2, "4": 1}
    assert boxes(tracks, "4", 11) == [[921, 597, 46, 96]]
    assert tracks.table.iloc[0]["class"] == "seriola"  # 0.89, before two others
    last = tracks.table.iloc[-1]
    assert (last["class"], last["confidence"]) == ("pristipomoides_auricilla", 0.460706)


def test_videos_of_posetrack_are_cameras(track_samples):
    tracks = read_tracks(track_samples / "posetrack18" / "test_posetrack18_val.json")
    counts = tracks.table["camera"].value_counts().to_dict()
    assert counts == {"012834": 11, "009473": 2, "003418": 1}
    assert set(tracks.table["frame"]) == {0}
    [box] = boxes(tracks, "4", 0, camera="012834")  # and track 0 is a person, too
    assert box == pytest.approx([654, 385.94980463, 117, 250.44804694])
    assert "0" in rows_of(tracks)


def test_people_of_tao_are_its_category_baby(track_samples):
    tracks = read_tracks(track_samples / "tao" / "ann.json")
    assert boxes(tracks, "1", 390) == [[156, 97, 150, 301]]
    assert boxes(tracks, "1", 420) == [[58, 63, 407, 417]]
    assert tracks.dropped == {"other class": 2}
    assert (tracks.image_size, len(tracks.table)) == ((640, 480), 2)
