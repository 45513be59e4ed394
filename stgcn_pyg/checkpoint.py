"""Checkpoints: a model's weights and the options that build it again. They hold no code."""

import pickle
from pathlib import Path
from typing import Any

import torch

from stgcn_pyg.errors import UserError
from stgcn_pyg.models import STGCN
from stgcn_pyg.version import __version__

KEY = "stgcn_pyg"
PREFIX = "model."  # of the weights, inside the training module


def describe(model: STGCN, config: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint carries beside the weights: plain values alone."""
    return {"version": __version__, "model": model.options, "config": config}


def load_checkpoint(path: str | Path) -> tuple[STGCN, dict[str, Any]]:
    """Reads a checkpoint that a training run wrote.

    Args:
        path: The file, or the folder of the run.

    Returns:
        The model with its weights, in evaluation mode, and the run's configuration.

    Raises:
        UserError: It is missing, is no such checkpoint, or holds another architecture.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "checkpoint.ckpt"
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint; pass a run's folder or its checkpoint.ckpt")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise UserError(f"{path}: no readable checkpoint of plain tensors and values") from error
    if not isinstance(content, dict) or KEY not in content:
        raise UserError(
            f"{path}: a file of weights, but not written by `stgcn train`; a backbone's own "
            f"weights go to --model.weights"
        )
    description, state = content[KEY], content.get("state_dict", {})
    try:
        model, config = STGCN(**description["model"]), description["config"]
    except (TypeError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: written by version {description.get('version', 'unknown')}, whose model "
            f"version {__version__} cannot build ({error})"
        ) from error
    weights = {k.removeprefix(PREFIX): v for k, v in state.items() if k.startswith(PREFIX)}
    expected = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    found = {k: tuple(v.shape) for k, v in weights.items()}
    if expected != found:
        differing = sorted(k for k in expected | found if expected.get(k) != found.get(k))
        raise UserError(
            f"{path}: holds the weights of another architecture than it says (version "
            f"{description['version']}, here {__version__}): {len(differing)} differ, the first "
            f"is {differing[0]}"
        )
    model.load_state_dict(weights)
    return model.eval(), config
