"""The distance between patches against plain loops over the nodes of each branch."""

import math

import numpy as np
import pytest
import torch
from small_stgcn import small_stgcn

from stgcn_pyg.explain import (
    ExplainedTracklets,
    distance_between_patches,
    feature_maps_of,
    patch_distances,
)


def maps_of(model):
    torch.manual_seed(2)
    return feature_maps_of(model, torch.randn(2, 2, 3, 128, 32, dtype=torch.float64))


def by_the_book(patches):
    """The mean of 1 - cosine over the pairs of different patches, `[N, C]`, in Python floats."""
    rows = [row.tolist() for row in patches.detach()]
    found = []
    for i, x in enumerate(rows):
        for j, y in enumerate(rows):
            if i != j:
                dot = sum(a * b for a, b in zip(x, y, strict=True))
                found.append(1 - dot / (math.hypot(*x) * math.hypot(*y)))
    return sum(found) / len(found)


def test_before_the_layers_it_is_that_of_the_patches():
    model = small_stgcn()
    feature_maps = maps_of(model)  # [4, 512, 8, 2]
    patches = [feature_maps[:, :, y : y + 2].mean(dim=(2, 3)) for y in (0, 2, 4, 6)]
    patches = torch.stack(patches, 1).reshape(2, 2, 4, 512)
    distances = patch_distances(model, feature_maps)
    for clip in range(2):
        found = float(distances["temporal"][clip, 0])
        assert found == pytest.approx(by_the_book(patches[clip].reshape(8, 512)))
        for frame in range(2):
            found = float(distances["spatial"][clip, frame, 0])
            assert found == pytest.approx(by_the_book(patches[clip, frame]))


@pytest.mark.parametrize("propagation", ["gcn", "fc"])
def test_behind_the_layers_it_is_that_of_what_is_pooled(propagation):
    model = small_stgcn(temporal_propagation=propagation, spatial_propagation=propagation)
    feature_maps = maps_of(model)
    pooled = {}
    for name in ("temporal", "spatial"):
        model.branches[name].gcn.register_forward_hook(
            lambda _module, _inputs, output, name=name: pooled.update({name: output})
        )
    model.from_feature_maps(feature_maps)
    expected = {name: x.detach().clone() for name, x in pooled.items()}
    distances = patch_distances(model, feature_maps)
    for clip, patches in enumerate(expected["temporal"].reshape(2, 8, 512)):
        assert float(distances["temporal"][clip, 1]) == pytest.approx(by_the_book(patches))
    for clip, frames in enumerate(expected["spatial"].reshape(2, 2, 4, 256)):
        for frame, patches in enumerate(frames):
            assert float(distances["spatial"][clip, frame, 1]) == pytest.approx(
                by_the_book(patches)
            )


def test_branches_without_patches_to_compare_have_none():
    only_global = small_stgcn(branches=("global",))
    assert patch_distances(only_global, maps_of(only_global)) == {}
    one_patch = small_stgcn(spatial_patches=1, temporal_patches=1)
    assert list(patch_distances(one_patch, maps_of(one_patch))) == ["temporal"]


def test_the_table_is_the_mean_over_graphs_by_person():
    rng = np.random.default_rng(0)
    temporal, spatial = rng.random((4, 2)), rng.random((4, 3, 2))
    explained = ExplainedTracklets(
        np.zeros((4, 3)), {}, {}, {"temporal": temporal, "spatial": spatial}
    )
    table = distance_between_patches(explained, np.array([7, 7, 8, 9]))
    for place, column in (("before", 0), ("behind", 1)):
        assert table.loc[("temporal", place), "value"] == pytest.approx(temporal[:, column].mean())
        row = table.loc[("spatial", place)]
        assert row["value"] == pytest.approx(spatial[..., column].mean())
        people = [spatial[:2, :, column], spatial[2:3, :, column], spatial[3:, :, column]]
        sums = [(person - row["value"]).sum() / 12 for person in people]
        assert row["standard_error"] == pytest.approx(math.sqrt(1.5 * sum(s * s for s in sums)))
        assert (row["num_values"], row["people"]) == (12, 3)
