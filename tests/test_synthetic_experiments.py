"""What is measured on the rendered data set: whether it is honest, and how fast it is drawn."""

import json
from functools import cache

import numpy as np
import pandas as pd
from PIL import Image
from rendered import covered

from benchmarks.rendering import main as time_rendering
from experiments.rendered_benchmark import (
    body_colours,
    features_of,
    joint_heights,
    load_rendered,
    scores_within_groups,
    table_of,
)
from experiments.rendered_benchmark import main as write_scores
from experiments.rendered_sheet import main as write_sheet


@cache
def rendered():
    return load_rendered(covered().path)


@cache
def measured():
    return table_of(rendered(), features_of(rendered(), num_frames=2, seed=0))


def test_the_true_body_finds_everybody_and_a_bad_measure_fewer():
    table = measured()
    settings = ["mars-official", "cross-camera", "look-alikes"]
    perfect = table.loc["true body", [f"{name} mAP" for name in settings]]
    assert np.allclose(perfect.astype(float), 100)
    maps = table["cross-camera mAP"]
    assert maps["chance"] < maps["true body + 100 %"] < maps["true body + 10 %"]


def test_colours_find_clothes_and_not_who_wears_them():
    colours = measured().loc["body's colours"]
    assert colours["clothes mAP"] > measured().loc["chance", "clothes mAP"] + 15
    assert abs(colours["beyond chance"]) < 15 < measured().loc["true body", "beyond chance"]


def test_chance_among_look_alikes_is_what_random_features_score():
    rng = np.random.default_rng(0)
    count = len(rendered().tracklets)
    draws = [scores_within_groups(rendered(), rng.random((count, 4))) for _ in range(40)]
    means = pd.concat(draws)[["ap", "hit"]].mean()
    expected = scores_within_groups(rendered(), None)[["ap", "hit"]].mean()
    assert np.allclose(means, expected, atol=0.035)


def test_only_the_pixels_of_the_body_count_among_its_colours():
    red, blue = (200, 0, 0), (0, 0, 200)
    picture = np.full((1, 64, 32, 3), blue, np.uint8)
    picture[:, 20:24, 8:12] = red
    seen = np.zeros((1, 16, 8), bool)
    seen[0, 5, 2] = True
    [alone] = [body_colours(picture, seen, stripes=1).reshape(3, 16)]
    hue, saturation, value = (np.flatnonzero(channel) for channel in alone)
    assert hue.tolist() == [0] and saturation.tolist() == [15] and value.tolist() == [200 // 16]
    striped = body_colours(picture, seen, stripes=8).reshape(8, 48)
    assert striped.any(axis=1).tolist() == [False, False, True] + 5 * [False]


def test_heights_of_joints_do_not_change_with_the_size_and_place_of_the_box():
    rng = np.random.default_rng(0)
    joints = rng.uniform(0, 100, (5, 18, 2))
    moved = 0.5 * joints + [7.0, -3.0]
    first, second = (
        joint_heights(pd.DataFrame({"joints": list(each.reshape(5, 36))}))
        for each in (joints, moved)
    )
    assert np.allclose(first, second) and first[0] == 0  # the pelvis itself


def test_the_sheet_holds_four_rows_of_eight(tmp_path):
    write_sheet(covered().path, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (8 * 132 - 4, 4 * 260 - 4)


def test_the_experiment_writes_its_figures(tmp_path, capsys):
    write_scores(str(covered().path), frames=1, json=tmp_path / "figures.json")
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["true body"]["look-alikes mAP"] == 100
    assert "true body + 100 %" in capsys.readouterr().out


def test_the_benchmark_of_rendering_writes_its_figures(tmp_path):
    time_rendering(smallest=True, json=tmp_path / "figures.json")
    rates = json.loads((tmp_path / "figures.json").read_text())["results"]["frames_a_second"]
    assert set(rates) == {"1 worker", "2 workers", "quiet cores", "pictures decoded"}
    assert all(rate > 0 for rate in rates.values())
