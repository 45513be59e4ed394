"""A training that is killed, stopped or damaged goes on, and ends as if nothing had happened."""

import itertools
import os
import shutil
import signal
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import MarsTree
from score_files import read_scores
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from stgcn_pyg.cli import main
from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.training import STGCNTraining

EPOCHS = 4
STEPS = 2  # an epoch

# Where a process can be killed: in the middle of writing a file, for one.
BEFORE_A_STEP, IN_A_STEP, EVALUATING = "before a step", "in a step", "evaluating"
WRITING, WRITTEN, KEPT, RENAMED = "writing", "written", "kept", "renamed"
CHECKPOINT, LOG, METRICS = "checkpoint.ckpt", "metrics.csv", "metrics.json"


pytestmark = pytest.mark.usefixtures("one_thread", "narrow_backbone")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return MarsTree(tmp_path_factory.mktemp("resume") / "mars").write()


@pytest.fixture(scope="module")
def whole(root):
    """A run that nothing happened to; not to be altered."""
    output = root.parent / "whole"
    assert in_a_process(command(root, output)) == 0
    return output


@pytest.fixture
def finished(whole, tmp_path):
    """The same, to be bent."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def command(root, output, *more):
    model = ["backbone=resnet18", "weights=null", "num_frames=2", "branches=[global,spatial]"]
    model += ["spatial_channels=16", "spatial_patches=2", "temporal_patches=2"]
    data = ["height=32", "width=16", "identities_per_batch=2", "tracklets_per_identity=2"]
    data += ["num_workers=0", "erase=0.5", "shift=0.1"]
    options = [f"--model.{option}" for option in model] + [f"--data.{option}" for option in data]
    fixed = [f"--epochs={EPOCHS}", "--training.decay_epochs=3", "--seed=5"]
    return ["train", "mars", str(root), f"--output={output}", *options, *fixed, *more]


def in_a_process(run_command, act=None):
    """The exit status of a command in a process of its own; minus the signal that killed it.

    Args:
        run_command: The command.
        act: Called with the name of each moment that the command passes, as it passes it.
    """
    return status_of(begin(run_command, act))


def begin(run_command, act=None):
    """Begins a command in a process of its own, and gives its number."""
    process = os.fork()
    if process == 0:
        if act is not None:
            announce(act)
        try:
            os._exit(main(run_command))
        finally:  # whatever it raised, it must not go on as a second run of the tests
            traceback.print_exc()
            os._exit(99)
    return process


def status_of(process):
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


def announce(act):
    """Lets this process call `act` at each moment."""

    def before(function, name):
        def announced(*arguments, **options):
            act(name(*arguments))
            return function(*arguments, **options)

        return announced

    def forward(model, *arguments):
        return "forward in training" if model.training else EVALUATING

    last = []

    def replaced(path, target):
        last[:] = [Path(target).name]
        return (KEPT if ".previous" in last[0] else WRITTEN, *last)

    def synced(descriptor):
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            return (RENAMED, *last)
        return (WRITING, path.name.removesuffix(".part"), descriptor)

    os.fsync = before(os.fsync, synced)
    Path.replace = before(Path.replace, replaced)
    STGCN.from_feature_maps = before(STGCN.from_feature_maps, forward)
    STGCNTraining.forward = before(STGCNTraining.forward, lambda *_: BEFORE_A_STEP)
    torch.optim.Adam.zero_grad = before(torch.optim.Adam.zero_grad, lambda *_: IN_A_STEP)


def kill_at(moment, count):
    """Kills the process when it passes a moment the n-th time."""
    passed = itertools.count(1)

    def act(name):
        here = name[:2] if isinstance(name, tuple) else name
        if here == moment and next(passed) == count:
            if moment[0] == WRITING:  # half of the file is there
                os.ftruncate(name[2], os.fstat(name[2]).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    return act


def signal_at(number, count):
    """Sends a signal when the n-th step begins."""
    passed = itertools.count(1)

    def act(name):
        if name == BEFORE_A_STEP and next(passed) == count:
            os.kill(os.getpid(), number)

    return act


def content(path):
    return torch.load(path, weights_only=True)


def same(one, other):
    """Whether two trees of plain values and tensors agree to the last bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def curves(output):
    """The points in the files of TensorBoard, by the name of their curve."""
    events = EventAccumulator(str(output / "tensorboard"))
    events.Reload()
    names = events.Tags()["scalars"]
    return {name: [(p.step, p.value) for p in events.Scalars(name)] for name in names}


def assert_ended_alike(output, whole):
    for name in ("state_dict", "optimizer", "schedule"):
        assert same(content(output / CHECKPOINT)[name], content(whole / CHECKPOINT)[name]), name
    assert read_scores(output / METRICS) == read_scores(whole / METRICS)
    assert (output / "log" / "metrics.csv").read_bytes() == (
        whole / "log" / "metrics.csv"
    ).read_bytes()
    assert curves(output) == curves(whole)
    assert not list(output.glob("**/*.part"))


def test_a_whole_run_logs_every_epoch_once(whole):
    header, *rows = (whole / "log" / "metrics.csv").read_text().splitlines()
    assert header.startswith("epoch,step,loss,accuracy,softmax,triplet_global,triplet_spatial")
    steps = [tuple(map(int, row.split(",")[:2])) for row in rows]
    assert steps == [(epoch, STEPS * epoch) for epoch in range(1, EPOCHS + 1)]
    points = curves(whole)
    assert [step for step, _ in points["loss"]] == list(range(1, EPOCHS + 1))
    rates = [value for _, value in points["learning_rate"]]
    np.testing.assert_allclose(rates, [3e-4, 3e-4, 3e-4, 3e-5], rtol=1e-6)


