"""The files of a benchmark beside its images: the lists of MARS, the ground truth, the hashes."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL
from PIL import features
from scipy.io import loadmat, savemat

from stgcn_pyg import __version__
from stgcn_pyg.synthetic.plan import Identity, Plan
from stgcn_pyg.synthetic.versions import Version


def identity_folder(split: str, pid: int) -> str:
    """The folder of an identity's images, relative to the root.

    Example:
        >>> identity_folder("train", 1), identity_folder("test", -1)
        ('bbox_train/0001', 'bbox_test/00-1')
    """
    return f"bbox_{split}/{pid:0>4d}"


def image_path(split: str, pid: int, camera: int, tracklet: int, frame: int) -> str:
    """The path of an image, relative to the root.

    Example:
        >>> image_path("test", 2, 1, 3, 14)
        'bbox_test/0002/0002C1T0003F014.jpg'
    """
    return f"{identity_folder(split, pid)}/{pid:0>4d}C{camera}T{tracklet:04d}F{frame:03d}.jpg"


def write_info(root: Path, plan: Plan, truth: pd.DataFrame) -> None:
    """Write the lists of names, tracklets and queries of the layout of MARS."""
    info = root / "info"
    info.mkdir(exist_ok=True)
    for split, tracklets in (("train", plan.train), ("test", plan.test)):
        paths = truth.loc[truth.split == split, "path"]
        names = "".join(f"{path.rsplit('/', 1)[1]}\r\n" for path in paths)
        (info / f"{split}_name.txt").write_bytes(names.encode("ascii"))
        labels = [(one.frames, one.identity.pid, one.camera) for one in tracklets]
        frames, pids, camids = np.array(labels, np.int32).reshape(-1, 3).T
        last = np.cumsum(frames)
        columns = np.stack([last - frames + 1, last, pids, camids], axis=1).astype(np.int32)
        _write_mat(info / f"tracks_{split}_info.mat", f"track_{split}_info", columns)
    write_queries(info / "query_IDX.mat", plan.queries)


def write_queries(path: Path, queries: Sequence[int]) -> None:
    """Write the queries, 1-based indices of test tracklets."""
    indices = np.array(queries, np.uint32).reshape(1, -1)
    if indices.max(initial=0) < 2**16:
        indices = indices.astype(np.uint16)  # as MARS has them
    _write_mat(path, "query_IDX", indices)


def _write_mat(path: Path, name: str, value: np.ndarray) -> None:
    savemat(path, {name: value}, do_compression=True)
    # The header's text holds the date, which would make equal benchmarks differ.
    header = b"MATLAB 5.0 MAT-file, a rendered benchmark in the layout of MARS".ljust(116)
    with path.open("r+b") as file:
        file.write(header)


def write_truth(root: Path, plan: Plan, truth: pd.DataFrame) -> None:
    """Write what is true of every frame, of every identity and of every stranger."""
    truth.drop(columns="sha256").to_parquet(root / "ground_truth.parquet", index=False)
    people, strangers = _identity_records(plan), _stranger_records(plan)
    pd.DataFrame(people).to_parquet(root / "people.parquet", index=False)
    columns = ["pid", "camid", "tracklet", *list(people[0])[3:]]  # there may be no stranger
    pd.DataFrame(strangers, columns=columns).to_parquet(root / "strangers.parquet", index=False)


def write_about(
    root: Path, options: dict[str, Any], images: int, manifest: str, pinned: Version | None
) -> None:
    """Write how the benchmark was made, and whether it is as pinned if it has a name."""
    named = pinned and {"name": pinned.name, "as_pinned": manifest == pinned.manifest_sha256}
    about = (named or {}) | {
        "options": options,
        "stgcn_pyg_version": __version__,
        "drawn_with": library_versions(),
        "pictures": images,
        "manifest_sha256": manifest,
    }
    (root / "benchmark.json").write_text(json.dumps(about, indent=2) + "\n")


def library_versions() -> dict[str, str]:
    """The versions of the libraries that may change an image's bytes, by name."""
    turbo = features.version_feature("libjpeg_turbo")
    name, jpeg = ("libjpeg-turbo", turbo) if turbo else ("libjpeg", features.version_codec("jpg"))
    return {"numpy": np.__version__, "Pillow": PIL.__version__, name: str(jpeg)}


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

    Nothing is drawn for it, so that it shows in a moment whether a plan has changed.
    """
    tracklets = [
        (one.identity.pid, one.camera, one.number, one.frames, one.occlusion, one.fault, one.index)
        for one in plan.train + plan.test
    ]
    queries = {"queries": plan.queries}
    return digest([*_identity_records(plan), *_stranger_records(plan), *tracklets, queries])


def manifest_sha256(root: Path, plan: Plan, rows: Iterable[dict]) -> str:
    """The hash of all that a written benchmark holds.

    Images count by their bytes; tables by their values, since the bytes of a Parquet or .mat file
    depend on the version of the library that wrote it.

    Args:
        root: The folder, its `info` written.
        plan: What was drawn.
        rows: The ground truth, a frame each, with the `path` and `sha256` of its image.
    """
    info: list[dict] = []
    for path in sorted((root / "info").iterdir()):
        if path.suffix == ".mat":
            for name, values in sorted(loadmat(path).items()):
                if not name.startswith("__"):
                    info.append({path.name: name, "dtype": str(values.dtype), "values": values})
        else:
            info.append({path.name: sha256(path.read_bytes()).hexdigest()})
    return digest([*_identity_records(plan), *_stranger_records(plan), *info, *rows])


def _identity_records(plan: Plan) -> list[dict]:
    """A row an identity of `people.parquet`."""
    return [
        {"pid": one.pid, "split": one.split, "group": one.group} | _appearance(one)
        for one in plan.identities
    ]


def _stranger_records(plan: Plan) -> list[dict]:
    """A row a tracklet of `strangers.parquet`."""
    return [
        {"pid": one.identity.pid, "camid": one.camera, "tracklet": one.number}
        | _appearance(one.identity)
        for one in plan.test
        if one.identity.pid <= 0
    ]


def _appearance(identity: Identity) -> dict:
    return asdict(identity.body) | asdict(identity.clothes)
