"""`stgcn tracklets`: videos and a tracker's files to a data set of tracklets."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import Namespace
from jsonargparse.typing import (
    ClosedUnitInterval,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    restricted_number_type,
)
from tqdm import tqdm

from stgcn_pyg.cli.arguments import Parser
from stgcn_pyg.errors import UserError
from stgcn_pyg.files import require_writable, write_output
from stgcn_pyg.progress import bar_options
from stgcn_pyg.tracks import FORMATS, read_tracks
from stgcn_pyg.tracks.cut import MANIFEST, Camera, cut_tracklets
from stgcn_pyg.tracks.preview import draw_preview
from stgcn_pyg.tracks.table import counted
from stgcn_pyg.tracks.tracklets import by_pictures, make_tracklets, require_fitting
from stgcn_pyg.tracks.video import open_frames

DESCRIPTION = """Cuts tracklets out of videos by the files that a tracker or an annotator wrote.

Each --camera names a camera, its video (or a folder of numbered frames) and its file of tracks.
What comes out is a manifest, which check, extract, explain and pack take. It has no identities:
train and evaluate need those. If it is interrupted, the same command continues.

Examples:
  stgcn tracklets cut/station --camera hall hall.mp4 hall.txt --camera stairs stairs.mp4 stairs.txt
  stgcn tracklets cut/station --camera hall hall.mp4 hall.txt --preview boxes.jpg
  stgcn extract runs/mars embeddings/station --dataset manifest --root cut/station/manifest.csv"""

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
Quality = restricted_number_type("Quality", int, [(">=", 1), ("<=", 95)])


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    options = _parser().parse_args(arguments)
    require_writable("--preview", options.preview)
    if options.preview is not None and options.preview.suffix.lower() not in (".jpg", ".jpeg"):
        raise UserError(f"--preview {options.preview}: name a file that ends in .jpg")
    names = [name for name, _, _ in options.camera]
    for name in names:
        if not NAME.fullmatch(name):
            raise UserError(f"--camera {name!r}: write its name with letters, digits, _, - and .")
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"--camera {twice[0]}: two cameras have this name: give each its own")
    if options.starts is not None and len(options.starts) != len(names):
        raise UserError(
            f"--starts: has {len(options.starts)} times for {len(names)} cameras: give one for each"
        )
    cameras = [_camera(options, place) for place in range(len(names))]
    if options.preview is not None:
        write_output(options.preview, draw_preview(cameras))
        print(f"{options.preview}: look at the boxes; nothing was cut")
        return 0
    frames = sum(camera.last_frame + 1 for camera in cameras)
    with tqdm(total=frames, desc="cutting", unit="frame", **bar_options()) as bar:
        cut = cut_tracklets(options.output, cameras, options.quality, options.workers, bar.update)
    for name, missing in cut.missing.items():
        _warn(
            f"camera {name}: {counted(missing, 'frame')} with boxes could not be decoded (the "
            "video is truncated or damaged): the tracklets end before that"
        )
    rows = cut.manifest
    manifest = options.output / MANIFEST
    if cut.kept:
        _warn(
            f"{manifest}: was changed after it was written, and is kept: move it away and run this "
            "again to have it written anew"
        )
    images, tracklets, seen = len(rows), rows["tracklet"].nunique(), rows["camid"].nunique()
    print(
        f"{manifest}: {counted(images, 'image')} of {counted(tracklets, 'tracklet')} in "
        f"{counted(seen, 'camera')}"
    )
    return 0


def _parser() -> Parser:
    parser = Parser(prog="stgcn tracklets", description=DESCRIPTION)
    add = parser.add_argument
    add("output", type=Path, help="the folder to write")
    add(
        "--camera",
        nargs=3,
        action="append",
        required=True,
        metavar=("NAME", "VIDEO", "TRACKS"),
        help="a camera's name, its video or folder of frames, and its file of tracks; for each "
        "camera once",
    )
    formats = f"format of the files of tracks, or who wrote them: {', '.join(FORMATS)}"
    add("--format", type=str, default="auto", help=formats)
    first = "number that the tracks give to the video's first frame; the format's own if not given"
    add("--first_frame", type=int | None, default=None, help=first)
    stride = "distance, in frames of the video, between two frames that the tracker read"
    add("--stride", type=PositiveInt, default=1, help=stride)
    classes = "classes to keep, or all; people if not given"
    add("--classes", nargs="+", type=str, default=None, help=classes)
    add("--min_height", type=NonNegativeFloat, default=0, help="smallest height of a box, pixels")
    visibility = "smallest share of the person that is seen, where the file says it"
    add("--min_visibility", type=ClosedUnitInterval, default=0, help=visibility)
    add("--min_frames", type=PositiveInt, default=1, help="smallest number of images of a tracklet")
    gap = "largest number of frames without a box in a tracklet; at a longer gap it is split"
    add("--max_gap", type=NonNegativeInt, default=30, help=gap)
    add("--every", type=PositiveInt, default=1, help="keep one frame in every N")
    margin = "share of the box's width and height that is added on each side"
    add("--margin", type=NonNegativeFloat, default=0, help=margin)
    fps = "frames a second, for folders, or where a video's own time stamps are wrong"
    add("--fps", type=PositiveFloat | None, default=None, help=fps)
    starts = "second of a common clock at which each camera begins, in the order of --camera"
    add("--starts", nargs="+", type=float, default=None, help=starts)
    add("--quality", type=Quality, default=90, help="quality of the JPEG images, 1 to 95")
    add("--workers", type=PositiveInt, default=2, help="number of threads that compress images")
    preview = "only draw some frames with their boxes and ids into this JPEG file"
    add("--preview", type=Path | None, default=None, help=preview)
    return parser


def _camera(options: Namespace, place: int) -> Camera:
    """A camera's video and the boxes to cut from it; prints what was assumed and dropped."""
    name, video, tracks = options.camera[place]
    frames = open_frames(video, options.fps)
    read = read_tracks(
        tracks,
        options.format,
        camera=name,
        first_frame=options.first_frame,
        stride=options.stride,
        classes=None if options.classes is None else tuple(options.classes),
        min_height=options.min_height,
        min_visibility=options.min_visibility,
        image_size=frames.size,
    )
    where = f"camera {name}: {video}"
    read = by_pictures(where, read, frames)
    print(f"camera {name}: {tracks}\n{read.summary()}")
    for note in (*frames.notes, *require_fitting(where, read, frames)):
        _warn(note)
    boxes = make_tracklets(
        read.table,
        frames.size,
        max_gap=options.max_gap,
        every=options.every,
        min_frames=options.min_frames,
        margin=options.margin,
    )
    if boxes.empty:
        raise UserError(f"camera {name}: no tracklet has --min-frames {options.min_frames} images")
    starts = 0.0 if options.starts is None else options.starts[place]
    return Camera(name, frames, boxes, starts)


def _warn(line: str) -> None:
    print(f"stgcn tracklets: {line}", file=sys.stderr)
