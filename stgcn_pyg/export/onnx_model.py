"""A network as an ONNX model."""

import contextlib
import io
import re
import warnings
from typing import TYPE_CHECKING

from stgcn_pyg.errors import UserError, needs_extra
from stgcn_pyg.export.network import ExportedNetwork, Preparation
from stgcn_pyg.export.program import export_program

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 20


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
