"""What `stgcn plan` says of a run."""

import json
import random

import pytest
from narrow import narrow

from stgcn_pyg.cli import main
from stgcn_pyg.planning.gpus import GPUS, find_gpu
from stgcn_pyg.planning.plan import RESERVE, largest_batch

TINY = ["--preset", "finetune", "--model.backbone", "resnet18", "--model.weights", "null"]
TINY += ["--data.height", "64", "--data.width", "32", "--model.num-frames", "2"]
TINY += ["--model.branches", "[global]"]


def plan(tmp_path, *arguments, dataset=("mars",)):
    path = tmp_path / "plan.json"
    status = main(["plan", *dataset, *TINY, "--json", str(path), *arguments])
    return status, json.loads(path.read_text()) if path.exists() else None


def test_the_largest_batch_is_the_one_a_search_of_all_finds():
    for seed in range(300):
        rng = random.Random(seed)
        a, b, c, d = (rng.uniform(0.1, 50) for _ in range(4))
        most = rng.randint(2, 700)
        asked, memory, tried = rng.randint(2, most), rng.uniform(0, 3000), []

        def total(size, a=a, b=b, c=c, d=d, tried=tried):
            tried.append(size)
            return max(a + b * size, c + d * size)

        found = largest_batch(total, asked, total(asked), memory, most)
        fitting = [n for n in range(2, most + 1) if max(a + b * n, c + d * n) <= memory]
        assert found == max(fitting, default=0)
        assert len(tried) < 15


def test_a_plan_names_the_largest_batch_of_each_way(tmp_path, capsys):
    with narrow():  # which is faster
        status, found = plan(tmp_path, "--memory", "1.1", "--rate", "0.001")
    out = capsys.readouterr().out
    assert status == 0
    assert "625 identities to train on (as published)" in out
    plain, *others = found["ways"]
    assert plain["bytes"]["total"] + RESERVE < 1.1 * 2**30
    assert 8 <= plain["largest_identities_per_batch"] < 625
    assert all(
        way["largest_identities_per_batch"] >= plain["largest_identities_per_batch"]
        for way in others
    )
    assert len(others) == 5 and found["steps_per_epoch"] == 79  # 625 of 8
    assert f"{plain['largest_identities_per_batch']} x 3" in out
    minutes = found["flop_per_step"] * 79 * 30 / 0.001e12 / 60
    assert f"time: {minutes:.0f} minutes at 0.001 TFLOP a second" in out


def test_what_does_not_fit_is_told_with_what_would(tmp_path, capsys):
    with narrow():  # which is faster
        status, found = plan(tmp_path, "--memory", "1.35", "--data.identities-per-batch", "300")
    error = capsys.readouterr().err.splitlines()[-1]
    assert status == 1
    plain, twice, half, parts, *_ = found["ways"]
    size, again, less, least = (
        way["bytes"]["total"] / 2**30 for way in (plain, twice, half, parts)
    )
    assert again > 0.35 > less > least
    assert f"a step takes {size:.2f} GiB, more than the 1.35 GiB of a GPU less 1 for CUDA" in error
    assert f"pass --precision bf16-mixed ({less:.2f} GiB) or --training.micro-batches 4" in error
    assert error.endswith(f"--data.identities-per-batch {plain['largest_identities_per_batch']}")
    assert [way["precision"] for way in (plain, half)] == ["32-true", "bf16-mixed"]


def test_a_data_set_that_is_there_is_counted(tmp_path, mars_tree, capsys):
    root = mars_tree.write()
    status, found = plan(tmp_path, "--data.identities-per-batch", "2", dataset=("mars", str(root)))
    assert status == 0 and (found["identities"], found["steps_per_epoch"]) == (4, 2)
    assert f"4 identities to train on (counted in {root})" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gpu", "RTX 4099"], "--gpu 'RTX 4099' is unknown: use RTX 4090"),
        (["--gpu", "A100"], "is unknown: use A100 40GB, A100 80GB, or"),
        (["--gpu", "abacus"], "is unknown: use RTX 3060, RTX 4080, L4"),
        (["--data.identities-per-batch", "700"], "there are 625 identities to train on, fewer"),
        (["--model.backbone", "resnet1"], "resnet1"),
        (["--rate", "0"], "--rate 0: pass a number above 0 (see `stgcn plan"),
        (["--rate", "inf"], "--rate inf: pass"),
        (["--memory", "inf"], "--memory inf: pass"),
        (["--memory", "1"], "1 GiB is left to CUDA itself, so that no training fits"),
        (["--validation-share", "1.5"], "--validation-share 1.5: pass a share from 0 up"),
    ],
)
def test_a_mistake_is_told_in_a_line(tmp_path, arguments, message, capsys):
    status, found = plan(tmp_path, *arguments)
    assert status == 2 and found is None
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_manifest_that_is_not_there_has_no_known_number_of_identities(tmp_path, capsys):
    status, _ = plan(tmp_path, dataset=("manifest", "nowhere.csv"))
    assert status == 2
    assert "pass its folder or file, or --identities" in capsys.readouterr().err
    status, found = plan(tmp_path, "--identities", "12", dataset=("manifest",))
    assert status == 0 and found["identities"] == 12


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.name)
def test_a_gpu_is_found_by_its_name_in_any_spelling(gpu):
    for name in (gpu.name, f"NVIDIA {gpu.name}", gpu.name.lower().replace(" ", "-"), *gpu.also):
        assert find_gpu(name) is gpu
