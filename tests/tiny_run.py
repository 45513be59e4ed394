"""A run's folder with a small network of random weights, as training leaves it, in no time."""

import torch

from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.checkpoint import KEY, describe


def write_run(folder, root, seed=0, settings=None, **options):
    """Writes the checkpoint of a run on the data set in MARS's layout at `root`.

    `settings` are those of the run that are not as usual.
    """
    torch.manual_seed(seed)
    model = STGCN(
        4,
        num_frames=2,
        backbone="resnet18",
        weights=None,
        branches=("global", "spatial"),
        spatial_channels=16,
        spatial_patches=2,
        **options,
    )
    data = {"height": 32, "width": 16, "tracklets_per_identity": 2}
    config = {"dataset": "mars", "root": str(root), "split": 0, "data": data} | (settings or {})
    weights = {f"model.{name}": weight for name, weight in model.state_dict().items()}
    folder.mkdir(parents=True)
    torch.save({KEY: describe(model, config), "state_dict": weights}, folder / "checkpoint.ckpt")
    return folder
