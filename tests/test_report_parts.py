"""The parts of a page: charts, pictures and their room, drawn edges, the queries shown."""

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from PIL import Image
from report_runs import QUICK, Page, run

from stgcn_pyg.cli.report import main
from stgcn_pyg.data.clips import ClipReader
from stgcn_pyg.report import page as pages
from stgcn_pyg.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Series, line_chart
from stgcn_pyg.report.edges import draw_edges
from stgcn_pyg.report.gaps import Gaps
from stgcn_pyg.report.pictures import HEIGHT as PICTURE_HEIGHT
from stgcn_pyg.report.pictures import Album, heat_map, overlaid
from stgcn_pyg.report.queries import shown_queries
from stgcn_pyg.report.tables import number


def points_of(path):
    return [tuple(map(float, pair.split(","))) for pair in re.findall(r"[-\d.]+,[-\d.]+", path)]


def test_a_charts_points_stand_where_its_ticks_say():
    x, y = [1, 4, 7, 20], [0.3, 12.0, 7.5, 44.0]
    chart = line_chart("c", "title", "x", "y", [Series("a", x, y)], (0, None), [1, 5, 20])
    (line,) = chart.lines

    def values(ticks, pixels):
        marks = [(tick.at, float(tick.text)) for tick in ticks]
        (p0, v0), (p1, v1) = marks[0], marks[-1]
        return [v0 + (pixel - p0) / (p1 - p0) * (v1 - v0) for pixel in pixels]

    across, down = zip(*points_of(line.path), strict=True)
    assert values(chart.x_ticks, across) == pytest.approx(x, abs=0.01)
    assert values(chart.y_ticks, down) == pytest.approx(y, abs=0.05)
    assert all(LEFT <= pixel <= WIDTH - RIGHT for pixel in across)
    assert all(TOP <= pixel <= HEIGHT - BOTTOM for pixel in down)
    assert [tick.text for tick in chart.x_ticks] == ["1", "5", "20"]


def test_a_chart_passes_over_what_is_not_finite():
    chart = line_chart(
        "c", "t", "x", "y", [Series("a", [1, 2, 3], [1.0, np.nan, np.inf]), Series("b", [1], [2])]
    )
    assert [len(points_of(line.path)) for line in chart.lines] == [1, 1]
    assert "nan" not in chart.lines[0].path and "a: from 1 to 1" in chart.description


def test_a_chart_of_equal_values_has_room_around_them():
    chart = line_chart("c", "t", "x", "y", [Series("a", [3, 3], [5.0, 5.0])])
    assert len({tick.at for tick in chart.y_ticks}) > 1
    assert all(TOP < y < HEIGHT - BOTTOM for _, y in points_of(chart.lines[0].path))


