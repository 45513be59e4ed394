"""Manifests: what a table of frames says, there and back, and everything that can be wrong."""

import time
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from full_disk import largest_file
from pandas.testing import assert_frame_equal, assert_series_equal
from pyarrow import parquet as pq

from stgcn_pyg.data import load_dataset, write_manifest
from stgcn_pyg.errors import UserError

HEADER = "path,pid,camid,tracklet,frame,split\n"
ROWS = """\
a/1.jpg,1,1,10,1,train
a/2.jpg,1,1,10,2,train
b/1.jpg,2,1,20,1,query
c/1.jpg,2,2,30,1,gallery
"""
BOTH = pytest.mark.parametrize("suffix", [".csv", ".parquet"])


@pytest.fixture
def write(tmp_path):
    """Writes a manifest of the text of a CSV, in either format."""

    def write(text, suffix=".csv"):
        csv, path = tmp_path / "frames.csv", tmp_path / f"frames{suffix}"
        csv.write_text(text)
        if suffix == ".parquet":
            pd.read_csv(csv, dtype={"path": str}).to_parquet(path)
        return path

    return write


def load(path, **options):
    return load_dataset("manifest", path, verify=False, **options)


def collect(path):
    """The data set, and what was passed over."""
    found = []
    dataset = load(path, report=lambda path, what: found.append((path, what)))
    assert all(at == path for at, _ in found)
    return dataset, [what for _, what in found]


def assert_same(one, other):
    for split, table in one.tables().items():
        assert_frame_equal(table, other.tables()[split])


@BOTH
def test_a_manifest_gives_tables_and_frames(write, suffix):
    path = write(HEADER + ROWS, suffix)
    dataset = load(path)
    columns = ["pid", "camid", "first_frame", "num_frames"]
    assert_frame_equal(dataset.train, pd.DataFrame([[1, 1, 0, 2]], [10], columns))
    assert_frame_equal(dataset.query, pd.DataFrame([[2, 1, 2, 1]], [20], columns))
    assert_frame_equal(dataset.gallery, pd.DataFrame([[2, 2, 3, 1]], [30], columns))
    assert dataset.frames.tolist() == ["a/1.jpg", "a/2.jpg", "b/1.jpg", "c/1.jpg"]
    assert (dataset.name, dataset.root) == ("manifest", path.parent)


@BOTH
def test_frames_are_ordered_by_number_and_tracklets_by_their_first_row(write, suffix):
    rows = [
        "z.jpg,5,1,9,10,train",
        "y.jpg,4,1,8,1,train",
        "q.jpg,6,1,7,1,query",
        "x.jpg,5,1,9,9,train",
        "g.jpg,6,2,2,1,gallery",
        "w.jpg,5,1,9,-1,train",
        "h.jpg,7,2,1,1,gallery",
    ]
    dataset = load(write(HEADER + "\n".join(rows), suffix))
    assert dataset.train.index.tolist() == [9, 8]
    assert dataset.gallery.index.tolist() == [2, 1]
    names = [path.name for path in dataset.paths(dataset.train.loc[9])]
    assert names == ["w.jpg", "x.jpg", "z.jpg"]


def test_columns_may_be_in_any_order_and_among_others(write, tmp_path):
    expected = load(write(HEADER + ROWS))
    table = pd.read_csv(tmp_path / "frames.csv").assign(note="seen twice")
    for change in (table[table.columns[::-1]], table.set_index("path")):
        change.reset_index().to_csv(tmp_path / "frames.csv", index=False)
        change.to_parquet(tmp_path / "frames.parquet")
        for suffix in (".csv", ".parquet"):
            assert_same(load(tmp_path / f"frames{suffix}"), expected)


def test_what_other_programs_write_is_read(write, tmp_path):
    expected = load(write(HEADER + ROWS))
    with_mark = tmp_path / "MARK.CSV"
    with_mark.write_bytes(b"\xef\xbb\xbf" + (HEADER + ROWS).replace("\n", "\r\n").encode())
    assert_same(load(with_mark), expected)
    table = pd.read_csv(tmp_path / "frames.csv")
    other = table.astype({"split": "category", "path": "category", "pid": float, "camid": "Int64"})
    other.to_parquet(tmp_path / "other.parquet")
    assert_same(load(tmp_path / "other.parquet"), expected)


