"""`stgcn train`: from tracklets on disk to a trained model and its CMC and mAP."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from stgcn_pyg.cli.arguments import Parser, together
from stgcn_pyg.evaluation import format_table
from stgcn_pyg.files import require_writable, write_json
from stgcn_pyg.runs.about import in_words
from stgcn_pyg.runs.run import train_run
from stgcn_pyg.runs.score_files import protocols_of, scores_as_json
from stgcn_pyg.runs.settings import RunSettings, add_settings
from stgcn_pyg.runs.settings_files import RENAMED

DESCRIPTION = """Trains STGCN on a data set and evaluates it.

If a run was interrupted, the same command continues it. Every setting, the data set and its folder
among them, is written to config.yaml in the run's folder. To repeat the run in a new folder, pass
that file as --config.

Examples:
  stgcn train mars data/MARS --preset paper --output runs/mars
  stgcn train --config runs/mars/config.yaml --output runs/again"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    with together() as group:
        options = parser().parse_args(arguments)
        settings = RunSettings.of(options.as_dict())
        require_writable("--json", options.json)
        run = train_run(settings)
        if not group.is_first:
            return 0
    if options.json is not None:
        write_json(options.json, scores_as_json(run.scores, run.about))
    if run.validation is not None:
        best = run.validation.best
        print(f"the best of {settings.epochs:,} epochs by the identities held out: {best}")
    usual, *others = protocols_of(run.scores)
    table = format_table({row: results[usual] for row, results in run.scores.items()})
    print(f"\n{in_words(run.about)}\n{table}")
    written = sorted(p.name + "/" * p.is_dir() for p in settings.output.iterdir())
    print(f"\nwritten to {settings.output}: {', '.join(written)}")
    if others:
        names = ", ".join(others)
        print(f"metrics.json and `stgcn evaluate {settings.output}` also have {names}")
    return 0


@cache
def parser() -> Parser:
    """The options: every setting of a run, and where else to write the scores."""
    parser = Parser(prog="stgcn train", description=DESCRIPTION, renamed=RENAMED)
    parser.add_argument("--preset", help="settings by name: paper, strong, finetune or small")
    parser.add_argument(
        "--config", action="config", help="settings from a YAML file, such as RUN/config.yaml"
    )
    parser.add_argument(
        "--json", type=Path, default=None, help="also write the scores to this file"
    )
    add_settings(parser)
    return parser
