"""torchvision's networks without their heads."""

from collections import OrderedDict
from urllib.error import URLError

from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from stgcn_pyg.errors import UserError
from stgcn_pyg.models.backbones.weights import load_fitting, read_state, renamed_by_order

# Mean and deviation of all of torchvision's ImageNet weights.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")
OF_RESNETS = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
NAMES = (
    *RESNETS,
    "mobilenet_v2",
    *(f"efficientnet_b{number}" for number in range(8)),
    *(f"efficientnet_v2_{size}" for size in "sml"),
    *(f"convnext_{size}" for size in ("tiny", "small", "base", "large")),
)


def build(name: str) -> nn.Sequential:
    """The parts of a network in their order, by the names that they have in torchvision."""
    network = get_model(name, weights=None)
    parts = OF_RESNETS if name in RESNETS else ("features",)
    return nn.Sequential(OrderedDict((part, getattr(network, part)) for part in parts))


def load(network: nn.Sequential, name: str, weights: str | None) -> None:
    """Gives a network its initial weights, as :class:`.Backbone` names them."""
    if weights is None:
        return
    if weights == "imagenet":
        state = _downloaded(name)
    else:
        state = read_state(weights, name)
        if weights.startswith("package:"):
            state = renamed_by_order(state, network.state_dict(), weights, name)
    load_fitting(network, state, weights, name)


def layers(network: nn.Module) -> list[list[str]]:
    """Names of the parameters of each layer, from the input to the output."""
    found: dict[str, list[str]] = {}
    for name, _ in network.named_parameters():
        first, second, *_ = name.split(".")
        layer = f"features.{second}" if first == "features" else first
        found.setdefault("stem" if layer in ("conv1", "bn1") else layer, []).append(name)
    return list(found.values())


def _downloaded(name: str) -> dict[str, Tensor]:
    try:
        # The first weights of each network are those of the paper's time.
        return get_model_weights(name).IMAGENET1K_V1.get_state_dict(check_hash=True)
    except (URLError, OSError) as error:
        raise UserError(
            f"ImageNet weights for {name} cannot be downloaded ({error}): pass the path of a "
            f"torchvision state dict as weights, or null for random weights"
        ) from error
