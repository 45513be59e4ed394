"""The recipe's options: losses, neck, optimiser and schedule against formulas written otherwise."""

import math

import pytest
import torch
import torch.nn.functional as F
from narrow import narrow
from torch import nn

from stgcn_pyg import STGCN
from stgcn_pyg.data.datamodule import ClipBatch
from stgcn_pyg.errors import UserError
from stgcn_pyg.losses import CentreLoss, stgcn_losses
from stgcn_pyg.runs.training import STGCNTraining


@pytest.fixture(autouse=True)
def narrow_backbone():
    with narrow():
        yield


def network(**options):
    torch.manual_seed(0)
    small = {"spatial_channels": 16, "temporal_patches": 2, "spatial_patches": 2}
    return STGCN(5, 2, "resnet18", None, **small, **options)


def batch():
    torch.manual_seed(1)
    return ClipBatch(torch.randn(4, 2, 3, 32, 32), torch.tensor([0, 0, 3, 3]))


def test_the_neck_lies_between_features_and_classifier():
    model = network(neck="bnneck").eval()
    model.neck.running_mean.uniform_(-1, 1)
    model.neck.running_var.uniform_(0.5, 2)
    model.neck.weight.data.uniform_(0.5, 2)
    with torch.no_grad():
        output = model(batch().clips)
    joined = torch.cat(list(output.features.values()), dim=1).double()
    neck = model.neck
    behind = (joined - neck.running_mean) / (neck.running_var.double() + neck.eps).sqrt()
    behind = behind * neck.weight
    logits = behind @ model.classifier.weight.double().T
    torch.testing.assert_close(output.logits.double(), logits, rtol=1e-5, atol=1e-5)
    start, parts = 0, []
    for feature in output.features.values():
        part = behind[:, start : start + feature.size(1)]
        parts.append(part / part.norm(dim=1, keepdim=True))
        start += feature.size(1)
    expected = torch.cat(parts, dim=1)
    torch.testing.assert_close(output.embedding.double(), expected, rtol=1e-5, atol=1e-6)
    assert model.classifier.bias is None
    assert not model.neck.bias.requires_grad


def test_without_a_neck_nothing_changes():
    model = network().eval()
    output = model(batch().clips)
    joined = torch.cat(list(output.features.values()), dim=1)
    torch.testing.assert_close(output.logits, model.classifier(joined), rtol=0, atol=0)
    assert not [name for name in model.state_dict() if name.startswith("neck")]


def test_smoothed_labels_follow_the_formula():
    logits, labels = torch.randn(6, 5), torch.randint(5, (6,))
    _, terms = stgcn_losses({}, logits, labels, label_smoothing=0.1)
    expected = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        total = sum(math.exp(value) for value in row)
        for cls, value in enumerate(row):
            target = 0.1 / 5 + (0.9 if cls == label else 0.0)
            expected -= target * (value - math.log(total)) / 6
    assert terms["softmax"].item() == pytest.approx(expected, rel=1e-5)


def test_centres_move_as_in_the_paper():
    loss = CentreLoss(num_classes=4, width=3, rate=0.5)
    torch.manual_seed(2)
    loss.centres.normal_()
    before = loss.centres.clone()
    features, labels = torch.randn(5, 3, requires_grad=True), torch.tensor([0, 2, 2, 2, 0])
    found = loss(features, labels)
    expected, centres = 0.0, before.clone()
    for cls in range(4):
        of_class = [f for f, y in zip(features.detach(), labels.tolist(), strict=True) if y == cls]
        for feature in of_class:
            expected += float(((feature - before[cls]) ** 2).sum()) / 2 / 5
            centres[cls] -= 0.5 * (before[cls] - feature) / (1 + len(of_class))
    assert found.item() == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(loss.centres, centres)
    (gradient,) = torch.autograd.grad(found, features)
    torch.testing.assert_close(gradient, (features.detach() - before[labels]) / 5)
    still = loss.eval().centres.clone()
    loss(features, labels)
    assert torch.equal(loss.centres, still)


def test_the_centre_loss_is_weighed_in():
    model = network()
    plain, weighed = STGCNTraining(model), STGCNTraining(model, centre_loss=0.01)
    first, second = plain(batch()), weighed(batch())
    assert set(second) - set(first) == {"centre"}
    expected = first["loss"] + 0.01 * second["centre"]
    torch.testing.assert_close(second["loss"], expected, rtol=1e-5, atol=1e-5)
    assert "centres.centres" in weighed.state_dict()


