"""What the commands share about reading frames: from where, and what happens at a bad one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stgcn_pyg.cli.arguments import Parser
from stgcn_pyg.distributed import ALONE, ProcessGroup

if TYPE_CHECKING:
    from stgcn_pyg.data import TrackletDataModule


def add_frame_arguments(parser: Parser) -> None:
    """Adds `--pack` and `--on_bad_frame`."""
    parser.add_argument(
        "--pack", type=Path | None, default=None, help="read frames from this pack (`stgcn pack`)"
    )
    parser.add_argument(
        "--on_bad_frame",
        type=Literal["stop", "skip"],
        default="stop",
        help="stop at a bad picture, or take another frame of its tracklet and count it",
    )


def needs_pictures(pack: Path | None, on_bad_frame: str) -> bool:
    """Whether every picture must be on disk before anything begins."""
    return pack is None and on_bad_frame == "stop"


def tell_skipped(data: "TrackletDataModule", group: ProcessGroup = ALONE, show: int = 3) -> None:
    """Says how many bad pictures the processes have passed over, and names some."""
    faults = sorted(set().union(*group.gather(data.skipped)))
    if faults:
        print(f"bad pictures, passed over for another frame of their tracklet: {len(faults):,}")
        for fault in faults[:show]:
            print(f"  {fault}")
        if len(faults) > show:
            print("  ... (`stgcn check` names all)")


@contextmanager
def skipped_within(data: "TrackletDataModule") -> Iterator[set[str]]:
    """Gathers what was wrong with bad pictures that this process passes over in a block.

    Args:
        data: Whose ``skipped`` holds it afterwards too.
    """
    before, data.skipped = data.skipped, set()
    found = data.skipped
    try:
        yield found
    finally:
        data.skipped = before | found
