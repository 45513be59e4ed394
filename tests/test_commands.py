"""The commands as a user meets them."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from conftest import MarsTree, slow
from torchvision.models import get_model

from stgcn_pyg.cli import main
from stgcn_pyg.cli.arguments import NO_SETTINGS
from stgcn_pyg.cli.train import parser
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.checkpoint import write_checkpoint
from stgcn_pyg.runs.run_folder import RunFolder
from stgcn_pyg.runs.settings import RunSettings, default_settings, load_settings, preset_path
from stgcn_pyg.runs.settings_files import RENAMED, flatten, nest, renamed

pytestmark = pytest.mark.usefixtures("narrow_backbone")

TINY = """
epochs: 2
baselines: true
model: {backbone: resnet18, weights: null, num_frames: 2, spatial_channels: 16}
data:
  {height: 64, width: 32, identities_per_batch: 4, tracklets_per_identity: 2, num_workers: 0}
"""
SHORT = ("--epochs=1", "--baselines=false")


@pytest.fixture
def root(mars_tree):
    return mars_tree.write()


@pytest.fixture
def train(root, tmp_path):
    """Runs `stgcn train` on the tiny tree."""
    config = tmp_path / "tiny.yaml"
    config.write_text(TINY)

    def run(*more, data=root, output=tmp_path / "run"):
        return main(["train", "mars", str(data), f"--config={config}", f"--output={output}", *more])

    run.output = tmp_path / "run"
    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a data set and of a run on it; not to be altered."""
    folder = tmp_path_factory.mktemp("finished")
    root = MarsTree(folder / "mars").write()
    (folder / "tiny.yaml").write_text(TINY)
    config = f"--config={folder / 'tiny.yaml'}"
    assert main(["train", "mars", str(root), config, f"--output={folder / 'run'}", *SHORT]) == 0
    return folder


@pytest.fixture
def train_again(train, finished, tmp_path):
    """Runs `stgcn train` once more where such a run is finished."""
    shutil.copytree(finished / "run", train.output)
    config = train.output / "config.yaml"
    config.write_text(config.read_text().replace(str(finished), str(tmp_path)))

    def run(*more):
        return train(*SHORT, *more)

    run.output = train.output
    return run


def settings_of(*arguments):
    """The settings that `stgcn train` makes of its arguments."""
    return RunSettings.of(parser().parse_args(arguments).as_dict())


OLD_CONFIG = """
dataset: ward
root: data/ward
output: runs/ward1
split: 0
seed: 0
epochs: 2
precision: 32-true
accelerator: auto
tf32: true
look_every: 50
checkpoint_every: 1
validation_share: 0.0
validation_every: 10
sync_batch_norm: true
weights_from: null
pack: null
on_bad_frame: stop
baselines: false
model:
  num_frames: 4
  backbone: resnet18
  weights: null
  temporal_layers: 3
  spatial_layers: 2
  temporal_patches: 4
  spatial_patches: 4
  branches:
  - global
  - temporal
  - spatial
  temporal_propagation: gcn
  spatial_propagation: gcn
  spatial_channels: 256
  spatial_hidden_channels: null
  spatial_weights: per-frame
  spatial_shortcut: true
  affinity: squared
  embedding: normalized
data:
  height: 64
  width: 32
  people_per_batch: 8
  tracklets_per_person: 2
  train_frames: restricted
  stride: 8
  flip: 0.5
  shift: 0.0
  zoom: 0.0
  colour: 0.0
  erase: 0.0
  brightness: 0.0
  contrast: 0.0
  saturation: 0.0
  augment: clip
  test_clips: all
  clips_per_test_batch: 32
  min_frames: 1
  num_workers: 1
training:
  margin: soft
  learning_rate: 0.0003
  weight_decay: 0.0005
  decay_epochs: 200
  decay_factor: 0.1
  compile: auto
  channels_last: true
  fused: true
  micro_batches: 1
  recompute: false
"""
"""What version 0.1.0 wrote into a run's folder."""


