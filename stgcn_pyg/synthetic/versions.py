"""Named versions of the benchmark, which never change."""

from dataclasses import dataclass
from typing import Any

from stgcn_pyg.errors import UserError


@dataclass(frozen=True)
class Version:
    """A benchmark with a name and the hashes of its plan and of all that it holds."""

    name: str  # as `stgcn synth --name` takes it
    options: dict[str, Any]  # all arguments of `write_benchmark` that change what is drawn
    plan_sha256: str
    manifest_sha256: str


_V1 = {
    "train_people": 128,
    "test_people": 128,
    "cameras": 6,
    "cameras_per_person": 4,
    "tracklets_per_camera": 2,
    "frames": (16, 40),
    "look_alikes": 4,
    "occlusion": 0.3,
    "clutter": 0.5,
    "distractors": 200,
    "junk": 60,
    "height": 256,
    "width": 128,
    "quality": 92,
    "seed": 1,
}
_SMALL = _V1 | {
    "train_people": 32,
    "test_people": 32,
    "cameras": 4,
    "cameras_per_person": 3,
    "frames": (12, 20),
    "distractors": 40,
    "junk": 12,
    "seed": 2,
}
_TINY = _V1 | {
    "train_people": 8,
    "test_people": 8,
    "cameras": 3,
    "cameras_per_person": 2,
    "frames": (6, 8),
    "distractors": 4,
    "junk": 3,
    "height": 128,
    "width": 64,
    "seed": 3,
}

PINNED_WITH = "numpy 2.4.6, Pillow 13.0.0, libjpeg-turbo 3.2.0"
"""The libraries that drew what is pinned here."""

VERSIONS = {
    version.name: version
    for version in (
        Version(
            "stgcn-synth-v1",
            _V1,
            "16b75a6d59bb85bf68e0732cf7c459f5e16194289a5cce95bc1a52846539a789",
            "caa2e5193b53d97931c6ab35fdee8c8688e79436554a193fdecd98a3c9167084",
        ),
        Version(
            "stgcn-synth-small",
            _SMALL,
            "d984f41030de0efc77b30a9a7d2c3127722f5301bc29b7b159d0b24b5562d8a1",
            "f43bb261ff5eedf133f414da66c8b7e73716811612a49d08116c44affb2cbf5f",
        ),
        Version(
            "stgcn-synth-tiny",
            _TINY,
            "460dafe77b300675adf5632b845d51cde78b0fde26e0dd2d23ab29ddd8619248",
            "3a215af107debbef32544580d7f0ddcfc6595201b1c67a019d0d3cb231f03e84",
        ),
    )
}


def version(name: str) -> Version:
    """The version of that name.

    Raises:
        UserError: No version has it; the message lists those that are.

    Example:
        >>> version("stgcn-synth-v1").options["test_people"]
        128
    """
    if name not in VERSIONS:
        raise UserError(f"version {name!r} is unknown: use one of {', '.join(VERSIONS)}")
    return VERSIONS[name]
