"""`stgcn report`: one HTML file of a run, or of several side by side."""

import sys
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from os.path import commonpath
from pathlib import Path

from jsonargparse import Namespace
from jsonargparse.typing import NonNegativeInt, restricted_number_type

from stgcn_pyg.cli.arguments import Parser, add_model_arguments, model_arguments
from stgcn_pyg.cli.explain import require_protocol
from stgcn_pyg.data.load import NAMES
from stgcn_pyg.errors import UserError, last_line
from stgcn_pyg.explain import EvaluatedModel
from stgcn_pyg.files import require_writable, write_output
from stgcn_pyg.report import ReportedRun, read_run, render_page, require_same_test_set
from stgcn_pyg.report.reported import FROM_MODEL
from stgcn_pyg.runs.devices import device_for
from stgcn_pyg.runs.trained_model import TrainedModel

DESCRIPTION = """Writes one HTML file about a run. It opens offline and needs no other file.

It shows what was run, training curves, the scores under every protocol with intervals, CMC, ranked
lists, activation maps, learned graphs, and for which queries the model fails. Several runs on one
test set stand side by side, each compared with the first. Where a checkpoint or images are missing,
the page says so in their place.

Examples:
  stgcn report runs/mars
  stgcn report runs/baseline runs/mars --output compared.html"""

UpTo50 = restricted_number_type("UpTo50", int, [(">", 0), ("<=", 50)])


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    options = parser().parse_args(arguments)
    output = _output(options)
    _check(options)
    runs = [read_run(path) for path in options.runs]
    _number(runs)
    for run in runs:
        _score(run, options)
    require_same_test_set(runs)
    page = render_page(runs, options.count, options.top, options.seed)
    write_output(output, page.encode())
    for line in dict.fromkeys(line for run in runs for line in run.gaps.lines()):
        print(f"stgcn report: on the page: {line}", file=sys.stderr)
    print(f"{output}: {len(page.encode()) / 1e6:.1f} MB")
    return 0


@cache
def parser() -> Parser:
    """The parser of the command's arguments."""
    parser = Parser(prog="stgcn report", description=DESCRIPTION)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs")
    parser.add_argument(
        "--output",
        type=Path,
        default=None,
        help="the file to write; for a single run RUN/report.html if not given",
    )
    parser.add_argument(
        "--count", type=UpTo50, default=3, help="how many queries of each kind: worst, best, random"
    )
    parser.add_argument("--top", type=UpTo50, default=10, help="number of ranked items in a list")
    parser.add_argument(
        "--seed", type=NonNegativeInt, default=0, help="random seed of the random queries"
    )
    parser.add_argument(
        "--protocol",
        type=str | None,
        default=None,
        help="protocol of the lists; the data set's usual one if not given",
    )
    add_model_arguments(parser)
    # A page of what is there is better than none.
    parser.set_defaults(on_bad_frame="skip")
    return parser


def _output(options: Namespace) -> Path:
    if options.output is None and len(options.runs) > 1:
        raise UserError("--output: name the file of a page of several runs")
    output = options.output or options.runs[0] / "report.html"
    require_writable("--output", output)
    return output


def _check(options: Namespace) -> None:
    """Refuses what is wrong in the options themselves, before anything is read."""
    device_for(options.accelerator)
    if options.dataset is not None and options.dataset not in NAMES:
        raise UserError(f"--dataset {options.dataset}: is unknown; pass one of {', '.join(NAMES)}")
    for name in ("root", "pack"):
        if options[name] is not None and not options[name].exists():
            raise UserError(f"--{name} {options[name]}: does not exist")
    require_protocol(options.protocol)


def _number(runs: Sequence[ReportedRun]) -> None:
    """Numbers runs, and labels those whose folders have the same name by where paths differ."""
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise UserError("a run is named twice: name each once")
    alike = defaultdict(list)
    for number, run in enumerate(runs):
        run.number = number
        alike[run.label].append(run)
    for same in alike.values():
        shared = commonpath([run.path.resolve().parent for run in same])
        for run in same:
            run.label = str(run.path.resolve().relative_to(shared))


def _score(run: ReportedRun, options: Namespace) -> None:
    """Adds the scores of a run's model, or gaps where they should be."""
    if any(options[name] is not None for name in ("dataset", "root", "split", "test_clips")):
        run.use_other_test_set()
    try:
        trained = TrainedModel(run.path, **model_arguments(options))
        trained.data.dataset.require_labels()
        model = EvaluatedModel.of(trained, options.protocol)
    except UserError as error:
        if str(error).startswith("--protocol"):
            raise
        run.gaps.add(f"{run.label}: {last_line(error)}", *FROM_MODEL)
        return
    faults = sorted(trained.data.skipped)
    if faults:
        more = f" ... and {len(faults) - 1:,} more" if len(faults) > 1 else ""
        run.gaps.add(
            f"{run.label}: {len(faults):,} bad images, for which other frames of their "
            f"tracklets stand: {faults[0]}{more}",
            "results",
        )
    run.score(model, trained.about)
