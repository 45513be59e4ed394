"""What README and pages show: their code runs, links lead somewhere, figures were measured."""

import json
import re
import subprocess
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import MarsTree
from PIL import Image
from score_files import read_scores
from small_video import frame, write_video
from tiny_run import write_run

from stgcn_pyg import layers
from stgcn_pyg.cli import COMMANDS, main
from stgcn_pyg.data import load_dataset, write_manifest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
RESULTS = ROOT / "experiments" / "results"
PAGES = pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)


@pytest.mark.usefixtures("shapes_unchecked")
def test_the_code_about_the_layers_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # The graph is followed as on the page; code is not made of it, which would need a C++ compiler.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    names = run_python_of(DOCS / "layers.md")
    assert len(names["losses"]) == 20
    into_joints = torch.zeros(17).index_add(0, names["skeleton"][1], names["bone_weight"])
    torch.testing.assert_close(into_joints, torch.ones(17))
    assert names["embedding"].shape == (names["B"], names["T"] * 32)
    assert all(1 <= number <= 16 for number in names["neighbours"].values())
    assert names["gated"].shape == (17, 8)
    assert names["explanation"].edge_mask.shape == names["bone_weight"].shape
    assert (tmp_path / "stgcn.onnx").is_file()


@pytest.mark.usefixtures("shapes_unchecked", "one_thread")
def test_the_page_about_a_learned_adjacency_runs_and_draws_its_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    run_python_of(DOCS / "learned_adjacency.md")
    shown = re.findall(r"\]\((\S+\.jpg)\)", (DOCS / "learned_adjacency.md").read_text())
    assert len(shown) == 3
    assert sorted(shown) == sorted(path.name for path in tmp_path.iterdir())
    assert all((DOCS / name).stat().st_size < 60_000 for name in shown)


def test_the_backbone_of_its_page_gives_the_map_that_is_shown(capsys):
    page = DOCS / "backbones.md"
    run_python_of(page)
    assert f"```text\n{capsys.readouterr().out}```" in page.read_text()


@pytest.fixture
def one_thread():
    """Small tensors wait for threads longer than they compute if other work runs beside them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run_python_of(page):
    """Runs the code of a page from top to bottom and returns its names."""
    text, names = page.read_text(), {}
    for block in re.finditer(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        # At its own lines, so that a failure points into the page.
        lines_before = "\n" * text.count("\n", 0, block.start(1))
        exec(compile(lines_before + block[1], page, "exec"), names)
    return names


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


def test_no_image_of_a_real_person_is_committed():
    git = ["git", "ls-files", "experiments/results"]
    listed = subprocess.run(git, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a checkout of git's")
    figures = [path for path in listed.stdout.splitlines() if path.endswith((".png", ".svg"))]
    assert any("/stgcn-synth-" in path for path in figures)
    # Heat maps and ranked lists show frames; charts are drawn from figures alone.
    frames = [path for path in figures if "activation_maps" in path or "retrieval" in path]
    assert [path for path in frames if "/stgcn-synth-" not in path] == []


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


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def station(tmp_path, monkeypatch):
    """A folder with what the pages about videos name: a run, two cameras' videos and tracks."""
    write_run(tmp_path / "runs" / "mars", MarsTree(tmp_path / "mars").write())
    for name in ("hall", "stairs"):
        write_video(tmp_path / f"{name}.mp4", 12)
        rows = [f"{i},{k},{9 * k},20,12,30,0.9,0,-1" for i in range(1, 13) for k in (1, 2)]
        (tmp_path / f"{name}.txt").write_text("\n".join(rows))
    for name in ("person/0001.jpg", "person/0002.jpg", "other/0001.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(frame(len(name))).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_about_videos_runs_from_top_to_bottom(station, capsys):
    page = (DOCS / "videos.md").read_text()
    for block in re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.M):
        for line in block.splitlines():
            assert main(line.removeprefix("stgcn ").split()) == 0, line
    assert (station / "boxes.jpg").is_file()
    assert (station / "linked" / "station" / "mot" / "2-stairs.txt").is_file()
    assert (station / "explained" / "station" / "lists.csv").is_file()
    names = run_python_of(DOCS / "videos.md")
    labelled = load_dataset("manifest", station / "cut" / "station" / "labelled.csv")
    assert labelled.labelled and labelled.query["camid"].tolist() == [1]
    assert names["embeddings"].shape == (2, len(names["a"]))


def test_the_readmes_python_runs_from_top_to_bottom(station):
    assert len(blocks("python")) >= 2
    names = {}
    for block in blocks("python"):
        exec(block, names)
    assert names["feature"].shape == (2, 256)
    assert names["output"].embedding.shape == (2, 512 + 512 + 4 * 256)


def test_the_readmes_commands_exist():
    lines = "\n".join(blocks("sh")).splitlines()
    commands = {line.split()[1] for line in lines if line.startswith("stgcn ")}
    assert commands
    assert commands <= set(COMMANDS)
    makefile = (ROOT / "Makefile").read_text()
    for target in {line.split()[1] for line in lines if line.startswith("make ")}:
        assert f"\n{target}:" in makefile


def test_the_readmes_links_lead_somewhere():
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_the_page_about_embeddings_runs_from_top_to_bottom(tmp_path, monkeypatch):
    page = (DOCS / "embeddings.md").read_text()
    write_run(tmp_path / "runs" / "tiny", MarsTree(tmp_path / "mars").write())
    monkeypatch.chdir(tmp_path)
    names = {}
    for language, block in re.findall(r"^```(sh|python)\n(.*?)^```", page, re.DOTALL | re.M):
        if language == "python":
            exec(block, names)
            continue
        for line in block.splitlines():
            assert main(line.removeprefix("stgcn ").split()) == 0
    scores = read_scores(Path("scores.json"))
    assert list(scores) == ["mars-official", "agrl"]
    assert Path("queries.csv").read_text().count("\n") == 1 + 2 * 2
    assert set(names["tracklets"].columns) == set(re.findall(r"`(\w+)`", columns_of(page)))
    told = json.loads(Path("embeddings/tiny/embeddings.json").read_text())
    assert all(f"`{name}`" in page for name in told)


def test_the_page_about_identities_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    write_run(tmp_path / "runs" / "mars", MarsTree(tmp_path / "mars").write())
    station = MarsTree(tmp_path / "station").write()
    write_manifest(load_dataset("mars", station), station / "manifest.csv")
    monkeypatch.chdir(tmp_path)
    page = DOCS / "linking.md"
    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.DOTALL | re.M):
        for line in block.splitlines():
            assert main(line.removeprefix("stgcn ").split()) == 0, line
    run_python_of(page)
    assert "chosen on 4 tracklets of 2 identities" in capsys.readouterr().out
    written = {path.name for path in Path("identities/chosen").iterdir()}
    assert written == {"identities.csv", "identities.html", "identities.json"}


def test_the_python_of_the_page_about_thresholds_prints_what_is_shown(capsys):
    page = DOCS / "thresholds.md"
    run_python_of(page)
    assert f"```text\n{capsys.readouterr().out}```" in page.read_text()


def columns_of(page):
    """The first column of the table of columns."""
    table = page.split("| column | type | what |")[1].split("\n\n")[0]
    return "".join(row.split("|")[1] for row in table.splitlines()[2:])
