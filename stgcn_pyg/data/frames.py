"""Frames from disk: decoded at the size asked for, as uint8."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from stgcn_pyg.errors import UserError


def read_frame(path: Path, height: int, width: int) -> Tensor:
    """One picture as ``[3, height, width]`` of uint8, RGB.

    Raises:
        UserError: It is missing, damaged, or not what its name says.
    """
    try:
        with Image.open(path) as image:
            if path.suffix.lower() in (".jpg", ".jpeg") and image.format != "JPEG":
                raise UserError(f"{path}: is {image.format}, not JPEG as its name says")
            image.draft("RGB", (width, height))  # a JPEG may decode at a half or a quarter
            picture = image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such picture; `stgcn check` finds all that are bad") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UserError(
            f"{path}: truncated or no picture; `stgcn check` finds all that are bad"
        ) from error
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def read_clip(paths: Sequence[Path], height: int, width: int) -> Tensor:
    """Some pictures as ``[T, 3, height, width]`` of uint8; a repeated path is read once."""
    pictures = {path: read_frame(path, height, width) for path in dict.fromkeys(paths)}
    return torch.stack([pictures[path] for path in paths])
