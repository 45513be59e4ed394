"""Named versions of the benchmark, which never change."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Version:
    """A benchmark with a name and the hash of all that it holds."""

    name: str  # as `stgcn synth --name` takes it
    options: dict[str, Any]  # all arguments of `write_benchmark` that change what is drawn
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

_HASHES = {
    "stgcn-synth-v1": "caa2e5193b53d97931c6ab35fdee8c8688e79436554a193fdecd98a3c9167084",
    "stgcn-synth-small": "f43bb261ff5eedf133f414da66c8b7e73716811612a49d08116c44affb2cbf5f",
    "stgcn-synth-tiny": "3a215af107debbef32544580d7f0ddcfc6595201b1c67a019d0d3cb231f03e84",
}
VERSIONS = {
    name: Version(name, options, manifest)
    for (name, manifest), options in zip(_HASHES.items(), (_V1, _SMALL, _TINY), strict=True)
}
