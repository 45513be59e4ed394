"""A data set by its name."""

from pathlib import Path

from stgcn_pyg.data.dataset import TrackletDataset
from stgcn_pyg.data.mars import load_mars
from stgcn_pyg.data.ward import load_ward
from stgcn_pyg.errors import UserError

NAMES = ("mars", "ward")


def load_dataset(
    name: str, root: str | Path, split: int = 0, verify: bool = True
) -> TrackletDataset:
    """The tracklets of a data set on disk.

    Args:
        name: ``"mars"`` (also the rendered benchmark, which has its layout) or ``"ward"``.
        root: The folder that holds it.
        split: Which random halves of people, where the data set has no split of its own (WARD).
        verify: Whether to look if every picture is there. Without it the labels alone are read.

    Raises:
        UserError: The name is unknown, or the folder does not hold such a data set.
    """
    root = Path(root)
    if name not in NAMES:
        raise UserError(f"data set {name!r} is unknown: pass one of {', '.join(NAMES)}")
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; pass the folder that holds {name}")
    dataset = load_mars(root) if name == "mars" else load_ward(root, split)
    if verify:
        dataset.require_pictures()
    return dataset
