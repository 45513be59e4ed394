"""Maps and graphs against the ground truth of the rendered benchmark."""

import shutil

import numpy as np
import pandas as pd
import pytest
import rendered
from scipy import stats

from experiments.running.datasets import DataSource
from experiments.tables.curves import bins, occluded_shares
from stgcn_pyg.data import load_dataset
from stgcn_pyg.errors import UserError
from stgcn_pyg.explain import (
    ExplainedTracklets,
    RenderedTruth,
    has_truth,
    mass_on_person,
    mean_hidden,
    weight_from_uncovered,
)
from stgcn_pyg.explain.rendered_truth import FILE, covered_patches, on_grid
from stgcn_pyg.explain.summary import elsewhere, grouped_mean, person_mass

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def truth():
    return RenderedTruth(rendered.covered().path)


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("mars", rendered.covered().path)


@pytest.mark.parametrize(("rows", "columns"), [(16, 8), (8, 4), (4, 1), (6, 3), (5, 7), (32, 16)])
def test_another_grid_is_that_of_small_squares_averaged(rows, columns):
    masks = RNG.random((3, 16, 8)) < 0.4
    # Squares so small that both grids are made of whole ones.
    fine = np.kron(masks, np.ones((1, rows, columns)))
    expected = fine.reshape(3, rows, 16, columns, 8).mean(axis=(2, 4))
    np.testing.assert_allclose(on_grid(masks, rows, columns), expected)


def test_a_patch_is_covered_from_half_of_its_body_on():
    body = RNG.random((50, 16, 8)) < 0.3
    seen = body & (RNG.random((50, 16, 8)) < 0.5)
    covered, uncovered = covered_patches(body, seen, num_patches=8)
    for frame in range(50):
        for patch in range(8):
            rows = slice(2 * patch, 2 * patch + 2)
            there, left = body[frame, rows].sum(), seen[frame, rows].sum()
            hidden = there > 0 and 2 * (there - left) >= there
            assert covered[frame, patch] == hidden
            assert uncovered[frame, patch] == (there > 0 and not hidden)


def test_the_masks_tell_what_the_renderer_measured(truth):
    table = rendered.truth_of(rendered.covered())
    table = table[table["pid"] > 0]
    body, seen = truth.masks(table["path"])
    lost = 1 - seen.sum(axis=(1, 2)) / body.sum(axis=(1, 2))
    assert np.corrcoef(lost, table["hidden"])[0, 1] > 0.9
    np.testing.assert_array_equal(truth.hidden(table["path"]), table["hidden"])
    for cells, row in zip(body[:40], table[:40].itertuples(), strict=True):
        # Pictures are 64 x 32: a cell is 4 x 4 pixels.
        rows, columns = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
        assert row.body_top // 4 <= rows[0] and rows[-1] <= (row.body_bottom - 1) // 4
        assert row.body_left // 4 <= columns[0] and columns[-1] <= (row.body_right - 1) // 4


def test_a_data_set_without_ground_truth_is_refused(tmp_path):
    assert not has_truth(tmp_path)
    with pytest.raises(UserError, match=r"ground_truth\.parquet: cannot be read; .*only .*synth"):
        RenderedTruth(tmp_path)


def test_the_mass_on_the_person_is_that_of_plain_loops():
    maps, person = RNG.random((4, 3, 2)), RNG.random((4, 3, 2))
    maps[2] = 0
    found = person_mass(maps, person)
    for frame in (0, 1, 3):
        on = sum(m * p for m, p in zip(maps[frame].flat, person[frame].flat, strict=True))
        assert found[frame] == pytest.approx(on / sum(maps[frame].flat))
    assert np.isnan(found[2])


def test_elsewhere_is_the_mean_over_the_frames_of_others():
    person, groups = RNG.random((6, 2, 2)), np.array([3, 3, 9, 5, 9, 9])
    found = elsewhere(person, groups)
    for frame, group in enumerate(groups):
        others = [person[other] for other in range(6) if groups[other] != group]
        np.testing.assert_allclose(found[frame], np.mean(others, axis=0))
    with pytest.raises(ValueError, match="two groups at least"):
        elsewhere(person, np.zeros(6, dtype=int))


def test_the_error_of_values_by_themselves_is_the_usual_one():
    values = RNG.normal(size=20)
    mean = grouped_mean(values, np.arange(20))
    assert mean.mean == pytest.approx(values.mean())
    assert mean.standard_error == pytest.approx(stats.sem(values))


def test_the_error_of_grouped_values_is_that_of_the_groups_means():
    # Groups of one size: the mean of all is that of the groups' means.
    values, groups = RNG.normal(size=(5, 4)) + RNG.normal(size=(5, 1)), np.repeat(np.arange(5), 4)
    mean = grouped_mean(np.append(values.ravel(), np.nan), np.append(groups, 99))
    assert mean.standard_error == pytest.approx(stats.sem(values.mean(axis=1)))
    assert (mean.num_values, mean.num_groups) == (20, 5)
    assert np.isnan(grouped_mean(values[0], groups[:4]).standard_error)
    with pytest.raises(ValueError, match="no values but NaN"):
        grouped_mean(np.array([np.nan]), np.array([1]))


