"""What the commands' parsers share: errors of one line, presets, settings and JSON files."""

import json
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace

from stgcn_pyg.errors import UserError
from stgcn_pyg.files import write_output


class _Formatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Leaves the lines of a description as they are, for its examples are commands to copy."""


class Parser(ArgumentParser):
    """A parser that knows presets, takes `--two-words` as `--two_words`, and errs in one line."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **{"formatter_class": _Formatter} | kwargs)

    def parse_args(self, args: Sequence[str], **kwargs: Any) -> Namespace:  # type: ignore[override]
        """Parses a command's arguments."""
        expanded = _expand(args)
        for i, argument in enumerate(expanded):
            option, equals, value = argument.partition("=")
            if option == "--config":
                _require_settings(Path(value if equals else "".join(expanded[i + 1 : i + 2])))
        return super().parse_args(expanded, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raises the message as a UserError."""
        raise UserError(" ".join(message.split()) + f" (see `{self.prog} --help`)") from ex


def _expand(arguments: Sequence[str]) -> list[str]:
    """Dashes to underscores; `--preset NAME` to `--config FILE` of the preset in the package.

    Presets go first, so that whatever else is said overrides them wherever it stands.
    """
    presets, others = [], []
    given = iter(arguments)
    for argument in given:
        option, equals, value = argument.partition("=")
        if option == "--preset":
            from stgcn_pyg.runs.settings import preset_path  # most commands have no presets

            presets += ["--config", str(preset_path(value if equals else next(given, "")))]
        elif option.startswith("--"):
            others.append("--" + option[2:].replace("-", "_") + equals + value)
        else:
            others.append(argument)
    return presets + others


def _require_settings(path: Path) -> None:
    """Refuses a file of settings that holds none; what else may be wrong, the parser tells."""
    if not path.is_file():
        return
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return
    except UnicodeDecodeError:
        settings = None
    if not isinstance(settings, dict):
        raise UserError(
            f"--config {path}: holds no settings: pass a YAML file of names and values, such as "
            "RUN/config.yaml"
        )


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file, its folder too, as :func:`.write_output` does.

    Raises:
        UserError: It cannot be written.
    """
    write_output(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())
