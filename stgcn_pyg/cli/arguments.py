"""What the commands' parsers share: errors of one line, presets, settings and JSON files."""

import json
import re
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import yaml
from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace

from stgcn_pyg.errors import UserError
from stgcn_pyg.files import write_output

if TYPE_CHECKING:
    from stgcn_pyg.distributed import ProcessGroup

PRESETS = files("stgcn_pyg") / "presets"


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


def preset_names() -> list[str]:
    """The presets in the package."""
    return sorted(p.name.removesuffix(".yaml") for p in PRESETS.iterdir() if ".yaml" in p.name)


def _expand(arguments: Sequence[str]) -> list[str]:
    """Dashes to underscores; `--preset NAME` to `--config FILE` of the preset in the package.

    Presets go first, so that whatever else is said overrides them wherever it stands.
    """
    presets, others = [], []
    given = iter(arguments)
    for argument in given:
        option, equals, value = argument.partition("=")
        if option == "--preset":
            presets += ["--config", _preset_path(value if equals else next(given, ""))]
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


def _preset_path(name: str) -> str:
    if name not in preset_names():
        raise UserError(f"preset {name!r} is unknown: use {', '.join(preset_names())}")
    return str(PRESETS / f"{name}.yaml")


def plain(namespace: Namespace) -> dict[str, Any]:
    """Settings as nested dicts of plain values, as YAML and JSON hold them."""

    def convert(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: convert(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [convert(v) for v in value]
        if isinstance(value, Path):
            return str(value)
        # The parser's restricted numbers are subclasses that YAML does not know.
        return int(value) if isinstance(value, int) and not isinstance(value, bool) else value

    return convert(namespace.as_dict())


class _Dumper(yaml.SafeDumper):
    """Quotes, besides what YAML 1.1 takes for a number, what the parsers take for one: 1e3."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


def as_yaml(settings: dict[str, Any]) -> str:
    """Settings as a YAML file that ``--config`` reads as they are, whatever folders are called.

    Args:
        settings: Plain values, as :func:`plain` gives them.

    Example:
        >>> print(as_yaml({"root": "1e3", "output": "null", "seed": 3}), end="")
        root: '1e3'
        output: 'null'
        seed: 3
    """
    return yaml.dump(settings, Dumper=_Dumper, sort_keys=False)


def device_for(accelerator: str, group: "ProcessGroup | None" = None) -> str:
    """The torch device that `auto`, `cpu` or `gpu` stands for; `cuda` is this process's own GPU.

    `auto` is CUDA's GPU where there is one, else the CPU: Apple's GPUs were not tried.

    Raises:
        UserError: A GPU is asked for and there is none, or fewer than processes.
    """
    import torch  # most commands do not need it

    available = torch.cuda.is_available()
    if accelerator == "gpu" and not available:
        raise UserError("--accelerator gpu: PyTorch sees no GPU here; pass cpu or auto")
    if not available or accelerator == "cpu":
        return "cpu"
    if group is not None:
        group.require_gpus()
    return "cuda"


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file, its folder too, as :func:`.write_output` does.

    Raises:
        UserError: It cannot be written.
    """
    write_output(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())
