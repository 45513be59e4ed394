"""`stgcn synth`: renders a data set."""

from collections.abc import Sequence

from stgcn_pyg.cli.arguments import Parser
from stgcn_pyg.errors import UserError
from stgcn_pyg.synthetic import VERSIONS, write_benchmark, write_version

DESCRIPTION = """Renders walking people into a folder, in the layout of MARS.

Examples:
  stgcn synth data/v1 --name stgcn-synth-v1 --workers 2
  stgcn synth data/tiny --train-people 16 --test-people 8 --frames '[4,6]'

Put a list in quotes: otherwise a shell may take its brackets for a pattern of file names."""

BESIDE_A_NAME = ("root", "name", "workers", "progress", "config")


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    parser = Parser(prog="stgcn synth", description=DESCRIPTION)
    parser.add_argument("--config", action="config", help="options from a YAML file")
    names = ", ".join(VERSIONS)
    about = f"render a version that never changes and sets the options below itself: {names}"
    parser.add_argument("--name", type=str | None, default=None, help=about)
    parser.add_function_arguments(write_benchmark, as_positional=True)
    options = parser.parse_args(arguments).as_dict()
    options.pop("config")
    name = options.pop("name")
    if name is None:
        written = write_benchmark(**options)
    else:
        _refuse_knobs(name, parser.parse_args(arguments, defaults=False).as_dict())
        written = write_version(options["root"], name, options["workers"], options["progress"])
    print(
        f"{written.frames:,} images written to {written.path}: {written.train_tracklets:,} "
        f"tracklets to train on, {written.queries:,} queries, {written.test_tracklets:,} in the "
        f"gallery; {100 * written.occlusion:.0f} % of the bodies is occluded"
    )
    return 0


def _refuse_knobs(name: str, given: dict) -> None:
    knobs = ["--" + option.replace("_", "-") for option in given if option not in BESIDE_A_NAME]
    if knobs:
        raise UserError(
            f"{name} never changes: leave out {', '.join(knobs)}, or --name {name} for a data set "
            "of your own"
        )
