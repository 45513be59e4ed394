"""The folder of a run: one run each, which goes on there if it was cut short."""

from pathlib import Path
from typing import Any

import yaml

from stgcn_pyg.errors import UserError

# Settings that change how a run goes, not what comes out.
FREE = {"output", "checkpoint_every", "accelerator", "data.num_workers", "baselines", "pack"}


class RunFolder:
    """Makes the folder, or finds the same run in it.

    Args:
        path: The folder.
        config: Every setting of the run, as plain values.

    Raises:
        UserError: The folder holds another run, or something that is no run.
    """

    def __init__(self, path: Path, config: dict[str, Any]):
        self.path = path
        self.metrics = path / "metrics.json"
        stored = path / "config.yaml"
        if stored.is_file():
            _require_same(path, yaml.safe_load(stored.read_text()), config)
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UserError(f"{path}: holds something that is no run; choose another --output")
        try:
            path.mkdir(parents=True, exist_ok=True)
            stored.write_text(yaml.safe_dump(config, sort_keys=False))
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror})") from error

    def contents(self) -> str:
        """The names of what is there."""
        return ", ".join(sorted(p.name + "/" * p.is_dir() for p in self.path.iterdir()))


def _require_same(path: Path, there: Any, here: dict[str, Any]) -> None:
    old, new = _flat(there if isinstance(there, dict) else {}), _flat(here)
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
