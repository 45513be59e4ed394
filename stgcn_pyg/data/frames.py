"""Frames from disk: decoded at the size asked for, as uint8."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from stgcn_pyg.data.decoding import read_picture


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
            BadPictureError: One is missing, damaged, or of a form that cannot be used.
            UserError: One cannot be read for another reason.
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
