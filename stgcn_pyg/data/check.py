"""Whether the files of a data set are what they should be."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from stgcn_pyg.data.dataset import TrackletDataset


def check_pictures(dataset: TrackletDataset, workers: int = 2) -> Iterator[tuple[Path, str | None]]:
    """Decodes every picture of a data set.

    Args:
        dataset: Its tracklets.
        workers: Processes that decode.

    Yields:
        The path of each picture and what is wrong with it, or None.
    """
    paths = [dataset.root / frame for frame in dataset.frames]
    with ProcessPoolExecutor(workers) as pool:
        yield from zip(paths, pool.map(fault_of_picture, paths, chunksize=64), strict=True)


def fault_of_picture(path: Path) -> str | None:
    """What is wrong with a picture, in a few words, or None."""
    try:
        if path.stat().st_size == 0:
            return "empty"
        with Image.open(path) as image:
            kind = image.format
            image.load()
    except FileNotFoundError:
        return "missing"
    except UnidentifiedImageError:
        return "no picture"
    except (OSError, SyntaxError, ValueError):
        return "truncated or damaged"
    if path.suffix.lower() in (".jpg", ".jpeg") and kind != "JPEG":
        return f"{kind}, not JPEG as its name says"
    return None
