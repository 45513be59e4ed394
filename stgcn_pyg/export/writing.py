"""Writes a network into a file of each format."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stgcn_pyg.errors import UserError, needs_extra
from stgcn_pyg.export.conversion import export_program
from stgcn_pyg.export.metadata import KEY, Format, Metadata, Precision
from stgcn_pyg.export.network import ExportedNetwork
from stgcn_pyg.export.runtimes import EXTRA_FILE
from stgcn_pyg.files import errors_of_writing, written_aside


def write_network(
    path: Path,
    network: ExportedNetwork,
    about: Metadata,
    calibration: Sequence[np.ndarray] = (),
) -> None:
    """Writes a network with its metadata; its format and precision are those of ``about``.

    Args:
        path: The file; OpenVINO's weights go into a second one, ``.bin``, beside it.
        network: The network.
        about: The metadata.
        calibration: For ``int8``, batches of normalised clips ``[B, T, 3, height, width]`` of the
            training, by which the range of each activation is measured.

    Raises:
        UserError: A package is missing, or the format does not have an operator or the precision.
    """
    if about.format == "torch-export":
        import torch

        require_precision(about.format, about.precision)
        torch.export.save(export_program(network), path, extra_files={EXTRA_FILE: about.text})
    elif about.format == "onnx":
        from stgcn_pyg.export.onnx_precision import to_onnx_precision

        onnx = to_onnx_precision(network, about.precision, calibration)
        entry = onnx.metadata_props.add()
        entry.key, entry.value = KEY, about.text
        path.write_bytes(onnx.SerializeToString())
    else:
        with needs_extra("openvino"):
            import openvino

        from stgcn_pyg.export.openvino_precision import to_openvino_precision

        model = to_openvino_precision(network, about.precision, calibration)
        model.set_rt_info(about.text, KEY)
        openvino.save_model(model, path, compress_to_fp16=about.precision == "float16")


def require_precision(format: Format, precision: Precision) -> None:
    """Raises a UserError if a format does not have a precision."""
    if format == "torch-export" and precision != "float32":
        raise UserError(
            f"--precision {precision}: torch-export is in float32: pass --format onnx or openvino"
        )


def files_of(path: Path, format: Format) -> list[Path]:
    """The files that an export is made of; the last is the one that it is opened by."""
    return [path.with_suffix(".bin"), path] if format == "openvino" else [path]


def publish(written: Path, output: Path, format: Format) -> None:
    """Copies an export to where it was asked for; a kill leaves no file that can be opened wrongly.

    Raises:
        UserError: It cannot be written.
    """
    with errors_of_writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        parts = list(zip(files_of(written, format), files_of(output, format), strict=True))
        if len(parts) > 1:
            output.unlink(missing_ok=True)  # it would be opened with the new file beside it
        for source, target in parts:
            with source.open("rb") as content, written_aside(target) as file:
                shutil.copyfileobj(content, file)
