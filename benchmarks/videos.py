"""How fast tracklets are cut out of a video, beside decoding it alone, and a file of tracks read.

    python -m benchmarks.videos

The video is of 1920 x 1080, with as many people in every frame as --people says; every 5 keeps one
frame in five of each. Decoding alone makes no RGB of the frames. Reading is timed in a process of
its own, with the memory that it takes beyond the imports.
"""

import json as json_files
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path

import av
import numpy as np
import pandas as pd
from jsonargparse import auto_cli
from scipy.ndimage import gaussian_filter

from benchmarks import measuring
from stgcn_pyg.tracks.cut import Camera, cut_tracklets
from stgcn_pyg.tracks.tracklets import make_tracklets
from stgcn_pyg.tracks.video import open_frames

READING = """
import json, sys, time
from stgcn_pyg.tracks import read_tracks
import pandas, pyarrow, pyarrow.csv
def peak():
    with open("/proc/self/status") as status:  # of this process alone, unlike getrusage's
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
before = peak()
start = time.perf_counter()
read = read_tracks(sys.argv[1])
seconds = time.perf_counter() - start
megabytes = (peak() - before) / 1e3
print(json.dumps({"rows": len(read.table), "seconds": seconds, "megabytes": megabytes}))
"""


def write_video(path: Path, frames: int, width: int, height: int) -> None:
    """Writes a video of a landscape that passes by."""
    noise = np.random.default_rng(0).normal(size=(height, width + 4 * frames, 3))
    fine, coarse = (gaussian_filter(noise, (sigma, sigma, 0)) * sigma for sigma in (1, 24))
    landscape = (110 + 45 * (fine + 2 * coarse)).clip(0, 255).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            pixels = np.ascontiguousarray(landscape[:, 4 * number : 4 * number + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def tracks(frames: int, people: int, width: int, height: int) -> pd.DataFrame:
    """People who walk from left to right, each in a box of 4 by 20 % of the picture."""
    frame, person = (axis.ravel() for axis in np.mgrid[:frames, :people])
    left = (person * width / people + 3 * frame) % (0.9 * width)
    table = pd.DataFrame({"frame": frame, "track": person.astype(str), "left": left})
    top = (person * 37 % 60) / 100 * height
    size = {"width": 0.04 * width, "height": 0.2 * height, "confidence": 1.0}
    return table.assign(top=top, **size)


def time_reading(rows: int, folder: Path) -> dict[str, float]:
    """Seconds and memory that a file of so many rows in MOTChallenge's form takes to read."""
    people = 50
    table = tracks(-(-rows // people), people, 1920, 1080)[:rows]
    path = folder / "gt.txt"
    columns = {
        "frame": table["frame"] + 1,
        "id": table["track"].astype(int) + 1,
        **{name: table[name].round(2) for name in ("left", "top", "width", "height")},
        **{"flag": 1, "class": 1, "visibility": 0.9},
    }
    pd.DataFrame(columns).to_csv(path, index=False, header=False)
    command = [sys.executable, "-W", "ignore", "-c", READING, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json_files.loads(done.stdout)


def main(
    frames: int = 250,
    people: list[int] = [5, 20],  # noqa: B006
    width: int = 1920,
    height: int = 1080,
    rows: int = 1_000_000,
    workers: int = 2,
    rounds: int = 5,
    json: Path | None = None,
) -> None:
    """Times decoding and cutting in turns, and reading.

    Args:
        frames: Number of frames of the video.
        people: Numbers of people in each frame.
        width: Width of the video.
        height: Height of the video.
        rows: Number of rows of the file of tracks that is read.
        workers: Number of threads that compress images.
        rounds: How often each runs.
        json: Where to write the figures.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder, number = Path(temporary), count()
        video = folder / "video.mp4"
        write_video(video, frames, width, height)
        source = open_frames(video)

        def decode() -> None:
            for _ in source:
                pass

        def cutting(boxes: pd.DataFrame) -> measuring.Step:
            camera = Camera("hall", source, boxes)
            return lambda: cut_tracklets(folder / str(next(number)), [camera], workers=workers)

        def decode_to_rgb() -> None:
            for frame in source:
                frame.rgb()

        steps = {"decoding alone": decode, "decoding to RGB": decode_to_rgb} | {
            f"cutting {some} people, every {every}": cutting(
                make_tracklets(tracks(frames, some, width, height), (width, height), every=every)
            )
            for some in people
            for every in (1, 5)
        }
        times = measuring.times_by_round(steps, rounds, rounds)
        results = {
            "frames_a_second": {
                name: frames / measuring.spread(of_one)["median"] for name, of_one in times.items()
            },
            "times_the_speed_of_decoding": {
                name: measuring.ratios(times["decoding alone"], of_one)
                for name, of_one in times.items()
            },
            "reading": time_reading(rows, folder),
        }
    table = pd.DataFrame(
        {
            "frames a second": results["frames_a_second"],
            "times decoding": {
                name: ratio["median"]
                for name, ratio in results["times_the_speed_of_decoding"].items()
            },
        }
    )
    print(table.round(2).to_string())
    reading = results["reading"]
    print(
        f"reading {reading['rows']:,} rows: {reading['seconds']:.2f} s, "
        f"{reading['megabytes']:,.0f} MB"
    )
    settings = {"frames": frames, "width": width, "height": height, "workers": workers}
    measuring.write_results(json, results, settings)


if __name__ == "__main__":
    auto_cli(main)
