"""Checkpoints on disk: written aside, with a checksum, and the one before kept."""

import hashlib
import io
import pickle
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from stgcn_pyg.errors import UserError
from stgcn_pyg.files import written_aside
from stgcn_pyg.models.plain_values import plain_values

NAME = "checkpoint.ckpt"
STATE_NAME = "training.ckpt"
# Ends a file, after what `torch.save` wrote: `torch.load` passes over it.
LABEL = b"\nsha256 of what is before this line: "
DIGEST_LENGTH = 64
CHECKED = "has_checksum"  # in the content: so that a file without one was cut short


class DamagedError(UserError):
    """A checkpoint is not what was written, or none."""


def checkpoint_path(output: Path) -> Path:
    """Where a run keeps its checkpoint."""
    return output / NAME


def state_path(output: Path, validated: bool) -> Path:
    """Where a run keeps what it goes on from.

    It is the checkpoint itself, unless that holds the best epoch so far.

    Args:
        output: The run's folder.
        validated: Whether the best epoch is chosen.
    """
    return output / STATE_NAME if validated else checkpoint_path(output)


def is_begun(output: Path, validated: bool) -> bool:
    """Whether there is something in a run's folder that a training goes on from.

    Args:
        output: The run's folder.
        validated: Whether the best epoch is chosen.
    """
    path = state_path(output, validated)
    return path.exists() or previous_path(path).exists()


def previous_path(path: Path) -> Path:
    """Where the checkpoint before is."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def write_checkpoint(path: Path, content: dict[str, Any], keep: Path | None = None) -> None:
    """Writes a checkpoint aside, under a checksum.

    Args:
        path: Of the checkpoint.
        content: Tensors and values, of which :func:`.plain_values` makes plain ones, so that it can
            be read without running code.
        keep: The name that the one there before takes.

    Raises:
        OSError: It cannot be written; the ones that are there stay.
    """
    buffer = io.BytesIO()
    torch.save(plain_values(content) | {CHECKED: True}, buffer)
    digest = hashlib.sha256(buffer.getbuffer()).hexdigest()
    with written_aside(path, keep) as file:
        file.write(buffer.getbuffer())
        file.write(LABEL + digest.encode() + b"\n")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU. No code in it is run.

    One without a checksum, as ``torch.save`` writes, is taken as it is.

    Raises:
        DamagedError: Its checksum does not fit, or it does not hold tensors and plain values.
        UserError: There is none, or it cannot be opened.
    """
    return decode_checkpoint(path, read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """A checkpoint as it is on disk.

    Raises:
        UserError: There is none, or it cannot be opened.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint; pass a run's folder or its {NAME}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def decode_checkpoint(path: Path, written: bytes) -> dict[str, Any]:
    """The content of a checkpoint, as :func:`read_checkpoint` gives it.

    Args:
        path: Where it was read from, for messages.
        written: What :func:`read_bytes` gave.

    Raises:
        DamagedError: Its checksum does not fit, or it does not hold tensors and plain values.
    """
    failure: type[UserError] = DamagedError
    end = max(0, len(written) - len(LABEL) - DIGEST_LENGTH - 1)
    checked = written[end:].startswith(LABEL)
    if checked:
        digest = hashlib.sha256(memoryview(written)[:end]).hexdigest()
        if written[end:] != LABEL + digest.encode() + b"\n":
            raise DamagedError(f"{path}: damaged (its SHA-256 is not the one it was written with)")
        failure = UserError  # it is what was written, and no other would be better
    try:
        content = torch.load(io.BytesIO(written), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise failure(f"{path}: no readable checkpoint of plain tensors and values") from error
    if not isinstance(content, dict):
        raise failure(f"{path}: no readable checkpoint of plain tensors and values")
    if content.pop(CHECKED, False) and not checked:
        raise DamagedError(f"{path}: damaged (its SHA-256, which ends it, is missing)")
    return content


def read_last_good(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, or of the one before where it is damaged or missing.

    A damaged one is renamed, with a warning, so that the next does not take the place of the good
    one before. That one then stands under both names, for whoever reads next.

    Raises:
        UserError: Neither can be read.
    """
    previous = previous_path(path)
    try:
        return read_checkpoint(path)
    except DamagedError as error:
        if not previous.is_file():
            raise DamagedError(
                f"{error}, and there is none before it: put back a copy, or choose another folder"
            ) from error
        content = _read_previous(previous, error)
        damaged = path.with_name(f"{path.stem}.damaged{path.suffix}")
        path.replace(damaged)
        warnings.warn(
            f"{error}: going on from {previous.name}; it is now {damaged.name}", stacklevel=2
        )
    except UserError as error:
        if path.exists() or not previous.is_file():
            raise
        content = _read_previous(previous, error)  # killed between two changes of names
    # Whoever goes on needs no copy: a full disk is told when there is something new to write.
    with suppress(OSError), written_aside(path) as file:
        file.write(previous.read_bytes())
    return content


def _read_previous(path: Path, error: UserError) -> dict[str, Any]:
    try:
        return read_checkpoint(path)
    except DamagedError as second:
        raise DamagedError(f"{error}; {second}: put back a copy of one") from second
