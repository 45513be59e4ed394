"""How close the graph layers come to the products that they cannot do without.

    python -m benchmarks.graph_layers                                  # on the CPU, in float32
    python -m benchmarks.graph_layers --device cuda --dtype bfloat16 --compile true

Forward and backward of a whole stack (affinity, convolutions, LayerNorm, activation, residual), by
several routes with the same weights:

floor    only the products with φ and with each W, of the same shapes
blocks   `AffinityGCN` over equal complete graphs, `graph_size` given
ragged   `AffinityGCN` over complete graphs of 8 to 64 nodes, as many nodes in all, `ptr` given
dense    `DenseAffinityGCN` over `[G, N, C]`
masked   the same with a mask, in which all nodes exist
plain    a plain dense transcription of Equations 2 to 7 in PyTorch
edges    PyG's route: the affinity edge by edge, then `GCNConv(normalize=False)`
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import torch
import torch.nn.functional as F
from jsonargparse import auto_cli
from torch import Tensor, nn
from torch_geometric.nn import GCNConv
from torch_geometric.utils import scatter

from benchmarks.measuring import bar, median_times, peak_memory, write_results
from stgcn_pyg.layers import (
    AffinityGCN,
    DenseAffinityGCN,
    complete_edges,
    ragged_edges,
    renormalize_edges,
)


@dataclass(frozen=True)
class Case:
    """A stack and the batch that it runs on."""

    name: str
    num_graphs: int
    graph_size: int
    channels: int
    hidden: int
    layers: int
    num_frames: int | None = None
    ragged: bool = True


CASES = [
    Case("temporal, the paper's: C = 2,048", 64, 32, 2048, 2048, 3),
    Case("spatial, the paper's: C = 2,048, 256", 512, 4, 2048, 256, 2, num_frames=8, ragged=False),
    Case("temporal, C = 256", 64, 32, 256, 256, 3),
    Case("temporal, C = 64", 64, 32, 64, 64, 3),
    Case("temporal, 8 videos, C = 64", 8, 32, 64, 64, 3),
]


class PlainGCN(nn.Module):
    """Equations 2 to 7 over `[G, N, C]`, in plain PyTorch."""

    def __init__(self, gcn: AffinityGCN, graph_size: int):
        super().__init__()
        self.phi = gcn.affinity.phi
        self.linears = nn.ModuleList(conv.lin for conv in gcn.convs)
        self.norms = gcn.norms
        self.num_frames = gcn.convs[0].num_frames
        self.graph_size = graph_size

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(-1, self.graph_size, x.size(1))
        h = self.phi(x)
        a = F.normalize(torch.bmm(h, h.transpose(1, 2)), dim=-1).square()
        a = a + torch.eye(self.graph_size, dtype=a.dtype, device=a.device)
        scale = a.sum(dim=-1).rsqrt()
        a = scale.unsqueeze(2) * a * scale.unsqueeze(1)
        for m, (linear, norm) in enumerate(zip(self.linears, self.norms, strict=True)):
            h = F.leaky_relu(norm(torch.bmm(a, self.product(linear, x))), 0.1)
            x = h + x if m > 0 else h
        return x.flatten(0, 1)

    def product(self, linear: nn.Module, x: Tensor) -> Tensor:
        if self.num_frames is None:
            return linear(x)
        videos = x.unflatten(0, (-1, self.num_frames))
        return torch.einsum("btnc,tdc->btnd", videos, linear.weight).flatten(0, 1)


class EdgeGCN(nn.Module):
    """The same with PyG's layers: one affinity and one message an edge."""

    def __init__(self, gcn: AffinityGCN):
        super().__init__()
        self.phi = gcn.affinity.phi
        self.convs = nn.ModuleList()
        for conv in gcn.convs:
            pyg = GCNConv(conv.in_channels, conv.out_channels, normalize=False, bias=False)
            pyg.lin.weight = conv.lin.weight
            self.convs.append(pyg)
        self.norms = gcn.norms

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        h, (source, target) = self.phi(x), edge_index
        squares = (h[target] * h[source]).sum(dim=-1).square()
        weight = squares / scatter(squares, target, dim_size=x.size(0))[target]
        edge_index, weight = renormalize_edges(edge_index, weight, x.size(0))
        for m, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            h = F.leaky_relu(norm(conv(x, edge_index, weight)), 0.1)
            x = h + x if m > 0 else h
        return x


def routes(case: Case, device: torch.device, dtype: torch.dtype, compiled: bool):
    """One step, forward and backward, by each route that the case has."""
    torch.manual_seed(0)
    size, graphs = case.graph_size, case.num_graphs
    gcn = AffinityGCN(case.channels, case.hidden, case.layers, num_frames=case.num_frames)
    gcn = gcn.to(device, dtype)
    plain, edges = PlainGCN(gcn, size), complete_edges(graphs, size, device)
    dense = DenseAffinityGCN(case.channels, case.hidden, case.layers, num_frames=case.num_frames)
    dense = dense.to(device, dtype)
    dense.load_state_dict(gcn.state_dict())
    mask = torch.ones(graphs, size, dtype=torch.bool, device=device)
    x = torch.randn(graphs * size, case.channels, device=device, dtype=dtype, requires_grad=True)
    gradient = torch.randn(graphs * size, case.hidden, device=device, dtype=dtype)
    if compiled:
        plain, dense, blocks = torch.compile(plain), torch.compile(dense), torch.compile(gcn)
    else:
        blocks = gcn
    expected = gcn(x, edges, graph_size=size)
    steps: dict[str, Callable[[], object]] = {
        "floor": floor(gcn, x, size),
        "blocks": lambda: backward(blocks(x, edges, graph_size=size), gradient),
        "dense": lambda: backward(dense(x.view(graphs, size, -1)).flatten(0, 1), gradient),
        "masked": lambda: backward(dense(x.view(graphs, size, -1), mask).flatten(0, 1), gradient),
        "plain": lambda: backward(plain(x), gradient),
    }
    _assert_same(plain(x), expected)
    _assert_same(dense(x.view(graphs, size, -1)).flatten(0, 1), expected)
    if case.num_frames is None:
        by_edge = EdgeGCN(gcn)
        _assert_same(by_edge(x, edges), expected)
        steps["edges"] = lambda: backward(by_edge(x, edges), gradient)
    if case.ragged:
        sizes = ragged_sizes(graphs, size)
        edges_of_all = ragged_edges(sizes, device)
        ptr = F.pad(sizes.cumsum(0), (1, 0)).to(device)
        steps["ragged"] = lambda: backward(gcn(x, edges_of_all, ptr=ptr), gradient)
    return steps


