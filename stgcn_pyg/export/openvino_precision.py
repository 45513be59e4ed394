"""An OpenVINO model in float16 or in int8, by OpenVINO's own tools."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stgcn_pyg.errors import needs_extra
from stgcn_pyg.export.metadata import Precision
from stgcn_pyg.export.network import ExportedNetwork
from stgcn_pyg.export.openvino_model import to_openvino

if TYPE_CHECKING:
    from openvino import Model


def to_openvino_precision(
    network: ExportedNetwork, precision: Precision, calibration: Sequence[np.ndarray] = ()
) -> "Model":
    """The OpenVINO model of a network; what goes in and comes out is of the same type in all.

    Args:
        network: The network.
        precision: ``"float32"``; ``"float16"``: the same model, whose weights are to be stored so;
            ``"int8"``: weights by channel and activations by tensor, by NNCF.
        calibration: For ``"int8"``, batches that the network takes, of the training.

    Raises:
        UserError: A package is not installed, or ONNX has no operator for a part of the network.
    """
    model = to_openvino(network)
    if precision != "int8":
        return model
    with needs_extra("openvino"):
        import nncf
    logging.getLogger("nncf").setLevel(logging.ERROR)
    attends = network.model.backbone.image_size is not None
    return nncf.quantize(
        model,
        nncf.Dataset(list(calibration)),
        subset_size=len(calibration),
        model_type=nncf.ModelType.TRANSFORMER if attends else None,
        ignored_scope=nncf.IgnoredScope(names=_preparing(model), validate=False),
    )


def _preparing(model: "Model") -> list[str]:
    """The names of the operators before the first convolution: those that resize, in float32."""
    ordered = model.get_ordered_ops()
    first = next((op for op in ordered if op.get_type_name() == "Convolution"), None)
    waiting = [] if first is None else [first.input_value(0).get_node()]
    found: dict[str, None] = {}
    while waiting:
        op = waiting.pop()
        if op.get_friendly_name() not in found:
            found[op.get_friendly_name()] = None
            waiting += [value.get_node() for value in op.input_values()]
    return list(found)
