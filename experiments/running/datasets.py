"""The data set of an experiment: finds it, renders it if need be, and checks it once."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from filelock import FileLock

from stgcn_pyg.data import TrackletDataset, load_dataset
from stgcn_pyg.data.check import check_dataset
from stgcn_pyg.errors import UserError
from stgcn_pyg.files import written_aside
from stgcn_pyg.synthetic import VERSIONS, write_version

DESCRIPTION = "benchmark.json"  # in the folder of a rendered data set


@dataclass(frozen=True)
class DataSource:
    """A data set on disk.

    Attributes:
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

    def faults_in_words(self) -> str:
        """The allowed faults, such as ``2 missing, 1 empty``."""
        return ", ".join(f"{count:,} {kind}" for kind, count in self.faults.items())


def open_source(
    name: str, root: Path | None, work: Path, split: int, workers: int, allow_faults: bool = False
) -> DataSource:
    """Finds a data set and checks it; both once, also with several processes.

    Args:
        name: Name of a data set, or of a version of the rendered benchmark.
        root: Its folder. A version without one is rendered into ``work/data``.
        work: Folder for checkpoints and the like.
        split: The split whose tracklets are checked.
        workers: Number of processes that render and check.
        allow_faults: Whether to accept a data set with faults.

    Raises:
        UserError: It does not exist, is not the version of that name, has labels that cannot be
            loaded, or has faults that are not allowed.
    """
    (work / "locks").mkdir(parents=True, exist_ok=True)
    with FileLock(work / "locks" / f"{name}.lock"):
        source = _find(name, root, work, workers)
        return replace(
            source, faults=_check(source, work / "checked", split, workers, allow_faults)
        )


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
    if faults is None or (faults and not allow_faults):  # they may have been mended since
        print(f"checking {source.name} at {source.root}, once")
        result = check_dataset(source.loader, source.root, split, workers=workers)
        faults = dict(Counter(fault.kind for fault in result.faults))
        if faults and not allow_faults:
            kinds = [
                f"{len(of_kind):,} {kind} (the first is {of_kind[0].path}: {of_kind[0].what})"
                for kind, group in groupby(result.faults, key=lambda fault: fault.kind)
                for of_kind in [list(group)]
            ]
            raise UserError(
                f"{source.root}: the data set has faults: {'; '.join(kinds)}. Mend them (`stgcn "
                f"check {source.loader} {source.root}` names all), or pass --allow-faults to go on "
                "all the same"
            )
        folder.mkdir(parents=True, exist_ok=True)
        content = {"of": which, "pictures": result.images, "faults": faults}
        with written_aside(record) as file:
            file.write(f"{json.dumps(content)}\n".encode())
    if faults:
        words = replace(source, faults=faults).faults_in_words()
        print(f"{source.root}: going on with its faults: {words}")
    return faults


def _read_record(record: Path) -> dict[str, int] | None:
    """The faults that an earlier check found; None if there was no such check."""
    if not record.exists():
        return None
    try:
        return json.loads(record.read_text())["faults"]
    except ValueError:
        return {}  # earlier versions wrote a plain line, and only if there was no fault
