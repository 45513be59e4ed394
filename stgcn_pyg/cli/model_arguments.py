"""Which data set a trained model is to embed, and how: the options that several commands share."""

from pathlib import Path
from typing import Any, Literal

from jsonargparse import Namespace
from jsonargparse.typing import NonNegativeInt, PositiveInt

from stgcn_pyg.cli.arguments import Parser
from stgcn_pyg.cli.frames import add_frame_arguments
from stgcn_pyg.data.sampling import TestClips
from stgcn_pyg.errors import UserError

CHOICES = ("dataset", "root", "split", "test_clips", "pack")
NAMES = (*CHOICES, "on_bad_frame", "num_workers", "clips_per_batch", "accelerator")


def add_model_arguments(parser: Parser) -> None:
    """Adds the options that :class:`.TrainedModel` takes."""
    parser.add_argument("--dataset", type=str | None, default=None, help="another data set")
    parser.add_argument("--root", type=Path, default=None, help="the folder that holds it")
    parser.add_argument(
        "--split",
        type=NonNegativeInt | None,
        default=None,
        help="which split, from 0: of iLIDS-VID, PRID 2011 and WARD",
    )
    parser.add_argument(
        "--test_clips",
        type=TestClips | None,
        default=None,
        help="which clips stand for a tracklet; the run's own choice if not given",
    )
    parser.add_argument("--num_workers", type=NonNegativeInt, default=2, help="that read pictures")
    parser.add_argument("--clips_per_batch", type=PositiveInt, default=32, help="to embed at once")
    add_frame_arguments(parser)
    parser.add_argument(
        "--accelerator", type=Literal["auto", "cpu", "gpu"], default="auto", help="where to embed"
    )


def model_arguments(options: Namespace) -> dict[str, Any]:
    """The options among others, as the arguments of :class:`.TrainedModel`."""
    return {name: options[name] for name in NAMES}


def refuse_model_arguments(options: Namespace, source: Path) -> None:
    """Raises a UserError if one is given for a source that holds embeddings already."""
    for name in CHOICES:
        if options[name] is not None:
            raise UserError(
                f"--{name}: is for a run's model; {source} holds embeddings already: leave it out"
            )
