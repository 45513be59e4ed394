"""From runs to tables: means, spreads, paired differences, and what stands where nothing is."""

import csv
import re
from dataclasses import replace

import numpy as np
import pytest
from scored_runs import features, scored, task

from experiments.experiment import Experiment, Row
from experiments.running.datasets import DataSource
from experiments.running.jobs import Unit
from experiments.running.run_job import RunContext
from experiments.running.scores import (
    of_groups,
    rank_by_distances,
    removed_pids,
    score_smaller_groups,
    sum_of_distances,
)
from experiments.tables.aggregate import made_on, pair, tabulate, tabulate_pairs, unlike_the_means
from experiments.tables.comparison import draw_panels, note_on_means
from experiments.tables.conditions import (
    Condition,
    restricted,
    slope,
    tabulate_conditions,
    trends,
)
from experiments.tables.curves import chance_by_size
from experiments.tables.write_table import (
    pairs_in_words,
    rows_in_words,
    to_markdown,
    write_figure,
    write_tables,
)
from stgcn_pyg.evaluation import chance, evaluate_ranking
from stgcn_pyg.runs.scoring import score_features

TABLE = Experiment(
    name="three",
    title="Three rows & 100 %",
    rows=[
        Row("baseline", mars=(80.0, 90.0)),
        Row("better", mars=(81.5, 89.0)),
        Row("not run"),
    ],
    baseline="baseline",
    panels={"x": {2: "better", 3: "not run"}},
)
PROTOCOL = "full-gallery"
RUNS = {
    "baseline": {Unit(0, seed): scored(seed, noise=1.5) for seed in (0, 1, 2)},
    "better": {Unit(0, seed): scored(seed, noise=1.0) for seed in (0, 1)},
}


def average_precisions(row):
    return {unit: run.results[PROTOCOL].average_precision for unit, run in RUNS[row].items()}


def test_a_cell_is_the_mean_over_runs_with_their_standard_deviation():
    table = tabulate(TABLE, RUNS, PROTOCOL)
    maps = [100 * values.mean() for values in average_precisions("baseline").values()]
    cell = table.loc["baseline"]
    mean = sum(maps) / 3
    assert cell["runs"] == 3
    assert cell["mAP"] == pytest.approx(mean)
    assert cell["mAP sd"] == pytest.approx((sum((m - mean) ** 2 for m in maps) / 2) ** 0.5)
    hits = [
        100 * np.mean(run.results[PROTOCOL].first_match_rank == 1)
        for run in RUNS["better"].values()
    ]
    assert table.loc["better", "rank-1"] == pytest.approx(sum(hits) / 2)


COMPARED = {"better": ("better", "baseline"), "not run": ("not run", "baseline")}


def test_a_difference_that_is_not_that_of_the_means_is_told():
    # Two of the baseline's three runs have a partner.
    table = tabulate(TABLE, RUNS, PROTOCOL)
    of_means = table.loc["better", "mAP"] - table.loc["baseline", "mAP"]
    assert table.loc["better", "mAP difference"] != pytest.approx(of_means)
    assert unlike_the_means(table, COMPARED) == ["better"]
    assert "in the rows better:" in note_on_means(["better", "better"])

    units = [Unit(0, seed) for seed in (0, 1)]
    both = {row: {unit: runs[unit] for unit in units} for row, runs in RUNS.items()}
    table = tabulate(TABLE, both, PROTOCOL)
    of_means = table.loc["better", "mAP"] - table.loc["baseline", "mAP"]
    assert table.loc["better", "mAP difference"] == pytest.approx(of_means)
    assert unlike_the_means(table, COMPARED) == []
    assert note_on_means([]) == ""


def test_a_difference_over_splits_of_different_sizes_is_told():
    number = len(task().query_pids)
    queries = [np.arange(number) < size for size in (number, 10)]
    runs: dict = {"baseline": {}, "better": {}}
    for split in (0, 1):
        for row, units in restricted(RUNS, PROTOCOL, queries[split]).items():
            runs[row][Unit(split, 0)] = units[Unit(0, split)]
    assert unlike_the_means(tabulate(TABLE, runs, "condition"), COMPARED) == ["better"]


