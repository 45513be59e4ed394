"""Steps of real trainings on a fake GPU: all types are right, and nothing waits for the device."""

from importlib.util import find_spec

import pytest
import torch
from fake_gpu import OnFakeGPU, network, train
from training_data import batches, dataset_in

pytestmark = pytest.mark.usefixtures("shapes_unchecked", "narrow_backbone")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return dataset_in(tmp_path_factory.mktemp("cuda"))


MOVES = {"shift": 0.1, "zoom": 0.1, "erase": 0.5}
COLOURS = {"colour": 0.1, "brightness": 0.1, "contrast": 0.1, "saturation": 0.1}
VIT = "timm/test_vit"
# The options of the network, of the training and of the data.
CASES = {
    "the paper's": ({}, {}, {}),
    "contiguous maps": ({}, {"channels_last": False}, {}),
    "every change": ({}, {}, MOVES | COLOURS),
    "every change, by frame": ({}, {}, {"augment": "frame", **MOVES, **COLOURS}),
    "soft margin": ({}, {"margin": "soft"}, {}),
    "recomputed": ({}, {"activation_checkpointing": True}, {}),
    "in parts": ({}, {"micro_batches": 2}, {}),
    "in parts, recomputed": ({}, {"micro_batches": 2, "activation_checkpointing": True}, {}),
    "softmax, mean": ({"affinity": "softmax", "pooling": "mean"}, {}, {}),
    "cosine": ({"affinity": "cosine", "spatial_weights": "shared"}, {}, {}),
    "fully connected": ({"temporal_propagation": "fc", "spatial_propagation": "fc"}, {}, {}),
    "one branch": ({"branches": ["temporal"], "embedding": "temporal"}, {}, {}),
    "bnneck, centres": ({"neck": "bnneck"}, {"centre_loss": 0.01, "label_smoothing": 0.1}, {}),
    "adamw, by layer": (
        {},
        {"optimizer": "adamw", "layer_decay": 0.7, "warmup_epochs": 2, "decay": "cosine"},
        {},
    ),
    "frozen": ({}, {"frozen_layers": 2, "frozen_batch_norm": True}, {}),
    "mobilenet": ({"backbone": "mobilenet_v2"}, {}, {"height": 64, "width": 32}),
    "vit": ({"backbone": VIT, "image_size": (32, 16)}, {}, {}),
    "vit, recomputed": (
        {"backbone": VIT, "image_size": (32, 16), "neck": "bnneck"},
        {"activation_checkpointing": True, "optimizer": "adamw"},
        {},
    ),
}
BOTH = {"the paper's", "contiguous maps", "every change", "recomputed", "vit"}
needs_timm = pytest.mark.skipif(find_spec("timm") is None, reason="timm is not installed")


def cases():
    found = []
    for name, (of_network, of_training, of_data) in CASES.items():
        marks = [needs_timm] if "timm" in of_network.get("backbone", "") else []
        for precision in ("bf16-mixed", "32-true") if name in BOTH else ("bf16-mixed",):
            options = of_network, of_training, of_data, precision
            found.append(pytest.param(*options, id=f"{name}, {precision}", marks=marks))
    return found


@pytest.mark.parametrize(("of_network", "of_training", "of_data", "precision"), cases())
def test_no_step_waits_for_the_device(
    dataset, tmp_path, of_network, of_training, of_data, precision
):
    module = OnFakeGPU(network(**of_network), **of_training)
    train(module, batches(dataset, **of_data), tmp_path, epochs=1, precision=precision)
    # Clips, labels and the numbers of the changes are copied while the device computes.
    assert module.by_step() == [([], 3)] * module.steps
    check_types(module, precision, of_training.get("channels_last", True))


def check_types(module, precision, channels_last):
    narrow = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
    assert module.output.logits.dtype == narrow
    assert {value.dtype for value in module.terms.values()} == {torch.float32}
    backbone = module.model.backbone
    if not hasattr(backbone, "network"):  # the last norm of a transformer gives float32
        assert module.maps.dtype == narrow
    if precision == "32-true" and not hasattr(backbone, "network"):
        # Of bfloat16, PyTorch asks the GPU that is not there whether cuDNN takes it.
        last = module.maps.is_contiguous(memory_format=torch.channels_last)
        assert last == channels_last
    trained = [p for p in module.model.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in trained)
    values = [*module.state_dict().values(), *(p.grad for p in trained)]
    assert {value.device.type for value in values} == {"cuda"}
    assert {v.dtype for v in values if v.is_floating_point()} == {torch.float32}


def test_the_looks_read_and_are_seen(dataset, tmp_path):
    module = OnFakeGPU(network(), steps=3)
    train(module, batches(dataset), tmp_path, epochs=1, finite_check_every=2)
    (first, _), (second, _), (third, _) = module.by_step()
    assert first == third == []
    # Whether all was finite; then what is logged.
    assert second[0].startswith("_local_scalar_dense < finite_checks.py")
    assert all(read.startswith("_local_scalar_dense < log.py") for read in second[1:])
    assert len(second) == 1 + 2 * len(module.terms)


def test_an_optimiser_that_is_not_fused_waits_once_a_step(dataset, tmp_path):
    module = OnFakeGPU(network(), fused=False)
    train(module, batches(dataset), tmp_path, epochs=1)
    for found, _ in module.by_step():
        (read,) = found
        assert read.startswith("_local_scalar_dense < finite_checks.py")