def error_line(capsys):
    """The one line of an error; there must be no other."""
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_help_answers_without_loading_torch():
    command = [sys.executable, "-X", "importtime", "-m", "stgcn_pyg.cli", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in ("synth", "check", "pack", "train", "evaluate"))
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "stgcn_pyg.cli" in imported
    assert not imported & {"torch", "numpy", "pandas", "jsonargparse"}


@pytest.mark.parametrize("name", ["synth", "check", "pack", "train", "evaluate"])
def test_every_command_has_help_with_an_example(name, capsys):
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    assert "Example" in shown
    assert f"stgcn {name}" in shown
    assert not re.search(r"--\w*_", shown)  # options are shown as the pages write them


def test_train_writes_a_run_and_evaluate_reads_it(train, tmp_path, capsys):
    assert train(f"--json={tmp_path / 'copy.json'}") == 0
    printed = capsys.readouterr().out
    written = {path.name for path in train.output.iterdir()}
    assert {"checkpoint.ckpt", "config.yaml", "metrics.json", "log", "tensorboard"} <= written
    metrics = json.loads((train.output / "metrics.json").read_text())
    assert metrics == json.loads((tmp_path / "copy.json").read_text())
    del metrics["about"]
    assert list(metrics) == ["mars-official", "full-gallery", "query-free"]
    for rows in metrics.values():
        assert list(rows) == ["chance", "colour stripes", "untrained", "trained"]
    for row, result in metrics["mars-official"].items():
        assert f"{row}" in printed
        assert f"{100 * result['mAP']:.1f}" in printed
    assert str(train.output) in printed

    assert main(["evaluate", str(train.output), f"--json={tmp_path / 'again.json'}"]) == 0
    again = json.loads((tmp_path / "again.json").read_text())
    trained = again["mars-official"]["trained"]
    assert trained.pop("intervals")["num_queries"] == trained["num_queries"]
    assert trained == metrics["mars-official"]["trained"]


def test_evaluate_takes_another_data_set(finished, mars_tree, tmp_path):
    mars_tree.root = tmp_path / "other"
    mars_tree.add("test", 5, 2, frames=3)
    other = mars_tree.write()
    json_path = tmp_path / "other.json"
    assert main(["evaluate", str(finished / "run"), f"--root={other}", f"--json={json_path}"]) == 0
    result = json.loads(json_path.read_text())["mars-official"]["trained"]
    assert result["num_gallery"] == 7


def test_presets_are_readable_and_paper_is_section_4_2():
    given = {"dataset": "mars", "root": "data"}
    presets = {
        name: load_settings([preset_path(name)], given)
        for name in ("finetune", "paper", "small", "strong")
    }
    assert presets["paper"].flat().items() >= {
        "model.backbone": "resnet50", "model.weights": "imagenet", "model.num_frames": 8,
        "model.temporal_layers": 3, "model.temporal_patches": 4,
        "model.spatial_layers": 2, "model.spatial_patches": 4,
        "data.height": 256, "data.width": 128, "data.flip": 0.5, "data.erase": 0, "data.colour": 0,
        "data.identities_per_batch": 16, "data.tracklets_per_identity": 4,
        "training.learning_rate": 3e-4, "epochs": 800,
        "training.decay_epochs": 200, "training.decay_factor": 0.1,
    }.items()  # fmt: skip


def test_the_written_config_repeats_the_run(train, tmp_path, capsys):
    assert train("--seed=3") == 0
    config = yaml.safe_load((train.output / "config.yaml").read_text())
    assert config["seed"] == 3
    assert config["model"]["temporal_layers"] == 3
    other = tmp_path / "other"
    config_path = train.output / "config.yaml"
    assert main(["train", f"--config={config_path}", f"--output={other}"]) == 0
    first, second = (
        torch.load(run / "checkpoint.ckpt", weights_only=True)["state_dict"]
        for run in (train.output, other)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)


