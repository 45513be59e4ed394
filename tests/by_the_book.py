"""Equations 2 to 7 written out literally, for the tests to hold the layers against."""

import torch


def affinity_by_the_book(h):
    """Eq. 2 and 3 for one graph, by loops over Python floats."""
    rows = h.tolist()
    e = [[sum(a * b for a, b in zip(i, j, strict=True)) for j in rows] for i in rows]
    squares = [[value**2 for value in row] for row in e]
    return torch.tensor([[v / sum(row) for v in row] for row in squares], dtype=torch.float64)


def renormalized_by_the_book(a):
    """Eq. 4 for one graph, with explicit diagonal matrices."""
    a_tilde = a + torch.eye(len(a), dtype=a.dtype)
    d = torch.diag(a_tilde.sum(dim=1) ** -0.5)
    return d @ a_tilde @ d


def gcn_by_the_book(gcn, x, graph_size, frames=None):
    """Eq. 2 to 7, graph after graph, with the weights of `gcn`."""
    outputs = []
    for g, graph in enumerate(x.split(graph_size)):
        if gcn.propagation == "gcn":
            h = graph @ gcn.affinity.phi.weight.T
            a_hat = renormalized_by_the_book(affinity_by_the_book(h))
        else:
            a_hat = torch.eye(len(graph), dtype=x.dtype)
        current = graph
        for m, (conv, norm) in enumerate(zip(gcn.convs, gcn.norms, strict=True), start=1):
            w = conv.lin.weight if frames is None else conv.lin.weight[g % frames]
            y = a_hat @ current @ w.T
            mean, var = y.mean(1, keepdim=True), y.var(1, unbiased=False, keepdim=True)
            y = (y - mean) / (var + norm.eps).sqrt() * norm.weight + norm.bias
            y = torch.where(y > 0, y, 0.1 * y)
            current = y + current if m >= 2 and y.shape == current.shape else y
        outputs.append(current)
    return torch.cat(outputs)
