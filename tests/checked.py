"""What `check_dataset` says of a folder, in short."""

from collections import defaultdict
from pathlib import Path

from stgcn_pyg.data import check_dataset
from stgcn_pyg.data.check import FAULTS, NOTES


def found(root, name="mars", **options):
    """The names of the files by the kind of what is found."""
    result = check_dataset(name, root, workers=1, progress=False, **options)
    assert {fault.kind for fault in result.faults} <= set(FAULTS)
    assert {note.kind for note in result.notes} <= set(NOTES)
    names = defaultdict(list)
    for fault in result.faults + result.notes:
        names[fault.kind].append(Path(fault.path).name)
    return dict(names)


def what(root, name="mars", **options):
    """What is said of the one thing that is found."""
    result = check_dataset(name, root, workers=1, progress=False, **options)
    ((_, said, _),) = result.faults + result.notes
    return said
