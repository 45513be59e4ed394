"""A network as an OpenVINO model."""

import io
from typing import TYPE_CHECKING

from stgcn_pyg.errors import needs_extra
from stgcn_pyg.export.network import ExportedNetwork
from stgcn_pyg.export.onnx_model import to_onnx

if TYPE_CHECKING:
    from onnx import ModelProto
    from openvino import Model


def to_openvino(network: ExportedNetwork) -> "Model":
    """The OpenVINO model of a network: input ``frames``, outputs by the names of the network.

    Raises:
        UserError: OpenVINO is not installed, or has no operator for a part of the network.
    """
    return from_onnx(to_onnx(network))


def from_onnx(model: "ModelProto") -> "Model":
    """The OpenVINO model of an ONNX model.

    OpenVINO's own reader of PyTorch programs takes twice as long as the way by ONNX.
    """
    with needs_extra("openvino"):
        import openvino
    return openvino.convert_model(io.BytesIO(model.SerializeToString()))
