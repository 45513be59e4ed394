"""Equations 2 to 7 written out literally, for the tests to hold the layers against.

Everything is one float64 matrix over all nodes: `joined[i, j]` says that i gathers from j.
"""

import math

import torch


def joined_by(edge_index, num_nodes):
    """The matrix that an edge_index means."""
    joined = torch.zeros(num_nodes, num_nodes, dtype=torch.bool)
    for source, target in edge_index.T.tolist():
        joined[target, source] = True
    return joined


def affinity_by_the_book(h, joined=None, kind="squared"):
    """Eq. 2 and 3, and the two other affinities, by loops over Python floats."""
    rows = h.tolist()
    a = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    for i, x in enumerate(rows):
        neighbours = [j for j in range(len(rows)) if joined is None or joined[i, j]]
        e = [sum(p * q for p, q in zip(x, rows[j], strict=True)) for j in neighbours]
        if kind == "squared":
            weights = [value**2 for value in e]
        elif kind == "softmax":
            largest = max(e, default=0.0)
            weights = [math.exp((value - largest) / math.sqrt(len(x))) for value in e]
        else:
            norms = [math.hypot(*x) * math.hypot(*rows[j]) for j in neighbours]
            weights = [max(0.0, v / n) if n else 0.0 for v, n in zip(e, norms, strict=True)]
        for j, weight in zip(neighbours, weights, strict=True):
            a[i, j] = weight / sum(weights) if sum(weights) else 0.0
    return a


def renormalized_by_the_book(a):
    """Eq. 4, with explicit diagonal matrices."""
    a_tilde = a + torch.eye(len(a), dtype=a.dtype)
    d = torch.diag(a_tilde.sum(dim=1) ** -0.5)
    return d @ a_tilde @ d


def gcn_by_the_book(gcn, x, joined, frames=None, kind="squared"):
    """Eq. 2 to 7 with the weights of `gcn`; `frames` is the frame position of each node."""
    a_hat = torch.eye(len(x), dtype=x.dtype)
    if hasattr(gcn, "affinity"):
        h = x @ gcn.affinity.phi.weight.T
        a_hat = renormalized_by_the_book(affinity_by_the_book(h, joined, kind))
    for m, (conv, norm) in enumerate(zip(gcn.convs, gcn.norms, strict=True), start=1):
        w = conv.lin.weight
        if frames is None:
            xw = x @ w.T
        else:
            xw = torch.stack([w[t] @ v for t, v in zip(frames, x, strict=True)])
        y = a_hat @ xw
        mean, var = y.mean(1, keepdim=True), y.var(1, unbiased=False, keepdim=True)
        y = (y - mean) / (var + norm.eps).sqrt() * norm.weight + norm.bias
        y = torch.where(y > 0, y, 0.1 * y)
        x = y + x if m >= 2 and y.shape == x.shape else y
    return x
