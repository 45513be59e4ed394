"""CVML: an XML file of frames, as PETS, CAVIAR and ETH have it."""

from pathlib import Path
from xml.etree.ElementTree import Element

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks.boxes import ENTRY_ERRORS, Boxes, refuse_entry
from stgcn_pyg.tracks.formats.rows import Rows


def read_cvml(path: Path, content: Element) -> Boxes:
    """The boxes of a CVML file, which gives their centres. Groups of people are passed over."""
    frames = content.findall("frame")
    if not frames:
        raise UserError(f"{path}: has no frames: pass a CVML file")
    rows = Rows("confidence")
    number = 0
    numbers = []
    try:
        for frame in frames:
            number = int(frame.attrib["number"])
            numbers.append(number)
            for person in frame.iterfind("objectlist/object"):
                box = person.find("box")
                if box is None:
                    raise KeyError("box")
                x, y, width, height = (float(box.attrib[name]) for name in ("xc", "yc", "w", "h"))
                confidence = float(person.get("confidence", "nan"))
                corner = (x - width / 2, y - height / 2)
                rows.add(number, person.attrib["id"], (*corner, width, height), confidence)
    except ENTRY_ERRORS as error:
        refuse_entry(path, f"frame {number}", error)
    return Boxes(
        format="cvml",
        table=rows.table(),
        first_frame=min(numbers),
        assumed=["the first frame that the file lists is the video's first"],
        num_frames=max(numbers) - min(numbers) + 1,
        row="object {}".format,
    )
