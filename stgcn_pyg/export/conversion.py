"""A network as a program of `torch.export`, and from that as an ONNX and an OpenVINO model."""

import contextlib
import io
import re
import warnings
from copy import deepcopy
from typing import TYPE_CHECKING

import torch
from torch._dynamo.exc import TorchDynamoException
from torch.export import Dim, ExportedProgram

from stgcn_pyg.errors import UserError, needs_extra
from stgcn_pyg.export.network import ExportedNetwork, Preparation
from stgcn_pyg.models.backbones.spare_column import always_give_spare_columns

if TYPE_CHECKING:
    from onnx import ModelProto
    from openvino import Model

OPSET = 20
FEWEST_FRAMES = 2  # of an example whose number of frames is free: export takes 1 for a constant


def export_program(network: ExportedNetwork | Preparation) -> ExportedProgram:
    """The program of a network, whose number of clips, and of frames where it may, is free.

    It is on the CPU: on CUDA a free batch would end at 65,535 clips.

    Raises:
        UserError: The backbone does what no program can hold.

    Example:
        >>> from stgcn_pyg import STGCN
        >>> model = STGCN(3, 2, backbone="resnet18", weights=None, branches=["global"])
        >>> program = export_program(ExportedNetwork(model, 64, 32))
        >>> [tuple(found.shape) for found in program.module()(torch.zeros(5, 4, 3, 64, 32))]
        [(5, 512)]
    """
    free = {0: Dim("batch", min=1)}
    frames = network.example()
    if network.frees_frames:
        free[1] = Dim("frames", min=1)
        frames = frames.repeat(1, FEWEST_FRAMES, *[1] * (frames.dim() - 2))
    if network.input == "pictures":
        free |= {2: Dim("height", min=1), 3: Dim("width", min=1)}
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the compiler's own parts
            return torch.export.export(
                network, (frames,), dynamic_shapes={"frames": free}, strict=False
            )
    except (RuntimeError, ValueError, TorchDynamoException) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"the network with the backbone {network.title} cannot be exported "
            f"({reason}): train one with another backbone, or fewer of --model's options"
        ) from error


def to_onnx(network: ExportedNetwork | Preparation) -> "ModelProto":
    """The ONNX model of a network: input ``frames``, outputs by the names of the network.

    Raises:
        UserError: ONNX is not installed, or has no operator for a part of the network.
    """
    with needs_extra("onnx"):
        import onnxscript  # noqa: F401  (torch's exporter needs it)
        import torch.onnx
        from onnx import ModelProto
    program = export_program(network)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # of the exporter's own parts
            exported = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=OPSET,
                input_names=["frames"],
                output_names=list(network.names),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise UserError(
            f"the network with the backbone {network.title} has {_operator(error)}, which ONNX and "
            "OpenVINO have no operator for: pass --format torch-export, or train another backbone"
        ) from error
    assert exported is not None
    model: ModelProto = exported.model_proto
    _forget_sources(model)
    return model


def to_openvino(network: ExportedNetwork) -> "Model":
    """The OpenVINO model of a network: input ``frames``, outputs by the names of the network.

    Its convolutions have a column to spare, since OpenVINO runs a model of any precision in
    bfloat16 where a processor has AMX, unless it is told otherwise.

    Raises:
        UserError: OpenVINO is not installed, or has no operator for a part of the network.
    """
    network = deepcopy(network)
    always_give_spare_columns(network.model.backbone)
    return from_onnx(to_onnx(network))


def from_onnx(model: "ModelProto") -> "Model":
    """The OpenVINO model of an ONNX model.

    OpenVINO's own reader of PyTorch programs takes twice as long as the way by ONNX.
    """
    with needs_extra("openvino"):
        import openvino
    return openvino.convert_model(io.BytesIO(model.SerializeToString()))


def _operator(error: BaseException) -> str:
    """The name of the operator that could not be translated, from the chain of errors."""
    cause: BaseException | None = error
    while cause is not None:
        found = re.search(r"OpOverload\(op='([^']+)'|target=torch\.ops\.([\w.]+)", str(cause))
        if found:
            return found[1] or found[2]
        cause = cause.__cause__
    return " ".join(str(error).split("\n")[:1])


def _forget_sources(model: "ModelProto") -> None:
    """Leaves out where in the sources of this machine each operator was written."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        del part.metadata_props[:]