def backward(out: Tensor, gradient: Tensor) -> None:
    torch.autograd.backward(out, gradient)


def floor(gcn: AffinityGCN, x: Tensor, graph_size: int) -> Callable[[], object]:
    """The products with φ and W alone, each forward and backward."""
    inputs = [x] + [x.new_empty(len(x), conv.in_channels).normal_() for conv in gcn.convs]
    for tensor in inputs:
        tensor.requires_grad_()
    outputs = [x.new_empty(len(x), gcn.affinity.out_channels).normal_()]
    outputs += [x.new_empty(len(x), conv.out_channels).normal_() for conv in gcn.convs]

    def step() -> None:
        backward(gcn.affinity.phi(inputs[0]), outputs[0])
        for conv, tensor, gradient in zip(gcn.convs, inputs[1:], outputs[1:], strict=True):
            backward(conv.transform(tensor, graph_size), gradient)

    return step


def ragged_sizes(num_graphs: int, mean: int) -> Tensor:
    """Sizes from mean / 4 to 2 * mean which add up to as many nodes as equal graphs have."""
    generator = torch.Generator().manual_seed(0)
    # Skewed like lengths of tracklets: many short ones, few long ones.
    share = torch.rand(num_graphs, generator=generator).square()
    sizes = (mean // 4 + share * (2 * mean - mean // 4)).round().long()
    while (missing := num_graphs * mean - int(sizes.sum())) != 0:
        step = 1 if missing > 0 else -1
        free = ((sizes + step >= mean // 4) & (sizes + step <= 2 * mean)).nonzero().flatten()
        chosen = free[torch.randperm(len(free), generator=generator)[: abs(missing)]]
        sizes[chosen] += step
    return sizes


def _assert_same(out: Tensor, expected: Tensor) -> None:
    tolerance = 1e-3 if expected.dtype == torch.float32 else 0.1
    torch.testing.assert_close(out, expected, rtol=tolerance, atol=tolerance)


def bars(
    times: dict[str, float], memory: dict[str, int], case: Case, device: torch.device
) -> list[dict[str, object]]:
    """The bounds of the layers' times and memory."""
    cuda = device.type == "cuda"
    blocks = times["blocks"]
    rows = [bar("blocks / floor", blocks / times["floor"], "<=", 1.20 if cuda else 1.10)]
    rows.append(bar("blocks / plain", blocks / times["plain"], "<=", 1.0))
    rows.append(bar("dense / plain", times["dense"] / times["plain"], "<=", 1.02))
    if "edges" in times:
        least = 10.0 if cuda else (2.0 if case.channels >= 2048 else 5.0)
        rows.append(bar("edges / blocks", times["edges"] / blocks, ">=", least))
        rows.append(bar("memory edges / blocks", memory["edges"] / memory["blocks"], ">=", 10.0))
    if "ragged" in times:
        rows.append(bar("ragged / blocks", times["ragged"] / blocks, "<=", 1.3))
    return rows


def main(
    device: Literal["cpu", "cuda"] = "cpu",
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    compile: bool = False,
    rounds: int = 15,
    smallest: bool = False,
    json: Path | None = None,
) -> None:
    """Times the graph layers against the products they cannot do without, and other routes.

    Args:
        device: Where to measure.
        dtype: The type of features and weights.
        compile: Whether `blocks`, `dense`, `masked` and `plain` go through torch.compile.
        rounds: How many interleaved rounds; the figures are medians over them.
        smallest: Only the smallest case, to see that it runs.
        json: Where to write the figures.
    """
    where, kind = torch.device(device), getattr(torch, dtype)
    settings = {"dtype": dtype, "compile": compile, "rounds": rounds}
    results = []
    for case in CASES[-1:] if smallest else CASES:
        steps = routes(case, where, kind, compile)
        memory = {name: peak_memory(step, where) for name, step in steps.items()}
        times = median_times(steps, rounds)
        held = bars(times, memory, case, where)
        table = pd.DataFrame(
            {
                "ms": {name: round(1e3 * value, 2) for name, value in times.items()},
                "of floor": {name: round(v / times["floor"], 2) for name, v in times.items()},
                "peak MB": {name: round(value / 1e6, 1) for name, value in memory.items()},
            }
        )
        print(f"\n{case.name}", table.to_string(), sep="\n")
        print(pd.DataFrame(held).to_string(index=False), flush=True)
        figures = {"seconds": times, "peak_bytes": memory, "bars": held}
        results.append({"case": asdict(case), **figures})
        write_results(json, results, settings, device)  # now: the next may take too long


if __name__ == "__main__":
    auto_cli(main)