def test_a_difference_is_paired_by_unit_and_by_query():
    table = tabulate(TABLE, RUNS, PROTOCOL)
    first, second = average_precisions("baseline"), average_precisions("better")
    by_unit = [100 * (second[unit] - first[unit]).mean() for unit in second]
    row = table.loc["better"]
    assert row["pairs"] == 2
    assert row["mAP difference"] == pytest.approx(np.mean(by_unit))
    assert row["mAP difference sd"] == pytest.approx(np.std(by_unit, ddof=1))
    assert row["mAP higher in"] == sum(difference > 0 for difference in by_unit)
    assert row["mAP low"] < row["mAP difference"] < row["mAP high"]
    assert np.isnan(table.loc["baseline", "mAP difference"])


def test_a_person_searched_for_at_several_seeds_is_resampled_as_one():
    once = {Unit(0, 0): RUNS["baseline"][Unit(0, 0)]}, {Unit(0, 0): RUNS["better"][Unit(0, 0)]}
    thrice = [{Unit(0, seed): runs[Unit(0, 0)] for seed in range(3)} for runs in once]
    alone, repeated = (pair(*runs, PROTOCOL) for runs in (once, thrice))
    assert repeated.num_people == alone.num_people
    assert repeated.num_queries == 3 * alone.num_queries
    for name in ("mAP", "rank-1"):  # the same run three times tells nothing new
        assert repeated.low[name] == pytest.approx(alone.low[name])
        assert repeated.p_value[name] == pytest.approx(alone.p_value[name], abs=0.01)


def test_the_very_same_runs_are_not_compared():
    table = tabulate(TABLE, dict.fromkeys(RUNS, RUNS["baseline"]), PROTOCOL)
    assert table.loc["better", "mAP"] == table.loc["baseline", "mAP"]
    assert "mAP difference" not in table


def test_runs_of_other_queries_are_not_paired():
    other = scored(0, noise=1.0)
    shuffled = type(other)(other.about, other.queries[::-1].reset_index(drop=True), other.results)
    unit = Unit(0, 0)
    with pytest.raises(ValueError, match="not the same queries"):
        pair({unit: RUNS["baseline"][unit]}, {unit: shuffled}, PROTOCOL)


def test_what_is_not_there_is_a_dash_in_text():
    words = rows_in_words(tabulate(TABLE, RUNS, PROTOCOL), "baseline")
    assert words.loc["not run"].tolist() == ["0", *7 * ["–"]]
    assert words.loc["baseline", "paper, MARS: mAP, rank-1"] == "80.00, 90.00"
    assert re.fullmatch(r"\d+\.\d ± \d+\.\d", words.loc["better", "mAP"])
    difference = words.loc["better", "mAP less baseline's [95 %], p"]
    assert re.fullmatch(r"[+-]\d+\.\d \[[+-]\d+\.\d, [+-]\d+\.\d\], \d\.\d{4}", difference)
    over_runs = words.loc["better", "mAP: ± over runs, above 0 in"]
    assert re.fullmatch(r"\d+\.\d, [012] of 2", over_runs)
    lines = to_markdown(words).splitlines()
    assert len(lines) == 5 and len({line.count("|") for line in lines}) == 1


class Folder:
    """What a table needs to know of the results' folder."""

    def __init__(self, path):
        self.path = path


def context(path, faults=()):
    source = DataSource("three", "mars", path, dict(faults))
    return RunContext(Folder(path), path, source, presets=[], accelerator="cpu", device="cpu")


def test_the_same_table_is_written_as_csv_markdown_and_latex(tmp_path):
    table = tabulate(TABLE, RUNS, PROTOCOL)
    written = write_tables(
        TABLE, context(tmp_path), table, "Text.", {PROTOCOL: rows_in_words(table, "baseline")}
    )
    assert (tmp_path / "three.md").read_text() == written
    with (tmp_path / "three.csv").open() as file:
        rows = {row[""]: row for row in csv.DictReader(file)}
    assert float(rows["better"]["mAP"]) == pytest.approx(table.loc["better", "mAP"], abs=1e-4)
    assert rows["not run"]["mAP"] == ""
    latex = (tmp_path / "three.tex").read_text()
    assert latex.count(r"\\") == 4 and r"Three rows \& 100 \%" in latex
    assert "faults" not in written + latex


def test_faults_that_were_allowed_are_told_beside_the_table(tmp_path):
    table = tabulate(TABLE, RUNS, PROTOCOL)
    faulty = context(tmp_path, faults={"missing": 2_000, "same image": 1})
    written = write_tables(
        TABLE, faulty, table, "Text.", {PROTOCOL: rows_in_words(table, "baseline")}
    )
    for text in (written, (tmp_path / "three.tex").read_text()):
        assert "faults, which were allowed (2,000 missing, 1 same image)" in text


