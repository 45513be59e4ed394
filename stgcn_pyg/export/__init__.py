"""A trained network as a file that other runtimes read: ONNX, OpenVINO, torch.export."""

from stgcn_pyg.export.conversion import export_program, to_onnx, to_openvino
from stgcn_pyg.export.exported import Exported, read_exported
from stgcn_pyg.export.metadata import Format, Metadata, Precision
from stgcn_pyg.export.network import ExportedNetwork, InputKind
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
