"""Files of weights: read, freed of what other code put around them, and held to a network."""

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from stgcn_pyg.errors import UserError
from stgcn_pyg.models.backbones.packaged_weights import packaged_file

State = dict[str, Tensor]
COUNTER = "num_batches_tracked"  # of batch norms, which older versions of PyTorch did not have


def read_state(weights: str, name: str) -> State:
    """The state dict in a file, or in a package, for the backbone of a name.

    A file may hold more beside it: training code often saves it as ``state_dict`` or ``model``.

    Raises:
        UserError: There is no such file or package, it cannot be read, or holds something else.
    """
    path = packaged_file(weights, name) if weights.startswith("package:") else Path(weights)
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise UserError(
            f"weights {weights}: {what}; pass a file, imagenet, or null for random ones"
        )
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            # Other code's checkpoints hold their score as one of NumPy's numbers.
            with torch.serialization.safe_globals(_numbers_of_numpy()):
                content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # which of them a damaged file raises depends on its bytes
        advice = "save a state dict by torch.save or as .safetensors"
        if isinstance(error, pickle.UnpicklingError) and "weights_only" in str(error):
            advice = f"it holds other objects, which are not read: {advice}"
        raise UserError(f"weights {weights}: no file of plain tensors; {advice}") from error
    return _state_in(content, weights)


def _state_in(content: Any, weights: str) -> State:
    if _is_state(content):
        return dict(content)
    found = {}
    if isinstance(content, Mapping):
        found = {name: value for name, value in content.items() if _is_state(value)}
    for name in ("state_dict", "model", *found):
        if name in found:
            return dict(found[name])
    raise UserError(f"weights {weights}: no state dict (a dict of tensors by name)")


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(tensor, Tensor) for tensor in value.values())
    )


def _numbers_of_numpy() -> list[Any]:
    scalar = np.float64(0).__reduce__()[0]
    return [scalar, np.dtype, np.float64, np.float32, type(np.dtype("f8")), type(np.dtype("f4"))]


def load_fitting(network: nn.Module, state: State, weights: str, name: str) -> None:
    """Loads a state dict into a network, of which it may have more: a prefix, and heads.

    Raises:
        UserError: It is not of such a network: the first difference is named.
    """
    expected = network.state_dict()
    state = without_prefix(state, expected)
    parts = {key.partition(".")[0] for key in expected}
    for key in sorted(expected.keys() | state.keys()):
        if key not in expected and key.partition(".")[0] not in parts:
            continue  # a classifier, or another head
        if key not in expected:
            raise _other(weights, name, f"it has {key}, which {name} has not")
        if key not in state:
            if key.endswith(COUNTER):
                continue
            raise _other(weights, name, f"it lacks {key}")
        here, there = tuple(expected[key].shape), tuple(state[key].shape)
        if here != there:
            raise _other(weights, name, f"it has another shape for {key}: {there}, not {here}")
    kept = {key: state.get(key, value) for key, value in expected.items()}
    if next(iter(expected.values())).device.type != "meta":
        network.load_state_dict(kept)


def without_prefix(state: State, expected: Iterable[str]) -> State:
    """A state dict without what its names have before those that are expected.

    Of all names that end with an expected one, the beginning that most of them share is taken off;
    names that begin otherwise are of other parts of the model, and are left out.

    Example:
        >>> state = {"module.backbone.conv1.weight": 1, "module.head.weight": 2}
        >>> without_prefix(state, ["conv1.weight"])
        {'conv1.weight': 1}
    """
    names = set(expected)
    if any(name in names for name in state):
        return state
    hits: dict[str, int] = {}
    for key in state:
        pieces = key.split(".")
        for count in range(1, len(pieces)):
            if ".".join(pieces[count:]) in names:
                prefix = ".".join(pieces[:count]) + "."
                hits[prefix] = hits.get(prefix, 0) + 1
    if not hits:
        return state
    prefix = max(hits, key=lambda prefix: hits[prefix])
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def renamed_by_order(state: State, expected: State, weights: str, name: str) -> State:
    """A state dict with a network's own names, given to its tensors in their order.

    A classifier of a weight and a bias may follow the last of them.

    Raises:
        UserError: The tensors are not those of the network: their number or what one of them is
            (``weight``, ``running_mean``, ...) differs. :func:`load_fitting` compares the shapes.
    """
    counted = all(not key.endswith(COUNTER) for key in state)
    names = [key for key in expected if not (counted and key.endswith(COUNTER))]
    tensors = list(state.items())
    if len(tensors) - len(names) not in (0, 2):
        raise _other(weights, name, f"it has {len(tensors)} tensors, {name} {len(names)}")
    renamed = {}
    for wanted, (key, tensor) in zip(names, tensors[: len(names)], strict=True):
        if key.rpartition(".")[2] != wanted.rpartition(".")[2]:
            raise _other(weights, name, f"it has {key} in the place of {wanted}")
        renamed[wanted] = tensor
    return renamed


def _other(weights: str, name: str, difference: str) -> UserError:
    return UserError(f"weights {weights}: not the weights of {name} ({difference})")