def decoded(uri):
    head, content = uri.split(",")
    assert head == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_an_album_keeps_pictures_and_makes_large_ones_smaller():
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 255, (4, 4, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    album = Album(10**6)
    shown = decoded(album.add(picture))
    assert shown.shape == (64, 64, 3) and np.abs(shown.astype(int) - picture).mean() < 12
    large = decoded(album.add(picture.repeat(4, axis=0).repeat(4, axis=1)))
    assert large.shape == (PICTURE_HEIGHT, PICTURE_HEIGHT, 3)


def test_an_album_never_takes_more_than_its_room():
    rng = np.random.default_rng(0)
    album, used = Album(20_000), 0
    for size in (40, 60, 80, 100, 4, 4):
        uri = album.add(rng.integers(0, 255, (size, size, 3)).astype(np.uint8))
        used += len(uri or "")
    assert 0 < used <= 20_000 and album.full
    assert uri is None  # a small one does not slip in behind
    assert album.left_out >= 3


def test_a_map_is_brightest_where_it_is_largest_and_grey_where_it_is_zero():
    frames = np.full((2, 40, 20, 3), 100, np.uint8)
    maps = np.zeros((2, 4, 2))
    maps[1, 2, 1] = 0.5
    shown = overlaid(frames, maps).astype(int)
    dark = 0.75 * 100 + 0.25 * 255 * np.array(colormaps["inferno"](0.0)[:3])
    assert shown[0] == pytest.approx(np.broadcast_to(dark, (40, 20, 3)), abs=1)
    bright = shown.sum(axis=3)
    frame, row, column = np.unravel_index(bright.argmax(), bright.shape)
    assert frame == 1 and row // 10 == 2 and column // 10 == 1


def test_a_heat_map_shows_rows_and_columns_as_they_are():
    weights = np.array([[0.6, 0.4, 0.0], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    shown = heat_map(weights, cell=5)
    assert shown.shape == (15, 15, 3)
    assert (shown[2, 2] == 140).all() and (shown[12, 12] == 140).all()
    lightness = shown.sum(axis=2)
    assert lightness[2, 7] > lightness[12, 2] == lightness[12, 7] > lightness[7, 2]
    assert lightness[2, 12] < lightness[7, 2]


def test_arrows_lead_from_the_patch_to_the_one_that_gathers():
    edges = pd.DataFrame(
        {
            "from_frame": [0, 2],
            "from_patch": [3, 1],
            "into_frame": [2, 1],
            "into_patch": [0, 1],
            "weight": [0.2, 0.1],
        }
    )
    drawing = draw_edges(None, edges, (3, 64, 32), num_patches=4)
    top, width, height = drawing.top, drawing.frame_width, drawing.frame_height
    weaker, stronger = drawing.arrows  # the strongest is drawn last
    start, _, end = points_of(stronger.path)
    assert start == (width * 0.5, top + height * 3.5 / 4)
    assert end == (width * 2.5, top + height * 0.5 / 4)
    assert stronger.stripe == 3 and stronger.width > weaker.width
    assert "from stripe 4 of frame 1 to stripe 1 of frame 3" in drawing.description


class Scored:
    """A model's scores alone, which is all that the choice of queries looks at."""

    def __init__(self, scores):
        self.result = self
        self.average_precision = np.array(scores)
        self.queries = pd.DataFrame({"pid": range(len(scores)), "camid": 1})


def test_queries_are_chosen_by_each_rule_and_none_twice():
    first = Scored([0.1, 0.9, np.nan, 0.5, 0.3, 0.7, 0.2])
    other = Scored([0.1, 0.9, np.nan, 0.5, 1.0, 0.7, 0.2])
    shown = shown_queries([first, other], count=1, seed=0)
    assert [(query.rule, query.row) for query in shown[:3]] == [
        ("change", 4),
        ("worst", 0),
        ("best", 1),
    ]
    assert shown[3].rule == "random" and shown[3].row in (3, 5, 6)
    alone = shown_queries([first], count=5, seed=0)
    assert sorted(query.row for query in alone) == [0, 1, 3, 4, 5, 6]


def test_a_line_stands_once_in_each_section():
    gaps, more = Gaps(), Gaps()
    gaps.add("maps", "one")
    more.add("maps", "one")
    more.add("lists", "one")
    gaps.add_all(more)
    assert gaps.of("maps") == gaps.of("lists") == gaps.lines() == ["one"]


def test_a_number_that_is_not_finite_goes_last_when_sorted():
    assert number(float("inf")).key is None and number(0).key == 0


def test_pictures_beyond_the_room_are_left_out_unread_and_the_page_says_so(tmp_path, monkeypatch):
    read, whole = [], ClipReader.read

    def counted(self, tracklets, indices):
        read.append(tracklets.name if isinstance(tracklets, pd.Series) else None)
        return whole(self, tracklets, indices)

    monkeypatch.setattr(ClipReader, "read", counted)
    monkeypatch.setattr(pages, "ROOM", {"lists": 6_000, "maps": 5_000, "graphs": 4_000})
    output = tmp_path / "page.html"
    assert main([str(run()), f"--output={output}", *QUICK]) == 0
    page = Page(output)
    assert page.boxes == 3 * ["not all pictures are shown, so that the page stays below 15 MB"]
    uris = [link for link in page.links if link.startswith("data:image")]
    assert 0 < sum(map(len, uris)) <= 15_000
    lists = [caption for caption in page.tables if caption.startswith("The list of tracklet")]
    assert len(lists) == 1  # in which the room ended

    of_lists = [name for name in read if name is not None][:-6]  # the last 6 are of the maps
    assert len(of_lists) <= 1 + sum("frames of tracklet" in (a or "") for a in page.alternatives)
