"""Image files as 8-bit RGB, for loaders, packs and checks alike; without torch."""

import hashlib
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from stgcn_pyg.errors import BadImageError, UnreadableFileError, UserError

DIGEST_SIZE = 16
BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG")  # of JPEG and PNG

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image upright, by the orientation in its EXIF data."""

SIDEWAYS = (5, 6, 7, 8)  # orientations that swap height and width

SIXTEEN_BITS = ("PNG", "TIFF", "PPM", "JPEG2000")
"""Formats whose grey of more than 8 bits Pillow gives unsigned."""

BITS_PER_SAMPLE, PHOTOMETRIC = 258, 262  # tags of TIFF
WHITE_IS_ZERO = 0


def read_image(path: Path, height: int, width: int) -> np.ndarray:
    """Reads an image at a given size, upright, ``[height, width, 3]`` of uint8, RGB.

    The file's content decides the format, whatever its name says.

    Raises:
        BadImageError: The file is missing, is damaged, or holds no image that can be used.
        UnreadableFileError: The system does not let the file be read, for example because too
            many files are open. This says nothing about the image.
        UserError: There is too little memory.
    """
    return decode(path, read_file(path), height, width)


def decode(path: Path, content: bytes, height: int, width: int) -> np.ndarray:
    """Decodes the bytes of a file as :func:`read_image` does; errors name the path."""
    with opened(path, content) as image:
        rgb = as_rgb(path, image, height, width)
        if rgb.size != (width, height):
            rgb = rgb.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(rgb)


def read_file(path: Path) -> bytes:
    """Reads the bytes of an image file; raises as :func:`read_image` does."""
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _bad(path, "not a regular file", "cannot be read", "not a regular file")
            content = file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _bad(path, "no such image", "missing") from error
    except IsADirectoryError as error:
        raise _bad(path, "a folder, not an image", "cannot be read", "Is a directory") from error
    except (OSError, ValueError) as error:  # a path with a NUL in it is a ValueError
        raise UnreadableFileError.of(path, error) from error
    if not content:
        raise _bad(path, "empty", "empty")
    return content


def digest_of(content: bytes) -> bytes:
    """A digest of a file's content, 16 bytes."""
    return hashlib.blake2b(content, digest_size=DIGEST_SIZE).digest()


def _open_without_waiting(path: str, flags: int) -> int:
    # Opening a pipe would wait for somebody to write to it. Windows has no such pipes.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


@contextmanager
def opened(path: Path, content: bytes) -> Iterator[Image.Image]:
    """Opens an image from the bytes of a file, and decodes it in the block.

    Raises a BadImageError where the bytes are no image, or do not decode in the block.
    """
    try:
        with Image.open(BytesIO(content)) as image:
            if image.format == "PNG":
                _require_checksums(path, content)
            yield image
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(f"{path}: there is too little memory to decode it") from error
    except Image.DecompressionBombError as error:
        what = "has more pixels than Pillow decodes: save it smaller"
        raise _bad(path, what, "cannot be used", what) from error
    except UnidentifiedImageError as error:
        kind = "truncated or damaged" if content.startswith(BEGINNINGS) else "no image"
        raise _bad(path, "truncated or no image", kind) from error
    except Exception as error:  # Pillow raises a dozen types on damaged files
        if isinstance(error, OSError) and error.errno is not None:
            raise UnreadableFileError.of(path, error) from error
        raise _bad(path, "truncated or no image", "truncated or damaged") from error


def _require_checksums(path: Path, content: bytes) -> None:
    """Refuses a PNG whose pixels do not have their checksums, which Pillow does not compare."""
    place = 8  # the first chunk, behind the signature
    while place < len(content):
        size = int.from_bytes(content[place : place + 4])
        data, end = place + 4, place + 8 + size  # the type and the data, then their checksum
        checksum = content[end : end + 4]
        # The end of a file may be missing, behind the last pixel.
        is_whole = content[data : data + 4] == b"IDAT" and len(checksum) == 4
        if is_whole and zlib.crc32(memoryview(content)[data:end]) != int.from_bytes(checksum):
            what = "damaged (its pixels do not have their checksum)"
            raise _bad(path, what, "truncated or damaged", "its checksum is wrong")
        place = end + 4


def as_rgb(path: Path, image: Image.Image, height: int, width: int) -> Image.Image:
    """Decodes an image that :func:`opened` gave as :func:`upright_rgb` does.

    A JPEG may be decoded at a half, a quarter or an eighth of its size, as long as it is not
    smaller than ``height`` by ``width``.
    """
    image.draft("RGB", (height, width) if _orientation(image) in SIDEWAYS else (width, height))
    return upright_rgb(path, image)


def upright_rgb(name: Path | str, image: Image.Image) -> Image.Image:
    """Decodes an image to 8-bit RGB, upright; its path, or a name if it has none, is for messages.

    An image without a fixed black and white is refused.
    """
    image.load()
    # Only now: Pillow has turned a TIFF by itself, and has taken the orientation out.
    turn = TURNS.get(_orientation(image))
    if image.mode[0] in "IF":
        rgb = Image.fromarray(_eight_bits(name, image)).convert("RGB")
    elif image.mode == "La":  # grey that is multiplied by its opacity
        rgb = image.convert("LA").convert("RGB")
    else:
        rgb = image.convert("RGB")
    return rgb if turn is None else rgb.transpose(turn)


def _orientation(image: Image.Image) -> int:
    """The orientation in an image's EXIF data, from 1 to 8; 1, upright, where there is none."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow raises many types on damaged EXIF data; the image may be sound
        return 1


def _eight_bits(name: Path | str, image: Image.Image) -> np.ndarray:
    """Scales 16-bit grey to 8-bit grey, ``[H, W]`` of uint8.

    Pillow's own conversion cuts every number above 255 down to 255.
    """
    mode, tags = image.mode, getattr(image, "tag_v2", {})
    # Pillow scales what it reads from a PPM file to 16 bits, and keeps it in 32.
    known = mode.startswith("I;16") or (mode == "I" and image.format == "PPM")
    if not known or image.format not in SIXTEEN_BITS:
        what = f"its pixels are of mode {mode}, whose white is unknown: save it as 8-bit RGB"
        raise _bad(name, what, "cannot be used", what)
    white = 2 ** tags.get(BITS_PER_SAMPLE, (16,))[0] - 1
    grey = np.asarray(image).astype(np.uint32)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        grey = white - grey
    return ((grey * 255 + white // 2) // white).astype(np.uint8)


def _bad(name: Path | str, what: str, kind: str, detail: str = "") -> BadImageError:
    check = "; `stgcn check` finds all that are bad" if isinstance(name, Path) else ""
    return BadImageError(f"{name}: {what}{check}", kind, detail)
