"""TensorFloat-32 is allowed or forbidden while something runs, whatever the caller has set."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from tiny_run import write_run

from stgcn_pyg import STGCN
from stgcn_pyg.cli import main
from stgcn_pyg.runs.checkpoint import KEY
from stgcn_pyg.runs.devices import tf32_allowed
from stgcn_pyg.runs.embedder import Embedder

pytestmark = pytest.mark.usefixtures("narrow_backbone")

MATMUL, CUDNN = torch.backends.cuda.matmul, torch.backends.cudnn


@pytest.fixture(autouse=True)
def _as_if_on_a_gpu(monkeypatch):
    """The settings are there on any machine; without a GPU they have no effect."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    yield
    for backend in (torch.backends, CUDNN, torch.backends.mkldnn, torch.backends.mkldnn.matmul):
        backend.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    for backend in (MATMUL, torch.backends.mkldnn.matmul):
        backend.fp32_precision = "none"
    CUDNN.allow_tf32 = True


def read(setting):
    try:
        return setting()
    except RuntimeError:
        return "cannot be read"


def every_setting():
    return {
        "products, the older way": read(torch.get_float32_matmul_precision),
        "products, the old flag": read(lambda: MATMUL.allow_tf32),
        "products": MATMUL.fp32_precision,
        "products on the CPU": torch.backends.mkldnn.matmul.fp32_precision,
        "convolutions, the old flag": read(lambda: CUDNN.allow_tf32),
        "convolutions": CUDNN.conv.fp32_precision,
        "recurrent": CUDNN.rnn.fp32_precision,
        "all of cuDNN": CUDNN.fp32_precision,
        "all": torch.backends.fp32_precision,
    }


def newer(**precisions):
    def apply():
        for name, precision in precisions.items():
            backend = {"every": torch.backends, "matmul": MATMUL, "cudnn": CUDNN}.get(name)
            backend = CUDNN.conv if backend is None else backend
            backend.fp32_precision = precision

    return apply


CALLERS = {
    "nothing": lambda: None,
    "older, high": lambda: torch.set_float32_matmul_precision("high"),
    "older, medium": lambda: torch.set_float32_matmul_precision("medium"),
    "old flags": lambda: (setattr(MATMUL, "allow_tf32", True), setattr(CUDNN, "allow_tf32", False)),
    "newer, products": newer(matmul="tf32"),
    "newer, products as they are": newer(matmul="ieee"),
    "newer, convolutions": newer(conv="ieee"),
    "newer, cuDNN": newer(cudnn="ieee"),
    "newer, all": newer(every="tf32"),
    "newer, all but products": newer(every="tf32", matmul="ieee"),
    "older, then newer": lambda: (
        torch.set_float32_matmul_precision("high"),
        newer(matmul="ieee")(),
    ),
}


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("allowed", [True, False])
def test_it_holds_inside_and_the_callers_settings_come_back(caller, allowed):
    CALLERS[caller]()
    before = every_setting()
    with tf32_allowed(allowed):
        inside = every_setting()
        with tf32_allowed(not allowed):
            pass
        assert every_setting() == inside
    assert every_setting() == before
    wanted = "tf32" if allowed else "ieee"
    assert {inside["products"], inside["convolutions"], inside["recurrent"]} == {wanted}
    assert inside["products, the older way"] == ("high" if allowed else "highest")


def test_they_come_back_after_an_error():
    newer(every="tf32")()
    before = every_setting()
    with pytest.raises(KeyError), tf32_allowed(False):
        raise KeyError
    assert every_setting() == before


def test_what_is_set_above_still_decides_afterwards():
    newer(every="tf32")()
    with tf32_allowed(False):
        pass
    newer(every="ieee")()
    assert MATMUL.fp32_precision == CUDNN.conv.fp32_precision == "ieee"


def test_without_a_gpu_nothing_changes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = every_setting()
    with tf32_allowed(True):
        assert every_setting() == before


@pytest.fixture
def forwards(monkeypatch):
    """What is allowed at each forward pass of a network, as the commands ask for it."""
    asked, seen = ["not asked"], []

    @contextmanager
    def note(allowed):
        asked.append(allowed)
        yield
        asked.pop()

    def forward(model, maps, original=STGCN.from_feature_maps):
        seen.append(asked[-1])
        return original(model, maps)

    for name in ("trained_model", "run", "embedder"):
        monkeypatch.setattr(f"stgcn_pyg.runs.{name}.tf32_allowed", note)
    monkeypatch.setattr(STGCN, "from_feature_maps", forward)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # these commands do run here
    return seen


@pytest.mark.parametrize("allowed", [True, False])
def test_a_run_is_evaluated_and_extracted_by_what_it_was_trained_with(
    allowed, forwards, mars_tree, tmp_path
):
    run = write_run(tmp_path / "run", mars_tree.write())
    path = run / "checkpoint.ckpt"
    content = torch.load(path)
    content[KEY]["config"]["tf32"] = allowed
    torch.save(content, path)
    for command, more in (
        ("evaluate", []),
        ("extract", [str(tmp_path / "extracted")]),
        ("explain", [str(tmp_path / "explained"), "--parts=lists", "--count=1"]),
    ):
        forwards.clear()
        assert main([command, str(run), *more, "--num-workers=0"]) == 0
        assert set(forwards) == {allowed}, command
    forwards.clear()
    Embedder(run).embed([np.zeros((32, 16, 3), np.uint8)])
    assert forwards == [allowed]


def test_a_training_is_scored_by_what_it_was_trained_with(forwards, mars_tree, tmp_path):
    arguments = ["train", "mars", str(mars_tree.write()), f"--output={tmp_path / 'run'}"]
    network = ["--model.backbone=resnet18", "--model.weights=null", "--model.num_frames=2"]
    batches = ["--data.identities_per_batch=4", "--data.tracklets_per_identity=2"]
    small = ["--data.height=64", "--data.width=32", "--data.num_workers=0", "--epochs=1"]
    more = ["--baselines=true", "--tf32=false"]
    assert main([*arguments, *network, *batches, *small, *more]) == 0
    assert forwards[0] is False  # the untrained network's
    assert forwards[-1] is False
