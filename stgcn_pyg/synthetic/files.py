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
from scipy.io import savemat

from stgcn_pyg import __version__
from stgcn_pyg.synthetic.clock import first_frames, timed_manifest
from stgcn_pyg.synthetic.plan import Identity, Plan
from stgcn_pyg.synthetic.versions import Version


def identity_folder(split: str, pid: int) -> str:
    """The folder of an identity's images below the root: bbox_train/0001, or bbox_test/00-1."""
    return f"bbox_{split}/{pid:0>4d}"


def image_path(split: str, pid: int, camera: int, tracklet: int, frame: int) -> str:
    """The path of an image below the root, such as bbox_test/0002/0002C1T0003F014.jpg."""
    return f"{identity_folder(split, pid)}/{pid:0>4d}C{camera}T{tracklet:04d}F{frame:03d}.jpg"


def write_files(
    root: Path, plan: Plan, rows: list[dict], options: dict[str, Any], pinned: Version | None
) -> str:
    """Write all files but the images, and return the SHA-256 of all that the benchmark holds.

    `rows` are those of `render_tracklet`, in the order of the plan, `options` the arguments of
    `write_benchmark` by name.
    """
    info = _write_info(root / "info", plan, rows)
    truth = pd.DataFrame(rows).drop(columns="sha256")
    truth.to_parquet(root / "ground_truth.parquet", index=False)
    identities, strangers = appearances(plan)
    pd.DataFrame(identities).to_parquet(root / "people.parquet", index=False)
    columns = ["pid", "camid", "tracklet", *list(identities[0])[3:]]  # there may be no stranger
    pd.DataFrame(strangers, columns=columns).to_parquet(root / "strangers.parquet", index=False)
    manifest = digest([*identities, *strangers, *info, *rows])
    begins = first_frames(plan, options["cameras"], options["seed"])
    timed_manifest(plan, [row["path"] for row in rows], begins).to_csv(
        root / "manifest.csv", index=False
    )
    named = pinned and {"name": pinned.name, "as_pinned": manifest == pinned.manifest_sha256}
    about = (named or {}) | {
        "options": options,
        "stgcn_pyg_version": __version__,
        "drawn_with": library_versions(),
        "pictures": len(rows),
        "manifest_sha256": manifest,
    }
    (root / "benchmark.json").write_text(json.dumps(about, indent=2) + "\n")
    return manifest


def _write_info(info: Path, plan: Plan, rows: list[dict]) -> list[dict]:
    """Write the lists of names, tracklets and queries of MARS; return them for the manifest."""
    info.mkdir()
    entries = [write_queries(info / "query_IDX.mat", plan.queries)]
    for split, tracklets in (("train", plan.train), ("test", plan.test)):
        names = [Path(row["path"]).name for row in rows if row["split"] == split]
        text = "".join(f"{name}\r\n" for name in names).encode("ascii")
        path = info / f"{split}_name.txt"
        path.write_bytes(text)
        entries.append({path.name: sha256(text).hexdigest()})
        labels = [(one.frames, one.identity.pid, one.camera) for one in tracklets]
        frames, pids, camids = np.array(labels, np.int32).reshape(-1, 3).T
        last = np.cumsum(frames)
        columns = np.stack([last - frames + 1, last, pids, camids], axis=1).astype(np.int32)
        entries.append(
            _write_mat(info / f"tracks_{split}_info.mat", f"track_{split}_info", columns)
        )
    return sorted(entries, key=lambda entry: next(iter(entry)))


def write_queries(path: Path, queries: Sequence[int]) -> dict:
    """Write the queries, 1-based indices of test tracklets."""
    indices = np.array(queries, np.uint32).reshape(1, -1)
    if indices.max(initial=0) < 2**16:
        indices = indices.astype(np.uint16)  # as MARS has them
    return _write_mat(path, "query_IDX", indices)


def _write_mat(path: Path, name: str, values: np.ndarray) -> dict:
    savemat(path, {name: values}, do_compression=True)
    # The header's text holds the date, which would make equal benchmarks differ.
    header = b"MATLAB 5.0 MAT-file, a rendered benchmark in the layout of MARS".ljust(116)
    with path.open("r+b") as file:
        file.write(header)
    return {path.name: name, "dtype": str(values.dtype), "values": values}


def appearances(plan: Plan) -> tuple[list[dict], list[dict]]:
    """The body and clothes of each identity, and those of the stranger in each other tracklet."""

    def appearance(one: Identity) -> dict:
        return asdict(one.body) | asdict(one.clothes)

    identities = [
        {"pid": one.pid, "split": one.split, "group": one.group} | appearance(one)
        for one in plan.identities
    ]
    strangers = [
        {"pid": one.identity.pid, "camid": one.camera, "tracklet": one.number}
        | appearance(one.identity)
        for one in plan.test
        if one.identity.pid <= 0
    ]
    return identities, strangers


def digest(records: Iterable[Any]) -> str:
    """The SHA-256 of records, a line of JSON each; bytes are written in hexadecimal."""

    def plain(value: bytes | np.ndarray) -> Any:
        return value.hex() if isinstance(value, bytes) else value.tolist()

    result = sha256()
    for record in records:
        result.update(json.dumps(record, default=plain, sort_keys=True).encode() + b"\n")
    return result.hexdigest()


def library_versions() -> dict[str, str]:
    """The versions of the libraries that may change an image's bytes, by name."""
    turbo = features.version_feature("libjpeg_turbo")
    name, jpeg = ("libjpeg-turbo", turbo) if turbo else ("libjpeg", features.version_codec("jpg"))
    return {"numpy": np.__version__, "Pillow": PIL.__version__, name: str(jpeg)}
