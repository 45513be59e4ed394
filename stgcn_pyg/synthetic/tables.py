"""What lies beside the pictures: the lists of MARS, the ground truth, how all was made."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from stgcn_pyg import __version__
from stgcn_pyg.synthetic.mars_layout import write_lists, write_queries
from stgcn_pyg.synthetic.pinning import library_versions, person_records, stranger_records
from stgcn_pyg.synthetic.plan import Plan
from stgcn_pyg.synthetic.versions import Version


def write_info(root: Path, plan: Plan, truth: pd.DataFrame) -> None:
    """Write the lists of the layout of MARS."""
    for split, tracklets in (("train", plan.train), ("test", plan.test)):
        paths = truth.loc[truth.split == split, "path"]
        names = [path.rsplit("/", 1)[1] for path in paths]
        tracks = [(one.frames, one.person.pid, one.camera) for one in tracklets]
        write_lists(root, split, names, tracks)
    write_queries(root, plan.queries)


def write_truth(root: Path, plan: Plan, truth: pd.DataFrame) -> None:
    """Write what is true of every frame, of every person and of every stranger."""
    truth.drop(columns="sha256").to_parquet(root / "ground_truth.parquet", index=False)
    people, strangers = person_records(plan.people), stranger_records(plan)
    pd.DataFrame(people).to_parquet(root / "people.parquet", index=False)
    columns = ["pid", "camid", "tracklet", *list(people[0])[3:]]  # there may be no stranger
    pd.DataFrame(strangers, columns=columns).to_parquet(root / "strangers.parquet", index=False)


def write_about(
    root: Path, options: dict[str, Any], pictures: int, manifest: str, pinned: Version | None
) -> None:
    """Write how the benchmark was made, and whether it is as pinned if it has a name."""
    about: dict[str, Any] = {}
    if pinned is not None:
        about = {"name": pinned.name, "as_pinned": manifest == pinned.manifest_sha256}
    about |= {
        "options": options,
        "stgcn_pyg_version": __version__,
        "drawn_with": library_versions(),
        "pictures": pictures,
        "manifest_sha256": manifest,
    }
    (root / "benchmark.json").write_text(json.dumps(about, indent=2) + "\n")
