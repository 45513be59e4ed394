"""The `seqinfo.ini` that stands beside MOTChallenge's files."""

import configparser
from pathlib import Path

from stgcn_pyg.errors import UserError

SOUGHT = ("imwidth", "imheight", "seqlength")


def read_sequence_info(tracks: Path) -> tuple[tuple[int, int] | None, int | None]:
    """The picture's width and height, and the number of frames, where a `seqinfo.ini` has them.

    It is looked for in the folder of the file, and above that if it is ``gt`` or ``det``.
    """
    folder = tracks.parent
    folders = [folder, folder.parent] if folder.name in ("gt", "det") else [folder]
    path = next((f / "seqinfo.ini" for f in folders if (f / "seqinfo.ini").is_file()), None)
    if path is None:
        return None, None
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8-sig")
        section = dict(parser["Sequence"])
        numbers = {name: int(section[name]) for name in SOUGHT if name in section}
    except (configparser.Error, KeyError, ValueError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read: mend or remove it ({said})") from error
    size = None
    if "imwidth" in numbers and "imheight" in numbers:
        size = numbers["imwidth"], numbers["imheight"]
    return size, numbers.get("seqlength")
