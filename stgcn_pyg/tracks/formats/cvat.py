"""CVAT for video 1.1: an XML file of tracks."""

from pathlib import Path
from xml.etree.ElementTree import Element

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks.boxes import ENTRY_ERRORS, PEOPLE, Boxes, has_people, one_name, refuse_entry
from stgcn_pyg.tracks.formats.rows import Rows, corners, enclosing

SIZE = ("width", "height")


def read_cvat(path: Path, content: Element) -> Boxes:
    """The boxes of a CVAT file. A box that is `outside` ends its track, and is not the person's.

    Points, lines and masks are no boxes and are passed over. A file of several tasks has a camera
    for each.
    """
    tracks = content.findall("track")
    if not tracks:
        raise UserError(f"{path}: has no tracks: export it from CVAT as 'CVAT for video 1.1'")
    rows = Rows("class", "camera")
    cameras = one_name([track.get("task_id", "") for track in tracks])
    other = turned = 0
    for track, camera in zip(tracks, cameras, strict=True):
        other += any(shape.tag not in ("box", "attribute") for shape in track)
        for shape in track.iter("box"):
            try:
                box = corners(*(shape.attrib[side] for side in ("xtl", "ytl", "xbr", "ybr")))
                if turn := float(shape.get("rotation", 0)):
                    box, turned = enclosing(box, turn), turned + 1
                reason = "outside" if shape.get("outside") == "1" else ""
                frame = int(shape.attrib["frame"])
                rows.add(frame, track.get("id"), box, track.get("label"), camera, reason=reason)
            except ENTRY_ERRORS as error:
                refuse_entry(path, f"track {track.get('id')}, box {len(rows.rows) + 1}", error)
    assumed = ["frames are the video's own, also where only every n-th was annotated"]
    if other:
        assumed.append(f"{other} tracks of points, lines or masks are passed over")
    if turned:
        assumed.append(f"{turned} turned boxes are read as the upright boxes around them")
    sizes = {
        tuple(int(text) if (text := size.findtext(side, "")).isdecimal() else 0 for side in SIZE)
        for size in content.iter("original_size")
    }
    width, height = sizes.pop() if len(sizes) == 1 else (0, 0)
    return Boxes(
        format="cvat",
        table=rows.table(),
        first_frame=0,
        assumed=assumed,
        left_out=rows.left_out(),
        people=PEOPLE,
        own_words=not has_people(label.findtext("name", "") for label in content.iter("label")),
        image_size=(width, height) if width and height else None,
        row="box {}".format,
    )
