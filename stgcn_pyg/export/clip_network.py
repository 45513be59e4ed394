"""A network that onnxruntime or OpenVINO runs where embedding would run it by PyTorch."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from stgcn_pyg.data.transforms import normalize
from stgcn_pyg.errors import UserError, needs_extra
from stgcn_pyg.export.conversion import to_onnx, to_openvino
from stgcn_pyg.export.network import ExportedNetwork
from stgcn_pyg.models import STGCN

if TYPE_CHECKING:
    from stgcn_pyg.export.exported import Exported

SUFFIXES = {"onnxruntime": ".onnx", "openvino": ".xml"}

Run = Callable[[np.ndarray], np.ndarray]


class ConvertedNetwork:
    """A network of another runtime, as :class:`.ClipNetwork` says.

    Args:
        run: Maps normalised clips ``[B, T, 3, H, W]`` of float32 to embeddings ``[B, D]``.
        mean: Mean of each colour, by which clips are normalised.
        std: Deviation of each colour, likewise.
    """

    def __init__(self, run: Run, mean: Sequence[float], std: Sequence[float]):
        self.run = run
        self.mean = mean
        self.std = std

    def __call__(self, frames: Tensor, places: Tensor) -> Tensor:
        """The embeddings ``[B, D]`` of clips, on the CPU."""
        pixels = frames.permute(0, 3, 1, 2).float().div_(255)
        clips = normalize(pixels, self.mean, self.std)[places].contiguous()
        return torch.from_numpy(self.run(clips.numpy()))


class ExportedClips:
    """A file of `stgcn export`, as :class:`.ClipNetwork` says.

    Attributes:
        precision: Precision of the file's network.
        sha256: SHA-256 of the file; of OpenVINO's two, of the weights.
    """

    def __init__(self, file: "Exported"):
        self.file = file
        self.precision = file.about.precision
        weights = file.path.with_suffix(".bin") if file.path.suffix == ".xml" else file.path
        with weights.open("rb") as content:
            self.sha256 = hashlib.file_digest(content, "sha256").hexdigest()

    def __call__(self, frames: Tensor, places: Tensor) -> Tensor:
        """The embeddings ``[B, D]`` of clips, on the CPU."""
        if self.file.about.input == "pictures":
            return self._embedding(frames[places].numpy())
        pixels = frames.permute(0, 3, 1, 2).float().div_(255)
        clips = normalize(pixels, self.file.about.mean, self.file.about.std)[places]
        return self._embedding(clips.contiguous().numpy())

    def _embedding(self, batch: np.ndarray) -> Tensor:
        return torch.from_numpy(self.file.run(batch)["embedding"])


def convert(
    model: STGCN, size: tuple[int, int], backend: str, precision: str = "float32"
) -> ConvertedNetwork:
    """A network in another runtime, in as many threads as PyTorch uses.

    Args:
        model: The network.
        size: Height and width of the frames.
        backend: ``"onnxruntime"`` or ``"openvino"``.
        precision: ``"float32"``, or with OpenVINO ``"bfloat16"``.

    Raises:
        UserError: The runtime is not installed, cannot run the network, or does not have the
            precision here.
    """
    require_runtime(backend, precision)
    network = ExportedNetwork(model, *size)
    run = _in_openvino(network, precision) if backend == "openvino" else _in_onnxruntime(network)
    return ConvertedNetwork(run, model.mean, model.std)


def require_runtime(backend: str, precision: str) -> None:
    """Raises a UserError where a runtime is not installed or does not have a precision here."""
    if backend == "onnxruntime":
        with needs_extra("onnx"):
            import onnxruntime  # noqa: F401
        if precision == "bfloat16":
            raise UserError(
                "--precision bfloat16: onnxruntime computes in float32 on a CPU: pass --backend "
                "torch or openvino"
            )
        return
    with needs_extra("openvino"):
        import openvino
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    name = {"bfloat16": "BF16", "int8": "INT8"}.get(precision)
    if name is not None and name not in capabilities:
        raise UserError(
            f"--precision {precision}: this processor has no instructions for it, as OpenVINO "
            "says, and is not faster by it: pass float32"
        )


def open_exported(path: Path, backend: str, precision: str) -> ExportedClips:
    """A file of `stgcn export`, to be run by the backend that its name is of.

    Raises:
        UserError: There is no such file, it is of another backend, or is damaged.
    """
    from stgcn_pyg.export.exported import read_exported

    if path.suffix != SUFFIXES[backend]:
        raise UserError(
            f"--exported {path}: {backend} reads files that end with {SUFFIXES[backend]}: pass "
            "another file or --backend"
        )
    if precision != "float32":
        raise UserError(
            f"--precision {precision}: a file has its own: leave it out, or `stgcn export` another"
        )
    require_runtime(backend, precision)
    file = ExportedClips(read_exported(path, torch.get_num_threads()))
    require_runtime(backend, file.precision)
    return file


def _in_openvino(network: ExportedNetwork, precision: str) -> Run:
    import openvino

    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    compiled = openvino.Core().compile_model(to_openvino(network), "CPU", settings)
    return lambda clips: compiled(clips)[0]


def _in_onnxruntime(network: ExportedNetwork) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone
    options.intra_op_num_threads = torch.get_num_threads()
    content = to_onnx(network).SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda clips: session.run(["embedding"], {"frames": clips})[0]
