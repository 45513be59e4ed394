"""The page about search: its commands and its Python run from top to bottom."""

import re
import shlex
from pathlib import Path

import pytest
from conftest import MarsTree
from stored_embeddings import table, write_extraction
from tiny_run import write_run

from stgcn_pyg.cli import main
from stgcn_pyg.runs.extraction import read_description

PAGE = (Path(__file__).parents[2] / "docs" / "search.md").read_text()
pytestmark = pytest.mark.usefixtures("one_thread", "narrow_backbone")


def test_the_page_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    write_run(tmp_path / "runs" / "mars", MarsTree(tmp_path / "mars").write())
    monkeypatch.chdir(tmp_path)
    names = {}
    for language, block in re.findall(r"^```(sh|python)\n(.*?)^```", PAGE, re.DOTALL | re.M):
        if language == "python":
            exec(block, names)
            continue
        for line in block.splitlines():
            if "hall yard" in line:
                add_cameras(tmp_path / "embeddings")
            assert main(shlex.split(line)[1:]) == 0, capsys.readouterr().err
    assert names["found"].ids.tolist() == [[2, 1]]


def add_cameras(folder):
    """Extractions of two cameras by the model of the gallery."""
    facts = read_description(folder / "mars")
    same = {name: facts[name] for name in ("checkpoint_sha256", "embedding", "num_frames")}
    for name in ("hall", "yard"):
        embeddings = [[number] * facts["width"] for number in range(9)]
        write_extraction(folder / name, table([-1] * 9, [1] * 9), embeddings, **same)