def test_what_parquet_may_hold_besides_is_a_fault(write, tmp_path):
    expected = load(write(HEADER + ROWS))
    more = pd.DataFrame(
        {
            "path": [None, "d.jpg", "e.jpg"],
            "pid": [2, 2, None],
            "camid": [2, 2, 2],
            "tracklet": [40, 40, 40],
            "frame": [1, 2, 3],
            "split": ["gallery", None, "gallery"],
        }
    )
    path = tmp_path / "other.parquet"
    pd.concat([pd.read_csv(tmp_path / "frames.csv"), more]).to_parquet(path)
    dataset, found = collect(path)
    assert_same(dataset, expected)
    assert [what.split(":")[0] for what in found] == [
        "row 7",
        "row 5",
        "row 6",
    ]
    pd.read_csv(tmp_path / "frames.csv").assign(camid=True).to_parquet(path)
    with pytest.raises(UserError, match="row 1: camid True is no whole number"):
        load(path)


def test_one_odd_cell_in_a_long_column_is_a_fault_and_no_warning(write, recwarn):
    rows = "".join(f"{i},2,2,40,{i},gallery\n" for i in range(270_000))  # more than a chunk
    _, found = collect(write(HEADER + rows + "d.jpg,2,2,40,last,gallery\n" + ROWS))
    assert found == ["row 270001: frame 'last' is no whole number: write one"]
    assert not recwarn.list


def test_fields_beyond_the_header_do_not_shift_the_others(write):
    with_commas = ROWS.replace("\n", ",\n")
    assert_same(load(write(HEADER + with_commas)), load(write(HEADER + ROWS)))


def test_paths_are_taken_as_they_are_and_tidied(write):
    names = ["NA", "0012", '"d,""q"".jpg"', "e//f/g.jpg", "./k/./l.jpg", "./m.jpg", "h..i/..j.jpg"]
    rows = "".join(f"{name},2,2,30,{i + 2},gallery\n" for i, name in enumerate(names))
    dataset = load(write(HEADER + ROWS + rows))
    paths = [path.relative_to(dataset.root) for path in dataset.paths(dataset.gallery.iloc[0])]
    tidy = ["NA", "0012", 'd,"q".jpg', "e/f/g.jpg", "k/l.jpg", "m.jpg", "h..i/..j.jpg"]
    assert [path.as_posix() for path in paths] == ["c/1.jpg", *tidy]
    assert dataset.frames.tolist()[4:] == tidy
    numbers = "001,1,1,1,1,train\n002,2,1,2,1,query\n003,2,2,3,1,gallery\n"
    assert load(write(HEADER + numbers)).frames.tolist() == ["001", "002", "003"]


def test_pictures_are_looked_for_below_the_manifests_folder(write, tmp_path, monkeypatch):
    path = write(HEADER + ROWS)
    for folder, name in (("a", "1.jpg"), ("a", "2.jpg"), ("b", "1.jpg")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).touch()
    with pytest.raises(UserError, match=r"1 of 4 images are missing, the first is .*/c/1\.jpg"):
        load_dataset("manifest", path)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "1.jpg").touch()
    load_dataset("manifest", path)
    monkeypatch.chdir(tmp_path)
    load_dataset("manifest", "frames.csv")


def test_paths_of_windows_are_refused_with_what_to_write(write):
    path = write(HEADER + ROWS.replace("a/1.jpg", "a\\1.jpg"))
    with pytest.raises(UserError, match=r"images are missing.*: write / in place of \\$"):
        load_dataset("manifest", path)


def test_a_tracklet_that_lists_a_frame_twice_is_not_written(write, tmp_path):
    dataset = load(write(HEADER + ROWS))
    twice = replace(dataset, frames=dataset.frames.replace("a/2.jpg", "a/1.jpg"))
    with pytest.raises(UserError, match=r"again: row 2: path 'a/1\.jpg' stands further up in"):
        write_manifest(twice, tmp_path / "again.csv")
    assert not (tmp_path / "again.csv").exists()


