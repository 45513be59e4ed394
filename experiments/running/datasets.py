"""The data set of an experiment: finds or renders it, and checks it once."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock

from stgcn_pyg.data import TrackletDataset, load_dataset
from stgcn_pyg.data.check import check_dataset
from stgcn_pyg.errors import UserError
from stgcn_pyg.files import write_json
from stgcn_pyg.synthetic import VERSIONS, write_version

DESCRIPTION = "benchmark.json"  # in the folder of a rendered data set


@dataclass(frozen=True)
class DataSource:
    """A data set on disk.

    Args:
        name: Its name in tables: ``stgcn-synth-v1``, ``ward``, ``mars``.
        loader: The name by which :func:`stgcn_pyg.data.load_dataset` reads it.
        root: Its folder.
        faults: Number of allowed faults that its check found, by kind.
    """

    name: str
    loader: str
    root: Path
    faults: Mapping[str, int] = field(default_factory=dict)

    def load(self, split: int) -> TrackletDataset:
        """Its tables. The check has seen that the images are there."""
        return load_dataset(self.loader, self.root, split, verify=False)

    def identity(self, split: int) -> str:
        """SHA-256 of its tables, the names of its images, and how it was rendered."""
        dataset = self.load(split)
        digest = hashlib.sha256()
        for part, table in dataset.tables().items():
            rows = table.to_csv(lineterminator="\n")
            digest.update(f"{part}\n{rows}".encode())
        digest.update("\n".join(dataset.frames).encode())
        digest.update(_description(self.root).get("manifest_sha256", "").encode())
        return digest.hexdigest()


def open_source(
    name: str, root: Path | None, work: Path, split: int, workers: int, allow_faults: bool = False
) -> DataSource:
    """Finds a data set and checks the tracklets of a split; both once, also with several processes.

    A version of the rendered benchmark without a root is rendered into ``work/data``. ``workers``
    is the number of processes that render and check.

    Raises:
        UserError: It does not exist, is not the version of that name, has labels that cannot be
            loaded, or has faults that are not allowed.
    """
    (work / "locks").mkdir(parents=True, exist_ok=True)
    with FileLock(work / "locks" / f"{name}.lock"):
        source = _find(name, root, work, workers)
        faults = _check(source, work / "checked", split, workers, allow_faults)
    return replace(source, faults=faults)


def in_words(faults: Mapping[str, int]) -> str:
    """Numbers of faults by kind, such as ``2 missing, 1 empty``."""
    return ", ".join(f"{count:,} {kind}" for kind, count in faults.items())


def _description(root: Path) -> dict:
    try:
        return json.loads((root / DESCRIPTION).read_text())
    except (OSError, ValueError):
        return {}


def _find(name: str, root: Path | None, work: Path, workers: int) -> DataSource:
    if name not in VERSIONS:
        if root is None:
            raise UserError(f"--dataset {name} needs --root, the folder that holds it")
        return DataSource(name, name, root)
    if root is None:
        root = work / "data" / name
        if not (root / DESCRIPTION).is_file():
            print(f"rendering {name} into {root}, which takes some minutes and is done once")
            write_version(root, name, workers)
    found = _description(root).get("name")
    if found != name:
        raise UserError(
            f"{root}: is not {name} ({DESCRIPTION} names {found}); leave out --root to draw it"
        )
    return DataSource(name, "mars", root)


def _check(
    source: DataSource, folder: Path, split: int, workers: int, allow_faults: bool
) -> dict[str, int]:
    """The number of faults of each kind, from the record of an earlier check if there is one."""
    which = f"{source.identity(split)} {source.root.resolve()}"
    record = folder / hashlib.sha256(which.encode()).hexdigest()[:16]
    faults = _read_record(record)
    if faults == {}:
        source.load(split).require_images()
    if faults is None or (faults and not allow_faults):  # which may be repaired by now
        print(f"checking {source.name} at {source.root}, once")
        result = check_dataset(source.loader, source.root, split, workers=workers)
        faults = dict(Counter(fault.kind for fault in result.faults))
        if faults and not allow_faults:
            first = {fault.kind: fault for fault in reversed(result.faults)}
            kinds = "; ".join(
                f"{count:,} {kind} (the first is {first[kind].path}: {first[kind].what})"
                for kind, count in faults.items()
            )
            raise UserError(
                f"{source.root}: the data set has faults: {kinds}. Repair them (`stgcn check "
                f"{source.loader} {source.root}` names all), or pass --allow-faults to go on "
                "with them"
            )
        write_json(record, {"of": which, "pictures": result.images, "faults": faults})
    if faults:
        print(f"{source.root}: going on with its faults: {in_words(faults)}")
    return faults


def _read_record(record: Path) -> dict[str, int] | None:
    """The faults that an earlier check found; None if there was no such check."""
    if not record.exists():
        return None
    try:
        return json.loads(record.read_text())["faults"]
    except ValueError:
        return {}  # earlier versions wrote a plain line, and only if there was no fault
