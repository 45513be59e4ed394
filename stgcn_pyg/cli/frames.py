"""What the commands share about reading frames: from where, and what happens at a bad one."""

from pathlib import Path
from typing import Literal

from stgcn_pyg.cli.arguments import Parser


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
