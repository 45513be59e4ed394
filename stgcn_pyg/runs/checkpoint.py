"""What a checkpoint says: a model's weights and the options that build it again. It is no code."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stgcn_pyg import __version__
from stgcn_pyg.data.dataset import Identity, difference
from stgcn_pyg.errors import UserError
from stgcn_pyg.models import STGCN
from stgcn_pyg.models.plain_values import plain_values
from stgcn_pyg.models.rebuilt import require_rebuilt
from stgcn_pyg.runs.checkpoint_files import (
    checkpoint_path,
    decode_checkpoint,
    read_bytes,
    read_checkpoint,
)

KEY = "stgcn_pyg"
PREFIX = "model."  # of the weights, inside the training module


def describe(
    model: STGCN,
    config: dict[str, Any],
    people: Sequence[int] = (),
    run: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a checkpoint carries beside the weights: plain values alone.

    Args:
        model: The model whose weights the checkpoint holds.
        config: The run's configuration.
        people: The label table: the person (``pid``) of each class.
        run: What decides the run's outcome: ``settings`` by name, and ``tracklets`` as
            :func:`.identify` gives them.
    """
    description = {
        "version": __version__,
        "model": model.options,
        "config": config,
        "people": [int(pid) for pid in people],
        **(run or {}),
    }
    return plain_values(description)


def require_network(model: object) -> None:
    """Raises a UserError if a model is no STGCN, but what another library made of one."""
    if not isinstance(model, STGCN):
        raise UserError(
            f"the network is a {type(model).__name__}, not an STGCN: train the STGCN itself, which "
            "the option `compile` compiles and torchrun spreads over processes"
        )


def require_readable(model: STGCN, config: dict[str, Any]) -> None:
    """Looks whether :func:`load_checkpoint` will read what a training saves of a model.

    Args:
        model: The model to train.
        config: The run's configuration.

    Raises:
        UserError: It will not: the model was changed by hand, or the configuration holds what
            cannot be kept without running code.
    """
    require_network(model)
    require_rebuilt(model, lambda: STGCN(**model.options))
    for name, value in config.items():
        buffer = io.BytesIO()
        try:
            torch.save(plain_values(value), buffer)
            buffer.seek(0)
            torch.load(buffer, weights_only=True)
        except Exception as error:  # whatever a stranger's class raises
            raise UserError(
                f"config: {name} is or holds a {type(value).__name__} that no checkpoint can hold: "
                "pass numbers, strings, and lists and dicts of them"
            ) from error


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
    """The same, and the SHA-256 of the very bytes that were loaded.

    A training that goes on meanwhile may put another checkpoint in the place of the file.
    """
    path = Path(path)
    if path.is_dir():
        path = checkpoint_path(path)
    written = read_bytes(path)
    digest = hashlib.sha256(written).hexdigest()
    content = decode_checkpoint(path, written)
    description = description_of(path, content)
    try:
        model, config = STGCN(**description["model"]), description["config"]
    except (TypeError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: written by version {description.get('version', 'unknown')}, whose model "
            f"version {__version__} cannot build ({error})"
        ) from error
    weights = weights_of(path, content, model)
    model.load_state_dict(weights)
    return model.eval(), config, digest


def description_of(path: str | Path, content: dict[str, Any]) -> dict[str, Any]:
    """What :func:`describe` gave to a checkpoint.

    Raises:
        UserError: It is a file of weights from elsewhere.
    """
    if not isinstance(content.get(KEY), dict):
        raise UserError(
            f"{path}: a file of weights, but not written by `stgcn train`; a backbone's own "
            f"weights go to --model.weights"
        )
    return content[KEY]


def begin_from(model: STGCN, source: str | Path, people: Sequence[int]) -> str:
    """Gives a model the weights of another run's, for a training that begins with them.

    The classifier's are taken only where its classes have the same labels (``pid``); elsewhere it
    stays as it is.

    Args:
        model: The model, which is changed in place.
        source: The other run's folder, or a checkpoint.
        people: The person of each class of the model.

    Returns:
        A line that says what was taken and what was not.

    Raises:
        UserError: There is no such checkpoint, or it holds another architecture.
    """
    path = Path(source)
    path = checkpoint_path(path) if path.is_dir() else path
    content = read_checkpoint(path)
    description = description_of(path, content)
    there = description.get("model", {})
    for name, here in model.options.items():
        if name not in ("num_classes", "embedding") and there.get(name, here) != here:
            raise UserError(
                f"{path}: holds another architecture ({name} is {there[name]} there, {here} here): "
                f"pass --model.{name} {there[name]}, or the weights of another run"
            )
    labels = description.get("people") or list(people)
    known = labels == list(people) and there.get("num_classes") == model.options["num_classes"]
    weights = weights_of(path, content, model, "" if known else "classifier.")
    model.load_state_dict(weights, strict=False)
    if known:
        return f"weights from {source}: all {len(weights)} taken; its people have the same labels"
    return (
        f"weights from {source}: {len(weights)} of {len(model.state_dict())} taken; the classifier "
        f"begins anew ({there.get('num_classes')} classes there, {model.options['num_classes']} "
        "here, with other labels)"
    )


