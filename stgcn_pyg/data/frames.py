"""Frames from disk: decoded at the size asked for, as uint8."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from stgcn_pyg.errors import UserError


class FrameFiles:
    """The frames of a data set as pictures on disk.

    Args:
        root: The folder that the paths start from.
        frames: The path of each frame, F of them.
        height: Of what is read, in pixels.
        width: Of what is read, in pixels.
    """

    def __init__(self, root: Path, frames: pd.Series, height: int, width: int):
        self.root = root
        self.frames = frames
        self.height = height
        self.width = width

    def read(self, rows: Sequence[int]) -> Tensor:
        """Some frames, by their rows among all: ``[N, height, width, 3]`` of uint8, RGB.

        Raises:
            UserError: One is missing, damaged, or not what its name says.
        """
        pictures = np.empty((len(rows), self.height, self.width, 3), np.uint8)
        places: dict[int, int] = {}
        for place, row in enumerate(rows):
            if row in places:  # a repeated frame is read once
                pictures[place] = pictures[places[row]]
            else:
                path = self.root / self.frames.iat[row]
                pictures[place] = read_picture(path, self.height, self.width)
                places[row] = place
        return torch.from_numpy(pictures)


def read_picture(path: Path, height: int, width: int) -> np.ndarray:
    """One picture as ``[height, width, 3]`` of uint8, RGB.

    Raises:
        UserError: It is missing, damaged, or not what its name says.
    """
    try:
        with Image.open(path) as image:
            if path.suffix.lower() in (".jpg", ".jpeg") and image.format != "JPEG":
                raise UserError(f"{path}: is {image.format}, not JPEG as its name says")
            image.draft("RGB", (width, height))  # a JPEG may decode at a half or a quarter
            picture = image.convert("RGB")
            if picture.size != (width, height):
                picture = picture.resize((width, height), Image.Resampling.BILINEAR)
            return np.asarray(picture)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such picture; `stgcn check` finds all that are bad") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UserError(
            f"{path}: truncated or no picture; `stgcn check` finds all that are bad"
        ) from error