NAMES = [
    "1", "null", "true", "1e3", "2024-01-01", "[x]", "with a space", "~", "-x", "it's", '"quoted"',
    "ünïcode", "{a: 1}", "#x", "a: b", "&x", "*x", "!x", "1:30", "0x1F", "no", "x,y",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_written_config_gives_the_same_settings_whatever_folders_are_called(
    name, tmp_path, monkeypatch
):
    own = [f"--output={name}", f"--pack=packs/{name}", f"--model.weights={name}.pth"]
    given = settings_of(*own, "mars", "--", name)
    assert (given.root, given.output) == (Path(name), Path(name))
    monkeypatch.chdir(tmp_path)
    RunFolder(given).write()
    stored = tmp_path / name / "config.yaml"
    assert settings_of(f"--config={stored}") == load_settings([stored]) == given
    RunFolder(given)  # the same run


@pytest.mark.parametrize("name", ["-x", slow("1e3"), slow("null"), slow("[x]")])
def test_a_run_is_repeated_from_its_config_whatever_folders_are_called(
    train, root, name, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    root.rename(tmp_path / name)
    short = ["--epochs=1", "--baselines=false", f"--output=runs/{name}"]
    config = f"--config={tmp_path / 'tiny.yaml'}"
    (tmp_path / "tiny.yaml").write_text(TINY)
    assert main(["train", config, *short, "mars", "--", name]) == 0
    again = [f"--config=runs/{name}/config.yaml", f"--output=again/{name}"]
    assert main(["train", *again]) == 0
    first, second = (
        torch.load(f"{place}/{name}/checkpoint.ckpt", weights_only=True)["state_dict"]
        for place in ("runs", "again")
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert main(["evaluate", f"again/{name}", "--num-workers=0"]) == 0


def test_the_same_command_again_goes_on_and_another_is_refused(train, capsys):
    assert train() == 0
    before = (train.output / "metrics.json").read_text()
    assert train() == 0
    assert (train.output / "metrics.json").read_text() == before
    capsys.readouterr()
    assert train("--model.temporal-layers=2") == 2
    line = error_line(capsys)
    assert "holds another run (model.temporal_layers is 3 there, 2 here)" in line
    assert (train.output / "metrics.json").read_text() == before
    config = yaml.safe_load((train.output / "config.yaml").read_text())
    assert config["model"]["temporal_layers"] == 3


def test_a_run_of_version_0_1_0_is_found_again_from_its_config_and_from_its_command(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    stored = tmp_path / "runs" / "ward1" / "config.yaml"
    stored.parent.mkdir(parents=True)
    stored.write_text(OLD_CONFIG)
    command = [
        "ward", "data/ward", "--epochs=2", "--output=runs/ward1", "--model.backbone=resnet18",
        "--model.weights=null", "--model.num-frames=4", "--data.height=64", "--data.width=32",
        "--data.identities-per-batch=8", "--data.tracklets-per-identity=2", "--data.num-workers=1",
        "--training.margin=soft",
    ]  # fmt: skip
    settings = settings_of(*command)
    assert settings == load_settings([stored]) == settings_of(f"--config={stored}")
    # Settings that later versions added have their defaults, which change nothing.
    there = {k: v for k, v in default_settings().items() if k.startswith(("model.", "training."))}
    expected = nest(there | renamed(flatten(yaml.safe_load(OLD_CONFIG))))
    assert settings.nested() == expected
    assert expected["data"]["identities_per_batch"] == 8
    RunFolder(settings)  # the same run


def test_a_setting_is_known_by_its_former_name_wherever_it_is_given(tmp_path, monkeypatch):
    monkeypatch.setitem(RENAMED, "data.picture_height", "data.height")
    monkeypatch.setitem(RENAMED, "max_epochs", "epochs")
    stored = tmp_path / "config.yaml"
    stored.write_text("max_epochs: 3\ndata: {picture_height: 64}\n")
    given = {"dataset": "mars", "root": "data"}
    by_option = settings_of("mars", "data", "--max-epochs=3", "--data.picture-height", "64")
    assert by_option == settings_of("mars", "data", f"--config={stored}")
    assert by_option == load_settings([stored], given)
    assert by_option == load_settings([], given | {"max_epochs": 3, "data.picture_height": 64})
    assert (by_option.epochs, by_option.data["height"]) == (3, 64)


def test_how_a_run_computes_may_change_and_what_it_computes_may_not(tmp_path):
    def open_folder(*more):
        RunFolder(settings_of("mars", "data", f"--output={tmp_path / 'run'}", *more)).write()

    open_folder()
    free = ["compile=off", "channels_last=false", "fused=false", "activation_checkpointing=true"]
    open_folder("--finite_check_every=1", *(f"--training.{option}" for option in free))
    open_folder("--data.min_frames=2")  # the default of older versions
    open_folder("--data.clips-per-test-batch=16")
    for other in ("--training.micro_batches=2", "--tf32=false"):
        with pytest.raises(UserError, match="holds another run"):
            open_folder(other)
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    for name in ("compile", "channels_last", "fused", "activation_checkpointing", "micro_batches"):
        del config["training"][name]  # as older versions wrote it
    del config["tf32"], config["finite_check_every"]
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(config))
    open_folder()


def test_a_preset_is_overridden_wherever_it_stands(train):
    small = ["--preset", "small", "--data.num-workers=0", "--baselines=false"]
    assert train("--epochs=1", "--data.identities_per_batch=3", *small) == 0
    config = yaml.safe_load((train.output / "config.yaml").read_text())
    assert config["epochs"] == 1
    assert config["data"]["identities_per_batch"] == 3
    assert config["data"]["height"] == 64  # of the fixture's --config
    assert config["training"]["decay_epochs"] == 62  # of the preset


def test_a_folder_that_is_no_run_is_left_alone(train, capsys):
    train.output.mkdir()
    (train.output / "thesis.txt").write_text("precious")
    assert train() == 2
    assert "holds something that is no run" in error_line(capsys)
    assert [path.name for path in train.output.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--data.identities-per-batch=5"], "there are 4 identities to train on, fewer than"),
        (["--model.branches=[globe]"], "--model: branches must be one or more of"),
        (["--model.backbone=vgg"], "backbone 'vgg' is unknown"),
        (["--model.weights=absent.pth"], "weights absent.pth: no such file"),
        (
            ["--model.temporal_layers=many"],
            "--model.temporal-layers many: pass a whole number (see",
        ),
        (["--modle.temporal_layers=3"], "modle"),
        (["--num_workers=0"], "--num-workers=0: did you mean --data.num-workers? (see `stgcn"),
        (["--preset=papper"], "preset 'papper' is unknown: use finetune, paper, small"),
        (["--pres=small"], "--pres=small: did you mean --preset? (see `stgcn train"),
        (["--model.backb=resnet18"], "did you mean --model.backbone? (see `stgcn train"),
        *(([option], "expected one argument") for option in ("--preset", "--preset=", "--config=")),
        (["--training.margin=hard"], "--training.margin hard: pass a finite number, or soft (see"),
        (
            ["--model.branches=global"],
            "--model.branches global: pass a list of words, as in [A, B]",
        ),
        (["--model.neck=bn"], "--model.neck bn: pass none or bnneck"),
        (["--model=resnet18"], "--model resnet18: pass its settings by name"),
        (["--model.weights=none"], "no such file; pass a file, imagenet, or null for random ones"),
        (["--model.temporal-patches=0"], "temporal_patches=0: pass a whole number of at least 1"),
        (["--data.num-workers=-1"], "num_workers=-1: pass a whole number of at least 0"),
        (["--data.clips-per-test-batch=0"], "clips_per_test_batch=0: pass a whole number of at"),
        ([f"--seed={2**64}"], "seed=18446744073709551616: pass a whole number from 0 to"),
        ([f"--output={'x' * 300}"], "x: cannot be written (File name too long)"),
        ([f"--weights-from={'x' * 300}"], "x: its name is too long"),
        (["--config=absent.yaml"], "absent.yaml"),
        (["--epochs=0"], "--epochs 0: pass a whole number above 0"),
        (["--data.height=32"], "feature maps of 2 x 2, too few rows for 4 patches"),
        (["--data.min_frames=4"], "fewer than min_frames=4"),
    ],
)
def test_a_wrong_option_is_told_in_one_line_and_nothing_is_written(train, more, words, capsys):
    assert train(*more) == 2
    line = error_line(capsys)
    assert line.startswith("stgcn train: error: ")
    assert words in line
    assert not train.output.exists()


@pytest.mark.parametrize("content", [b"", b"- epochs\n", b"epochs\n", b"\xff\xfee\0p\0"])
def test_a_file_without_settings_is_told_in_one_line(root, tmp_path, content, capsys):
    file, output = tmp_path / "mine.yaml", tmp_path / "run"
    file.write_bytes(content)
    for option in ([f"--config={file}"], ["--config", str(file)]):
        assert main(["train", "mars", str(root), *option, f"--output={output}"]) == 2
        assert f"--config {file}: holds no settings: pass a YAML file" in error_line(capsys)
    assert not output.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        *((f"{name}: x", f"{name} is no setting: pass it as --{name}") for name in NO_SETTINGS),
        ("data:\n\theight: 3", "line 2 is no YAML (found character '\\t' that cannot start any"),
        ("data: 3\ndata.height: 96", "data is 3: pass its settings by name"),
        ("data.height: 96\ndata: 3", "data is 3: pass its settings by name"),
        ("model: resnet18", "model is 'resnet18': pass its settings by name"),
        ("epochs: 3\nepochs.x: 4", "epochs is 3 already: leave one of them out"),
        ("model: {branches: null}", "model.branches is null: pass a value, or leave it out for"),
        ("seed: null", "seed is null: pass a value, or leave it out for 0"),
    ],
)
@pytest.mark.parametrize("command", ["train", "plan"])
def test_a_file_of_wrong_settings_is_told_in_one_line(command, tmp_path, content, words, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    assert main([command, "mars", "data", f"--config={file}", f"--output={tmp_path / 'run'}"]) == 2
    assert words in error_line(capsys)
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_in_the_place_of_its_settings_is_told_in_one_line(tmp_path, capsys):
    assert main(["train", "mars", "data", f"--config={tmp_path}"]) == 2
    words = f"--config {tmp_path}: is a folder: pass a file, such as {tmp_path}/config.yaml"
    assert words in error_line(capsys)


def test_an_empty_section_of_a_file_leaves_its_settings_at_their_defaults(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("data:\n# height: 96\nepochs: 1\nmodel:\nmodel.num_frames: 3\n")
    expected = settings_of("mars", "data", "--epochs=1", "--model.num_frames=3")
    assert settings_of("mars", "data", f"--config={file}") == expected
    assert load_settings([file], {"dataset": "mars", "root": "data", "training": None}) == expected


def test_only_what_may_be_left_out_may_be_null():
    settings = load_settings([], {"dataset": "mars", "root": "data"}).nested()
    for name, default in default_settings().items():
        changed = nest(flatten(settings) | {name: None})
        if default is None or name == "model.weights":
            assert RunSettings.of(changed).flat()[name] is None
        else:
            with pytest.raises(UserError, match=f"{name} is null: pass a value"):
                RunSettings.of(changed)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["search", "g", "q", "--threshold=-1"], "--threshold -1: pass a number of at least 0 ("),
        (["search", "g", "q", "--after=nan"], "--after nan: pass a finite number ("),
        (["search", "g", "q", "--fpr=2"], "--fpr 2: pass a number above 0 and below 1 ("),
        (["search", "g", "q", "--parts=x"], "--parts x: pass query or all ("),
        (["search", "g", "q", "--thresh=1"], "did you mean --threshold? ("),
        (["export", "r", "--tolerance=x"], "--tolerance x: pass a number above 0 and of at most 2"),
        (["evaluate", "r", "--thresholds", "x"], "--thresholds x: pass a number of at least 0 ("),
        (["tracklets", "v", "t", "o", "--first-frame=1.5"], "--first-frame 1.5: pass a whole"),
    ],
)
def test_a_value_of_another_type_is_told_with_what_to_pass(arguments, words, capsys):
    assert main(arguments) == 2
    assert words in error_line(capsys)


