"""The data set of an experiment: where it is, that it is sound, and which one it is."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from experiments.running.claims import Claim
from stgcn_pyg.data import TrackletDataset, load_dataset
from stgcn_pyg.data.check import check_dataset
from stgcn_pyg.data.label_files import Fault
from stgcn_pyg.errors import UserError
from stgcn_pyg.files import written_aside
from stgcn_pyg.synthetic import VERSIONS, write_version

ABOUT = "benchmark.json"  # beside a rendered data set's pictures


@dataclass(frozen=True)
class Source:
    """A data set on disk.

    Attributes:
        name: As tables name it: ``stgcn-synth-v1``, ``ward``, ``mars``.
        loader: The name by which :func:`stgcn_pyg.data.load_dataset` reads it.
        root: Its folder.
        faults: The faults that its check found and that were allowed, counted by kind.
    """

    name: str
    loader: str
    root: Path
    faults: Mapping[str, int] = field(default_factory=dict)

    def load(self, split: int) -> TrackletDataset:
        """Its tables; that the pictures are there is known from the check."""
        return load_dataset(self.loader, self.root, split, verify=False)

    def identity(self, split: int) -> str:
        """SHA-256 of what a run may depend on: tables, names of pictures, and how it was drawn."""
        dataset = self.load(split)
        digest = hashlib.sha256()
        for part, table in dataset.tables().items():
            rows = table.to_csv(lineterminator="\n")
            digest.update(f"{part}\n{rows}".encode())
        digest.update("\n".join(dataset.frames).encode())
        digest.update(about(self.root).get("manifest_sha256", "").encode())
        return digest.hexdigest()


def about(root: Path) -> dict:
    """What a rendered data set tells of itself; nothing for any other."""
    try:
        return json.loads((root / ABOUT).read_text())
    except (OSError, ValueError):
        return {}


def open_source(
    name: str,
    root: Path | None,
    work: Path,
    split: int,
    workers: int,
    allow_faults: bool = False,
) -> Source:
    """Finds a data set, renders it if it is a named version that is not there, and checks it once.

    Args:
        name: Of a data set, or of a version of the rendered benchmark.
        root: Its folder; a version may go without and is then rendered into ``work/data``.
        work: The folder for what is not kept.
        split: Which halves of people the check looks at.
        workers: Processes that render and check.
        allow_faults: Whether to go on with a data set that has faults.

    Raises:
        UserError: It is not there, is another one than it is called, has labels that cannot be
            loaded, or has faults that are not allowed.
    """
    source = _find(name, root, work, workers)
    with Claim(work / "claims", f"check-{name}").waited_for():
        faults = _check_once(source, work / "checked", split, workers, allow_faults)
    return replace(source, faults=faults)


def _find(name: str, root: Path | None, work: Path, workers: int) -> Source:
    if name not in VERSIONS:
        if root is None:
            raise UserError(f"--dataset {name} needs --root, the folder that holds it")
        return Source(name, name, root)
    if root is None:
        root = work / "data" / name
        _render_once(root, name, work, workers)
    told = about(root).get("name")
    if told != name:
        raise UserError(
            f"{root}: is not {name} ({ABOUT} names {told}); leave out --root to draw it"
        )
    return Source(name, "mars", root)


def _render_once(root: Path, name: str, work: Path, workers: int) -> None:
    with Claim(work / "claims", f"render-{name}").waited_for():
        if not (root / ABOUT).is_file():
            print(f"rendering {name} into {root}, which takes some minutes and is done once")
            write_version(root, name, workers)


def _check_once(
    source: Source, folder: Path, split: int, workers: int, allow_faults: bool
) -> dict[str, int]:
    """Decodes every picture, unless this was done before at this place.

    Returns:
        The number of faults of each kind; none, unless they are allowed.
    """
    which = f"{source.identity(split)} {source.root.resolve()}"
    stamp = folder / hashlib.sha256(which.encode()).hexdigest()[:16]
    faults = _read_stamp(stamp)
    if faults == {}:
        source.load(split).require_pictures()
    if faults is None or (faults and not allow_faults):  # they may have been mended since
        print(f"checking {source.name} at {source.root}, once")
        result = check_dataset(source.loader, source.root, split, workers=workers)
        faults = dict(Counter(fault.kind for fault in result.faults))
        if faults and not allow_faults:
            raise UserError(_refusal(source, result.faults))
        folder.mkdir(parents=True, exist_ok=True)
        content = {"of": which, "pictures": result.pictures, "faults": faults}
        with written_aside(stamp) as file:
            file.write(f"{json.dumps(content)}\n".encode())
    if faults:
        print(f"{source.root}: going on with its faults: {counted(faults)}")
    return faults


def _read_stamp(stamp: Path) -> dict[str, int] | None:
    """The faults that an earlier check found; None if there was no such check."""
    if not stamp.exists():
        return None
    try:
        return json.loads(stamp.read_text())["faults"]
    except ValueError:
        return {}  # an older version wrote a plain line, and only if there was no fault


def counted(faults: Mapping[str, int]) -> str:
    """Numbers of faults in words.

    Example:
        >>> counted({"missing": 2, "no picture": 1})
        '2 missing, 1 no picture'
    """
    return ", ".join(f"{count:,} {kind}" for kind, count in faults.items())


def _refusal(source: Source, faults: Sequence[Fault]) -> str:
    """One line: the kinds of faults, how many there are of each, and the first."""
    kinds = [
        f"{len(of_kind):,} {kind} (the first is {of_kind[0].path}: {of_kind[0].what})"
        for kind, group in groupby(faults, key=lambda fault: fault.kind)
        for of_kind in [list(group)]
    ]
    return (
        f"{source.root}: the data set has faults: {'; '.join(kinds)}. Mend them (`stgcn check "
        f"{source.loader} {source.root}` names all), or pass --allow-faults to go on all the same"
    )
