"""Steps of real trainings on a fake GPU: all types are right, and nothing waits for the device."""

import pytest
import torch
from conftest import MarsTree
from fake_gpu import OnFakeGPU, network, train

from stgcn_pyg.data import TrackletDataModule, load_dataset

pytestmark = pytest.mark.usefixtures("shapes_unchecked", "narrow_backbone")

CHANGES = {"shift": 0.1, "zoom": 0.1, "colour": 0.1, "erase": 0.5}
CHANGES |= {"brightness": 0.1, "contrast": 0.1, "saturation": 0.1}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    tree = MarsTree(tmp_path_factory.mktemp("cuda") / "mars")
    for pid in range(10, 18, 2):
        for camid in (1, 2):
            tree.add("train", pid, camid, frames=3)
    return load_dataset("mars", tree.write())


def batches(dataset, **options):
    """Four steps an epoch."""
    size = {"height": 32, "width": 16, "identities_per_batch": 2, "tracklets_per_identity": 2}
    return TrackletDataModule(dataset, 2, num_workers=0, **size | options)


CASES = {"plain": ({}, {}, {})}


@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
@pytest.mark.parametrize("case", CASES)
def test_no_step_waits_for_the_device(dataset, tmp_path, case, precision):
    of_network, of_training, of_data = CASES[case]
    module = OnFakeGPU(network(**of_network), **of_training)
    train(module, batches(dataset, **of_data), tmp_path, epochs=1, precision=precision)
    assert module.by_step() == [([], 3)] * module.steps