def test_a_wrong_root_is_told_in_one_line_and_nothing_is_written(train, tmp_path, capsys):
    assert train(data=tmp_path / "absent") == 2
    assert f"{tmp_path / 'absent'}: no such folder" in error_line(capsys)
    assert not train.output.exists()


def test_a_truncated_picture_in_mid_training_is_named(train, root, capsys):
    path = next((root / "bbox_train" / "0002").glob("*F003.jpg"))
    path.write_bytes(path.read_bytes()[:300])
    assert train("--epochs=20", "--baselines=false", "--data.num_workers=1") == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.endswith(
        f"error: {path}: truncated or no image; `stgcn check` finds all that are bad"
    )


class Payload:
    def __reduce__(self):
        return (print, ("code from a checkpoint",))


def test_a_checkpoint_that_is_none_is_refused(tmp_path, capsys):
    path = tmp_path / "checkpoint.ckpt"
    for content, words in (
        (None, "does not exist"),
        (b"not a checkpoint", "no readable checkpoint"),
        (b"", "no readable checkpoint"),
        (get_model("resnet18").state_dict(), "not written by `stgcn train`"),
        (Payload(), "no readable checkpoint of plain tensors and values"),
    ):
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            torch.save(content, path)
        assert main(["evaluate", str(path)]) == 2
        captured = capsys.readouterr()
        assert words in captured.err
        assert str(path) in captured.err
        assert len(captured.err.strip().splitlines()) == 1
        assert "code from" not in captured.out


