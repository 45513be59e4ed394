"""The tables' rows: what they change, what they share, and what the paper printed of them."""

import re
import subprocess
import sys
from importlib.util import find_spec
from math import isnan
from pathlib import Path

import pytest
import torch
from conftest import DATA

from experiments.__main__ import EXPERIMENTS as BY_NAME
from experiments.__main__ import main
from experiments.beyond_the_paper import ENSEMBLES
from experiments.experiment import Experiment, Row
from experiments.figures_5_to_8 import FIGURE_7, FIGURE_8
from experiments.running.datasets import DataSource
from experiments.running.jobs import (
    OUTSIDE,
    Unit,
    deciding,
    jobs_of,
    preset_files,
    settings_of,
)
from experiments.tables_1_to_4 import TABLE_3, TABLE_4, published_results
from stgcn_pyg import STGCN
from stgcn_pyg.errors import UserError

EXPERIMENTS = [each for each in BY_NAME.values() if each is not ENSEMBLES]
UNIT = Unit(split=0, seed=0)
EACH = pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda each: each.name)


@pytest.fixture(autouse=True)
def _no_data(monkeypatch):
    monkeypatch.setattr(DataSource, "identity", lambda self, split: f"{self.name}, split {split}")


def jobs(experiment, preset="smoke", unit=UNIT, name="stgcn-synth-tiny", **changes):
    source = DataSource(name, "mars", changes.pop("root", "somewhere"))
    return {
        job.row.name: job
        for job in jobs_of(
            experiment, None, source, preset_files(preset, name, gpu=False), [unit], **changes
        )
    }


@EACH
@pytest.mark.parametrize("preset", ["paper", "small", "smoke"])
def test_a_preset_is_the_same_for_every_variant(experiment, preset):
    files = preset_files(preset, "stgcn-synth-tiny", gpu=False)
    source = DataSource("any", "mars", Path("somewhere"))
    usual = deciding(settings_of(source, files, {}, UNIT).flat())
    for job in jobs(experiment, preset).values():
        if job.row.kind != "ensemble":
            changed = {name for name in usual if job.config[name] != usual[name]}
            assert job.config.keys() == usual.keys()
            assert changed <= job.changes.keys()


@EACH
def test_every_variant_is_a_network_that_can_be_built(experiment):
    for job in jobs(experiment).values():
        if job.row.kind != "ensemble":
            options = {k.removeprefix("model."): v for k, v in job.config.items() if "model." in k}
            with torch.device("meta"):
                model = STGCN(4, **options)
            assert set(model.branches) == set(options["branches"])


def test_the_same_run_has_the_same_key_in_every_table():
    tables = {each.name: jobs(each) for each in EXPERIMENTS}
    baselines = {table["baseline"].key for table in tables.values() if "baseline" in table}
    assert len(baselines) == 1
    whole = {table["STGCN"].key for table in tables.values() if "STGCN" in table}
    whole |= {tables["layers"]["M = 3, K = 2"].key, tables["patches"]["P_t = 4, P_s = 4"].key}
    assert whole == {tables["choices"]["default"].key}
    assert tables["choices"]["margin: soft"].key in whole  # which the preset has
    fully = tables["graph_or_fully_connected"]
    assert fully["TGCN+global"].key == tables["components"]["TGCN+global"].key
    assert len({job.key for job in fully.values()}) == 9


def test_a_key_names_all_that_decides_what_comes_out_and_nothing_else():
    key = jobs(TABLE_3)["STGCN"].key
    others = [
        jobs(TABLE_3, unit=Unit(0, 1)),
        jobs(TABLE_3, unit=Unit(1, 0)),
        jobs(TABLE_3, name="stgcn-synth-small"),
        jobs(TABLE_3, preset="small"),
    ]
    keys = {table["STGCN"].key for table in others}
    assert len(keys | {key}) == 5
    assert jobs(TABLE_3, root="elsewhere")["STGCN"].key == key
    files = preset_files("smoke", "any", gpu=False)
    source = DataSource("any", "mars", Path("somewhere"))
    free = {"data.num_workers": 3, "accelerator": "cpu", "output": "there", "checkpoint_every": 9}
    plain, changed = (
        deciding(settings_of(source, files, changes, UNIT).flat()) for changes in ({}, free)
    )
    assert plain == changed and not OUTSIDE & plain.keys()


def test_a_key_stays_what_it_was_before_a_run_might_change_how_many_clips_it_embeds_at_once():
    assert jobs(TABLE_3)["STGCN"].config["data.clips_per_test_batch"] == 16  # not the default
    assert jobs(TABLE_3)["STGCN"].key == "2e3a9cc8c5dc3bf1"


def test_an_ensemble_is_named_by_what_it_is_made_of():
    first, second = (jobs(TABLE_3, unit=Unit(0, seed)) for seed in (0, 1))
    assert [part.row.name for part in first["Ensemble"].needs] == ["TGCN+global", "SGCN+global"]
    assert first["Ensemble"].key != second["Ensemble"].key
    names = list(first)
    assert names.index("Ensemble") > names.index("SGCN+global")


def of_units(experiment, units):
    """Jobs by row and unit."""
    source = DataSource("ward", "ward", "somewhere")
    files = preset_files("smoke", "ward", gpu=False)
    return {
        (job.row.name, job.unit): job
        for job in jobs_of(experiment, None, source, files, [Unit(*unit) for unit in units])
    }


