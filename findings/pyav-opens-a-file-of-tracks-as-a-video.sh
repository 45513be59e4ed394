#!/usr/bin/env bash
# PyAV 18.1.0 (with the FFmpeg in its wheel): a file of tracks in MOTChallenge's text form, given in
# the video's place, opens without an error. It has a video stream of 640 x 400 pixels and 25 frames a
# second, whose frames show the file's letters. A command that takes a video and its tracks, in that
# order, cuts people out of pictures of text when a user swaps the two.
# One would guess that a .txt without any container raises InvalidDataError, as a text does that is
# named .mp4. What decides is the ending of the name: FFmpeg's demuxer `tty` takes .txt, .nfo and the
# like.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "av==18.1.0" "numpy==2.4.6"
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from pathlib import Path

import av

assert av.__version__ == "18.1.0"
rows = "".join(f"{frame},1,100,200,50,120,1,1,1\n" for frame in range(1, 201))
for name in ("gt.txt", "gt.mp4"):
    path = Path(sys.argv[1]) / name
    path.write_text(rows)
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            frame = next(container.decode(stream))
            found = container.format.name, frame.width, frame.height, float(stream.average_rate)
            print(f"{name}: opened as {found}")
            letters = frame.to_ndarray(format="gray")
            assert letters.min() < letters.max()
    except av.error.InvalidDataError as error:
        found = None
        print(f"{name}: {error.strerror}")
    assert found == (("tty", 640, 400, 25.0) if name == "gt.txt" else None), name
PYTHON