def test_a_checkpoint_of_another_architecture_is_refused(train_again, capsys):
    path = train_again.output / "checkpoint.ckpt"
    content = torch.load(path, weights_only=True)
    content["stgcn_pyg"]["model"]["temporal_layers"] = 4
    write_checkpoint(path, content)
    assert main(["evaluate", str(path)]) == 2
    assert "holds the weights of another architecture than it says" in error_line(capsys)


def test_a_damaged_checkpoint_is_not_trained_on(train_again, capsys):
    path = train_again.output / "checkpoint.ckpt"
    damaged = path.read_bytes()[:5000]
    path.write_bytes(damaged)
    assert train_again() == 2
    line = error_line(capsys)
    assert f"{path}: no readable checkpoint of plain tensors and values, and there is none" in line
    assert path.read_bytes() == damaged


def test_a_checkpoint_with_code_in_it_is_not_trained_on(train_again, capsys):
    torch.save({"state_dict": Payload()}, train_again.output / "checkpoint.ckpt")
    assert train_again() == 2
    captured = capsys.readouterr()
    assert "no readable checkpoint of plain tensors and values" in captured.err
    assert "code from" not in captured.out


def test_a_run_of_an_older_version_goes_on_if_its_new_options_are_at_their_defaults(
    train_again, capsys
):
    path = train_again.output / "config.yaml"
    whole = yaml.safe_load(path.read_text())
    older = {key: value for key, value in whole.items() if key != "validation_share"}
    older["data"] = {key: value for key, value in whole["data"].items() if key != "contrast"}
    path.write_text(yaml.safe_dump(older))
    assert train_again("--data.contrast=0.1") == 2
    assert "holds another run (data.contrast is 0.0 there, 0.1 here)" in error_line(capsys)
    assert train_again() == 0
    assert yaml.safe_load(path.read_text()) == whole


@pytest.mark.parametrize("content", ["seed: [3", "", "\0\1"])
def test_damaged_settings_are_told_in_one_line(train, content, capsys):
    train.output.mkdir()
    path = train.output / "config.yaml"
    path.write_text(content)
    assert train() == 2
    assert error_line(capsys) == (
        f"stgcn train: error: {path}: damaged (no YAML of settings): put back a copy, or choose "
        "another --output"
    )
    assert path.read_text() == content


def test_a_folder_with_settings_that_were_cut_short_is_begun_anew(train):
    train.output.mkdir()
    (train.output / "config.yaml.part").write_text("dataset: ma")
    assert train(*SHORT) == 0
    assert not (train.output / "config.yaml.part").exists()


def test_unknown_commands_are_named(capsys):
    assert main(["trian"]) == 2
    assert (
        "command 'trian' is unknown: use one of synth, tracklets, check, pack, plan, train"
        in error_line(capsys)
    )
