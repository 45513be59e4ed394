"""`stgcn check`: counts a data set's tracklets and finds its bad files."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from jsonargparse.typing import PositiveInt
from tqdm import tqdm

from stgcn_pyg.commands.arguments import Parser, write_json
from stgcn_pyg.data import TrackletDataset, check_pictures, load_dataset
from stgcn_pyg.progress import bar_options

DESCRIPTION = """Counts a data set's tracklets and decodes every picture.

The exit status is 1 if any picture is bad.

Example: stgcn check mars data/MARS --json check.json"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    parser = Parser(prog="stgcn check", description=DESCRIPTION)
    parser.add_argument("dataset", type=str, help="mars or ward")
    parser.add_argument("root", type=Path, help="the folder that holds it")
    parser.add_argument("--workers", type=PositiveInt, default=2, help="processes that decode")
    parser.add_argument("--json", type=Path | None, default=None, help="write the findings here")
    options = parser.parse_args(arguments)

    dataset = load_dataset(options.dataset, options.root, verify=False)
    counts = count(dataset)
    print(counts.to_string())
    checked = tqdm(
        check_pictures(dataset, options.workers),
        total=len(dataset.frames),
        desc="checking",
        unit="picture",
        **bar_options(),
    )
    faults = [(path, fault) for path, fault in checked if fault is not None]
    for path, fault in faults:
        print(f"{path}: {fault}")
    print(f"{len(dataset.frames):,} pictures, {len(faults):,} bad")
    if options.json is not None:
        found = [{"path": str(path), "fault": fault} for path, fault in faults]
        write_json(options.json, {"counts": counts.to_dict("index"), "faults": found})
    return 1 if faults else 0


def count(dataset: TrackletDataset) -> pd.DataFrame:
    """People, cameras, tracklets and frames of each split; junk and distractors are people too."""
    return pd.DataFrame(
        {
            split: {
                "people": table["pid"].nunique(),
                "cameras": table["camid"].nunique(),
                "tracklets": len(table),
                "frames": int(table["num_frames"].sum()),
                "shortest": int(table["num_frames"].min()),
                "median": int(table["num_frames"].median()),
                "longest": int(table["num_frames"].max()),
            }
            for split, table in dataset.tables().items()
        }
    ).T
