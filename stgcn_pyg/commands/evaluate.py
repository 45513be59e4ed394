"""`stgcn evaluate`: CMC and mAP of a trained model under every protocol of a data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from jsonargparse.typing import NonNegativeInt, PositiveInt

from stgcn_pyg.checkpoint import load_checkpoint
from stgcn_pyg.commands.arguments import Parser, device_for, write_json
from stgcn_pyg.commands.frames import add_frame_arguments, needs_pictures, tell_skipped
from stgcn_pyg.commands.scores import print_table, protocols, scores_as_json
from stgcn_pyg.data import TrackletDataModule, load_dataset
from stgcn_pyg.embedding import chance_scores, embed_tracklets, score
from stgcn_pyg.errors import UserError

DESCRIPTION = """Evaluates a trained model on the data set of its run, or on another.

Examples:
  stgcn evaluate runs/mars --json mars.json
  stgcn evaluate runs/mars --dataset ward --root data/WARD"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    parser = Parser(prog="stgcn evaluate", description=DESCRIPTION)
    parser.add_argument("run", type=Path, help="a run's folder, or a checkpoint")
    parser.add_argument("--dataset", type=str | None, default=None, help="another data set")
    parser.add_argument("--root", type=Path | None, default=None, help="the folder that holds it")
    parser.add_argument("--split", type=NonNegativeInt | None, default=None, help="for WARD")
    parser.add_argument(
        "--test_clips",
        type=Literal["all", "consecutive", "first"] | None,
        default=None,
        help="which clips stand for a tracklet; the run's own choice if not given",
    )
    parser.add_argument("--num_workers", type=NonNegativeInt, default=2, help="that read pictures")
    parser.add_argument("--clips_per_batch", type=PositiveInt, default=32, help="to embed at once")
    add_frame_arguments(parser)
    parser.add_argument("--accelerator", type=Literal["auto", "cpu", "gpu"], default="auto")
    parser.add_argument("--json", type=Path | None, default=None, help="write the results here")
    options = parser.parse_args(arguments)

    model, config = load_checkpoint(options.run)
    given = {k: v for k in ("dataset", "root", "split") if (v := options[k]) is not None}
    data = _build_data(config | given, options, model.num_frames)
    tracklets = data.dataset.test()
    embeddings = embed_tracklets(model, data, tracklets, device_for(options.accelerator))
    scores = {
        "chance": chance_scores(data.dataset),
        "trained": score(data.dataset, tracklets, embeddings),
    }
    tell_skipped(data)
    for name in protocols(scores):
        print_table(scores, name)
    if options.json is not None:
        write_json(options.json, scores_as_json(scores))
    return 0


def _build_data(config: dict[str, Any], options: Any, num_frames: int) -> TrackletDataModule:
    if "dataset" not in config or "root" not in config:
        raise UserError(f"{options.run}: does not name its data set; pass --dataset and --root")
    verify = needs_pictures(options.pack, options.on_bad_frame)
    dataset = load_dataset(config["dataset"], config["root"], config.get("split", 0), verify)
    settings = dict(config.get("data", {}))
    settings |= {
        "num_workers": options.num_workers,
        "pack": options.pack,
        "on_bad_frame": options.on_bad_frame,
        "clips_per_test_batch": options.clips_per_batch,
        "test_clips": options.test_clips or settings.get("test_clips", "all"),
        "people_per_batch": 2,  # of training, which does not happen here
    }
    try:
        return TrackletDataModule(dataset, num_frames, **settings)
    except TypeError as error:
        raise UserError(f"{options.run}: written by another version ({error})") from error
