"""What the trainings on a fake GPU train on."""

from conftest import MarsTree

from stgcn_pyg.data import TrackletDataModule, load_dataset


def dataset_in(folder):
    """Eight people in tiny pictures."""
    tree = MarsTree(folder / "mars")
    for pid in (10, 12, 14, 16):
        tree.add("train", pid, camid=1, frames=3)
    return load_dataset("mars", tree.write())


def batches(dataset, **options):
    """Four steps an epoch."""
    size = {"height": 32, "width": 16, "identities_per_batch": 2, "tracklets_per_identity": 2}
    return TrackletDataModule(dataset, 2, num_workers=0, **size | options)
