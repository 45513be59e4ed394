"""An OpenVINO model in float16 or in int8, by OpenVINO's own tools."""

import contextlib
import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stgcn_pyg.errors import needs_extra
from stgcn_pyg.export.conversion import from_onnx, to_onnx, to_openvino
from stgcn_pyg.export.metadata import Precision
from stgcn_pyg.export.network import ExportedNetwork

if TYPE_CHECKING:
    from openvino import Model


def to_openvino_precision(
    network: ExportedNetwork, precision: Precision, calibration: Sequence[np.ndarray] = ()
) -> "Model":
    """The OpenVINO model of a network; what goes in and comes out is of the same type in all.

    Args:
        network: The network.
        precision: ``"float32"``; ``"float16"``: the same model, whose weights are to be stored so;
            ``"int8"``: weights by channel and activations by tensor, by NNCF. Weights have 7 of
            the 8 bits: a processor without VNNI clips the sum of two products of 8 bits.
        calibration: For ``"int8"``, normalised clips ``[B, T, 3, height, width]`` of the training.

    Raises:
        UserError: A package is not installed, or ONNX has no operator for a part of the network.
    """
    if precision != "int8":
        return to_openvino(network)
    for name in ("nncf", "torch.utils.cpp_extension"):  # they tell of what no user can change
        logging.getLogger(name).setLevel(logging.ERROR)
    with needs_extra("openvino"):
        import nncf
    attends = network.model.backbone.image_size is not None
    with contextlib.redirect_stdout(sys.stderr):  # its progress bars
        model = nncf.quantize(
            to_openvino(network.from_clips()),
            nncf.Dataset(list(calibration)),
            subset_size=len(calibration),
            model_type=nncf.ModelType.TRANSFORMER if attends else None,
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                overflow_fix=nncf.OverflowFix.ENABLE
            ),
        )
    if network.input == "clips":
        return model
    return _behind(from_onnx(to_onnx(network.preparation)), model)


def _behind(preparation: "Model", model: "Model") -> "Model":
    """A model from pictures, of its preparation and what comes behind it."""
    from openvino import Model

    clips = preparation.output(0).get_node().input_value(0)
    for place in model.input(0).get_target_inputs():
        place.replace_source_output(clips)
    return Model(model.get_results(), preparation.get_parameters())