@pytest.mark.parametrize("names", [["x", "y", "z"], [10, 20, 30]])
def test_what_could_not_be_read_again_is_not_written(write, tmp_path, names):
    dataset = load(write(HEADER + ROWS))
    train, query, gallery = (
        table.set_axis([name]) for table, name in zip(dataset.tables().values(), names, strict=True)
    )
    frames = dataset.frames.replace("c/1.jpg", "b/1.jpg")  # of camera 2, and of camera 1
    other = replace(dataset, train=train, query=query, gallery=gallery, frames=frames)
    what = "tracklet 'x' is no whole number" if names[0] == "x" else "path 'b/1.jpg' is of pid 2"
    with pytest.raises(UserError, match=rf"again\.csv: is not written, .*: row [14]: {what}"):
        write_manifest(other, tmp_path / "again.csv")
    assert not (tmp_path / "again.csv").exists()


def test_frames_of_no_tracklet_are_not_written(write, tmp_path):
    dataset = load(write(HEADER + ROWS))
    train = dataset.train.assign(first_frame=1, num_frames=1)
    write_manifest(replace(dataset, train=train), tmp_path / "again.csv")
    again = load(tmp_path / "again.csv")
    assert again.frames.tolist() == ["a/2.jpg", "b/1.jpg", "c/1.jpg"]
    assert again.train["first_frame"].tolist() == [0]


def test_a_query_in_the_gallery_has_one_number_and_its_frames_once(write):
    dataset = load(write(HEADER + ROWS + "b/1.jpg,2,1,20,1,gallery\n"))
    assert dataset.gallery.index.tolist() == [30, 20]
    assert dataset.gallery_is_query().tolist() == [False, True]
    assert dataset.gallery.loc[20].equals(dataset.query.loc[20])
    assert dataset.frames.tolist() == ["a/1.jpg", "a/2.jpg", "b/1.jpg", "c/1.jpg"]


def test_the_protocols_follow_from_the_queries_in_the_gallery(write):
    alone, one, all_of_them = (
        ROWS,
        ROWS + "b/1.jpg,2,1,20,1,gallery\n",
        ROWS + "b/1.jpg,2,1,20,1,gallery\nc/1.jpg,2,2,30,1,query\n",
    )
    assert load(write(HEADER + alone)).protocols == ("full-gallery",)
    assert load(write(HEADER + one)).protocols == ("mars-official", "full-gallery", "query-free")
    assert load(write(HEADER + all_of_them)).protocols == ("cross-camera",)


@BOTH
def test_mars_there_and_back(mars_tree, suffix):
    mars_tree.queries = [4, 3]  # not in the order of the gallery
    mars = load_dataset("mars", mars_tree.write())
    path = mars.root / f"frames{suffix}"
    write_manifest(mars, path)
    again = load_dataset("manifest", path)
    assert mars.query.index.tolist() == [11, 10]
    assert_same(again, mars)
    assert_series_equal(again.frames, mars.frames)
    assert (again.root, again.protocols) == (mars.root, mars.protocols)
    assert again.gallery_is_query().tolist() == [False, False, True, True, False, False]


@BOTH
def test_ward_there_and_back(ward_root, tmp_path, suffix):
    (tmp_path / "pictures").symlink_to(ward_root.resolve())
    ward = load_dataset("ward", tmp_path / "pictures", split=2)
    path = tmp_path / f"ward{suffix}"
    write_manifest(ward, path)
    again = load_dataset("manifest", path)
    assert_same(again, ward)
    assert again.frames.tolist() == [f"pictures/{frame}" for frame in ward.frames]
    assert again.paths(again.query.iloc[7]) == ward.paths(ward.query.iloc[7])
    assert again.protocols == ward.protocols


