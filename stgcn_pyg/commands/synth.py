"""`stgcn synth`: renders a data set."""

from collections.abc import Sequence

from stgcn_pyg.commands.arguments import Parser
from stgcn_pyg.data.synthetic import write_benchmark

DESCRIPTION = """Renders walking people into a folder, in the layout of MARS.

Example: stgcn synth data/tiny --train_people 16 --test_people 8 --occlusion 0.3"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    parser = Parser(prog="stgcn synth", description=DESCRIPTION)
    parser.add_argument("--config", action="config", help="options from a YAML file")
    parser.add_function_arguments(write_benchmark, as_positional=True)
    options = parser.parse_args(arguments).as_dict()
    options.pop("config")
    written = write_benchmark(**options)
    print(
        f"{written.frames:,} pictures written to {written.path}: {written.train_tracklets:,} "
        f"tracklets to train on, {written.queries:,} queries, {written.test_tracklets:,} in the "
        f"gallery; {100 * written.occlusion:.0f} % of the bodies is hidden"
    )
    return 0
