"""Reading the files that trackers and annotators write, to one table."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks.boxes import Boxes
from stgcn_pyg.tracks.cleaning import Choices, clean
from stgcn_pyg.tracks.formats.coco import read_coco
from stgcn_pyg.tracks.formats.cvat import read_cvat
from stgcn_pyg.tracks.formats.cvml import read_cvml
from stgcn_pyg.tracks.formats.kitti import read_kitti
from stgcn_pyg.tracks.formats.labelstudio import read_labelstudio
from stgcn_pyg.tracks.formats.mot import WRITERS, read_mot
from stgcn_pyg.tracks.formats.own_table import read_own_table
from stgcn_pyg.tracks.formats.scalabel import read_scalabel
from stgcn_pyg.tracks.formats.supervision import read_supervision
from stgcn_pyg.tracks.formats.ultralytics import read_ultralytics
from stgcn_pyg.tracks.formats.vatic import read_vatic
from stgcn_pyg.tracks.formats.viame import read_viame
from stgcn_pyg.tracks.formats.wildtrack import read_wildtrack
from stgcn_pyg.tracks.kinds import kind_of
from stgcn_pyg.tracks.table import Tracks

READERS: dict[str, Callable[[Path, Any], Boxes]] = {
    **{writer: partial(read_mot, writer=writer) for writer in WRITERS},
    "ultralytics": read_ultralytics,
    "kitti": read_kitti,
    "cvat": read_cvat,
    "vatic": read_vatic,
    "scalabel": read_scalabel,
    "coco": read_coco,
    "labelstudio": read_labelstudio,
    "viame": read_viame,
    "cvml": read_cvml,
    "wildtrack": read_wildtrack,
    "supervision": read_supervision,
    "table": read_own_table,
}
FORMATS = tuple(READERS)


def read_tracks(
    path: str | Path,
    format: str = "auto",
    *,
    camera: str = "",
    first_frame: int | None = None,
    stride: int = 1,
    classes: Sequence[str] | str | None = None,
    min_height: float = 0.0,
    min_visibility: float = 0.0,
    min_frames: int = 1,
    image_size: tuple[int, int] | None = None,
) -> Tracks:
    """Reads the tracks that a tracker or an annotator wrote, in any of :data:`FORMATS`.

    A box without an id, or with one below 0, is nobody's and is left out, as are boxes that the
    file itself marks: to ignore, outside, lost. Where the picture's size is known, boxes are
    clipped to it. What was left out and what was assumed is in the result.

    Args:
        path: The file, or a folder where a format has a file a frame.
        format: The format, or the program that wrote a MOT file; ``"auto"`` tells it by the
            content.
        camera: The name of the camera, where the file has none. Of a file with several it picks
            one.
        first_frame: The number that the file gives to the video's first frame. None: the format's
            own, 0 or 1.
        stride: The number of video frames for one of the file's count. A tracker that reads every
            second frame and counts 1, 2, 3 has the stride 2.
        classes: The classes to take, by the names or numbers in the file; ``"all"`` takes all.
            None: people, where the format says what they are called, else all.
        min_height: The least height of a box within the picture, in pixels.
        min_visibility: The least visible part of a person, from 0 to 1, where the file has it.
        min_frames: The least number of frames of a track.
        image_size: The width and height of the picture, in pixels. None: the file's own.

    Returns:
        The tracks.

    Raises:
        UserError: The file cannot be read, or is of another format; a track is in a frame twice;
            ids do not last from frame to frame; or the picture's size is needed and not known.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "tracks.txt"
        >>> _ = path.write_text("1,0,10,20,30,60,0.9,0,-1\\n3,0,14,20,30,60,0.8,0,-1\\n")
        >>> tracks = read_tracks(path, stride=2)
        >>> tracks.format, tracks.table["frame"].tolist()
        ('boxmot', [0, 4])
    """
    choices = Choices(
        camera=camera,
        first_frame=first_frame,
        stride=stride,
        classes=classes,
        min_height=min_height,
        min_visibility=min_visibility,
        min_frames=min_frames,
        image_size=image_size,
    )
    path = Path(path)
    if format not in ("auto", *FORMATS):
        raise UserError(f"format={format!r} is unknown: use auto, {', '.join(FORMATS)}")
    kind, content = kind_of(path)
    if format == "auto":
        boxes = (read_mot if kind == "mot" else READERS[kind])(path, content)
    elif kind == ("mot" if format in WRITERS else format):
        boxes = READERS[format](path, content)
    else:
        form = "a MOT file" if kind == "mot" else f"in the format {kind}"
        raise UserError(f"{path}: is not in the format {format}, but {form}: leave the format out")
    if not len(boxes.table):
        raise UserError(f"{path}: has no boxes: pass a file with tracks")
    return clean(path.as_posix(), boxes, choices)