def test_what_is_written_is_a_row_a_frame_and_a_query_in_both_splits(write, tmp_path):
    rows = """\
c/1.jpg,2,2,30,7,gallery
b/1.jpg,2,1,20,4,gallery
b/1.jpg,2,1,20,4,query
a/2.jpg,1,1,10,9,train
a/1.jpg,1,1,10,8,train
"""
    written = """\
c/1.jpg,2,2,30,1,gallery
b/1.jpg,2,1,20,1,query
b/1.jpg,2,1,20,1,gallery
a/1.jpg,1,1,10,1,train
a/2.jpg,1,1,10,2,train
"""
    write_manifest(load(write(HEADER + rows)), tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_text() == HEADER + written


def test_a_manifest_is_written_where_its_pictures_are_below(mars_tree, tmp_path):
    mars = load_dataset("mars", mars_tree.write())
    with pytest.raises(UserError, match=r"are not below its folder: write it above them, or link"):
        write_manifest(mars, mars.root / "info" / "frames.csv")
    with pytest.raises(UserError, match=r"frames\.txt: ends in neither \.csv nor \.parquet"):
        write_manifest(mars, tmp_path / "frames.txt")
    (tmp_path / "frames.csv").mkdir()
    with pytest.raises(UserError, match=r"frames\.csv: cannot be written \(Is a directory\)"):
        write_manifest(mars, tmp_path / "frames.csv")


@pytest.mark.slow
def test_a_million_rows_load_in_seconds(tmp_path):
    row = np.arange(1_000_000)
    tracklet = row // 40
    paths = pd.Series(tracklet).astype(str) + "/" + pd.Series(row % 40).astype(str) + ".jpg"
    pd.DataFrame(
        {
            "path": paths,
            "pid": tracklet // 10,
            "camid": tracklet % 6,
            "tracklet": tracklet,
            "frame": row % 40,
            "split": np.array(["train", "gallery", "gallery", "query"])[row // 250_000],
        }
    ).to_parquet(tmp_path / "frames.parquet")
    start = time.process_time()
    dataset = load(tmp_path / "frames.parquet")
    assert time.process_time() - start < 20  # of its own, however busy the machine
    assert [len(table) for table in dataset.tables().values()] == [6_250, 6_250, 12_500]
    assert dataset.frames.equals(paths)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("d.jpg,x,2,40,1,gallery", "row 5: pid 'x' is no whole number: write one"),
        ("d.jpg,2.5,2,40,1,gallery", "row 5: pid '2.5' is no whole number"),
        ("d.jpg,,2,40,1,gallery", "row 5: pid '' is no whole number"),
        ("d.jpg,2,True,40,1,gallery", "row 5: camid 'True' is no whole number"),
        ("d.jpg,2,1e30,40,1,gallery", "row 5: camid '1e30' may have been rounded"),
        ("d.jpg,2,2,T40,1,gallery", "row 5: tracklet 'T40' is no whole number"),
        ("d.jpg,2,2,40,0.1,gallery", "row 5: frame '0.1' is no whole number"),
        ("d.jpg,2,2,40,inf,gallery", "row 5: frame 'inf' is no whole number"),
        ("d.jpg,2,2,40", "row 5: frame '' is no whole number"),
        (",2,2,40,1,gallery", "row 5: path is empty"),
        ("/d.jpg,2,2,40,1,gallery", "row 5: path '/d.jpg' is absolute: write it from the"),
        ("C:d.jpg,2,2,40,1,gallery", "row 5: path 'C:d.jpg' is absolute"),
        ("../d.jpg,2,2,40,1,gallery", "row 5: path '../d.jpg' leads out of the manifest's folder"),
        ("d/../e.jpg,2,2,40,1,gallery", "row 5: path 'd/../e.jpg' leads out"),
        ("d/..,2,2,40,1,gallery", "row 5: path 'd/..' leads out"),
        ("d.jpg,2,2,40,1,probe", "row 5: split 'probe' is unknown: write train, query or gallery"),
        ("d.jpg,2,2,40,1,", "row 5: split '' is unknown"),
        ("d.jpg,-1,2,40,1,train", "row 5: pid -1 in train: number identities from 0; -1, junk, is"),
        ("d.jpg,-1,2,40,1,query", "row 5: pid -1 in query: number identities from 0"),
        ("d.jpg,-2,2,40,1,gallery", "row 5: pid -2 in gallery: number identities from 0"),
        ("c/1.jpg,2,1,40,1,gallery", "row 5: path 'c/1.jpg' is of pid 2, camid 1 in gallery, and"),
        ("c/1.jpg,3,2,40,1,gallery", "row 5: path 'c/1.jpg' is of pid 3, camid 2 in gallery, and"),
        ("c/1.jpg,2,2,30,2,gallery", "row 5: path 'c/1.jpg' stands further up"),
        ("c//1.jpg,2,2,30,2,gallery", "row 5: path 'c/1.jpg' stands further up"),
        ("a/1.jpg,1,1,40,1,gallery", "row 5: path 'a/1.jpg' is of pid 1, camid 1 in gallery, and"),
        ("d.jpg,2,2,30,1,gallery", "row 5: frame 1 of tracklet 30 stands further up: number its"),
        ("d.jpg,3,2,30,2,gallery", "row 5: tracklet 30 is of pid 3, camid 2 in gallery, unlike"),
        ("d.jpg,2,3,30,2,gallery", "row 5: tracklet 30 is of pid 2, camid 3 in gallery, unlike"),
        ("d.jpg,1,1,10,3,gallery", "row 5: tracklet 10 is of pid 1, camid 1 in gallery, unlike"),
        ("d.jpg,2,2,30,1,query", "row 5: tracklet 30 has other frames as a query than in the"),
    ],
)
def test_a_fault_is_told_in_one_line_that_names_file_row_and_column(write, row, words):
    path = write(HEADER + ROWS + row + "\n")
    with pytest.raises(UserError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: {words}")
    assert "\n" not in str(caught.value)
    dataset, found = collect(path)
    assert len(found) == 1
    assert found[0].startswith(words)
    assert_same(dataset, load(write(HEADER + ROWS)))


ID = 1234567890123456789  # a float would round it to ...6768, as it would the next numbers


@pytest.mark.parametrize("cell", ["", "7.0", "x", "1e0"])
@pytest.mark.parametrize("column", ["pid", "camid", "tracklet", "frame"])
def test_long_numbers_stay_exact_beside_a_cell_that_is_no_integer(write, column, cell):
    place = HEADER.strip().split(",").index(column)
    lines = (HEADER + ROWS + "d/1.jpg,3,2,40,1,gallery\n").split()
    rows = [line.split(",") for line in lines[1:]]
    for i, row in enumerate(rows[:4]):
        number = ID + i
        if column == "camid" or (column != "frame" and i == 1):
            number = ID  # the labels of the two frames of the first tracklet agree
        row[place] = str(number)
    rows[-1][place] = cell
    dataset, found = collect(write("\n".join([lines[0], *map(",".join, rows), ""])))
    assert [line[: len("row 5: ")] for line in found] == ["row 5: "] * (cell in ("", "x"))
    tables = dataset.tables()
    if column == "tracklet":
        numbers = [tables[split].index[0] for split in ("train", "query", "gallery")]
        assert numbers == [ID, ID + 2, ID + 3]
    elif column != "frame":
        numbers = [tables[split][column].iat[0] for split in ("train", "query", "gallery")]
        assert numbers == ([ID] * 3 if column == "camid" else [ID, ID + 2, ID + 3])
    assert dataset.frames.tolist()[:4] == ["a/1.jpg", "a/2.jpg", "b/1.jpg", "c/1.jpg"]


def numbers_of(kind, values):
    """A column of Parquet."""
    if kind == "decimal":
        return pa.array([None if v is None else Decimal(v) for v in values], pa.decimal128(20, 0))
    if kind == "string":
        return pa.array([None if v is None else str(v) for v in values])
    if kind == "dictionary":
        return pa.array(values, pa.int64()).dictionary_encode()
    if kind == pa.float64():
        values = [None if v is None else float(v) for v in values]
    return pa.array(values, kind)


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize(
    "kind", ["decimal", "string", "dictionary", pa.int64(), pa.uint64(), pa.float64()]
)
def test_columns_of_parquet_stay_exact_or_are_refused(write, tmp_path, kind, empty):
    path = write(HEADER + ROWS + "d/1.jpg,3,2,40,1,gallery\n", ".parquet")
    table = pq.read_table(path)
    for numbers in ([10, 10, 20, 30], [ID, ID, ID + 1, ID + 2]):
        column = numbers_of(kind, [*numbers, None if empty else 40])
        pq.write_table(table.set_column(3, "tracklet", column), path)
        dataset, found = collect(path) if numbers[0] == 10 or kind != pa.float64() else (None, [])
        if dataset is None:
            with pytest.raises(UserError, match=r"row 1: tracklet 1\.23.* may have been rounded"):
                load(path)
        else:
            assert len(found) == empty
            numbers_read = [table.index[0] for table in dataset.tables().values()]
            assert numbers_read == numbers[1:]


def test_what_float32_and_64_bits_cannot_hold_is_refused(write):
    path = write(HEADER + ROWS, ".parquet")
    table = pq.read_table(path)
    for column, words in (
        (pa.array([2**24, 2**24, 20, 30], pa.float32()), "row 1: tracklet 16777216.0 may have bee"),
        (pa.array([2**63, 2**63, 20, 30], pa.uint64()), "row 1: tracklet 9223372036854775808 does"),
        (pa.array([True, True, False, False]), "row 1: tracklet True is no whole number"),
        (pa.array([10, 10, 20, 30], pa.timestamp("s")), "row 1: tracklet Timestamp"),
    ):
        pq.write_table(table.set_column(3, "tracklet", column), path)
        with pytest.raises(UserError, match=words):
            load(path)
    load(write(HEADER + ROWS.replace("30", str(2**63 - 1))))
    with pytest.raises(UserError, match="row 4: tracklet '9223372036854775808' does not fit in 64"):
        load(write(HEADER + ROWS.replace("30", str(2**63))))


def test_tracklets_of_one_person_and_camera_may_share_pictures(write, tmp_path):
    more = "c/1.jpg,2,2,40,1,gallery\nc/2.jpg,2,2,40,2,gallery\na/2.jpg,1,1,50,1,train\n"
    dataset, found = collect(write(HEADER + ROWS + more))
    assert found == []
    names = [path.name for path in dataset.paths(dataset.gallery.loc[40])]
    assert names == ["1.jpg", "2.jpg"]
    assert [path.name for path in dataset.paths(dataset.train.loc[50])] == ["2.jpg"]
    write_manifest(dataset, tmp_path / "again.csv")
    assert_same(load(tmp_path / "again.csv"), dataset)


def test_a_manifest_is_written_whole_or_not_at_all(mars_tree, tmp_path):
    mars = load_dataset("mars", mars_tree.write())
    path = mars.root / "frames.csv"
    write_manifest(mars, path)
    before = path.read_bytes()
    said = r"frames\.csv: cannot be written \(File too large\)"
    with largest_file(1000), pytest.raises(UserError, match=said):
        write_manifest(mars, path)
    assert path.read_bytes() == before


def test_rows_keep_their_numbers_after_others_are_passed_over(write):
    faults = "d.jpg,x,2,40,1,gallery\n/d.jpg,2,2,40,1,gallery\nd.jpg,2,2,40,1,probe\n"
    _, found = collect(write(HEADER + faults + ROWS + "c/1.jpg,2,2,30,2,gallery\n"))
    rows = [what.split(":")[0] for what in found]
    assert rows == ["row 1", "row 2", "row 3", "row 8"]


def test_a_tracklet_that_is_wrong_is_told_once(write):
    more = "".join(f"d/{i}.jpg,3,2,30,{i},gallery\n" for i in range(2, 9))
    _, found = collect(write(HEADER + ROWS + more))
    assert len(found) == 1
    twins = "".join(f"e/{i}.jpg,2,2,30,{i},query\n" for i in range(5))
    dataset, found = collect(write(HEADER + ROWS + twins))
    assert len(found) == 1
    assert dataset.query.index.tolist() == [20]


def test_a_query_must_have_every_frame_that_it_has_in_the_gallery(write):
    more = "d.jpg,2,1,20,2,gallery\nb/1.jpg,2,1,20,1,gallery\n"
    with pytest.raises(UserError, match="row 3: tracklet 20 has other frames as a query than in"):
        load(write(HEADER + ROWS + more))
    turned = "f.jpg,2,2,30,2,gallery\nc/1.jpg,2,2,30,2,query\nf.jpg,2,2,30,1,query\n"
    with pytest.raises(UserError, match="row 6: tracklet 30 has other frames as a query than in"):
        load(write(HEADER + ROWS + turned))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"frames\.csv: cannot be read as a table: write it anew \(No columns to parse"),
        (HEADER, r"frames\.csv: has no rows: write one a frame"),
        (
            "path,pid,cam,frame,split\na,1,1,1,train\n",
            r"frames\.csv: lacks the columns camid, tracklet \(it has: path, pid, cam, frame, spl",
        ),
        ((HEADER + ROWS).replace(",", ";"), r"\(it has: path;pid;.*\): write commas"),
        ((HEADER + ROWS).replace(",", "\t"), r"\(it has: path\tpid\t.*\): write commas between"),
        (
            HEADER + ROWS.replace("a/", "1,a/").replace("b/", "2,b/").replace("c/", "3,c/"),
            r"frames\.csv: row 1 has more cells than the header: name every column",
        ),
        (
            (HEADER + ROWS).replace("camid", "pid,camid").replace(",1,", ",1,7,"),
            r"frames\.csv: has several columns pid: remove or rename all but one",
        ),
        (HEADER + ROWS + '"d', r"frames\.csv: cannot be read as a table: write it anew \(Error"),
        (HEADER + ROWS[: ROWS.index("b/")], r"frames\.csv: no row has the split gallery: every"),
        (HEADER + ROWS[: ROWS.index("c/")], r"frames\.csv: no row has the split gallery"),
        (HEADER + ROWS.replace("query", "gallery"), r"frames\.csv: no row has the split query"),
    ],
)
def test_a_table_that_gives_no_data_set_is_refused(write, text, words):
    with pytest.raises(UserError, match=words) as caught:
        load(write(text))
    assert "\n" not in str(caught.value)


