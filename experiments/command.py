"""The command line that all experiments share. What it needs is imported only when it runs."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from experiments.variants import Experiment
from stgcn_pyg.errors import RunError, SignalledError, UserError

RESULTS = Path(__file__).parent / "results"


class Parser(argparse.ArgumentParser):
    """Errs in one line."""

    def error(self, message: str) -> NoReturn:
        """Raises the message as a UserError."""
        raise UserError(f"{message} (see --help)")


def parser(experiment: Experiment) -> Parser:
    """The arguments of an experiment."""
    parser = Parser(prog=f"python -m experiments.{experiment.name}", description=experiment.title)
    add = parser.add_argument
    add("--dataset", required=True, help="stgcn-synth-v1, ward, mars, dukemtmc-videoreid, ...")
    add("--root", type=Path, help="its folder; a named rendered version is drawn if not given")
    add("--preset", required=True, help="paper, small or smoke: the same for every variant")
    add("--seeds", type=int, nargs="+", default=[0], help="of training: a run each")
    add(
        "--splits", type=int, nargs="+", default=[0], help="of the people, e.g. on WARD: a run each"
    )
    add("--variants", nargs="+", help="the rows to run; all if not given")
    add("--results", type=Path, default=RESULTS, help="for tables and the small files of runs")
    add("--work", type=Path, default=Path("runs/experiments"), help="for checkpoints and the like")
    add("--accelerator", choices=("auto", "cpu", "gpu"), default="auto", help="where to train")
    add("--num-workers", type=int, help="processes that read pictures; the preset's if not given")
    add("--pack", type=Path, help="the data set's pack, to read frames from (`stgcn pack`)")
    add(
        "--allow-faults",
        action="store_true",
        help="go on with a data set in which `stgcn check` finds faults; an unreadable picture is "
        "replaced by another of its tracklet, and the results say so",
    )
    add("--dry-run", action="store_true", help="tell what would run, and for how long")
    return parser


def main(experiment: Experiment, arguments: Sequence[str] | None = None) -> int:
    """Runs an experiment and gives its exit status.

    0: every row is there; 1: runs failed or could not go on; 2: a mistake of the user's; 130 and
    143: Ctrl-C and SIGTERM. All but the first are told in a line each.
    """
    try:
        options = parser(experiment).parse_args(arguments)
        with warnings.catch_warnings():
            # Said by PyTorch Geometric's own import, to nobody who could change it.
            warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated")
            from experiments.conduct import conduct

            return conduct(experiment, options)
    except UserError as error:
        print(f"{experiment.name}: error: {error}", file=sys.stderr)
        return 2
    except RunError as error:
        print(f"{experiment.name}: error: {error}", file=sys.stderr)
        return 1
    except SignalledError as error:
        print(f"{experiment.name}: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print(f"{experiment.name}: interrupted", file=sys.stderr)
        return 130
