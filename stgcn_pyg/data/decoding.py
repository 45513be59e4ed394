"""A picture from disk, decoded at the size asked for, without torch: workers start sooner."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from stgcn_pyg.errors import UserError


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
