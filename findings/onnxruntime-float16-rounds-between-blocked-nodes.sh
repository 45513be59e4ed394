#!/usr/bin/env bash
# onnxruntime 1.32.0: convert_float_to_float16 with node_block_list keeps the listed nodes in float32,
# but rounds what one of them hands to the next to float16. 1,000 * 1,000 between two listed nodes
# becomes infinite, and so does the output, without a warning.
# One would guess that a part of a network whose nodes are all listed, such as the resizing and
# normalisation of pictures before it, computes as before.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "onnxruntime==1.32.0" "onnx==1.23.2" "numpy==2.4.6"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnxruntime.transformers.float16 import convert_float_to_float16

assert version("onnxruntime") == "1.32.0"
NAMES = ["first", "second", "third"]


def product(name, given, factor, out):
    return helper.make_node("Mul", [given, factor], [out], name)


graph = helper.make_graph(
    [product("first", "x", "k", "a"), product("second", "a", "k", "b"), product("third", "b", "s", "y")],
    "x * 1000 * 1000 / 1000000",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    [
        helper.make_tensor("k", TensorProto.FLOAT, [], [1000.0]),
        helper.make_tensor("s", TensorProto.FLOAT, [], [1e-6]),
    ],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": np.array([1, 2], np.float32)})[0]


before = run(model)
converted = convert_float_to_float16(model, keep_io_types=True, node_block_list=NAMES)
after = run(converted)
print("as it is:", before, "with all its nodes in node_block_list:", after)
assert np.allclose(before, [1, 2])
assert np.isinf(after).all()
casts = [node.name for node in converted.graph.node if node.op_type == "Cast"]
print("casts between the listed nodes:", [name for name in casts if name[0] in "ab"])
assert {"a_cast_to_fp16_node", "b_cast_to_fp16_node"} <= set(casts)
PYTHON
