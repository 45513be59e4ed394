"""The command `stgcn`. What a command needs is imported only when that command runs."""

import errno
import gc
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from stgcn_pyg import __version__
from stgcn_pyg.cli.compiler import compiler_deferred
from stgcn_pyg.errors import AlreadyReportedError, RunError, UserError, last_line, needs_extra
from stgcn_pyg.runs.signals import SignalledError, signalled, sigterm_raises

COMMANDS = {
    "synth": "render a data set of walking people, in the layout of MARS",
    "tracklets": "cut tracklets out of videos by a tracker's files",
    "check": "count a data set's tracklets and find bad images and wrong labels",
    "pack": "decode and resize a data set's frames once",
    "plan": "predict the memory and the time that a training takes on a GPU",
    "train": "train STGCN on a data set and evaluate it",
    "evaluate": "evaluate a trained model, an extraction, or anyone's features",
    "extract": "write the embeddings of a data set's tracklets",
    "export": "write a network for another runtime, proven equal",
    "threshold": "choose the distance up to which two tracklets show one person",
    "explain": "draw why a model ranks as it does: maps, graphs, lists, the embedding",
    "report": "write one HTML page about a run, or about several side by side",
    "index": "put embeddings into a gallery, to search it",
    "search": "find the nearest tracklets of a gallery",
    "link": "find which tracklets show one person, across cameras",
}

# All others need "train".
EXTRAS = {
    **dict.fromkeys(("explain", "report", "link"), "report"),
    **dict.fromkeys(("index", "search"), "search"),
}

HELP = """\
usage: stgcn COMMAND ...

Video-based person re-identification by spatial-temporal graph convolutions.

commands:
{commands}

`stgcn COMMAND --help` lists the options of each. For example:
  stgcn synth data/tiny --train-people 16 --test-people 8
  stgcn train mars data/tiny --preset finetune --output runs/tiny
  stgcn evaluate runs/tiny
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and gives its exit status, after one line on stderr if it is not 0.

    0 is success, 2 a user's mistake, 1 a run that could not go on, 130 Ctrl-C and 143 SIGTERM.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP.format(commands="\n".join(f"  {n:<10} {d}" for n, d in COMMANDS.items())))
        return 0
    if arguments[0] == "--version":
        print(f"stgcn-pyg {__version__}")
        return 0
    name, rest = arguments[0], arguments[1:]
    try:
        if name not in COMMANDS:
            raise UserError(f"command {name!r} is unknown: use one of {', '.join(COMMANDS)}")
        with warnings.catch_warnings(), sigterm_raises():
            warnings.showwarning = lambda message, *_, **__: print(
                f"stgcn {name}: warning: {message}", file=sys.stderr
            )
            # PyTorch Geometric's own import warns of it, which no user can change.
            warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated")
            with needs_extra(EXTRAS.get(name, "train")):
                return _command(name).main(rest)
    except (UserError, RunError) as error:
        print(f"stgcn {name}: error: {last_line(error)}", file=sys.stderr)
        return error.status
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        print(f"stgcn {name}: error: {error.filename}: its name is too long", file=sys.stderr)
        return UserError.status
    except AlreadyReportedError as error:
        return error.status
    except (SignalledError, KeyboardInterrupt) as stopped:
        ended = signalled(stopped) if isinstance(stopped, KeyboardInterrupt) else stopped
        print(f"stgcn {name}: {ended}", file=sys.stderr)
        return ended.status


def _command(name: str) -> ModuleType:
    """The module of a command, imported in about half the time that it would take by itself."""
    module = f"stgcn_pyg.cli.{name}"
    if module in sys.modules:
        return import_module(module)
    # Modules are no garbage: to search them for some takes a second as they are imported, and
    # another one at the end of the process.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        with compiler_deferred():
            return import_module(module)
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