def rates(epochs, **options):
    module = STGCNTraining(network(), learning_rate=0.5, **options)
    optimizer, schedule = module.build_optimizer(epochs)
    found = []
    for _ in range(epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_the_papers_schedule_is_the_default():
    expected = [0.5] * 3 + [0.05] * 3 + [0.005]
    assert rates(7, decay_epochs=3) == pytest.approx(expected)


def test_warm_up_and_cosine_are_those_of_pytorch():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)
    expected = []
    for _ in range(8):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates(8, decay="cosine") == pytest.approx(expected)
    risen = rates(11, decay="cosine", warmup_epochs=3)
    assert risen == pytest.approx([0.125, 0.25, 0.375, *expected])
    assert rates(7, decay_epochs=3, warmup_epochs=2)[:4] == pytest.approx(
        [0.5 / 3, 1 / 3, 0.5, 0.05]
    )


def test_each_layer_learns_at_its_own_rate():
    module = STGCNTraining(
        network(), learning_rate=0.5, backbone_learning_rate=0.1, layer_decay=0.5
    )
    optimizer, _ = module.build_optimizer(epochs=1)
    by_weight = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    found = {name: by_weight[id(p)] for name, p in module.model.named_parameters()}
    assert len(by_weight) == len(found)  # each of them once
    layers = ["layer4", "layer3", "layer2", "layer1", "conv1"]
    for name, rate in found.items():
        behind = [i for i, layer in enumerate(layers) if f"backbone.{layer}." in name]
        if "backbone.bn1" in name:
            behind = [4]
        assert rate == pytest.approx(0.1 * 0.5 ** behind[0] if behind else 0.5), name


def test_one_rate_keeps_one_group_in_todays_order():
    module = STGCNTraining(network())
    (group,) = module.build_optimizer(epochs=1)[0].param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in module.model.parameters()]


def test_adamw_is_pytorchs():
    module = STGCNTraining(network(), optimizer="adamw", weight_decay=0.05)
    optimizer, _ = module.build_optimizer(epochs=1)
    assert type(optimizer) is torch.optim.AdamW
    assert optimizer.param_groups[0]["weight_decay"] == 0.05


def test_frozen_parts_stay_in_a_step():
    module = STGCNTraining(network(), frozen_layers=3, frozen_batch_norm=True).train()
    before = {name: value.clone() for name, value in module.model.state_dict().items()}
    optimizer, _ = module.build_optimizer(epochs=1)
    module(batch())["loss"].backward()
    optimizer.step()
    changed = {n for n, v in module.model.state_dict().items() if not torch.equal(v, before[n])}
    norms = {n for n, m in module.model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert not {name for name in changed if name.rpartition(".")[0] in norms}
    assert not {n for n in changed if n.startswith(("backbone.conv1", "backbone.layer1"))}
    assert {n.split(".")[1] for n in changed if n.startswith("backbone.")} == {"layer3", "layer4"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"label_smoothing": 1.0},
            "label_smoothing=1.0: pass a share from 0 up to, but not including, 1",
        ),
        ({"centre_loss": -1}, "centre_loss=-1: pass a number of at least 0"),
        ({"optimizer": "sgd"}, "optimizer='sgd' is unknown: use adam, adamw"),
        ({"decay": "linear"}, "decay='linear' is unknown: use step, cosine"),
        ({"warmup_epochs": -1}, "warmup_epochs=-1: pass a whole number of at least 0"),
        ({"frozen_layers": 9}, "frozen_layers=9: the backbone has 5 layers"),
        ({"layer_decay": 0}, "layer_decay=0: pass a number above 0"),
        ({"backbone_learning_rate": math.nan}, "backbone_learning_rate=nan: pass a finite number"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        STGCNTraining(network(), **options)


def test_compiling_and_recomputing_a_network_of_timm_are_not_combined():
    model = STGCN(5, 2, "timm/mobilenetv2_100", None)
    with pytest.raises(UserError, match="go together with backbones of torchvision alone"):
        STGCNTraining(model, activation_checkpointing=True, compile="on")
    module = STGCNTraining(model, activation_checkpointing=True)
    assert module.compiled_forward.compile == "off"


def test_an_unknown_neck_is_refused():
    with pytest.raises(UserError, match="neck='bn' is unknown: use none, bnneck"):
        network(neck="bn")


def test_label_smoothing_is_pytorchs():
    logits, labels = torch.randn(6, 5), torch.randint(5, (6,))
    _, terms = stgcn_losses({}, logits, labels, label_smoothing=0.2)
    assert terms["softmax"] == F.cross_entropy(logits, labels, label_smoothing=0.2)
