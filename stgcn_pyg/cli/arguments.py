"""What the commands share: the parser, the options of a trained model, and several processes."""

import math
import os
import re
import sys
import warnings
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from jsonargparse import DefaultHelpFormatter, Namespace
from jsonargparse.typing import NonNegativeInt, PositiveInt, restricted_number_type

from stgcn_pyg.errors import AlreadyReportedError, RunError, UserError
from stgcn_pyg.runs.parser import SettingsParser
from stgcn_pyg.runs.settings import EmbeddingOptions, preset_path
from stgcn_pyg.runs.settings_files import as_yaml, nest, read_settings
from stgcn_pyg.runs.signals import SignalledError, signalled

if TYPE_CHECKING:
    from stgcn_pyg.distributed import ProcessGroup
    from stgcn_pyg.runs.trained_model import TrainedModel

RUNTIMES = ("backend", "precision", "exported")
NO_SETTINGS = ("preset", "config", "json")  # options that no file of settings may hold
Resamples = restricted_number_type("Resamples", int, (">=", 2))
Distance = restricted_number_type("Distance", float, [(">=", 0), ("<", math.inf)])


class _Formatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Leaves the lines of a description as they are, for its examples are commands to copy."""


class Parser(SettingsParser):
    """A parser of options with hyphens or underscores, presets and files of settings.

    Args:
        prog: The command.
        description: What it does, with examples.
        renamed: Old name of an option, by which it is still accepted -> the name that it has now.
    """

    def __init__(
        self,
        prog: str | None = None,
        description: str | None = None,
        renamed: Mapping[str, str] = MappingProxyType({}),
        **others: Any,
    ):
        others = {"formatter_class": _Formatter} | others
        super().__init__(prog=prog, description=description, **others)
        self.renamed = renamed

    def parse_args(self, args: Sequence[str], **others: Any) -> Namespace:  # type: ignore[override]
        """Parses a command's arguments."""
        return super().parse_args(self._expand(args), **others)

    def format_help(self, *args: Any) -> str:
        """The help, its options with hyphens."""
        return _with_hyphens(super().format_help(*args).replace("``", ""))

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raises the message as a UserError that names the help, and an option that was meant."""
        message = _with_hyphens(self.plainly(message))
        if unknown := re.match(r"unrecognized arguments: --([\w.-]+)", message):
            options = [_with_hyphens(option) for option in self._option_string_actions]
            whole = (f".{unknown[1]}", f"--{unknown[1]}")
            meant = [each for each in options if each.endswith(whole) or each.startswith(whole)]
            message += f": did you mean {' or '.join(meant)}?" if meant else ""
        raise UserError(f"{message} (see `{self.prog} --help`)") from ex

    def _expand(self, arguments: Sequence[str]) -> list[str]:
        """Hyphens to underscores, and a file of settings or a preset to what it holds.

        Presets go first, so that all other arguments override them.
        """
        presets, others = [], []
        given = iter(arguments)
        for argument in given:
            option, equals, value = argument.partition("=")
            if option in ("--preset", "--config"):
                value = value if equals else next(given, "")
                if not value:
                    self.error(f"argument {option}: expected one argument")
            if option == "--preset":
                presets.append(f"--config={as_yaml(nest(read_settings(preset_path(value))))}")
            elif option == "--config":
                others.append(f"--config={as_yaml(nest(_settings_in(value)))}")
            elif option.startswith("--"):
                name = option[2:].replace("-", "_")
                others.append(f"--{self.renamed.get(name, name)}{equals}{value}")
            else:
                others.append(argument)
        return presets + others


def _with_hyphens(text: str) -> str:
    """A text whose options are written as the docs write them."""
    option = r"(?<![^\s\[(`'\"])--\w[\w.]*"
    return re.sub(option, lambda option: option[0].replace("_", "-"), text)


def _settings_in(file: str) -> dict[str, Any]:
    try:
        settings = read_settings(Path(file).expanduser())
    except UserError as error:
        raise UserError(f"--config {error}") from error
    for name in NO_SETTINGS:
        if name in settings:
            raise UserError(f"--config {file}: {name} is no setting: pass it as --{name}")
    return settings


def add_dataset_arguments(parser: Parser) -> None:
    """Adds the arguments of commands that read a whole data set: which, where, and how."""
    add = parser.add_argument
    add("dataset", type=str, help="the data set's name, as for `stgcn train`")
    add("root", type=Path, help="the folder that holds it, or the manifest")
    split = "number of the split, from 0, of iLIDS-VID, PRID 2011 and WARD"
    add("--split", type=NonNegativeInt, default=0, help=split)
    add("--workers", type=PositiveInt, default=2, help="the number of processes that decode images")


def add_model_arguments(parser: Parser, runtimes: bool = False) -> None:
    """Adds the options that choose what a trained model embeds, and how.

    Those of other runtimes and precisions are left out unless ``runtimes`` is true.
    """
    parser.add_class_arguments(EmbeddingOptions, skip=set() if runtimes else set(RUNTIMES))


def model_arguments(options: Namespace) -> dict[str, Any]:
    """Those options among others, by name."""
    left_out = () if "backend" in options else RUNTIMES
    names = [field.name for field in fields(EmbeddingOptions) if field.name not in left_out]
    return {name: options[name] for name in names}


def open_run(path: Path, options: Namespace, group: "ProcessGroup") -> "TrainedModel":
    """The model of a run, which the chosen library runs."""
    from stgcn_pyg.runs.trained_model import TrainedModel

    trained = TrainedModel(path, **model_arguments(options), group=group)
    if options.backend != "torch":
        from stgcn_pyg.export.clip_network import convert, open_exported

        size = trained.data.height, trained.data.width
        if options.exported is None:
            network = convert(trained.model, size, options.backend, options.precision)
            trained.run_by(network)
        else:
            file = open_exported(options.exported, options.backend, options.precision)
            file.file.require(
                checkpoint_sha256=trained.checkpoint_sha256,
                num_frames=trained.model.num_frames,
                size=size,
            )
            trained.run_by(file, precision=file.precision, exported_sha256=file.sha256)
    return trained


def refuse_model_arguments(options: Namespace, source: Path) -> None:
    """Raises a UserError if one is given for a source that holds embeddings already."""
    for name in ("dataset", "root", "split", "test_clips", "pack"):
        if options[name] is not None:
            option = "--" + name.replace("_", "-")
            raise UserError(
                f"{option}: is for a run's model; {source} holds embeddings already: leave it out"
            )
    for name in RUNTIMES:
        if options[name] != getattr(EmbeddingOptions, name):
            raise UserError(
                f"--{name}: is for a run's model; {source} holds embeddings already: leave it out"
            )


@contextmanager
def together() -> Iterator["ProcessGroup"]:
    """Joins the processes of the job; only the first one's prints and warnings are seen.

    Raises:
        UserError, RunError, SignalledError: What stops this process.
        AlreadyReportedError: Another process was stopped first and prints why.
    """
    from stgcn_pyg.distributed import ALONE, init_distributed  # torch, which some commands spare

    group = ALONE
    try:
        with init_distributed() as group, ExitStack() as stack:
            if not group.is_first:
                nowhere = stack.enter_context(open(os.devnull, "w"))
                stack.enter_context(redirect_stdout(nowhere))
                stack.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            yield group
    except (UserError, RunError, SignalledError, KeyboardInterrupt) as raised:
        error = signalled(raised) if isinstance(raised, KeyboardInterrupt) else raised
        if not group.reports_first():
            raise AlreadyReportedError(error.status) from raised
        if not group.is_first:
            print(file=sys.stderr)  # ends the line of a progress bar of the first process
        raise error from raised.__cause__