def planted(dataset, truth, frames=4, height=8, width=4):
    """Maps that are the seen person, its opposite, and the same everywhere; graphs that know.

    Of the whole gallery: in some of its frames nobody is seen.
    """
    queries = dataset.gallery
    rows = queries["first_frame"].to_numpy()[:, None] + np.arange(frames)
    paths = dataset.frames.iloc[rows.ravel()]
    body, seen = truth.masks(paths)
    person = on_grid(seen, height, width).reshape(len(queries), frames, height, width)
    covered, uncovered = (
        patch.reshape(len(queries), -1) for patch in covered_patches(body, seen, 4)
    )
    weights = np.where(uncovered[:, None], 1.0, 1e-6) + 0 * covered[:, :, None]
    weights = weights / weights.sum(axis=2, keepdims=True)
    equal = np.full((len(queries), frames, 4, 4), 0.25)
    maps = {"person": person, "background": 1 - person, "flat": np.ones_like(person)}
    return queries, ExplainedTracklets(rows, maps, {"temporal": weights, "spatial": equal}, {})


def test_a_map_that_knows_the_person_has_more_mass_there_than_chance(dataset, truth):
    queries, explained = planted(dataset, truth)
    pids = queries["pid"].to_numpy()
    table = mass_on_person(explained, truth, dataset.frames, pids)["value"]
    assert table["person", "mass"] > table["person", "uniform"] + 0.1
    assert table["person", "mass"] > table["person", "elsewhere"] + 0.05
    assert table["background", "mass"] < table["background", "uniform"]
    assert table["flat", "mass"] == pytest.approx(table["flat", "uniform"])
    for name in explained.maps:
        assert table[name, "most"] > table[name, "mass"]
        gain = table[name, "mass"] - table[name, "elsewhere"]
        assert table[name, "gain"] == pytest.approx(gain)
    # By hand, frame by frame.
    shares, people = [], []
    for place, row in enumerate(explained.frames.ravel()):
        _, seen = truth.masks([dataset.frames.iat[row]])
        if seen.any():
            cam = explained.maps["person"].reshape(-1, 8, 4)[place]
            fine = np.kron(cam, np.ones((2, 2)))  # to the 16 x 8 cells of the mask
            shares.append(fine[seen[0]].sum() / fine.sum())
            people.append(pids[place // 4])
    assert 0 < len(shares) < explained.frames.size
    expected = grouped_mean(np.array(shares), np.array(people))
    whole = mass_on_person(explained, truth, dataset.frames, pids)
    np.testing.assert_allclose(whole.loc[("person", "mass")], expected)


def test_a_branch_whose_maps_are_all_zero_has_no_mass(dataset, truth):
    queries, explained = planted(dataset, truth)
    explained.maps["unused"] = np.zeros_like(explained.maps["flat"])
    table = mass_on_person(explained, truth, dataset.frames, queries["pid"].to_numpy())
    assert set(table.index.unique("map")) == {"person", "background", "flat"}


def test_a_graph_that_knows_what_is_covered_gathers_from_the_rest(dataset, truth):
    queries, explained = planted(dataset, truth)
    pids = queries["pid"].to_numpy()
    table = weight_from_uncovered(explained, truth, dataset.frames, pids)
    value = table["value"]
    assert value["temporal", "covered", "share"] > 0.99
    assert 0.2 < value["temporal", "covered", "chance"] < 0.95
    for kind in ("covered", "uncovered"):
        assert value["spatial", kind, "gain"] == pytest.approx(0, abs=1e-12)
    body, seen = truth.masks(dataset.frames.iloc[explained.frames.ravel()])
    there, left = (cells.reshape(-1, 4, 32).sum(axis=2) for cells in (body, seen))
    counts = table["num_values"]
    assert counts["temporal", "covered", "share"] == ((there > 0) & (2 * left <= there)).sum()
    assert counts["temporal", "uncovered", "share"] == (2 * left > there).sum()


def test_the_hidden_share_of_a_tracklet_is_the_mean_over_its_frames(dataset, truth):
    table = rendered.truth_of(rendered.covered())
    test = table[table["split"] == "test"]
    by_name = test.groupby(["pid", "camid", "tracklet"])["hidden"].mean()
    found = mean_hidden(truth, dataset.query, dataset.frames)
    first = dataset.frames.iloc[dataset.query["first_frame"]]
    rows = test.set_index("path").loc[first, ["pid", "camid", "tracklet"]]
    np.testing.assert_allclose(found, by_name.loc[pd.MultiIndex.from_frame(rows)])


def test_frames_without_a_body_have_no_hidden_share_and_leave_their_tracklet_its_own(
    dataset, tmp_path
):
    table = rendered.truth_of(rendered.covered())
    queries = dataset.query.sort_index()
    frames = [
        dataset.frames.iloc[first : first + count]
        for first, count in zip(queries["first_frame"], queries["num_frames"], strict=True)
    ]
    bodiless = table["path"].isin([frames[0].iloc[0], *frames[1]])
    shutil.copytree(dataset.root / "info", tmp_path / "info")
    table.assign(hidden=table["hidden"].mask(bodiless)).to_parquet(tmp_path / FILE)
    shares = occluded_shares(DataSource("covered", "mars", tmp_path))
    hidden = table.set_index("path")["hidden"]
    assert shares[0] == pytest.approx(hidden[frames[0].iloc[1:]].mean())
    assert np.isnan(shares).nonzero()[0].tolist() == [1]
    whole = mean_hidden(RenderedTruth(dataset.root), queries, dataset.frames)
    np.testing.assert_array_equal(shares[2:], whole[2:])


def test_every_share_is_in_one_bin_and_the_whole_of_it_in_the_last():
    shares = np.array([0.0, 0.19, 0.2, 0.3, 0.999, 1.0, np.nan])
    labels = [[label for label, inside in bins(shares).items() if inside[i]] for i in range(7)]
    first, second, third, last = bins(shares)
    assert labels == [[first], [first], [second], [third], [last], [last], []]
