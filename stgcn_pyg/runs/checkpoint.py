"""How a checkpoint is written and read: weights and the options of the model, without code."""

import hashlib
import io
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stgcn_pyg import __version__
from stgcn_pyg.errors import UserError
from stgcn_pyg.files import written_aside
from stgcn_pyg.models import STGCN
from stgcn_pyg.models.options import plain_values

NAME = "checkpoint.ckpt"
STATE_NAME = "training.ckpt"
KEY = "stgcn_pyg"  # of the description in a checkpoint
PREFIX = "model."  # of the names of the weights
# The last line of a file, after what `torch.save` wrote; `torch.load` ignores it.
LABEL = b"\nsha256 of what is before this line: "
DIGEST_LENGTH = 64
CHECKED = "has_checksum"  # in the content, so that a file without its last line is recognised


class DamagedError(UserError):
    """A checkpoint's bytes are not those that were written."""


def checkpoint_path(output: Path) -> Path:
    """The checkpoint of a run."""
    return output / NAME


def state_path(output: Path, validated: bool) -> Path:
    """The file that a run is resumed from: the checkpoint, unless that holds the best epoch.

    That is so if the best epoch is chosen on held-out identities (``validated``).
    """
    return output / STATE_NAME if validated else checkpoint_path(output)


def previous_path(path: Path) -> Path:
    """The checkpoint that was written before this one."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def is_begun(output: Path, validated: bool) -> bool:
    """Whether a run's folder holds a state to resume from."""
    path = state_path(output, validated)
    return path.exists() or previous_path(path).exists()


