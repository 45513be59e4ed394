"""Files of settings, and settings by dotted name, such as ``model.num_frames``."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from stgcn_pyg.errors import UserError

SECTIONS = ("model", "data", "training")  # settings that are the arguments of a class

# Old dotted name of a setting -> the name that it has now.
RENAMED = {
    "look_every": "finite_check_every",
    "data.people_per_batch": "data.identities_per_batch",
    "data.tracklets_per_person": "data.tracklets_per_identity",
    "training.recompute": "training.activation_checkpointing",
}


def read_settings(file: Path) -> dict[str, Any]:
    """The settings in a YAML file, by the dotted names that they have now."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except IsADirectoryError as error:
        raise UserError(f"{file}: is a folder: pass a file, such as {file}/config.yaml") from error
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark and error.problem_mark.line + 1
        raise UserError(f"{file}: line {line} is no YAML ({error.problem}): mend it") from error
    except (yaml.YAMLError, UnicodeDecodeError):
        content = None
    if not isinstance(content, dict):
        raise UserError(
            f"{file}: holds no settings: pass a YAML file of names and values, such as "
            "RUN/config.yaml"
        )
    try:
        return by_name(content)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error


def by_name(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings by the dotted names that they have now; an empty section holds none."""
    flat = renamed(flatten(settings))
    for name in SECTIONS:
        if (value := flat.pop(name, None)) is not None:
            raise UserError(f"{name} is {value!r}: pass its settings by name")
    return flat


def renamed(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by the names that they have now, from those of an older version."""
    return {RENAMED.get(name, name): value for name, value in flat.items()}


def renamed_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the classes that take settings, by the names that they have now."""
    now = {old.rpartition(".")[2]: new.rpartition(".")[2] for old, new in RENAMED.items()}
    return {now.get(name, name): value for name, value in arguments.items()}


def as_yaml(settings: Mapping[str, Any]) -> str:
    """Nested plain values as YAML that ``--config`` reads back, whatever folders are called.

    Example:
        >>> print(as_yaml({"root": "1e3", "output": "null", "seed": 3}), end="")
        root: '1e3'
        output: 'null'
        seed: 3
    """
    return yaml.dump(settings, Dumper=_Dumper, sort_keys=False)


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name, such as ``{"model.weights": None}``."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        inner = isinstance(value, Mapping)
        flat |= flatten(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings from those by dotted name, the inverse of :func:`flatten`."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *parents, last = name.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise UserError(f"{name}: {parent} is {place!r} already: leave one of them out")
        place[last] = value
    return nested


class _Dumper(yaml.SafeDumper):
    """Quotes, besides what YAML 1.1 takes for a number, what the parsers take for one: 1e3."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+$"), list("-+.0123456789")
)
