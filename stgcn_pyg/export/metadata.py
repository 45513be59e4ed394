"""What an exported file says of itself, in all three formats under one key."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Literal, get_args

import numpy as np

from stgcn_pyg import __version__
from stgcn_pyg.errors import UserError, require_known
from stgcn_pyg.export.network import ExportedNetwork, InputKind

KEY = "stgcn_pyg"
Format = Literal["onnx", "openvino", "torch-export"]
Precision = Literal["float32", "float16", "int8"]

SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "openvino": ".xml", "torch-export": ".pt2"}


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What made a file, what goes in and what comes out.

    Attributes:
        version: Version of stgcn-pyg that wrote it.
        checkpoint_sha256: SHA-256 of the checkpoint; None for a network without one.
        format: Name of the format.
        precision: Precision of the weights: ``float32``, ``float16``, or ``int8``, by which
            convolutions and products are computed too.
        input: ``pictures`` (uint8 frames of any size) or ``clips`` (normalised, of this size).
        num_frames: Number of frames T of a clip that it was trained with.
        free_frames: Whether it takes clips of any other number of frames, too.
        height: Height of a frame inside the network, in pixels.
        width: Width of a frame inside the network, in pixels.
        mean: Mean of each colour, for RGB in [0, 1], by which clips are normalised.
        std: Deviation of each colour, likewise.
        outputs: Names of the outputs, in their order.
        embedding: Kind of the embedding, as in :class:`.STGCN`.
        embedding_width: Number D of an embedding's numbers, for clips of ``num_frames``.
        classes: Number of identities that it was trained on; the classifier is left out.
    """

    version: str
    checkpoint_sha256: str | None
    format: Format
    precision: Precision
    input: InputKind
    num_frames: int
    free_frames: bool
    height: int
    width: int
    mean: Sequence[float]
    std: Sequence[float]
    outputs: Sequence[str]
    embedding: str
    embedding_width: int
    classes: int

    @classmethod
    def of(
        cls,
        network: ExportedNetwork,
        format: Format,
        precision: Precision = "float32",
        checkpoint_sha256: str | None = None,
    ) -> "Metadata":
        """That of a network in a format.

        Example:
            >>> from stgcn_pyg import STGCN
            >>> model = STGCN(3, num_frames=2, backbone="resnet18", weights=None)
            >>> about = Metadata.of(ExportedNetwork(model, 64, 32), "onnx")
            >>> about.input, about.height, about.width, about.outputs, about.embedding_width
            ('clips', 64, 32, ['embedding'], 1536)
        """
        require_known(format=(format, Format), precision=(precision, Precision))
        model = network.model
        return cls(
            version=__version__,
            checkpoint_sha256=checkpoint_sha256,
            format=format,
            precision=precision,
            input=network.input,
            num_frames=model.num_frames,
            free_frames=network.frees_frames,
            height=network.height,
            width=network.width,
            mean=list(model.mean),
            std=list(model.std),
            outputs=network.names,
            embedding=model.embedding_kind,
            embedding_width=model.embedding_width,
            classes=model.options["num_classes"],
        )

    def prepare(self, frames: np.ndarray) -> np.ndarray:
        """What such a file takes for frames of its size, ``[B, T, height, width, 3]`` of uint8."""
        return frames if self.input == "pictures" else self.normalize(frames)

    def normalize(self, frames: np.ndarray) -> np.ndarray:
        """Clips ``[B, T, 3, height, width]`` of float32 from frames of this size, of uint8."""
        mean, std = (np.array(numbers, np.float32) for numbers in (self.mean, self.std))
        normalized = (frames.astype(np.float32) / 255 - mean) / std
        return np.ascontiguousarray(normalized.transpose(0, 1, 4, 2, 3))

    @property
    def text(self) -> str:
        """The JSON that files hold."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, path: object, text: str) -> "Metadata":
        """That of a file's JSON; raises a UserError where `stgcn export` did not write it."""
        try:
            content = json.loads(text)
            return cls(**{field.name: content[field.name] for field in fields(cls)})
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: does not say what it takes: pass a file that `stgcn export` wrote"
            ) from error


def format_of(path: object, suffix: str) -> Format:
    """The format of a suffix; raises a UserError where no format has it."""
    for name in get_args(Format):
        if suffix == SUFFIXES[name]:
            return name
    known = ", ".join(f"{suffix} ({name})" for name, suffix in SUFFIXES.items())
    raise UserError(f"{path}: is no exported network by its name, which ends with one of {known}")
