"""`python -m experiments NAME`: makes a table or figure, or goes on with one that was begun.

python -m experiments                        the names
python -m experiments components --help      the options of all tables and figures
python -m experiments components --dataset stgcn-synth-v1 --preset small --seeds 0 1 2
"""

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from experiments import beyond_the_paper, figures_5_to_8, tables_1_to_4
from experiments.experiment import Experiment
from stgcn_pyg.errors import RunError, UserError, last_line
from stgcn_pyg.runs.signals import signalled, sigterm_raises

EXPERIMENTS = {
    experiment.name: experiment
    for module in (tables_1_to_4, figures_5_to_8, beyond_the_paper)
    for experiment in vars(module).values()
    if isinstance(experiment, Experiment)
}
# Programs that have other options than the tables and figures.
PROGRAMS = {
    "linking": "How well `stgcn link` finds people that its network has never seen",
    "rendered_benchmark": "What colours, outlines and true bodies score on the rendered benchmark",
    "rendered_sheet": "A contact sheet of the rendered benchmark",
}
RESULTS = Path(__file__).parent / "results"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are a UserError of one line."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see --help)")


def parser(experiment: Experiment) -> Parser:
    """The options of an experiment, the same for all."""
    parser = Parser(prog=f"python -m experiments {experiment.name}", description=experiment.title)
    add = parser.add_argument
    add("--dataset", required=True, help="stgcn-synth-v1, ward, mars, dukemtmc-videoreid, ...")
    add("--root", type=Path, help="its folder; a named rendered version is drawn if not given")
    add("--preset", required=True, help="paper, finetune, small or smoke: for all variants")
    add("--seeds", type=int, nargs="+", default=[0], help="seeds to train with, a run each")
    add("--splits", type=int, nargs="+", default=[0], help="splits, e.g. of WARD, a run each")
    add("--variants", nargs="+", help="the rows to run; all if not given")
    add("--results", type=Path, default=RESULTS, help="folder for tables and scores")
    add("--work", type=Path, default=Path("runs/experiments"), help="folder for checkpoints etc.")
    add("--accelerator", choices=("auto", "cpu", "gpu"), default="auto", help="where to train")
    add("--num-workers", type=int, help="processes that read images; the preset's if not given")
    add("--pack", type=Path, help="the data set's pack, to read frames from (`stgcn pack`)")
    add(
        "--allow-faults",
        action="store_true",
        help="go on with a data set in which `stgcn check` finds faults; an unreadable image is "
        "replaced by another of its tracklet, and the results say so",
    )
    add("--dry-run", action="store_true", help="print what would run, and how long it would take")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the experiment or program that the first argument names; gives the exit status."""
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help"):
        print("usage: python -m experiments NAME ...\n")
        titles = {key: experiment.title for key, experiment in EXPERIMENTS.items()} | PROGRAMS
        print("\n".join(f"  {key:<24}  {title}" for key, title in titles.items()))
        return 0
    if name in EXPERIMENTS:
        return run(EXPERIMENTS[name], rest)
    if name in PROGRAMS:
        return run_program(name, rest)
    names = ", ".join([*EXPERIMENTS, *PROGRAMS])
    print(f"experiments: error: {name!r} is unknown: use {names}", file=sys.stderr)
    return 2


def run(experiment: Experiment, arguments: Sequence[str]) -> int:
    """Runs an experiment and gives the exit status; any but 0 is explained in one line.

    0: no run failed. 1: a run failed or could not go on. 2: the user's mistake. 130 and 143: Ctrl-C
    and SIGTERM.
    """

    def job() -> int:
        options = parser(experiment).parse_args(arguments)
        from experiments.running.run_experiment import run_experiment

        return run_experiment(experiment, options)

    return _explained(experiment.name, job)


def run_program(name: str, arguments: Sequence[str]) -> int:
    """Runs a program and gives the exit status, as :func:`run`."""

    def job() -> int:
        from jsonargparse import auto_cli

        main = import_module(f"experiments.{name}").main
        auto_cli(main, args=arguments, prog=f"python -m experiments {name}")
        return 0

    return _explained(name, job)


def _explained(name: str, job: Callable[[], int]) -> int:
    try:
        with warnings.catch_warnings(), sigterm_raises():
            # Importing PyTorch Geometric gives a warning that no user can do anything about.
            warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated")
            return job()
    except (UserError, RunError) as error:
        print(f"{name}: error: {last_line(error)}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt as interrupt:
        stopped = signalled(interrupt, "stopped; the same command goes on from here")
        print(f"{name}: {stopped}", file=sys.stderr)
        return stopped.status


if __name__ == "__main__":
    name = __spec__.name.removeprefix("experiments.")  # of `python -m experiments.NAME`
    sys.exit(main([name, *sys.argv[1:]] if name in EXPERIMENTS else None))
