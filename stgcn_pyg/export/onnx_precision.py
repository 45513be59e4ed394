"""An ONNX model in float16 or in int8, by onnxruntime's own tools."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stgcn_pyg.errors import needs_extra
from stgcn_pyg.export.conversion import to_onnx
from stgcn_pyg.export.metadata import Precision
from stgcn_pyg.export.network import ExportedNetwork

if TYPE_CHECKING:
    from onnx import ModelProto

QUANTIZED = ["Conv", "Gemm", "MatMul"]


def to_onnx_precision(
    network: ExportedNetwork, precision: Precision, calibration: Sequence[np.ndarray] = ()
) -> "ModelProto":
    """The ONNX model of a network; what goes in and comes out is of the same type in all.

    Pictures are resized and normalised in float32, whatever the precision of the network.

    Args:
        network: The network.
        precision: ``"float32"``; ``"float16"``, weights and arithmetic; ``"int8"``, weights by
            channel and activations by tensor, as QDQ (quantize, dequantize) pairs. Weights have 7
            of the 8 bits: a processor without VNNI clips the sum of two products of 8 bits.
        calibration: For ``"int8"``, normalised clips ``[B, T, 3, height, width]`` of the training.

    Raises:
        UserError: ONNX is not installed, or has no operator for a part of the network.
    """
    if precision == "float32":
        return to_onnx(network)
    model = to_onnx(network.from_clips())
    model = _float16(model) if precision == "float16" else _int8(model, calibration)
    return _behind(to_onnx(network.preparation), model) if network.input == "pictures" else model


def _behind(preparation: "ModelProto", model: "ModelProto") -> "ModelProto":
    """A model from pictures, of its preparation and what comes behind it."""
    from onnx import compose

    preparation.ir_version = model.ir_version
    preparation = compose.add_prefix(preparation, "preparation_", rename_inputs=False)
    model = compose.add_prefix(model, "network_", rename_outputs=False)
    ends = [("preparation_clips", "network_frames")]
    return compose.merge_models(preparation, model, ends)


def _float16(model: "ModelProto") -> "ModelProto":
    with needs_extra("onnx"):
        from onnxruntime.transformers.float16 import convert_float_to_float16
        from onnxruntime.transformers.onnx_model import OnnxModel
    model = convert_float_to_float16(model, keep_io_types=True)
    OnnxModel(model).topological_sort()  # it puts casts of the input behind what reads them
    return model


def _int8(model: "ModelProto", calibration: Sequence[np.ndarray]) -> "ModelProto":
    with needs_extra("onnx"):
        import onnx
        from onnxruntime.quantization import (
            CalibrationDataReader,
            QuantFormat,
            QuantType,
            quantize_static,
        )

    class Batches(CalibrationDataReader):
        """The batches one by one, as the tool asks for them."""

        def __init__(self) -> None:
            self.batches: Iterator[np.ndarray] = iter(calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            """The next batch, None behind the last."""
            batch = next(self.batches, None)
            return None if batch is None else {"frames": batch}

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # the tool advises a step that the exporter has done
    try:
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder, "int8.onnx")
            quantize_static(
                model,
                output,
                Batches(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=QUANTIZED,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={"CalibMovingAverage": True, "MatMulConstBOnly": True},
            )
            return onnx.load(output)
    finally:
        logging.disable(before)
