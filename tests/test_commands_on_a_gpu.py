"""The commands on a GPU give what they give on the CPU, within a tolerance."""

import subprocess
import sys
from pathlib import Path

import jaxtyping
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import MarsTree
from device import ON_A_GPU, error
from safetensors.numpy import load_file
from score_files import read_scores

from stgcn_pyg.cli import main

ACCELERATOR = "gpu" if ON_A_GPU else "cpu"


@pytest.fixture(scope="module", autouse=True)
def _shapes_unchecked():
    """No compiler follows the checks, and training compiles on a GPU."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpu")
    tree = MarsTree(folder / "mars")
    for pid in range(10, 26, 2):
        for camid in (1, 2):
            tree.add("train", pid, camid, frames=3)
    tree.write()
    return folder


def train(folder, output, *more, accelerator=ACCELERATOR):
    """The arguments of a training of six steps an epoch."""
    model = ["backbone=resnet18", "weights=null", "num_frames=2", "spatial_channels=32"]
    data = ["height=64", "width=32", "identities_per_batch=2", "tracklets_per_identity=2"]
    options = [f"--model.{option}" for option in model] + [f"--data.{option}" for option in data]
    fixed = [f"--accelerator={accelerator}", "--tf32=false", "--data.num_workers=1"]
    fixed += ["--training.margin=soft"]
    return ["train", "mars", f"{folder / 'mars'}", f"--output={output}", *options, *fixed, *more]


def losses(run):
    return pd.read_csv(run / "log" / "metrics.csv")["loss"].to_numpy()


@pytest.fixture(scope="module")
def whole(folder):
    """Two epochs on the device; not to be altered."""
    assert main(train(folder, folder / "whole", "--epochs=2")) == 0
    return folder / "whole"


def test_training_has_the_losses_of_the_cpu(whole, folder):
    assert main(train(folder, folder / "cpu", "--epochs=2", accelerator="cpu")) == 0
    np.testing.assert_allclose(losses(whole), losses(folder / "cpu"), rtol=2e-2)


def test_a_training_goes_on_there_as_if_nothing_had_happened(whole, folder):
    for epochs in (1, 2):
        assert main(train(folder, folder / "parts", f"--epochs={epochs}")) == 0
    np.testing.assert_allclose(losses(folder / "parts"), losses(whole), rtol=1e-2)


def test_torchrun_trains_there(whole, folder, record_property):
    """On two GPUs two processes share each batch, synchronise batch norm and try to compile."""
    processes = min(2, torch.cuda.device_count()) if ON_A_GPU else 1
    torchrun = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}"]
    more = ["--epochs=2", "--sync-batch-norm=true"]
    command = [*torchrun, "-m", "stgcn_pyg.cli", *train(folder, folder / "torchrun", *more)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    compiled = "cannot be compiled" not in done.stderr if ON_A_GPU else "not measured"
    record_property(f"compiled in {processes} processes", (compiled, None))
    np.testing.assert_allclose(losses(folder / "torchrun"), losses(whole), rtol=1e-2)


def on_both(command, run, folder, *more, output="{}"):
    """Runs a command on the device and on the CPU, and gives what each has written."""
    written = []
    for name, accelerator in (("there", ACCELERATOR), ("here", "cpu")):
        written.append(folder / name)
        how = [f"--accelerator={accelerator}", "--num-workers=0", *more]
        assert main([command, str(run), output.format(written[-1]), *how]) == 0
    return written


def test_evaluate_gives_the_scores_of_the_cpu(whole, tmp_path, held):
    found, expected = map(read_scores, on_both("evaluate", whole, tmp_path, output="--json={}"))
    assert found.keys() == expected.keys()
    for protocol, rows in expected.items():
        there, here = found[protocol]["trained"]["mAP"], rows["trained"]["mAP"]
        held(f"mAP of {protocol}", abs(there - here), 1e-3)


def test_extract_gives_the_embeddings_of_the_cpu(whole, tmp_path, held):
    shards = [folder / "00000.safetensors" for folder in on_both("extract", whole, tmp_path)]
    found, expected = (torch.from_numpy(load_file(shard)["embedding"]) for shard in shards)
    held("embedding", error([found], [expected]), 1e-5)


def test_explain_draws_what_it_draws_on_the_cpu(whole, tmp_path):
    folders = on_both("explain", whole, tmp_path, "--count=1")
    found, expected = ({p.relative_to(f) for p in f.rglob("*")} for f in folders)
    assert found == expected
