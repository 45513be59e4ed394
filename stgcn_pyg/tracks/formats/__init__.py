"""The readers of files of tracks, one module a kind of file."""
