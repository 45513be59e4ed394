"""The learned graph against the literal equations, and its averages against plain loops."""

import numpy as np
import pytest
import torch
from by_the_book import affinity_by_the_book, renormalized_by_the_book
from small_stgcn import small_stgcn

from stgcn_pyg.explain import (
    feature_maps_of,
    learned_graphs,
    share_from_uncovered,
    strongest_edges,
    weight_by_stripe,
    weight_by_time,
)


@pytest.fixture(scope="module")
def model():
    return small_stgcn()


@pytest.fixture(scope="module")
def feature_maps(model):
    clips = torch.randn(2, 2, 3, 128, 32, dtype=torch.float64)
    return feature_maps_of(model, clips)  # [4, 512, 8, 2]


def random_weights(graphs=3, nodes=6, seed=0):
    """Â of random affinities."""
    a = np.random.default_rng(seed).random((graphs, nodes, nodes))
    return (a / a.sum(axis=2, keepdims=True) + np.eye(nodes)) / 2


def patches_by_hand(feature_maps):
    """The mean of each two rows of each map, `[F, 4, C]`."""
    return torch.stack([feature_maps[:, :, y : y + 2].mean(dim=(2, 3)) for y in (0, 2, 4, 6)], 1)


def weights_by_the_book(branch, nodes):
    h = nodes @ branch.gcn.affinity.phi.weight.detach().T
    return renormalized_by_the_book(affinity_by_the_book(h))


def test_the_temporal_graph_joins_the_patches_of_all_frames(model, feature_maps):
    temporal = learned_graphs(model, feature_maps)["temporal"]
    nodes = patches_by_hand(feature_maps)
    for clip in range(2):
        of_clip = torch.cat([nodes[2 * clip], nodes[2 * clip + 1]])
        expected = weights_by_the_book(model.branches["temporal"], of_clip)
        torch.testing.assert_close(temporal[clip], expected)
    assert temporal.shape == (2, 8, 8)


def test_the_spatial_graphs_join_the_patches_of_each_frame(model, feature_maps):
    spatial = learned_graphs(model, feature_maps)["spatial"]
    nodes = patches_by_hand(feature_maps)
    assert spatial.shape == (2, 2, 4, 4)
    for clip in range(2):
        for frame in range(2):
            of_frame = nodes[2 * clip + frame]
            expected = weights_by_the_book(model.branches["spatial"], of_frame)
            torch.testing.assert_close(spatial[clip, frame], expected)


@pytest.mark.parametrize("affinity", ["softmax", "cosine"])
def test_other_affinities_have_graphs_too(affinity):
    model = small_stgcn(affinity=affinity)
    feature_maps = feature_maps_of(model, torch.randn(1, 2, 3, 128, 32, dtype=torch.float64))
    h = patches_by_hand(feature_maps)[0] @ model.branches["spatial"].gcn.affinity.phi.weight.T
    expected = renormalized_by_the_book(affinity_by_the_book(h.detach(), kind=affinity))
    torch.testing.assert_close(learned_graphs(model, feature_maps)["spatial"][0, 0], expected)


def test_a_branch_without_a_graph_has_none():
    fully_connected = small_stgcn(temporal_propagation="fc")
    clips = torch.randn(1, 2, 3, 128, 32, dtype=torch.float64)
    feature_maps = feature_maps_of(fully_connected, clips)
    assert list(learned_graphs(fully_connected, feature_maps)) == ["spatial"]
    assert learned_graphs(small_stgcn(branches=("global",)), feature_maps) == {}
    with pytest.raises(ValueError, match=r'propagation="gcn": "fc" has no affinity'):
        fully_connected.branches["temporal"].edge_weights(feature_maps, 2)


@pytest.mark.parametrize("num_frames", [1, 2, 3, 6])
def test_the_weight_by_time_is_the_mean_over_pairs_of_patches(num_frames):
    weights = random_weights()
    table = weight_by_time(weights, num_frames)
    patches = 6 // num_frames
    for distance in range(num_frames):
        found = [
            weights[graph, i, j]
            for graph in range(3)
            for i in range(6)
            for j in range(6)
            if i != j and abs(i // patches - j // patches) == distance
        ]
        row = table.loc[distance]
        assert row["edges"] == len(found) / 3
        expected = np.mean(found) if found else np.nan
        np.testing.assert_allclose([row["weight"], row["ratio"]], [expected, expected * 12])


@pytest.mark.parametrize("patches", [1, 2, 3, 6])
def test_the_weight_by_stripe_is_the_mean_over_pairs_of_patches(patches):
    weights = random_weights()
    table = weight_by_stripe(weights, patches).to_numpy()
    for into in range(patches):
        for source in range(patches):
            found = [
                weights[graph, i, j]
                for graph in range(3)
                for i in range(into, 6, patches)
                for j in range(source, 6, patches)
                if i != j
            ]
            np.testing.assert_allclose(table[into, source], np.mean(found) if found else np.nan)


def test_equal_weights_stand_at_a_ratio_of_one_and_at_chance():
    equal = np.full((2, 6, 6), 1 / 12) + np.eye(6) / 2
    np.testing.assert_allclose(weight_by_time(equal, 3)["ratio"], 1)
    covered = np.random.default_rng(0).random((2, 6)) < 0.5
    table = share_from_uncovered(equal, covered, ~covered)
    assert len(table) == 12
    np.testing.assert_allclose(table["share"], table["chance"])


def test_the_strongest_edges_lead_between_frames():
    weights = random_weights(graphs=1)[0]
    pairs = [(weights[i, j], i, j) for i in range(6) for j in range(6) if i // 2 != j // 2]
    edges = strongest_edges(weights, num_patches=2, count=5)
    for edge, (weight, i, j) in zip(
        edges.itertuples(), sorted(pairs, reverse=True)[:5], strict=True
    ):
        assert (edge.into_frame, edge.into_patch) == divmod(i, 2)
        assert (edge.from_frame, edge.from_patch) == divmod(j, 2)
        assert edge.weight == weight
    assert len(strongest_edges(weights, num_patches=2, count=99)) == len(pairs)


def test_the_share_from_uncovered_patches_is_that_of_plain_loops():
    weights = random_weights(seed=4)
    kinds = np.random.default_rng(1).choice(["covered", "uncovered", "beside"], (3, 6))
    table = share_from_uncovered(weights, kinds == "covered", kinds == "uncovered")
    rows = table.itertuples()
    for graph in range(3):
        for i in range(6):
            others = [j for j in range(6) if j != i and kinds[graph, j] != "beside"]
            if kinds[graph, i] == "beside" or not others:
                continue
            good = [j for j in others if kinds[graph, j] == "uncovered"]
            row = next(rows)
            assert (row.graph, row.node, row.covered) == (graph, i, kinds[graph, i] == "covered")
            total = sum(weights[graph, i, j] for j in others)
            assert row.share == pytest.approx(sum(weights[graph, i, j] for j in good) / total)
            assert row.chance == pytest.approx(len(good) / len(others))
    assert next(rows, None) is None


def test_what_does_not_fit_is_told():
    weights = random_weights()
    with pytest.raises(ValueError, match=r"N a multiple of 4, got \(3, 6, 6\)"):
        weight_by_time(weights, 4)
    with pytest.raises(ValueError, match=r"N a multiple of 2, got \(3, 6\)"):
        weight_by_stripe(weights[0, :3], 2)
    both = np.ones((3, 6), dtype=bool)
    with pytest.raises(ValueError, match="exclude each other"):
        share_from_uncovered(weights, both, both)
