"""Pooling, by every way of saying which nodes are a graph, against a loop over the graphs."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data

from stgcn_pyg.layers import pool_graphs

INF, NAN = float("inf"), float("nan")
TYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def by_the_book(x, sizes, reduce):
    """Graph by graph and number by number; rounded once, to the type of `x`."""
    rows = []
    for graph in x.split(sizes):
        columns = graph.double().T.tolist() if len(graph) else [[]] * x.size(1)
        rows.append([pooled(column, reduce) for column in columns])
    return torch.tensor(rows, dtype=torch.float64).view(len(sizes), x.size(1)).to(x.dtype)


def pooled(values, reduce):
    if not values:
        return 0.0
    if reduce == "max":
        return NAN if any(v != v for v in values) else max(values)
    total = sum(values)
    return total / len(values) if reduce == "mean" else total


def promises(sizes):
    """Every way to say that graphs have these sizes."""
    ptr = torch.tensor([0, *sizes]).cumsum(0)
    batch = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    yield {"ptr": ptr}
    yield {"batch": batch, "batch_size": len(sizes)}
    yield {"batch": batch, "ptr": ptr}
    if sizes[-1]:
        yield {"batch": batch}
    if sizes[0] and len(set(sizes)) == 1:
        yield {"graph_size": sizes[0]}


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 4), min_size=1, max_size=6)
    | st.tuples(st.integers(1, 4), st.integers(1, 4)).map(lambda pair: [pair[0]] * pair[1]),
    reduce=st.sampled_from(["max", "mean", "sum"]),
    dtype=st.sampled_from(TYPES),
    data=st.data(),
)
def test_pooling_is_a_loop_over_the_graphs(sizes, reduce, dtype, data):
    values = st.sampled_from([-3.5, -1.0, 0.0, 1.5, 2.0, NAN, INF, -INF])
    count = 2 * sum(sizes)
    drawn = data.draw(st.lists(values, min_size=count, max_size=count))
    x = torch.tensor(drawn, dtype=dtype).view(sum(sizes), 2)
    expected = by_the_book(x, sizes, reduce)
    for promise in promises(sizes):
        found = pool_graphs(x, reduce, **promise)
        torch.testing.assert_close(found, expected, equal_nan=True)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("promise", [{"graph_size": 3000}, {"ptr": torch.tensor([0, 3000])}])
def test_many_nodes_are_added_up_in_enough_digits(dtype, promise):
    x = torch.full((3000, 1), 20.0, dtype=dtype)
    assert pool_graphs(x, "mean", **promise).item() == 20
    small = torch.full((3000, 1), 1.0, dtype=dtype)
    assert pool_graphs(small, "sum", **promise).item() == torch.tensor(3000.0, dtype=dtype).item()


@pytest.mark.parametrize("dtype", TYPES)
def test_gradients_of_graphs_without_nodes_are_those_of_the_others(dtype):
    sizes, x = [0, 2, 0, 3, 0], torch.tensor([[1.0], [5.0], [-2.0], [-INF], [-INF]], dtype=dtype)
    for reduce, gradient in {
        "max": [0, 1, 1, 0, 0],
        "sum": [1, 1, 1, 1, 1],
        "mean": [1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3],
    }.items():
        for promise in promises(sizes):
            x = x.detach().requires_grad_()
            pool_graphs(x, reduce, **promise).sum().backward()
            torch.testing.assert_close(x.grad, torch.tensor(gradient, dtype=dtype).unsqueeze(1))


def test_a_batch_of_pyg_keeps_its_last_graphs_without_nodes():
    graphs = [
        Data(x=torch.ones(size, 2), edge_index=torch.zeros(2, 0, dtype=torch.long), num_nodes=size)
        for size in (0, 2, 0, 1, 0, 0)
    ]
    batch = Batch.from_data_list(graphs)
    found = pool_graphs(batch.x, "sum", batch=batch.batch, batch_size=batch.num_graphs)
    assert found[:, 0].tolist() == [0, 2, 0, 1, 0, 0]
    assert torch.equal(found, pool_graphs(batch.x, "sum", ptr=batch.ptr))


@pytest.mark.parametrize("graphs", [0, 2])
def test_a_batch_without_any_node(graphs):
    x = torch.zeros(0, 3)
    ptr, batch = torch.zeros(graphs + 1, dtype=torch.long), torch.zeros(0, dtype=torch.long)
    for promise in ({"ptr": ptr}, {"batch": batch, "batch_size": graphs}):
        assert torch.equal(pool_graphs(x, **promise), torch.zeros(graphs, 3))
    assert pool_graphs(torch.zeros(6, 0), graph_size=3).shape == (2, 0)


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize(
    ("promise", "words"),
    [
        ({"batch": torch.tensor([0, 0, 2]), "batch_size": 2}, "batch_size=2.*graph 2"),
        ({"ptr": torch.tensor([0, 3]), "batch_size": 2}, "batch_size=2.*1 graphs"),
        ({"graph_size": 1, "batch_size": 2}, "batch_size=2.*3 graphs"),
        ({"batch": torch.tensor([0, 1, 1]), "ptr": torch.tensor([0, 2, 3])}, "contradict"),
        ({"batch": torch.tensor([0, 0, 2]), "batch_size": 2.5}, "batch_size must be a whole"),
    ],
)
def test_contradictions_are_named(promise, words):
    with pytest.raises(ValueError, match=words):
        pool_graphs(torch.zeros(3, 1), **promise)


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
@pytest.mark.parametrize("promise", [{"graph_size": 1}, {"ptr": torch.tensor([0, 3])}])
def test_integer_features_are_refused_by_every_way(dtype, promise):
    with pytest.raises(ValueError, match="floating point features"):
        pool_graphs(torch.zeros(3, 1, dtype=dtype), **promise)