def test_columns_that_stand_twice_are_refused_if_they_are_read(write, tmp_path):
    path = write(HEADER + ROWS, ".parquet")
    table = pq.read_table(path)
    pq.write_table(
        table.append_column("note", table["pid"]).append_column("note", table["pid"]), path
    )
    assert_same(load(path), load(write(HEADER + ROWS)))
    pq.write_table(table.append_column("camid", table["pid"]), path)
    with pytest.raises(UserError, match=r"frames\.parquet: has several columns camid: remove or"):
        load(path)
    lines = (HEADER + ROWS).split()
    noted = "\n".join([lines[0] + ",note,note", *(line + ",x,y" for line in lines[1:]), ""])
    assert_same(load(write("\ufeff" + noted)), load(write(HEADER + ROWS)))


def test_a_file_that_is_no_table_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "absent.csv"):
        with pytest.raises(UserError, match="no such file: pass the manifest itself"):
            load(path)
    (tmp_path / "frames.txt").touch()
    with pytest.raises(UserError, match=r"ends in neither \.csv nor \.parquet: pass a manifest"):
        load(tmp_path / "frames.txt")
    bad = tmp_path / "frames.parquet"
    bad.write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match=r"frames\.parquet: cannot be read as a table: .*Parquet"):
        load(bad)
    pd.DataFrame({"path": ["a"], "pid": [1]}).to_parquet(bad)
    with pytest.raises(UserError, match="lacks the columns camid, tracklet, frame, split"):
        load(bad)
    bad.with_suffix(".csv").write_bytes((HEADER + ROWS).replace("a", "\xe9").encode("latin1"))
    with pytest.raises(UserError, match=r"frames\.csv: cannot be read as a table: .*utf-8"):
        load(bad.with_suffix(".csv"))
