"""`stgcn synth`: renders a data set."""

from collections.abc import Sequence

from stgcn_pyg.commands.arguments import Parser
from stgcn_pyg.data.synthetic import write_benchmark

DESCRIPTION = """Renders walking people into a folder, in the layout of MARS.

Example: stgcn synth data/tiny --train_people 16 --test_people 8 --occlusion 0.3"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    parser = Parser(prog="stgcn synth", description=DESCRIPTION)
    parser.add_function_arguments(write_benchmark, as_positional=True)
    written = write_benchmark(**parser.parse_args(arguments).as_dict())
    print(written)
    return 0
