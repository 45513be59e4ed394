"""A network as an ONNX model."""

import contextlib
import io
from typing import TYPE_CHECKING

from stgcn_pyg.errors import needs_extra
from stgcn_pyg.export.network import ExportedNetwork
from stgcn_pyg.export.program import export_program

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 20


def to_onnx(network: ExportedNetwork) -> "ModelProto":
    """The ONNX model of a network: input ``frames``, outputs by the names of the network.

    Raises:
        UserError: ONNX is not installed, or has no operator for a part of the network.
    """
    with needs_extra("onnx"):
        import onnxscript  # noqa: F401  (torch's exporter needs it)
        import torch.onnx
        from onnx import ModelProto
    program = export_program(network)
    with contextlib.redirect_stdout(io.StringIO()):
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=["frames"],
            output_names=network.names,
            verbose=False,
        )
    model: ModelProto = exported.model_proto
    _forget_sources(model)
    return model


def _forget_sources(model: "ModelProto") -> None:
    """Leaves out where in the sources of this machine each operator was written."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        del part.metadata_props[:]
