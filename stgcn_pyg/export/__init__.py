"""A trained network as a file that other runtimes read: ONNX, OpenVINO, torch.export."""

from stgcn_pyg.export.network import ExportedNetwork, InputKind
from stgcn_pyg.export.onnx_model import to_onnx
from stgcn_pyg.export.openvino_model import to_openvino
from stgcn_pyg.export.program import export_program

__all__ = ["ExportedNetwork", "InputKind", "export_program", "to_onnx", "to_openvino"]
