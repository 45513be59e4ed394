"""How a file of each format is opened: its metadata, and a function that runs it."""

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np

from stgcn_pyg.errors import UserError, needs_extra
from stgcn_pyg.export.metadata import KEY, Format, Metadata

EXTRA_FILE = f"{KEY}.json"  # in a .pt2, which is an archive
RUNTIMES: dict[Format, str] = {
    "onnx": "onnxruntime",
    "openvino": "OpenVINO",
    "torch-export": "torch.export",
}

Opened = tuple[Metadata, Callable[[np.ndarray], list[np.ndarray]]]


def open_onnx(path: Path, threads: int | None) -> Opened:
    """An ONNX file in onnxruntime."""
    with needs_extra("onnx"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of many types
        _damaged(path, error)
    about = Metadata.from_text(path, session.get_modelmeta().custom_metadata_map.get(KEY, ""))
    return about, lambda frames: session.run(None, {"frames": frames})


def open_openvino(path: Path, threads: int | None) -> Opened:
    """An OpenVINO file on the CPU, computed in float32 but for what is in int8."""
    with needs_extra("openvino"):
        import openvino
    if not path.with_suffix(".bin").is_file():
        raise UserError(f"{path.with_suffix('.bin')}: no such file, which holds the weights")
    core = openvino.Core()
    try:
        model = core.read_model(path)
    except RuntimeError as error:
        _damaged(path, error)
    text = model.get_rt_info(KEY).astype(str) if model.has_rt_info(KEY) else ""
    about = Metadata.from_text(path, text)
    settings: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    compiled = core.compile_model(model, "CPU", settings)

    def run(frames: np.ndarray) -> list[np.ndarray]:
        found = compiled(frames)
        return [found[place] for place in range(len(about.outputs))]

    return about, run


def open_program(path: Path, threads: int | None) -> Opened:
    """A program of torch.export, in this process's own number of threads."""
    import torch

    files = {EXTRA_FILE: ""}
    try:
        program = torch.export.load(path, extra_files=files)
    except Exception as error:  # of many types
        _damaged(path, error)
    about = Metadata.from_text(path, files[EXTRA_FILE])
    module = program.module()

    def run(frames: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            return [found.numpy() for found in module(torch.from_numpy(frames))]

    return about, run


OPENERS = {"onnx": open_onnx, "openvino": open_openvino, "torch-export": open_program}


def _damaged(path: Path, error: Exception) -> NoReturn:
    reason = str(error).strip().partition("\n")[0]
    raise UserError(f"{path}: is damaged, or no network ({reason}): export it again") from error
