"""The folder of a run: one run each, which goes on there if it was cut short."""

import json
from pathlib import Path
from typing import Any

import yaml

from stgcn_pyg import environment
from stgcn_pyg.errors import RunError, UserError
from stgcn_pyg.written_aside import PART, written_aside

# Settings that change how a run goes, not what comes out.
FREE = {
    "output",
    "checkpoint_every",
    "look_every",
    "accelerator",
    "data.num_workers",
    "data.min_frames",
    "baselines",
    "pack",
    "training.compile",
    "training.channels_last",
    "training.fused",
    "training.recompute",
}


class RunFolder:
    """Makes the folder, or finds the same run in it.

    Args:
        path: The folder.
        config: Every setting of the run, as plain values.
        defaults: Of the same settings, for those that an older version's run did not know.

    Raises:
        UserError: The folder holds another run, or something that is no run.
    """

    def __init__(self, path: Path, config: dict[str, Any], defaults: dict[str, Any]):
        self.path = path
        self.metrics = path / "metrics.json"
        self.environment = path / environment.NAME
        stored = path / "config.yaml"
        if stored.is_file():
            _require_same(path, _flat(defaults) | _flat(_read(stored)), _flat(config))
        elif path.exists() and not _is_empty(path):
            raise UserError(f"{path}: holds something that is no run; choose another --output")
        try:
            path.mkdir(parents=True, exist_ok=True)
            with written_aside(stored) as file:
                file.write(yaml.safe_dump(config, sort_keys=False).encode())
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror})") from error

    def note_environment(self, here: dict[str, Any]) -> None:
        """Adds in what the run goes on to ``environment.json``, if it is not what it was before.

        Where there is no such file, as in an older version's run, or a damaged one, it is begun.

        Args:
            here: As :func:`.describe_environment` gives it.

        Raises:
            UserError: It cannot be written.
        """
        noted = environment.read_environments(self.path) or []
        if noted and noted[-1] == here:
            return
        try:
            with written_aside(self.environment) as file:
                file.write((json.dumps([*noted, here], indent=2) + "\n").encode())
        except OSError as error:
            raise UserError(f"{self.environment}: cannot be written ({error.strerror})") from error

    def write_metrics(self, content: Any) -> None:
        """Writes ``metrics.json``.

        Raises:
            RunError: It cannot be written; what was there stays.
        """
        try:
            with written_aside(self.metrics) as file:
                file.write((json.dumps(content, indent=2, allow_nan=False) + "\n").encode())
        except OSError as error:
            raise RunError(
                f"{self.metrics}: cannot be written ({error.strerror}): mend that and run the same "
                "command again; what was trained is kept"
            ) from error

    def contents(self) -> str:
        """The names of what is there."""
        return ", ".join(sorted(p.name + "/" * p.is_dir() for p in self.path.iterdir()))


def _is_empty(path: Path) -> bool:
    """Whether there is nothing, or only what a run left that was killed at once."""
    return path.is_dir() and {file.name for file in path.iterdir()} <= {"config.yaml" + PART}


def _read(stored: Path) -> dict[str, Any]:
    try:
        settings = yaml.safe_load(stored.read_text())
    except OSError as error:
        raise UserError(f"{stored}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError):
        settings = None
    if not isinstance(settings, dict):
        raise UserError(
            f"{stored}: damaged (no YAML of settings): put back a copy, or choose another --output"
        )
    return settings


def _require_same(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    for key in sorted(old | new):
        if key not in FREE and old.get(key) != new.get(key):
            raise UserError(
                f"{path}: holds another run ({key} is {old.get(key)} there, {new.get(key)} here); "
                f"choose another --output"
            )


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat
