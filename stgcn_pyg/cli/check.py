"""`stgcn check`: counts a data set's tracklets and finds its faults."""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

from jsonargparse.typing import NonNegativeInt, PositiveInt

from stgcn_pyg.cli.arguments import Parser, add_dataset_arguments
from stgcn_pyg.data import write_manifest
from stgcn_pyg.data.check import FAULTS, NOTES, CheckResult, check_dataset
from stgcn_pyg.data.label_files import Fault
from stgcn_pyg.errors import UserError
from stgcn_pyg.files import require_writable, write_json

DESCRIPTION = """Counts a data set's tracklets, decodes every image, and finds all that is wrong.

A fault makes a result wrong or a run fail: repair it before you use the data set. A note is worth
knowing; sound data sets have notes too. The exit status is 1 if there is a fault, 0 if there is
none.

Example: stgcn check mars data/MARS --json check.json"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    options = _parser().parse_args(arguments)
    manifest = options.write_manifest
    if manifest is not None and manifest.suffix not in (".csv", ".parquet"):
        raise UserError(f"--write-manifest {manifest}: name a file that ends in .csv or .parquet")
    require_writable("--json", options.json)
    require_writable("--write-manifest", manifest)
    result = check_dataset(
        options.dataset, options.root, options.split, options.min_frames, options.workers
    )
    _show(result, options.show)
    if options.json is not None:
        write_json(options.json, result.to_dict())
    if manifest is not None:
        _write_manifest(result, manifest)
    return 1 if result.faults else 0


@cache
def _parser() -> Parser:
    parser = Parser(prog="stgcn check", description=DESCRIPTION)
    add_dataset_arguments(parser)
    add = parser.add_argument
    add(
        "--min_frames",
        type=PositiveInt,
        default=1,
        help="the smallest number of frames that a tracklet may have",
    )
    shown = "how many lines to print for each kind of fault or note"
    add("--show", type=NonNegativeInt, default=10, help=shown)
    add("--json", type=Path, default=None, help="write all faults and notes to this file")
    manifest = (
        "if there is no fault, write the data set as one table to this file, .csv or .parquet"
    )
    add("--write_manifest", type=Path, default=None, help=manifest)
    return parser


def _show(result: CheckResult, lines: int) -> None:
    """Prints what was found, at most ``lines`` lines of a kind."""
    print(result.counts.rename(columns={"people": "identities"}).to_string())
    _show_kinds("faults", result.faults, FAULTS, lines)
    _show_kinds("notes (sound data sets have such too)", result.notes, NOTES, lines)
    print(
        f"\n{_number(result.images, 'image')} read: {_number(len(result.faults), 'fault')}, "
        f"{_number(len(result.notes), 'note')}"
    )


def _show_kinds(title: str, found: list[Fault], kinds: Mapping[str, str], lines: int) -> None:
    if found:
        print(f"\n{title}")
    for kind, group in groupby(found, key=lambda fault: fault.kind):
        of_kind = list(group)
        print(f"  {kind} ({len(of_kind):,}): {kinds[kind]}")
        for fault in of_kind[:lines]:
            line = f"    {fault.path}" + (f": {fault.what}" if fault.what != kind else "")
            print(line.encode(errors="backslashreplace").decode())  # a name may be no UTF-8
        if len(of_kind) > lines > 0:
            print(f"    ... and {len(of_kind) - lines:,} more (--show prints more, --json has all)")


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + "s" * (count != 1) if count else f"no {noun}s"


def _write_manifest(result: CheckResult, path: Path) -> None:
    if result.faults:
        print(f"{path} is not written, for the faults above: mend them and check again")
    else:
        write_manifest(result.dataset, path)
        print(f"{path} is written: `stgcn train manifest {path}` trains on it")