def weights_of(
    path: str | Path, content: dict[str, Any], model: STGCN, but: str = ""
) -> dict[str, Tensor]:
    """The weights in a checkpoint, by the names that they have in the model.

    Args:
        path: The checkpoint, to be named in a message.
        content: What it holds.
        model: The model.
        but: The beginning of the names that are left out; none if it is empty.

    Raises:
        UserError: They are not those of such a model.
    """
    state = content.get("state_dict", {})
    weights = {k.removeprefix(PREFIX): v for k, v in state.items() if k.startswith(PREFIX)}
    expected = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    if but:
        weights, expected = (
            {k: v for k, v in of.items() if not k.startswith(but)} for of in (weights, expected)
        )
    found = {k: tuple(v.shape) for k, v in weights.items()}
    if expected != found:
        differing = sorted(k for k in expected | found if expected.get(k) != found.get(k))
        raise UserError(
            f"{path}: holds the weights of another architecture than it says (version "
            f"{content[KEY].get('version', 'unknown')}, here {__version__}): {len(differing)} "
            f"differ, the first is {differing[0]}"
        )
    return weights


def require_same_run(
    path: str | Path,
    content: dict[str, Any],
    model: STGCN,
    people: Sequence[int],
    run: Mapping[str, Any] | None = None,
) -> None:
    """Looks whether training may go on from a checkpoint with this model and these people.

    What an older version did not write is not compared.

    Args:
        path: The checkpoint, to be named in a message.
        content: What it holds.
        model: The model that is to be trained on.
        people: The person of each class.
        run: What decides the outcome, as for :func:`describe`.

    Raises:
        UserError: It may not; the message names the difference.
    """
    description = description_of(path, content)
    there = description.get("model", {})
    for name, here in model.options.items():
        if there.get(name, here) != here:
            raise UserError(
                f"{path}: holds another model ({name} is {there[name]} there, {here} here): "
                "choose another folder"
            )
    weights_of(path, content, model)
    run = plain_values(run or {})
    require_same_tracklets(path, description, run.get("tracklets", {}), people)
    epochs = description.get("epochs", 0)
    if run.get("epochs", epochs) < epochs:
        raise UserError(
            f"{path}: holds a run of {epochs:,} epochs, more than {run['epochs']:,}: ask for as "
            "many or more, or choose another folder"
        )
    settings = description.get("settings", {})
    for name, here in run.get("settings", {}).items():
        if settings.get(name, here) != here:
            raise UserError(
                f"{path}: holds another run ({name} is {settings[name]} there, {here} here): "
                "choose another folder"
            )


def require_same_tracklets(
    path: str | Path, description: dict[str, Any], tracklets: Identity, people: Sequence[int]
) -> None:
    """Looks whether a checkpoint was trained on these tracklets, wherever their files lie.

    Args:
        path: The checkpoint, to be named in a message.
        description: What :func:`describe` gave to it.
        tracklets: The data set's, as :func:`.identify` gives them.
        people: The person of each class, which is compared alone where an older version wrote no
            more.

    Raises:
        UserError: It was not; the message names the difference.
    """
    labels = description.get("people") or list(people)
    if labels != list(people):
        changed = sorted(set(labels) ^ set(people))
        raise UserError(
            f"{path}: trained on other people than the data set now has ({len(labels)} there, "
            f"{len(people)} here; {changed[0]} is in one alone): put the data set back, or choose "
            "another folder"
        )
    changed_table = difference(description.get("tracklets", {}), tracklets)
    if changed_table is not None:
        raise UserError(
            f"{path}: trained on other tracklets than the data set now has ({changed_table}): put "
            "the data set back, or choose another folder"
        )