TRAINING = [
    BEFORE_A_STEP,
    IN_A_STEP,
    (WRITING, CHECKPOINT),
    (KEPT, "checkpoint.previous.ckpt"),
    (WRITTEN, CHECKPOINT),
    (WRITING, LOG),
    (WRITTEN, LOG),
    (RENAMED, CHECKPOINT),
]
AFTER_TRAINING = [EVALUATING, (WRITING, METRICS), (WRITTEN, METRICS)]


def moments(seed):
    """11 moments: every kind once while training, in any order, then those of the end."""
    rng = np.random.default_rng(seed)
    kinds = [TRAINING[i] for i in rng.permutation(len(TRAINING))]
    # Those before the epoch's checkpoint come at the first or the second time.
    drawn = [(kind, int(rng.integers(1, 3)) if CHECKPOINT not in kind else 1) for kind in kinds]
    return [*drawn, *((kind, 1) for kind in AFTER_TRAINING)]


@pytest.mark.slow
def test_killed_at_22_moments_it_ends_with_the_same_bits(root, whole, tmp_path):
    # Two runs side by side, each killed 11 times on its way.
    outputs = [tmp_path / "one", tmp_path / "other"]
    for together in zip(moments(0), moments(1), strict=True):
        processes = [
            begin(command(root, output), kill_at(*moment))
            for output, moment in zip(outputs, together, strict=True)
        ]
        assert [status_of(process) for process in processes] == [-signal.SIGKILL] * 2, together
    for output in outputs:
        assert not (output / METRICS).exists()
        assert in_a_process(command(root, output)) == 0
        assert_ended_alike(output, whole)


def test_stopped_by_signals_it_saves_within_the_epoch_and_ends_with_the_same_bits(
    root, whole, tmp_path, capfd
):
    output = tmp_path / "stopped"
    saved = []
    # In mid-epoch twice; then in the last step of an epoch, which is ended and saved as such.
    for number, count, status in (
        (signal.SIGTERM, 3, 143),
        (signal.SIGINT, 2, 130),
        (signal.SIGTERM, 1, 143),
    ):
        assert in_a_process(command(root, output), signal_at(number, count)) == status
        saved.append(capfd.readouterr().err.strip().splitlines()[-1])
    assert saved == [
        f"stgcn train: interrupted; all up to {done} is saved in {output / CHECKPOINT}: the same "
        "command goes on there"
        for done in ("step 1 of epoch 2", "step 1 of epoch 3", "epoch 3")
    ]
    assert in_a_process(command(root, output)) == 0
    assert_ended_alike(output, whole)


def flip_a_bit(path):
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        (value,) = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([value ^ 1]))


def cut_short(path):
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.filterwarnings("default:.*going on from checkpoint.previous.ckpt")
@pytest.mark.parametrize("damage", [flip_a_bit, cut_short])
def test_a_damaged_checkpoint_is_recognised_and_the_one_before_used(
    root, whole, finished, damage, capfd
):
    settings = (finished / "config.yaml").read_text().replace(str(whole), str(finished))
    (finished / "config.yaml").write_text(settings)
    damage(finished / CHECKPOINT)
    assert in_a_process(command(root, finished)) == 0
    (warning,) = [line for line in capfd.readouterr().err.splitlines() if "warning" in line]
    assert warning.startswith(f"stgcn train: warning: {finished / CHECKPOINT}: ")
    assert warning.endswith(
        "going on from checkpoint.previous.ckpt; it is now checkpoint.damaged.ckpt"
    )
    assert_ended_alike(finished, whole)
    assert content(finished / "checkpoint.previous.ckpt")["epoch"] == EPOCHS - 1


@pytest.mark.filterwarnings("default:.*going on from checkpoint.previous.ckpt")
def test_a_run_with_nothing_left_to_do_has_its_checkpoint_back(root, whole, finished):
    settings = (finished / "config.yaml").read_text().replace(str(whole), str(finished))
    (finished / "config.yaml").write_text(settings)
    shutil.copy(finished / CHECKPOINT, finished / "checkpoint.previous.ckpt")
    cut_short(finished / CHECKPOINT)
    assert in_a_process(command(root, finished)) == 0
    assert_ended_alike(finished, whole)


def test_with_both_damaged_it_stops_and_touches_neither(root, finished, capfd):
    for path in (finished / CHECKPOINT, finished / "checkpoint.previous.ckpt"):
        cut_short(path)

    def files():
        return {path.name: path.stat().st_mtime_ns for path in finished.glob("*.ckpt")}

    before = files()
    assert in_a_process(command(root, finished)) == 2
    line = capfd.readouterr().err.strip().splitlines()[-1]
    assert f"{finished / CHECKPOINT}: no readable checkpoint" in line
    assert line.endswith("put back a copy of one")
    assert files() == before


def test_the_checkpoint_says_who_its_classes_are_and_other_people_are_refused(
    root, whole, finished, capfd
):
    described = content(whole / CHECKPOINT)["stgcn_pyg"]
    assert described["people"] == [2, 4, 6, 8]
    assert described["config"]["seed"] == 5
    assert described["version"]
    other = MarsTree(finished.parent / "other")
    for names in (other.names, other.tracks):
        names["train"].clear()
    for pid in (2, 4, 6, 10):
        for camid in (1, 2):
            other.add("train", pid, camid, frames=5)
    settings = (finished / "config.yaml").read_text().replace(str(root), str(other.write()))
    (finished / "config.yaml").write_text(settings)
    assert in_a_process(command(other.root, finished)) == 2
    assert (
        "trained on other identities than the data set now has (4 there, 4 here; 8 is in one"
        in (capfd.readouterr().err)
    )
