"""The page about export: its commands, its Python and its consumer do what it says."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import MarsTree
from PIL import Image
from tiny_run import write_run

from stgcn_pyg.cli import main
from stgcn_pyg.export import Metadata
from stgcn_pyg.runs.embedder import Embedder

pytestmark = pytest.mark.usefixtures("shapes_unchecked", "narrow_backbone")

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.M)


def test_its_commands_python_and_consumer_run_and_the_consumer_gets_the_same_distances(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs" / "tiny", MarsTree(tmp_path / "mars").write())
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    for line in commands:
        if line.startswith("stgcn "):
            assert main([*line.removeprefix("stgcn ").split(), "--num-workers=0"]) == 0, line
    assert Path("tiny8.bin").is_file()
    names = {}
    exec(blocks("python")[0], names)
    assert names["embeddings"].shape == (5, names["exported"].about.embedding_width)
    assert measured_distance(tmp_path, commands) > 0.01


def test_the_keys_of_the_metadata_are_those_of_its_table():
    told = re.findall(r"`(\w+)`", PAGE.partition("| key | what |")[2].partition("\n\n")[0])
    assert sorted(told) == sorted(Metadata.__dataclass_fields__)


def measured_distance(folder, commands):
    """What the page's consumer prints for two tracklets, held to the package's own distance."""
    (consumer,) = (block for block in blocks("python") if "sys.argv" in block)
    assert len(consumer.splitlines()) <= 32
    imported = {
        name.name
        for node in ast.walk(ast.parse(consumer))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported == {"json", "sys", "numpy", "onnxruntime"}
    (folder / "distance.py").write_text(consumer)
    embedder, vectors = Embedder(folder / "runs" / "tiny"), []
    for name, person, count in (("one", "0001", 6), ("other", "0003", 1)):
        paths = sorted((folder / "mars" / "bbox_test" / person).iterdir())[:count]
        np.save(folder / f"{name}.npy", np.stack([np.asarray(Image.open(p)) for p in paths]))
        vectors.append(embedder.embed(paths))
    (line,) = (line for line in commands if "distance" in line)
    command = [sys.executable, *line.split()[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(float(embedder.compare(*vectors)), abs=2e-6)
    return float(done.stdout)
