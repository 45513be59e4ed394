"""A trained network as a file that other runtimes read: ONNX, OpenVINO, torch.export."""

from stgcn_pyg.export.exported import Exported, read_exported
from stgcn_pyg.export.metadata import Format, Metadata, Precision
from stgcn_pyg.export.network import ExportedNetwork, InputKind
from stgcn_pyg.export.onnx_model import to_onnx
from stgcn_pyg.export.openvino_model import to_openvino
from stgcn_pyg.export.program import export_program
from stgcn_pyg.export.writing import write_network

__all__ = [
    "Exported",
    "ExportedNetwork",
    "Format",
    "InputKind",
    "Metadata",
    "Precision",
    "export_program",
    "read_exported",
    "to_onnx",
    "to_openvino",
    "write_network",
]
