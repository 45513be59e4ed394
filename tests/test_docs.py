"""The pages' code runs, their links lead somewhere, and Sphinx builds them without a warning."""

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch

from experiments.running.results import SCORES
from stgcn_pyg import layers

DOCS = Path(__file__).parents[1] / "docs"
RESULTS = DOCS.parent / "experiments" / "results"
PAGES = pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)


@pytest.mark.usefixtures("shapes_unchecked")
def test_the_code_about_the_layers_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # The graph is followed as on the page; code is not made of it, which would need a C++ compiler.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    page = DOCS / "layers.md"
    text, names = page.read_text(), {}
    for block in re.finditer(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        # At its own lines, so that a failure points into the page.
        lines_before = "\n" * text.count("\n", 0, block.start(1))
        exec(compile(lines_before + block[1], page, "exec"), names)
    assert len(names["losses"]) == 20
    into_joints = torch.zeros(17).index_add(0, names["skeleton"][1], names["bone_weight"])
    torch.testing.assert_close(into_joints, torch.ones(17))
    assert names["embedding"].shape == (names["B"], names["T"] * 32)
    assert all(1 <= number <= 16 for number in names["neighbours"].values())
    assert names["gated"].shape == (17, 8)
    assert names["explanation"].edge_mask.shape == names["bone_weight"].shape
    assert (tmp_path / "stgcn.onnx").is_file()


@PAGES
def test_its_links_lead_somewhere(page):
    for link in re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", page.read_text()):
        assert (page.parent / link).exists(), link
        assert not link.startswith("../") or not link.endswith(".md"), f"{link}: no page of these"


def test_the_tables_of_results_are_those_that_were_written():
    written = {line for path in RESULTS.glob("*/*.md") for line in path.read_text().splitlines()}
    shown = [line for line in (DOCS / "results.md").read_text().splitlines() if line[:1] == "|"]
    assert len(shown) > 10
    assert [line for line in shown if line not in written] == []


def test_what_the_graphs_learn_is_what_was_measured():
    page = (DOCS / "results.md").read_text()
    explained = RESULTS / "stgcn-synth-v1-small-cpu" / "explained"
    seeds = [
        pd.read_csv(explained / f"seed-{seed}" / "weight_from_uncovered.csv")
        .set_index(["model", "graph", "patches", "measure"])
        .mul(100)
        for seed in range(3)
    ]

    def gain(table, *where):
        value, error = table.loc[(*where, "gain"), ["value", "standard_error"]]
        return f"{value:+.1f} ± {error:.1f}"

    for patches, article in (("covered", "a covered one"), ("uncovered", "an uncovered one")):
        for graph in ("spatial", "temporal"):
            trained = ", ".join(gain(table, "trained", graph, patches) for table in seeds)
            untrained = gain(seeds[0], "untrained", graph, patches)
            told = f"- {article} in the {graph} graph: {trained} (untrained: {untrained})"
            assert told in page


def test_what_the_layers_do_to_patches_is_what_was_measured():
    page = (DOCS / "results.md").read_text()
    explained = RESULTS / "ward-small-cpu" / "explained"
    networks = {path.name for path in explained.glob("split-*/*")}
    assert len(networks) == 3
    for network in sorted(networks):
        files = explained.glob(f"split-*/{network}/distance_between_patches.csv")
        tables = [pd.read_csv(path, index_col=["model", "branch", "layers"]) for path in files]
        assert len(tables) == 5
        mean = sum(table["value"] for table in tables) / 5

        def change(model, branch, mean=mean):
            before, behind = (mean[model, branch, layers] for layers in ("before", "behind"))
            return f"{before:.3f} to {behind:.3f}"

        for name, branch in zip(network.split("+")[:2], ("temporal", "spatial"), strict=True):
            trained, untrained = change("trained", branch), change("untrained", branch)
            assert f"- {name} in {network}: {trained} (untrained: {untrained})" in page


@pytest.mark.skipif(not (DOCS.parent / ".git").exists(), reason="not a checkout of git's")
def test_git_keeps_the_small_files_of_results_and_nothing_large_or_of_real_people():
    folder = "experiments/results/stgcn-synth-v1-small-cpu"
    kept = [f"{folder}/runs/0123456789abcdef/{name}" for name in ("run.json", "per_query.parquet")]
    kept += [f"{folder}/retrieval.csv", f"{folder}/activation_maps/gain-1.png"]
    of_people = "experiments/results/ward-small-cpu"
    shown = [f"{of_people}/{name}" for name in ("retrieval.csv", "retrieval/gain-1.png")]
    shown += ["experiments/results/mars-paper-gpu/activation_maps/gain-1.png"]
    left_out = [f"{folder}/claims/0123456789abcdef.1", *shown, "runs/demo/checkpoint.ckpt"]
    paths = [f"{folder}/components.md", f"{of_people}/components.md", *kept, *left_out]
    git = ["git", "check-ignore", "--no-index", *paths]
    ignored = subprocess.run(git, cwd=DOCS.parent, capture_output=True, text=True)
    assert ignored.stdout.splitlines() == left_out


def test_the_results_of_queries_tell_no_label():
    paths = list(RESULTS.glob("*/runs/*/per_query.parquet"))
    assert len(paths) > 10
    for path in paths:
        names = {name.rpartition(" ")[2] for name in pd.read_parquet(path)}
        assert names == {"tracklet", *SCORES}, path


def test_every_public_name_of_the_layers_is_in_the_reference():
    named = re.findall(
        r"^\.\. auto(?:class|function):: (\w+)$", (DOCS / "api.md").read_text(), re.M
    )
    assert sorted(named) == sorted(layers.__all__)


def test_what_the_tour_shows_was_given_without_a_warning_or_an_error():
    cells = json.loads((DOCS / "tour.ipynb").read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert outputs
    for output in outputs:
        assert output["output_type"] != "error" and output.get("name") != "stderr", output


def test_the_pages_build_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_nb")
    pytest.importorskip("furo")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    result = subprocess.run(
        [*command, "-d", tmp_path / "doctrees", DOCS, tmp_path / "html"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "html" / "layers.html").is_file()
