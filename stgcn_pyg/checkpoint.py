"""What a checkpoint says: a model's weights and the options that build it again. It is no code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from stgcn_pyg.checkpoint_files import checkpoint_path, read_checkpoint
from stgcn_pyg.errors import UserError
from stgcn_pyg.models import STGCN
from stgcn_pyg.version import __version__

KEY = "stgcn_pyg"
PREFIX = "model."  # of the weights, inside the training module


def describe(model: STGCN, config: dict[str, Any], people: Sequence[int] = ()) -> dict[str, Any]:
    """What a checkpoint carries beside the weights: plain values alone.

    Args:
        model: Whose weights it holds.
        config: The run's configuration.
        people: The label table: the person (``pid``) of each class.
    """
    return {
        "version": __version__,
        "model": model.options,
        "config": config,
        "people": [int(pid) for pid in people],
    }


def load_checkpoint(path: str | Path) -> tuple[STGCN, dict[str, Any]]:
    """Reads a checkpoint that a training run wrote.

    Args:
        path: The file, or the folder of the run.

    Returns:
        The model with its weights, in evaluation mode, and the run's configuration.

    Raises:
        UserError: It is missing, damaged, no such checkpoint, or holds another architecture.
    """
    path = Path(path)
    if path.is_dir():
        path = checkpoint_path(path)
    content = read_checkpoint(path)
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
    return model.eval(), config


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


def weights_of(path: str | Path, content: dict[str, Any], model: STGCN) -> dict[str, Tensor]:
    """The weights in a checkpoint, by the names that they have in the model.

    Raises:
        UserError: They are not those of such a model.
    """
    state = content.get("state_dict", {})
    weights = {k.removeprefix(PREFIX): v for k, v in state.items() if k.startswith(PREFIX)}
    expected = {k: tuple(v.shape) for k, v in model.state_dict().items()}
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
    path: str | Path, content: dict[str, Any], model: STGCN, people: Sequence[int]
) -> None:
    """Looks whether training may go on from a checkpoint with this model and these people.

    Options and a label table that an older version did not write are not compared.

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
    labels = description.get("people") or list(people)
    if labels != list(people):
        changed = sorted(set(labels) ^ set(people))
        raise UserError(
            f"{path}: trained on other people than the data set now has ({len(labels)} there, "
            f"{len(people)} here; {changed[0]} is in one alone): put the data set back, or choose "
            "another folder"
        )
