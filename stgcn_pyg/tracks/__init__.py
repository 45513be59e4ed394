"""Reading what trackers and annotators write: tracks of people in videos, as one table."""

from stgcn_pyg.tracks.python_objects import tracks_of
from stgcn_pyg.tracks.read import FORMATS, read_tracks
from stgcn_pyg.tracks.table import COLUMNS, Tracks, write_tracks

__all__ = ["COLUMNS", "FORMATS", "Tracks", "read_tracks", "tracks_of", "write_tracks"]