def test_two_of_the_same_network_are_a_seed_and_the_next_of_the_same_split():
    units = [(split, seed) for seed in (3, 5, 4) for split in (0, 1)]
    found = of_units(ENSEMBLES, units)
    for split in (0, 1):
        for seed, following in ((3, 5), (5, 4), (4, 3)):
            for pair, network in (("two baselines", "baseline"), ("two STGCN", "STGCN")):
                parts = [found[network, (split, at)] for at in (seed, following)]
                assert list(found[pair, (split, seed)].needs) == parts
    made_of_two = [job.key for job in found.values() if job.needs]
    assert len(set(made_of_two)) == len(made_of_two) == 5 * len(units)
    in_table_3 = [key for key in found if not key[0].startswith("two ")]
    assert in_table_3 == list(of_units(TABLE_3, units))


@pytest.mark.parametrize("units", [[(0, 0)], [(0, 0), (0, 1)], [(0, 0), (0, 1), (1, 2)]])
def test_too_few_seeds_to_pair_are_told(units):
    with pytest.raises(UserError, match="two baselines: pairs each seed with the next: pass three"):
        of_units(ENSEMBLES, units)


def test_what_changes_the_training_is_not_merely_tested_again():
    retested = Row("other frames", {"data.train_frames": "even"}, of=("STGCN",))
    table = Experiment("wrong", "Wrong", [Row("STGCN"), retested], baseline="STGCN")
    with pytest.raises(UserError, match=r"other frames: data\.train_frames changes the training"):
        jobs(table)


@EACH
def test_an_unknown_variant_is_refused_with_those_there_are(experiment):
    with pytest.raises(UserError, match=f"variant 'SGNC' is unknown: {experiment.name} has"):
        experiment.choose(["SGNC"])


def test_panels_name_rows_that_there_are():
    for experiment in (FIGURE_7, FIGURE_8):
        for rows in experiment.panels.values():
            assert [experiment.row(name).name for name in rows.values()]
    assert [list(rows) for rows in FIGURE_7.panels.values()] == [
        [2, 3, 4, 5, 6],
        [1, 2, 3, 4],
        [1, 2, 3, 4],
    ]
    assert [list(rows) for rows in FIGURE_8.panels.values()] == [[2, 4, 8], [2, 4, 8]]


def test_the_tables_have_the_papers_numbers_of_rows():
    published = [published_results(table) for table in (1, 2)]
    counts = [(table["source"] == "the paper").sum() for table in published]
    assert [*counts, len(TABLE_3.rows), len(TABLE_4.rows)] == [21, 8, 5, 9]


@pytest.fixture(scope="module")
def paper():
    """The words of the paper's page of each table."""
    file = DATA.parent / "paper" / "stgcn.txt"
    if not file.is_file():
        pytest.skip(f"the paper's text is not at {file}; STGCN_DATA says where to look")
    text = " ".join(file.read_text().split())
    captions = [rf"Table {number}\. (The p|P)erformance" for number in (1, 2, 3, 4)]
    starts = [re.search(caption, text).start() for caption in captions]
    return [text[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def test_published_results_are_as_the_paper_prints_them(paper):
    for number, page in enumerate(paper[:2], start=1):
        table = published_results(number)
        for _, row in table[table["source"] == "the paper"].iterrows():
            name = row["method"].replace("STGCN, the paper", "STGCN(Ours)")
            figures = row[["mAP", "rank-1", "rank-5", "rank-20"]]
            printed = re.search(rf"{re.escape(name)}(?: \[\d+\])? ((?:[\d.]+ |- ){{4}})", page)[1]
            expected = ["-" if isnan(figure) else figure for figure in figures]
            assert [p if p == "-" else float(p) for p in printed.split()] == expected, name


def test_the_rows_of_tables_3_and_4_are_as_the_paper_prints_them(paper):
    names = {"baseline": "Baseline (only global branch)"}
    whole = ("STGCN (SGCN+TGCN+global)", "SGCN+TGCN+global (STGCN)")
    tables = (TABLE_3, TABLE_4)
    for page, table, last in zip(paper[2:], tables, whole, strict=True):
        page = page[page.index("Method mAP") :]
        for row in table.rows:
            name = (names | {"STGCN": last}).get(row.name, row.name)
            printed = re.search(rf"(?<![+\w]){re.escape(name)} ((?:[\d.]+ ?){{4}})", page)[1]
            assert [float(p) for p in printed.split()] == [*row.mars, *row.duke], name


ROOT = Path(__file__).parents[1]


def answer(*arguments):
    command = [sys.executable, "-W", "ignore", "-m", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_the_names_are_listed_with_their_titles():
    status, text, _ = answer("experiments")
    assert status == 0
    for name, experiment in BY_NAME.items():
        assert re.search(rf"^  {name} +{re.escape(experiment.title)}$", text, re.M)


def test_an_unknown_name_is_refused_with_those_there_are(capsys):
    assert main(["table_5"]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "'table_5' is unknown: use state_of_the_art, components" in line


def test_the_modules_of_former_versions_are_the_same_commands(capsys):
    line = "components: error: the following arguments are required: --preset (see --help)\n"
    assert main(["components", "--dataset", "ward"]) == 2
    assert capsys.readouterr() == ("", line)
    assert answer("experiments.components", "--dataset", "ward") == (2, "", line)
    assert find_spec("experiments.component") is None


def test_a_program_takes_its_own_options(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["rendered_sheet", "--help"])
    assert ended.value.code == 0 and "output" in capsys.readouterr().out
