#!/usr/bin/env bash
# faiss-cpu 1.15.1: IndexRaBitQFastScan, the fast form of IndexRaBitQ with the same codes, gives wrong
# lists for embeddings of 4,096 numbers and more, without an error or a warning. Near copies of 50 of
# 2,000 embeddings find their original at rank 1 in all cases with IndexRaBitQ, whatever the width; with
# FastScan in all cases at 1,024 and 2,048 numbers, in none at 4,096, and in some at 6,144, which is the
# width that three branches on a ResNet-50 give a tracklet.
# One would guess that the two differ in speed and in the last bits of the estimates, and would test the
# fast one on embeddings of 128 numbers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "faiss-cpu==1.15.1" "numpy==2.4.6"
"$folder/venv/bin/python" - <<'PYTHON'
import faiss
import numpy as np

assert faiss.__version__ == "1.15.1"
hits = {}
for width in (1024, 2048, 4096, 6144):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((2000, width), dtype=np.float32)
    queries = rows[:50] + 0.01 * rng.standard_normal((50, width), dtype=np.float32)
    for kind in (faiss.IndexRaBitQ, faiss.IndexRaBitQFastScan):
        index = kind(width)
        index.train(rows)
        index.add(rows)
        found = index.search(queries, 1)[1][:, 0]
        hits[kind.__name__, width] = float((found == np.arange(50)).mean())
        print(f"{kind.__name__:20} width {width:5}: found at rank 1 {hits[kind.__name__, width]:.2f}")
assert all(hits["IndexRaBitQ", width] == 1 for width in (1024, 2048, 4096, 6144))
assert all(hits["IndexRaBitQFastScan", width] == 1 for width in (1024, 2048))
assert hits["IndexRaBitQFastScan", 4096] == 0
assert hits["IndexRaBitQFastScan", 6144] < 1
PYTHON
