"""`stgcn pack`: decodes and resizes a data set's frames once, into one memory-mapped file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jsonargparse.typing import PositiveInt
from tqdm import tqdm

from stgcn_pyg.cli.arguments import Parser, add_dataset_arguments
from stgcn_pyg.data import load_dataset
from stgcn_pyg.data.pack import PackedFrames, write_pack
from stgcn_pyg.progress import bar_options

DESCRIPTION = """Packs a data set's frames, so that training reads them without decoding.

A pack takes height x width x 3 bytes a frame: 98 KB at 256 x 128, 117 GB for MARS.

Examples:
  stgcn pack mars data/MARS data/mars-256x128
  stgcn train mars data/MARS --pack data/mars-256x128 --preset paper
  stgcn pack mars data/MARS data/mars-256x128 --verify true"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    parser = Parser(prog="stgcn pack", description=DESCRIPTION)
    add_dataset_arguments(parser)
    add = parser.add_argument
    add("pack", type=Path, help="the folder that receives the pack")
    add("--height", type=PositiveInt, default=256, help="height of a packed frame")
    add("--width", type=PositiveInt, default=128, help="width of a packed frame")
    bad = "stop at a bad image, or skip it and pack the others"
    add("--on_bad_frame", type=Literal["stop", "skip"], default="stop", help=bad)
    verify = "do not pack, but read the whole pack and all images and compare checksums"
    add("--verify", type=bool, default=False, help=verify)
    options = parser.parse_args(arguments)

    stops = options.on_bad_frame == "stop" and not options.verify
    dataset = load_dataset(options.dataset, options.root, options.split, verify=stops)
    if not options.verify:
        choices = (options.height, options.width, options.on_bad_frame, options.workers)
        packing = write_pack(dataset, options.pack, *choices)
        with tqdm(total=len(dataset.frames), desc="packing", unit="frame", **bar_options()) as bar:
            for count in packing:
                bar.update(count)
    packed = PackedFrames(options.pack, dataset.frames)
    verified = ""
    if options.verify:
        packed.verify()
        compared = packed.compare(dataset.root, dataset.frames, every=True)
        verified = f", checksum right, {compared:,} images unchanged"
    megabytes = (options.pack / "frames.npy").stat().st_size / 1e6
    print(
        f"{options.pack}: {len(dataset.frames):,} frames of {packed.index['height']} x "
        f"{packed.index['width']}, {megabytes:,.0f} MB, {len(packed.bad):,} bad{verified}"
    )
    return 0
