"""The README's examples run, and its commands exist."""

import re
from pathlib import Path

from stgcn_pyg.cli import COMMANDS

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_its_python_runs_from_top_to_bottom():
    assert len(blocks("python")) >= 2
    names = {}
    for block in blocks("python"):
        exec(block, names)
    assert names["feature"].shape == (2, 256)
    assert names["output"].embedding.shape == (2, 512 + 512 + 4 * 256)


def test_its_commands_exist():
    lines = "\n".join(blocks("sh")).splitlines()
    commands = {line.split()[1] for line in lines if line.startswith("stgcn ")}
    assert commands
    assert commands <= set(COMMANDS)
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    for target in {line.split()[1] for line in lines if line.startswith("make ")}:
        assert f"\n{target}:" in makefile


def test_its_links_lead_somewhere():
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (Path(__file__).parents[1] / link).exists(), link