def test_a_figure_shows_what_was_run_and_is_the_same_each_time(tmp_path):
    table = tabulate(TABLE, RUNS, PROTOCOL)
    for name in ("first", "second"):
        write_figure(tmp_path / name, draw_panels(TABLE, table, PROTOCOL, with_paper=False))
    for kind in ("png", "svg"):
        first, second = (tmp_path / f"{name}.{kind}" for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
    [axes] = draw_panels(TABLE, table, PROTOCOL, with_paper=True).axes
    drawn = {container.get_label(): container for container in axes.containers}
    [line, _, _] = drawn["mAP"]
    assert line.get_xydata().tolist() == [[2, table.loc["better", "mAP difference"]]]
    hollow = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert hollow["mAP, the paper's"] == [1.5] and hollow["rank-1, the paper's"] == [-1.0]


def test_an_ensemble_ranks_by_the_sum_of_both_models_scores():
    models = [features(0, 1.0), features(1, 1.5)]
    of_task = task()
    total = np.zeros((len(of_task.query_pids), len(of_task.gallery_pids)))
    for query, gallery in models:
        for i, q in enumerate(query):
            for j, g in enumerate(gallery):
                total[i, j] += np.sqrt(((q - g) ** 2).sum())
    expected = evaluate_ranking(
        total,
        of_task.query_pids,
        of_task.gallery_pids,
        of_task.query_camids,
        of_task.gallery_camids,
    )
    found = rank_by_distances(of_task, sum_of_distances(models))["full-gallery"]
    assert np.allclose(found.average_precision, expected.average_precision)
    alone = score_features(of_task, *models[0])["full-gallery"]
    assert not np.allclose(found.average_precision, alone.average_precision)


GROUPS = (task().query_pids - 1) // 4


def test_fewer_look_alikes_are_a_smaller_gallery():
    of_task = task()
    query, gallery = features(0, 1.5)
    distances = sum_of_distances([(query, gallery)])
    smaller = score_smaller_groups(of_task, GROUPS, distances)
    assert list(smaller) == [of_groups("mars-official", size) for size in (1, 2, 3)]
    for size in (1, 2, 3):
        result = smaller[of_groups("mars-official", size)]
        for row, gone in enumerate(removed_pids(of_task, GROUPS, size)):
            keep = ~np.isin(of_task.gallery_pids, gone)
            expected = evaluate_ranking(
                distances[[row]][:, keep],
                of_task.query_pids[[row]],
                of_task.gallery_pids[keep],
                of_task.query_camids[[row]],
                of_task.gallery_camids[keep],
                ap="trapezoid",
            )
            assert result.average_precision[row] == pytest.approx(expected.mAP)
            assert result.first_match_rank[row] == expected.first_match_rank[0]


def test_who_stays_in_a_small_group_stays_in_a_larger_one():
    gone = {size: removed_pids(task(), GROUPS, size) for size in (1, 2, 3, 4)}
    for row, pid in enumerate(task().query_pids):
        sizes = [len(gone[size][row]) for size in (1, 2, 3, 4)]
        assert sizes == [3, 2, 1, 0]
        assert set(gone[3][row]) < set(gone[2][row]) < set(gone[1][row])
        assert pid not in gone[1][row]
        assert {(other - 1) // 4 for other in gone[1][row]} == {GROUPS[row]}


def test_chance_among_look_alikes_is_that_of_a_gallery_without_the_others():
    of_task = task()
    expected = []
    for row, gone in enumerate(removed_pids(of_task, GROUPS, 2)):
        group = of_task.query_pids[GROUPS[row] == GROUPS]
        keep = np.isin(of_task.gallery_pids, group) & ~np.isin(of_task.gallery_pids, gone)
        labels = [of_task.query_pids[[row]], of_task.gallery_pids[keep]]
        cameras = [of_task.query_camids[[row]], of_task.gallery_camids[keep]]
        expected.append(chance(*labels, *cameras, ap="trapezoid").mAP)
    found = chance_by_size(of_task, GROUPS, 2)
    assert found["clothes known, bodies not"] == pytest.approx(np.mean(expected))
    assert found["chance"] < found["clothes known, bodies not"]
    assert chance_by_size(of_task, GROUPS, 1)["clothes known, bodies not"] == 1


def condition(at, queries, places=None):
    places = dict.fromkeys(RUNS["baseline"], places)
    return Condition(at, f"at {at}", restricted(RUNS, PROTOCOL, queries), places, {})


def test_a_condition_scores_its_queries_alone():
    half = np.arange(24) % 4 < 2
    table = tabulate_conditions(TABLE, [condition(1, half), condition(2, ~half)])
    first, second = average_precisions("baseline"), average_precisions("better")
    cell = table.loc[("better", "at 2")]
    assert cell["queries"] == 12 and cell["runs"] == 2
    assert cell["mAP"] == pytest.approx(100 * np.mean([second[unit][~half] for unit in second]))
    gains = [second[unit][~half] - first[unit][~half] for unit in second]
    assert cell["difference"] == pytest.approx(100 * np.mean(gains))
    assert np.isnan(table.loc[("not run", "at 1"), "mAP"])


def test_a_trend_is_the_slope_of_the_gain_of_each_query():
    half = np.arange(24) % 4 < 2
    places = [np.linspace(start, start + 1, 12) for start in (0, 4)]
    found = trends(TABLE, [condition(1, half, places[0]), condition(2, ~half, places[1])])
    first, second = average_precisions("baseline"), average_precisions("better")
    x, gain = [], []
    for queries, place in zip((half, ~half), places, strict=True):
        for unit in second:
            x += list(place)
            gain += list(100 * (second[unit] - first[unit])[queries])
    assert list(found.index) == ["better"]
    assert found.loc["better", "trend"] == pytest.approx(np.polyfit(x, gain, 1)[0])
    assert found.loc["better", "low"] < found.loc["better", "trend"] < found.loc["better", "high"]


def test_the_interval_of_a_slope_resamples_people_and_not_queries():
    rng = np.random.default_rng(0)
    x, y, pids = rng.normal(size=40), rng.normal(size=40), np.arange(40)
    alone = slope(x, y, pids)
    doubled = slope(np.tile(x, 2), np.tile(y, 2), np.tile(pids, 2))
    assert doubled == pytest.approx(alone)
    drawn = rng.integers(40, size=(2000, 40))
    single = [np.polyfit(x[rows], y[rows], 1)[0] for rows in drawn]
    assert np.allclose(alone[1:], np.percentile(single, [2.5, 97.5]), atol=0.05)
    with_gap = slope(np.append(x, 9.0), np.append(y, np.nan), np.append(pids, 40))
    assert with_gap[0] == pytest.approx(alone[0])


def test_rows_are_compared_with_each_other_as_with_the_baseline():
    paired = replace(
        TABLE, pairs=[("better", "baseline"), ("baseline", "better"), ("better", "not run")]
    )
    table = tabulate(paired, RUNS, PROTOCOL)
    pairs = tabulate_pairs(paired, RUNS, PROTOCOL)
    forth, back = (pairs.loc[name] for name in pairs.index[:2])
    of_difference = [name for name in pairs if "paper" not in name]
    assert len(of_difference) == 13
    assert forth[of_difference].tolist() == table.loc["better", of_difference].tolist()
    for name in ("mAP", "rank-1"):
        assert back[f"{name} difference"] == pytest.approx(-forth[f"{name} difference"])
        assert back[f"{name} low"] == pytest.approx(-forth[f"{name} high"], abs=0.2)
    assert forth["paper's mAP difference, MARS"] == pytest.approx(1.5)
    words = pairs_in_words(pairs)
    assert words["paper, MARS: mAP, rank-1"].tolist() == ["+1.50, -1.00", "-1.50, +1.00", "–"]
    assert words.loc["better less not run"].tolist() == ["0", *["–"] * 6]
    told = rows_in_words(table, "baseline").loc["better", "mAP less baseline's [95 %], p"]
    assert words.loc["better less baseline", "mAP [95 %], p"] == told


def test_the_machines_of_the_runs_are_told_the_commonest_first():
    machines = [("A", "2.14.1+cu130"), ("B", "2.14.1"), ("B", "2.15.0")]
    units = {
        Unit(0, seed): replace(run, about={"machine": {"device": device, "torch": version}})
        for (seed, run), (device, version) in zip(
            enumerate(RUNS["baseline"].values()), machines, strict=True
        )
    }
    first = {unit: units[unit] for unit in list(units)[:1]}
    assert made_on({"baseline": first}) == "A; torch 2.14.1"
    assert made_on({"baseline": units}) == "B (2), A (1); torch 2.14.1, 2.15.0"
    assert made_on({"baseline": units, "better": units}) == "B (4), A (2); torch 2.14.1, 2.15.0"
