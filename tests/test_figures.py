"""Figures: where they place images, lines and marks, and how they stand in a page."""

import base64
import io
import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from matplotlib.text import Text
from PIL import Image

from stgcn_pyg.errors import UserError
from stgcn_pyg.figures import (
    Line,
    draw_activation_maps,
    draw_averages,
    draw_edges,
    draw_lines,
    draw_points,
    draw_ranked_list,
    draw_spatial_graphs,
    draw_temporal_graph,
    save,
    to_bytes,
    to_page_svg,
)
from stgcn_pyg.figures.canvas import Sheet
from stgcn_pyg.figures.graphs import heat_map
from stgcn_pyg.figures.tracklets import overlaid


def frames(count=2, height=32, width=16):
    """Frames of squares in random colours."""
    small = np.random.default_rng(0).integers(0, 255, (count, 2, 1, 3))
    return np.kron(small, np.ones((1, height // 2, width, 1))).astype(np.uint8)


def a_list(**options):
    ranked = pd.DataFrame(
        {
            "kind": ["same-camera", "right", "wrong"],
            "rank": pd.array([None, 1, 2], "Int64"),
            "distance": [0.0, 0.125, 0.5],
        }
    )
    images = [frames(), 255 - frames(), frames()]
    return draw_ranked_list(frames(), ranked, images, ["a", "b", "c"], "q", **options)


def decoded(svg):
    """The images of an SVG with their boxes."""
    form = r'<image x="(.*?)" y="(.*?)" width="(.*?)" height="(.*?)".*?base64,(.*?)"'
    for *box, content in re.findall(form, svg):
        yield list(map(float, box)), np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_a_figure_in_a_page_holds_its_images_where_they_stand_and_their_pixels():
    images = list(decoded(to_page_svg(a_list(), "list")))
    assert len(images) == 4
    lefts = [box[0] for box, _ in images]
    assert lefts == sorted(lefts) and len(set(lefts)) == 4
    for (_, y, width, height), pixels in images:
        assert pixels.shape == (64, 16, 3) and height == pytest.approx(4 * width, abs=0.2) and y > 0
    shown = images[2][1].astype(int)
    assert np.abs(shown - np.concatenate(list(255 - frames()))).mean() < 12


def test_figures_of_a_page_have_no_background_and_no_part_in_common():
    svgs = [to_page_svg(draw_lines([Line("a", [1, 2], [3, 4])], "x", "y"), n) for n in ("m", "n")]
    ids = [re.findall(r' id="(.*?)"', svg) for svg in svgs]
    assert ids[0] and not set(ids[0]) & set(ids[1])
    for svg, own in zip(svgs, ids, strict=True):
        assert len(own) == len(set(own))
        assert set(re.findall(r"(?:href=\"|url\()#([\w-]+)", svg)) == set(
            own
        )  # all that is referred to is there
        assert "#ffffff" not in svg and "white" not in svg and "font-family" not in svg


def test_text_of_a_figure_stays_as_it_is_in_a_page():
    evil = "<script>$x^2$</script>"
    lines = [Line(evil, [1, 2], [0.0625, 0.125]), Line("_b", [1, 2], [1, 2], 1)]
    svg = to_page_svg(draw_lines(lines, "0.12345", "y"), "c")
    assert "&lt;script&gt;$x^2$&lt;/script&gt;</text>" in svg
    assert ">0.12345</text>" in svg and ">_b</text>" in svg


def test_what_is_right_and_wrong_differs_by_more_than_colour():
    svg = to_page_svg(a_list(), "list")
    assert "1 ✓" in svg and "2 ✗" in svg and "same camera" in svg
    borders = re.findall(r'style="fill: none;(.*?)"', svg)
    query, left_out, right, wrong = borders[-4:]
    assert "dasharray" not in query + right and "dasharray" in wrong and "dasharray" in left_out
    assert "--style-0" in right and "--style-1" in wrong


def test_a_list_that_is_too_long_for_a_row_goes_on_in_the_next():
    ranked = pd.DataFrame({"kind": "wrong", "rank": range(1, 31), "distance": 0.5})
    images = [frames()] * 30
    boxes = [
        box
        for box, _ in decoded(
            to_page_svg(draw_ranked_list(frames(), ranked, images, [""] * 30), "l")
        )
    ]
    rows = {box[1] for box in boxes}
    assert len(boxes) == 31 and len(rows) == 3
    assert len({tuple(box) for box in boxes}) == 31


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    assert to_bytes(a_list(title="t")) == to_bytes(a_list(title="t"))
    assert to_bytes(a_list(), "svg") == to_bytes(a_list(), "svg")
    save(a_list(), tmp_path / "deep" / "list.png")
    assert (tmp_path / "deep" / "list.png").read_bytes() == to_bytes(a_list())
    with pytest.raises(UserError, match=r"/proc/x/list\.png: cannot be written"):
        save(a_list(), tmp_path.joinpath("/proc/x/list.png"))


def test_a_drawn_image_has_its_pixels():
    figure = draw_activation_maps(frames(3, 40, 20), {})
    shown = np.asarray(Image.open(io.BytesIO(to_bytes(figure))).convert("RGB"))
    for colour in frames(3, 40, 20)[:, [10, 30], 10].reshape(-1, 3):
        assert (np.abs(shown.astype(int) - colour).max(axis=2) < 4).sum() > 500


def test_the_rows_of_an_image_run_downwards_in_a_file_and_in_a_page():
    sheet = Sheet(2, 2)
    pixels = np.zeros((4, 2, 3), np.uint8)
    pixels[:2] = 200  # the upper half is light
    sheet.place(pixels, 0.5, 0.5, 0.5, 1)
    with Image.open(io.BytesIO(to_bytes(sheet))) as image:
        column = np.asarray(image.convert("L"))[:, int(image.width * 0.35)]
    assert column[int(len(column) * 0.3)] == 200 and column[int(len(column) * 0.7)] == 0
    encoded = re.search(r"base64,([^\"]+)", to_page_svg(sheet, "s"))[1]
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        rows = np.asarray(image.convert("L"))[:, 0].astype(int)
    assert rows == pytest.approx(np.array([200, 200, 0, 0]), abs=4)  # encoded with losses


def test_a_map_is_brightest_where_it_is_largest_and_grey_where_it_is_zero():
    grey = np.full((2, 40, 20, 3), 100, np.uint8)
    maps = np.zeros((2, 4, 2))
    maps[1, 2, 1] = 0.5
    shown = overlaid(grey, maps).astype(int)
    dark = 0.75 * 100 + 0.25 * 255 * np.array(colormaps["inferno"](0.0)[:3])
    assert shown[0] == pytest.approx(np.broadcast_to(dark, (40, 20, 3)), abs=1)
    bright = shown.sum(axis=3)
    frame, row, column = np.unravel_index(bright.argmax(), bright.shape)
    assert frame == 1 and row // 10 == 2 and column // 10 == 1


def test_a_heat_map_shows_rows_and_columns_as_they_are():
    nan = np.nan
    shown = heat_map(np.array([[nan, 0.4, 0.0], [0.1, nan, 0.1], [0.2, 0.2, nan]]), 0.4)
    assert shown.shape == (3, 3, 3) and (shown[range(3), range(3)] == 140).all()
    lightness = shown.sum(axis=2)
    assert lightness[0, 1] > lightness[2, 0] == lightness[2, 1] > lightness[1, 0] > lightness[0, 2]


def test_a_temporal_graph_stands_beside_its_patches():
    weights = np.full((4, 4), 0.1) + 0.5 * np.eye(4)
    (_, heat), (_, rows), (_, columns), _ = decoded(
        to_page_svg(draw_temporal_graph(frames(), weights), "g")
    )
    assert heat.shape == (4, 4, 3) and (heat[range(4), range(4)] == 140).all()
    assert rows.shape == (64, 16, 3) and columns.shape == (16, 64, 3)
    for patch in range(4):  # from the top of each frame, frame by frame
        beside, above = rows[16 * patch + 8, 8], columns[8, 16 * patch + 8]
        assert np.abs(beside.astype(int) - above).max() < 12
    with pytest.raises(ValueError, match="4 nodes do not divide among 3 frames"):
        draw_temporal_graph(frames(3), weights)


def test_arrows_lead_from_the_patch_to_the_one_that_gathers():
    edges = pd.DataFrame(
        [[0, 3, 2, 0, 0.2], [2, 1, 1, 1, 0.1]],
        columns=["from_frame", "from_patch", "into_frame", "into_patch", "weight"],
    )
    figure = draw_edges(frames(3), edges, num_patches=4)
    boxes = [box for box, _ in decoded(to_page_svg(figure, "e"))]
    arrows = [
        artist
        for artist in figure.artists
        if hasattr(artist, "arrow_patch") or hasattr(artist, "get_arrowstyle")
    ]
    assert len(arrows) == 2
    for arrow, row in zip(arrows, edges.itertuples(), strict=True):
        places = arrow.get_transform().transform(arrow._posA_posB) * 72 / figure.dpi
        start, end = np.abs(places - [0, 72 * figure.get_figheight()])  # from the top left corner
        for point, frame, patch in (
            (start, row.from_frame, row.from_patch),
            (end, row.into_frame, row.into_patch),
        ):
            left, top, width, height = boxes[frame]
            middle = left + width / 2, top + (patch + 0.5) * height / 4
            assert point == pytest.approx(middle, abs=0.2)
    assert arrows[0].get_linewidth() > arrows[1].get_linewidth()


def test_a_line_passes_over_what_is_not_finite():
    lines = [Line("a", [1, 2, 3], [1.0, np.nan, np.inf]), Line("b", [1], [2], 1)]
    (axes,) = draw_lines(lines, "x", "y").axes
    assert [line.get_xydata().tolist() for line in axes.get_lines()] == [[[1, 1]], [[1, 2]]]


def test_lines_differ_by_colour_dashes_and_marker():
    lines = [Line(str(style), [1, 2], [style, style], style) for style in range(7)]
    (axes,) = draw_lines(lines, "x", "y").axes
    looks = [(d.get_color(), d._dash_pattern, d.get_marker()) for d in axes.get_lines()]
    for parts in zip(*looks[:6], strict=True):
        assert len(set(map(str, parts))) == 6
    first, second = looks[5:]  # both are references
    assert first[0] == second[0] and first[1] != second[1]


def test_every_group_of_points_has_a_look_of_its_own():
    groups = np.arange(-1, 30)
    points = np.random.default_rng(0).random((31, 2))
    (axes,) = draw_points(points, groups, groups % 2 == 0, "identity").axes
    drawn = [d for d in axes.collections if len(d.get_offsets())]
    assert sum(len(d.get_offsets()) for d in drawn) == 31
    looks = [(tuple(d.get_facecolor()[0]), d.get_paths()[0].vertices.shape) for d in drawn]
    assert len(set(looks)) > 15 and "21 of 29" in axes.get_title()


def texts(figure):
    """The boxes of all text in pixels."""
    outside = set()  # labels of ticks beyond the ends of an axis, which are not drawn
    for axis in [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]:
        low, high = sorted(axis.get_view_interval())
        ticks = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
        outside |= {label for tick in ticks for label in (tick.label1, tick.label2)}
    found = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    return [text.get_window_extent() for text in found if text not in outside]


def is_readable(figure):
    """Whether no text is cut, and none covers another."""
    figure.draw_without_rendering()
    boxes, (width, height) = texts(figure), figure.bbox.size
    cut = [b for b in boxes if b.x0 < 0 or b.x1 > width or b.y0 < 0 or b.y1 > height]
    # Boxes reach above and below the letters that they hold.
    inner = [box.padded(-min(2, box.width / 4), -min(3, box.height / 4)) for box in boxes]
    return bool(boxes) and not cut and not any(a.overlaps(b) for a, b in combinations(inner, 2))


def edges_of(*rows):
    columns = ["from_frame", "from_patch", "into_frame", "into_patch", "weight"]
    return pd.DataFrame(rows, columns=columns)


TITLE = "Weights between the patches of tracklet 123456 (identity 12345, camera 12)"


@pytest.mark.parametrize("count", [1, 2, 3, 8, 16])
@pytest.mark.parametrize("patches", [1, 8, 16])
def test_the_text_of_graphs_is_whole_and_apart_for_any_number_of_frames_and_stripes(count, patches):
    clip, nodes = frames(count, 32, 16), count * patches
    weights = np.full((count, patches, patches), 0.5)
    assert is_readable(draw_spatial_graphs(clip, weights, TITLE))
    assert is_readable(draw_temporal_graph(clip, np.full((nodes, nodes), 0.5), TITLE))
    far = edges_of([0, 0, count - 1, 0, 0.2], [count - 1, 0, 0, 0, 0.1])
    assert is_readable(draw_edges(clip, far, patches, TITLE))


@pytest.mark.parametrize("size", [0.6, 1.0])
@pytest.mark.parametrize("shape", [(64, 32), (32, 32), (32, 96)])
def test_the_text_of_activation_maps_is_whole_and_apart_for_frames_of_any_shape(shape, size):
    for count, names in ((1, ["embedding"]), (2, ["embedding", "temporal", "spatial"])):
        maps = {name: np.ones((count, 2, 2)) for name in names}
        assert is_readable(draw_activation_maps(frames(count, *shape), maps, TITLE, size))


@pytest.mark.parametrize("size", [0.62, 0.85])
@pytest.mark.parametrize("count", [0, 1, 12])
def test_the_text_of_a_list_is_whole_and_apart(count, size):
    ranked = pd.DataFrame({"kind": "same-camera", "rank": 1, "distance": 0.5}, index=range(count))
    label = "identity 12345\ncamera 12\ntracklet 123456"
    images, labels = [frames()] * count, [label] * count
    assert is_readable(draw_ranked_list(frames(), ranked, images, labels, label, TITLE, size))


def test_labels_longer_than_a_row_stand_below_each_other():
    label = "x" * 200
    ranked = pd.DataFrame({"kind": "wrong", "rank": [1, 2], "distance": 0.5})
    figure = draw_ranked_list(frames(), ranked, [frames()] * 2, [label] * 2)
    assert is_readable(figure)


def test_a_sheet_that_becomes_wider_shows_its_images_at_the_same_place_in_a_file_and_in_a_page():
    sheet = Sheet(1, 1, TITLE)
    sheet.place(np.full((2, 2, 3), 90, np.uint8), 0.25, 0.5, 0.5, 0.25)
    shown = np.asarray(Image.open(io.BytesIO(to_bytes(sheet))).convert("L"))
    columns = np.flatnonzero(shown[75] == 90) / sheet.dpi
    ((left, _, width, _), _), *_ = decoded(to_page_svg(sheet, "s"))
    assert sheet.get_figwidth() > 3 and width == 36
    assert columns[[0, -1]] * 72 == pytest.approx([left, left + width], abs=1)


def test_arrows_pass_beside_all_text_and_have_a_colour_for_each_stripe():
    rows = [[0, 0, 7, 0, 0.2], [7, 15, 0, 15, 0.2], [0, 1, 4, 0, 0.1], [6, 8, 2, 3, 0.1]]
    figure = draw_edges(frames(8, 64, 32), edges_of(*rows), 16, TITLE)
    arrows = [artist for artist in figure.artists if hasattr(artist, "get_arrowstyle")]
    assert len({arrow.get_edgecolor() for arrow in arrows}) == len(rows)
    for arrow in arrows:
        path = arrow.get_transform().transform_path(arrow.get_path())
        assert figure.bbox.containsx(path.vertices[:, 0].max())
        assert not any(path.intersects_bbox(box, filled=False) for box in texts(figure))


@pytest.mark.parametrize("stripes", [1, 4, 8, 16])
def test_mean_weights_are_numbers_where_they_have_room_and_colours_of_a_scale_elsewhere(stripes):
    by_stripe = pd.DataFrame(np.full((stripes, stripes), 0.125))
    by_time = pd.DataFrame({"ratio": np.ones(32)})
    figure = draw_averages(by_time, {"temporal": by_stripe, "spatial": by_stripe})
    assert is_readable(figure)
    numbers = [text for text in figure.findobj(Text) if text.get_text() == "0.125"]
    assert len(numbers) >= 2 * stripes**2 if stripes <= 8 else len(figure.axes) == 5


@pytest.mark.parametrize("name", ["a", "m" * 19, "run/" * 30])
def test_the_names_of_a_legend_are_whole(name):
    lines = [Line(f"{style}{name}", [1, 2], [style, 1], style) for style in range(5)]
    assert is_readable(draw_lines(lines, "x", "y"))


def test_a_marker_at_the_end_of_an_axis_is_drawn_whole():
    line = Line("a", [1, 2, 3], [0.0, 0.5, 1.0], joined=False)
    shown = np.asarray(Image.open(io.BytesIO(to_bytes(draw_lines([line], "", "", (0, 1))))))
    ink = (shown[..., 2].astype(int) - shown[..., 0] > 60).sum(axis=0)  # in each column
    low, middle, high = (
        part.sum() for part in np.split(ink, np.flatnonzero(ink == 0)) if part.sum()
    )
    assert min(low, high) > 0.8 * middle  # the axis itself covers a little


@pytest.mark.parametrize("kind", [bool, np.uint8, int, np.float16, np.float64])
def test_a_map_may_have_numbers_of_any_kind(kind):
    maps = np.zeros((2, 4, 2), kind)
    maps[1, 2, 1] = 1
    shown = overlaid(frames(), maps)
    np.testing.assert_array_equal(shown, overlaid(frames(), maps.astype(np.float32)))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_frame_stays_grey_where_its_map_is_not_finite(value):
    grey, maps = np.full((2, 40, 20, 3), 100, np.uint8), np.zeros((2, 4, 2))
    maps[0], maps[1, 2, 1] = value, 0.5
    shown = overlaid(grey, maps)
    assert (shown[0] == 100).all()
    np.testing.assert_array_equal(shown[1], overlaid(grey, np.nan_to_num(maps, posinf=0))[1])
