"""Models in the format of the Hugging Face Hub, without the Hub."""

import json
import re
import subprocess
import sys

import huggingface_hub
import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn

from stgcn_pyg import STGCN
from stgcn_pyg.errors import UserError
from stgcn_pyg.models.backbones import torchvision_networks

OPTIONS = {"spatial_channels": 16, "branches": ["spatial", "global"], "temporal_layers": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """It began with weights from a file, and has others by now."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("hub") / "resnet18.safetensors"
    save_file(torchvision.models.resnet18().state_dict(), file)
    model = STGCN(5, 2, "resnet18", weights=str(file), **OPTIONS)
    file.unlink()
    model(torch.randn(4, 2, 3, 64, 32))
    return model.eval()


@pytest.fixture
def folder(model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@torch.no_grad()
def test_a_saved_model_comes_back_with_the_same_bits_ready_to_embed(model, folder):
    clips = torch.randn(2, 2, 3, 64, 32)
    back = STGCN.from_pretrained(folder)
    assert type(back) is STGCN and not back.training
    assert back.options == model.options
    assert torch.equal(back(clips).embedding, model(clips).embedding)
    assert torch.equal(back(clips).logits, model(clips).logits)


def test_its_state_dict_is_saved_as_any_other_modules(model, tmp_path):
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    back = STGCN(5, 2, "resnet18", weights=None, **OPTIONS)
    back.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert all(torch.equal(model.state_dict()[k], v) for k, v in back.state_dict().items())


def test_the_weights_that_it_began_with_are_neither_named_nor_fetched_again(
    folder, tmp_path, monkeypatch
):
    config = json.loads((folder / "config.json").read_text())
    assert config["weights"] is None
    assert (config["num_classes"], config["backbone"]) == (5, "resnet18")
    assert config["branches"] == ["spatial", "global"]
    (folder / "config.json").write_text(json.dumps(config | {"weights": "imagenet"}))
    monkeypatch.setattr(torchvision_networks, "_downloaded", None)
    STGCN.from_pretrained(folder)


@torch.no_grad()
def test_a_classifier_that_was_replaced_comes_back_or_is_refused(tmp_path):
    model = STGCN(5, 2, "resnet18", weights=None, **OPTIONS).eval()
    model.classifier = nn.Linear(model.classifier.in_features, 9)
    model.save_pretrained(tmp_path / "model")
    clips = torch.randn(2, 2, 3, 64, 32)
    assert torch.equal(STGCN.from_pretrained(tmp_path / "model")(clips).logits, model(clips).logits)
    model.classifier = nn.Sequential(model.classifier)
    with pytest.raises(UserError, match="could not be read back"):
        model.save_pretrained(tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_what_is_pushed_is_safetensors_a_config_and_an_honest_card(model, monkeypatch):
    pushed = {}

    def upload(api, *, repo_id, folder_path, **options):
        pushed.update({path.name: path.read_bytes() for path in folder_path.iterdir()})
        return repo_id

    created = type("Created", (), {"repo_id": "somebody/stgcn"})
    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", lambda api, **options: created)
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload)
    assert model.push_to_hub("stgcn") == "somebody/stgcn"
    assert pushed.keys() == {"model.safetensors", "config.json", "README.md"}
    card = huggingface_hub.ModelCard(pushed["README.md"].decode())
    assert card.data.library_name == "stgcn-pyg"
    assert card.data.license is None  # that of the weights is not ours to say
    assert "people who know" in card.text
    assert "has not said here on which data set it was trained" in card.text
    for block in re.findall(r"```python\n(.*?)```", card.text, re.DOTALL):
        compile(block, "README.md", "exec")


def test_missing_files_are_told_in_one_line(folder):
    for name in ("model.safetensors", "config.json"):
        (folder / name).unlink()
        with pytest.raises(UserError) as refused:
            STGCN.from_pretrained(folder)
        expected = f"{folder}: no {name}; pass a folder that save_pretrained wrote"
        assert str(refused.value) == expected


@pytest.mark.parametrize("fault", ["lacks a weight", "is of another width", "is cut short"])
def test_weights_that_do_not_fit_are_refused_in_one_line(folder, fault):
    path = folder / "model.safetensors"
    weights = load_file(path)
    if fault == "lacks a weight":
        del weights["classifier.bias"]
        save_file(weights, path)
    elif fault == "is of another width":
        save_file(weights | {"classifier.bias": torch.zeros(6)}, path)
    else:
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError) as refused:
        STGCN.from_pretrained(folder)
    assert str(refused.value).startswith(f"{folder}: no STGCN can be loaded from there (")
    assert "\n" not in str(refused.value)


def test_a_repository_that_cannot_be_had_is_told_in_one_line():
    with pytest.raises(UserError, match=r"^nobody/none: no STGCN can be loaded from there"):
        STGCN.from_pretrained("nobody/none", local_files_only=True)
    with pytest.raises(UserError, match="a/b/c: no such folder, and no name of a repository"):
        STGCN.from_pretrained("a/b/c")


def test_the_package_is_imported_without_it():
    code = "import sys, stgcn_pyg; assert 'huggingface_hub' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
