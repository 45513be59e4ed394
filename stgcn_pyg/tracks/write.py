"""Writing a table of tracks."""

from csv import QUOTE_NONNUMERIC
from pathlib import Path

from stgcn_pyg.errors import UserError, needs_extra
from stgcn_pyg.files import errors_of_writing, written_aside
from stgcn_pyg.tracks.table import Tracks


def write_tracks(tracks: Tracks, path: str | Path) -> None:
    """Writes the table of tracks, which :func:`read_tracks` reads back as it is.

    Args:
        tracks: The tracks.
        path: The file to write, ``.csv`` or ``.parquet``.

    Raises:
        UserError: The name ends otherwise, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> import pandas as pd
        >>> from stgcn_pyg.tracks import read_tracks, tracks_of
        >>> box = {"frame": [0], "track": [7], "left": [2], "top": [4], "width": [9], "height": [3]}
        >>> path = Path(tempfile.mkdtemp()) / "tracks.csv"
        >>> write_tracks(tracks_of(pd.DataFrame(box)), path)
        >>> read_tracks(path).table["track"].tolist()
        ['7']
    """
    path = Path(path)
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise UserError(f"{path}: ends in neither .csv nor .parquet: name it as one of them")
    csv = path.suffix.lower() == ".csv"
    if not csv:
        with needs_extra("train"):
            import pyarrow  # noqa: F401
    with errors_of_writing(path), written_aside(path.resolve()) as file:
        if csv:
            # Text in quotation marks, or a lone carriage return in it would end the row.
            tracks.table.to_csv(file, index=False, quoting=QUOTE_NONNUMERIC)
        else:
            tracks.table.to_parquet(file, index=False)