def write_checkpoint(path: Path, content: dict[str, Any], keep: Path | None = None) -> None:
    """Writes a checkpoint to a temporary file, adds a SHA-256, syncs and renames it.

    Args:
        path: The checkpoint.
        content: Tensors and values, which :func:`.plain_values` turns into values that can be read
            without running code.
        keep: Name that the earlier checkpoint takes, if there is one.

    Raises:
        OSError: It cannot be written; the earlier checkpoint is kept.
    """
    buffer = io.BytesIO()
    torch.save(plain_values(content) | {CHECKED: True}, buffer)
    digest = hashlib.sha256(buffer.getbuffer()).hexdigest()
    with written_aside(path, keep) as file:
        file.write(buffer.getbuffer())
        file.write(LABEL + digest.encode() + b"\n")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU; no code in it is run.

    A file without a checksum, as ``torch.save`` writes it, is accepted.

    Raises:
        DamagedError: The checksum is wrong, or there are not only tensors and plain values.
        UserError: The file is missing or cannot be opened.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """The content, and the SHA-256 of the whole file."""
    try:
        written = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint; pass a run's folder or its {NAME}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    failure: type[UserError] = DamagedError
    end = max(0, len(written) - len(LABEL) - DIGEST_LENGTH - 1)
    checked = written[end:].startswith(LABEL)
    if checked:
        digest = hashlib.sha256(memoryview(written)[:end]).hexdigest()
        if written[end:] != LABEL + digest.encode() + b"\n":
            raise DamagedError(f"{path}: damaged (its SHA-256 is not the one it was written with)")
        failure = UserError  # these bytes were written, so an older checkpoint would be no better
    try:
        content = torch.load(io.BytesIO(written), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # PyTorch raises a dozen types on other files and damaged ones
        raise failure(f"{path}: no readable checkpoint of plain tensors and values") from error
    if not isinstance(content, dict):
        raise failure(f"{path}: no readable checkpoint of plain tensors and values")
    if content.pop(CHECKED, False) and not checked:
        raise DamagedError(f"{path}: damaged (its SHA-256, which ends it, is missing)")
    return content, hashlib.sha256(written).hexdigest()


def read_last_good(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, or of the previous one if it is damaged or missing.

    A damaged file is renamed, with a warning, so that it does not become the previous one when the
    next is written; a copy of the previous one takes its name.

    Raises:
        UserError: Neither can be read.
    """
    previous = previous_path(path)
    try:
        return read_checkpoint(path)
    except UserError as error:
        is_damaged = isinstance(error, DamagedError)
        if is_damaged and not previous.is_file():
            raise DamagedError(
                f"{error}, and there is none before it: put back a copy, or choose another folder"
            ) from error
        if not is_damaged and (path.exists() or not previous.is_file()):
            raise
        try:
            content = read_checkpoint(previous)
        except DamagedError as second:
            raise DamagedError(f"{error}; {second}: put back a copy of one") from second
        if is_damaged:  # otherwise the run was killed between two renames
            damaged = path.with_name(f"{path.stem}.damaged{path.suffix}")
            path.replace(damaged)
            warnings.warn(
                f"{error}: going on from {previous.name}; it is now {damaged.name}", stacklevel=2
            )
    # The copy is not needed to resume; a full disk stops the run when it writes something new.
    with suppress(OSError), written_aside(path) as file:
        file.write(previous.read_bytes())
    return content


def from_lightning(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a checkpoint in today's layout, from that of Lightning or today's.

    Older versions trained with Lightning.
    """
    if "loops" not in content:
        return content
    loop = content["loops"]["fit_loop"]
    epochs, batch = loop["epoch_progress"]["current"], 0
    if epochs["started"] > epochs["processed"]:
        batch = loop["epoch_loop.batch_progress"]["current"]["processed"]
    (optimizer,), (schedule,) = content["optimizer_states"], content["lr_schedulers"]
    # In the oldest files the averages are channels_last. Fused Adam walks through weights and
    # averages in the order of their memory, so both must have the same.
    for averages in optimizer["state"].values():
        averages.update({k: v.contiguous() for k, v in averages.items() if isinstance(v, Tensor)})
    callbacks = content["callbacks"]
    return {
        KEY: content.get(KEY),
        "state_dict": content["state_dict"],
        "epoch": epochs["processed"],
        "batch": batch,
        "step": content["global_step"],
        "optimizer": optimizer,
        "schedule": schedule,
        "log": callbacks.get("EpochLog", {"rows": [], "sums": {}, "steps": 0}),
        "validation": callbacks.get("Validation", {}).get("scores", {}),
    }


def describe(
    model: STGCN,
    config: dict[str, Any],
    pids: Sequence[int] = (),
    run: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The plain values that a checkpoint holds beside the weights.

    Args:
        model: Model whose weights the checkpoint holds.
        config: Configuration of the run.
        pids: Identity of each class.
        run: What decides the outcome of the run, as :func:`.deciding` gives it.
    """
    description = {"version": __version__, "model": model.options, "config": config}
    return plain_values(description | {"people": [int(pid) for pid in pids]} | dict(run or {}))


def description_of(path: str | Path, content: dict[str, Any]) -> dict[str, Any]:
    """What :func:`describe` gave to a checkpoint; raises a UserError if that did not write it."""
    description = content.get(KEY)
    if not isinstance(description, dict) or not isinstance(description.get("model", {}), dict):
        raise UserError(
            f"{path}: a file of weights, but not written by `stgcn train`; a backbone's own "
            f"weights go to --model.weights"
        )
    return description


def load_checkpoint(path: str | Path) -> tuple[STGCN, dict[str, Any]]:
    """Reads a checkpoint that a training run wrote.

    Args:
        path: The file, or the folder of the run.

    Returns:
        The model with its weights, in evaluation mode, and the run's configuration.

    Raises:
        UserError: It is missing, damaged, no such checkpoint, or holds another architecture.
    """
    model, config, _ = load_with_digest(path)
    return model, config


def load_with_digest(path: str | Path) -> tuple[STGCN, dict[str, Any], str]:
    """Like :func:`load_checkpoint`, with the SHA-256 of the bytes that were loaded.

    A training may replace the file at any time, so it must not be read twice.
    """
    path = _file_of(path)
    content, digest = _read(path)
    description = description_of(path, content)
    try:
        model, config = STGCN(**description["model"]), dict(description["config"])
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: written by version {description.get('version', 'unknown')}, whose model "
            f"version {__version__} cannot build ({error})"
        ) from error
    model.load_state_dict(weights_of(path, content, model))
    return model.eval(), config, digest


def _file_of(path: str | Path) -> Path:
    return checkpoint_path(Path(path)) if Path(path).is_dir() else Path(path)


def begin_from(model: STGCN, source: str | Path, identities: Sequence[int]) -> str:
    """Gives a model the weights of another run, as a start for training.

    The classifier's weights are taken only if its classes have the same labels (``pid``).

    Args:
        model: Model, which is changed in place.
        source: Folder of the other run, or a checkpoint.
        identities: Identity of each class of the model.

    Returns:
        A line that says what was taken and what was not.

    Raises:
        UserError: There is no such checkpoint, or it holds another architecture.
    """
    path = _file_of(source)
    content = read_checkpoint(path)
    description = description_of(path, content)
    there = description.get("model", {})
    for name, here in model.options.items():
        if name not in ("num_classes", "embedding") and there.get(name, here) != here:
            raise UserError(
                f"{path}: holds another architecture ({name} is {there[name]} there, {here} here): "
                f"pass --model.{name} {there[name]}, or the weights of another run"
            )
    labels = description.get("people") or list(identities)
    known = labels == list(identities) and there.get("num_classes") == model.options["num_classes"]
    weights = weights_of(path, content, model, None if known else "classifier.")
    model.load_state_dict(weights, strict=False)
    if known:
        return (
            f"weights from {source}: all {len(weights)} taken; its identities have the same labels"
        )
    return (
        f"weights from {source}: {len(weights)} of {len(model.state_dict())} taken; the classifier "
        f"begins anew ({there.get('num_classes')} classes there, {model.options['num_classes']} "
        "here, with other labels)"
    )


def weights_of(
    path: str | Path, content: dict[str, Any], model: STGCN, skip: str | None = None
) -> dict[str, Tensor]:
    """The weights in a checkpoint, by the names that they have in the model.

    Names that begin with ``skip`` are left out.

    Raises:
        UserError: They are not the weights of such a model.
    """
    expected: Mapping[str, Tensor] = model.state_dict()
    found = content.get("state_dict")
    state = found if isinstance(found, Mapping) else {}
    weights = {k.removeprefix(PREFIX): v for k, v in state.items() if str(k).startswith(PREFIX)}
    if skip is not None:
        weights = {k: v for k, v in weights.items() if not k.startswith(skip)}
        expected = {k: v for k, v in expected.items() if not k.startswith(skip)}
    differing = sorted(
        name
        for name in expected.keys() | weights.keys()
        if name not in expected
        or name not in weights
        or expected[name].shape != getattr(weights[name], "shape", None)
    )
    if differing:
        raise UserError(
            f"{path}: holds the weights of another architecture than it says (version "
            f"{content[KEY].get('version', 'unknown')}, here {__version__}): {len(differing)} "
            f"differ, the first is {differing[0]}"
        )
    return weights
