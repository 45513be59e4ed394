"""SHA-256 hashes of all that a benchmark holds, by value, so that nothing changes unseen.

Pictures count by their bytes; tables by their values, since the bytes of a Parquet or .mat file
also tell which version of a library wrote it.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from PIL import features
from scipy.io import loadmat

from stgcn_pyg.synthetic.plan import Person, Plan


def digest(records: Iterable[Any]) -> str:
    """The SHA-256 of records of plain values, a line of JSON each.

    Example:
        >>> digest([{"pid": 1, "seen_mask": b"\\x01"}])[:12]
        'ab64cb88546e'
    """
    result = sha256()
    for record in records:
        result.update(json.dumps(record, default=_plain, sort_keys=True).encode() + b"\n")
    return result.hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value)} cannot be pinned")


def plan_sha256(plan: Plan) -> str:
    """The hash of who is seen where and for how long, of their bodies and clothes, and the queries.

    It takes no drawing, so that it tells in a moment whether a plan has changed.
    """
    return digest(_plan_records(plan))


def _plan_records(plan: Plan) -> Iterator[Any]:
    yield from person_records(plan.people)
    yield from stranger_records(plan)
    for tracklet in plan.train + plan.test:
        yield [
            tracklet.person.pid,
            tracklet.camera,
            tracklet.number,
            tracklet.frames,
            tracklet.occlusion,
            tracklet.fault,
            tracklet.index,
        ]
    yield {"queries": plan.queries}


def person_records(people: list[Person]) -> list[dict]:
    """What is true of each person, as `people.parquet` holds it."""
    return [
        {"pid": one.pid, "split": one.split, "group": one.group}
        | asdict(one.body)
        | asdict(one.clothes)
        for one in people
    ]


def stranger_records(plan: Plan) -> list[dict]:
    """What is true of whoever walks in each tracklet of distractors and junk."""
    return [
        {"pid": tracklet.person.pid, "camid": tracklet.camera, "tracklet": tracklet.number}
        | asdict(tracklet.person.body)
        | asdict(tracklet.person.clothes)
        for tracklet in plan.test
        if tracklet.person.pid <= 0
    ]


def manifest_sha256(root: Path, plan: Plan, rows: Iterable[dict]) -> str:
    """The hash of a written benchmark.

    Args:
        root: The folder, its `info` written.
        plan: What was drawn.
        rows: The ground truth, a frame each, with the `path` and `sha256` of its picture.
    """
    return digest(_manifest_records(root, plan, rows))


def _manifest_records(root: Path, plan: Plan, rows: Iterable[dict]) -> Iterator[Any]:
    yield from person_records(plan.people)
    yield from stranger_records(plan)
    for path in sorted((root / "info").iterdir()):
        if path.suffix == ".mat":
            for name, values in sorted(loadmat(path).items()):
                if not name.startswith("__"):
                    yield {path.name: name, "dtype": str(values.dtype), "values": values}
        else:
            yield {path.name: sha256(path.read_bytes()).hexdigest()}
    yield from rows


def library_versions() -> dict[str, str]:
    """What may change a picture's bytes, by name."""
    import PIL

    turbo = features.version_feature("libjpeg_turbo")
    jpeg = {"libjpeg-turbo": turbo} if turbo else {"libjpeg": features.version_codec("jpg")}
    return {"numpy": np.__version__, "Pillow": PIL.__version__} | {
        name: str(version) for name, version in jpeg.items()
    }
