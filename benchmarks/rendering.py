"""How fast the rendered data set is drawn and written.

    python -m benchmarks.rendering

Walking people at 256 x 128, 30 % of them occluded, from plan to JPEG on disk:

1 worker, 2 workers   frames a second by the clock, the start of the processes included
quiet cores           2 cores over the processor time of a frame: the rate of two cores that do
                      nothing else, however busy this machine is
pictures decoded      JPEGs of the same size a second on one thread, to compare processors by
"""

import tempfile
from io import BytesIO
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import pandas as pd
from jsonargparse import auto_cli
from PIL import Image

from benchmarks.measuring import write_results
from stgcn_pyg.synthetic import write_benchmark


def render(folder: Path, people: int, frames: tuple[int, int], workers: int) -> tuple[float, float]:
    """Frames a second by the clock, and by the processor time of this process."""
    clock, busy = perf_counter(), process_time()
    written = write_benchmark(
        folder,
        train_people=people,
        test_people=people,
        frames=frames,
        distractors=0,
        junk=0,
        workers=workers,
        progress=False,
    )
    seconds, own = perf_counter() - clock, max(process_time() - busy, 1e-9)
    return written.frames / seconds, written.frames / own


def decode(folder: Path, count: int = 300) -> float:
    """JPEGs decoded a second of this process's processor time."""
    encoded = [path.read_bytes() for path in sorted(folder.rglob("*.jpg"))[:count]]
    busy = process_time()
    for image in encoded:
        Image.open(BytesIO(image)).load()
    return len(encoded) / (process_time() - busy)


def main(
    rounds: int = 3, people: int = 4, smallest: bool = False, json: Path | None = None
) -> None:
    """Times rendering.

    Args:
        rounds: How many interleaved rounds.
        people: Identities to train on, and as many to test on: 8 tracklets of 28 frames each.
        smallest: One round of two people and few frames, to see that it runs.
        json: Where to write the figures.
    """
    frames = (16, 40)
    if smallest:
        rounds, people, frames = 1, 1, (2, 2)
    rates: dict[str, list[float]] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            one, own = render(folder / "one", people, frames, workers=1)
            two, _ = render(folder / "two", people, frames, workers=2)
            measured = {
                "1 worker": one,
                "2 workers": two,
                "quiet cores": 2 * own,
                "pictures decoded": decode(folder / "one"),
            }
            for key, value in measured.items():
                rates.setdefault(key, []).append(value)
    medians = {key: median(values) for key, values in rates.items()}
    drawn_over_decoded = medians["quiet cores"] / medians["pictures decoded"]
    print(pd.Series(medians, name="a second").round(0).to_string())
    print(f"quiet cores / pictures decoded {drawn_over_decoded:.3f}")
    results = {"frames_a_second": medians, "quiet_cores_over_decoded": drawn_over_decoded}
    write_results(json, results)


if __name__ == "__main__":
    auto_cli(main)
