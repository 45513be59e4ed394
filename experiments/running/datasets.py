"""The data set of an experiment: where it is, that it is sound, and which one it is."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from experiments.running.claims import Claim
from stgcn_pyg.data import TrackletDataset, load_dataset
from stgcn_pyg.data.check import check_dataset
from stgcn_pyg.data.synthetic import VERSIONS, write_version
from stgcn_pyg.errors import UserError
from stgcn_pyg.written_aside import written_aside

ABOUT = "benchmark.json"  # beside a rendered data set's pictures


@dataclass(frozen=True)
class Source:
    """A data set on disk.

    Attributes:
        name: As tables name it: ``stgcn-synth-v1``, ``ward``, ``mars``.
        loader: The name by which :func:`stgcn_pyg.data.load_dataset` reads it.
        root: Its folder.
    """

    name: str
    loader: str
    root: Path

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


def open_source(name: str, root: Path | None, work: Path, split: int, workers: int) -> Source:
    """Finds a data set, renders it if it is a named version that is not there, and checks it once.

    Args:
        name: Of a data set, or of a version of the rendered benchmark.
        root: Its folder; a version may go without and is then rendered into ``work/data``.
        work: The folder for what is not kept.
        split: Which halves of people the check looks at.
        workers: Processes that render and check.

    Raises:
        UserError: It is not there, is another one than it is called, or has faults.
    """
    source = _find(name, root, work, workers)
    with Claim(work / "claims", f"check-{name}").waited_for():
        _check_once(source, work / "checked", split, workers)
    return source


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


def _check_once(source: Source, folder: Path, split: int, workers: int) -> None:
    """Decodes every picture, unless this was done before at this place."""
    which = f"{source.identity(split)} {source.root.resolve()}"
    stamp = folder / hashlib.sha256(which.encode()).hexdigest()[:16]
    if stamp.exists():
        source.load(split).require_pictures()
        return
    print(f"checking {source.name} at {source.root}, once")
    result = check_dataset(source.loader, source.root, split, workers=workers)
    if result.faults:
        first = result.faults[0]
        raise UserError(
            f"{source.root}: {len(result.faults)} faults, the first is {first.path}: {first.what} "
            f"(see `stgcn check {source.loader} {source.root}`)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with written_aside(stamp) as file:
        file.write(f"{which}: {result.pictures} pictures\n".encode())
