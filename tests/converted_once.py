"""One conversion to ONNX of equal networks, of which several files and runtimes are made."""

import sys
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from unittest.mock import patch

import onnx

from stgcn_pyg.export import clip_network, conversion, onnx_precision, openvino_precision

MODULES = (clip_network, conversion, onnx_precision, openvino_precision)


@contextmanager
def converted_once():
    """Keeps what a network becomes in ONNX, for the next network that is equal to the last bit."""
    made, convert = {}, conversion.to_onnx

    def to_onnx(network):
        if sys.modules.get("onnxscript", "") is None:  # a test that it is missed
            return convert(network)
        content = _content(network)
        if content not in made:
            made[content] = convert(network).SerializeToString()
        return onnx.load_from_string(made[content])

    with ExitStack() as stack:
        for module in MODULES:
            stack.enter_context(patch.object(module, "to_onnx", to_onnx))
        yield


def _content(network):
    """A digest of all that a conversion depends on."""
    preparation = getattr(network, "preparation", network)
    parts = [network, network.input, network.names, network.frees_frames, preparation.num_frames]
    parts += [preparation.resize.height, preparation.resize.width]
    if hasattr(network, "model"):
        parts += [network.model.options, network.with_features, list(network.graphs)]
    parts += [getattr(part, "always", None) for part in network.modules()]  # a column to spare
    digest = sha256(repr(parts).encode())
    for name, value in network.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest() + repr((tuple(preparation.mean), tuple(preparation.std)))
