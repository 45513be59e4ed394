"""`stgcn extract`: the embeddings of a data set's tracklets, in files."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import pandas as pd
from jsonargparse import Namespace
from jsonargparse.typing import PositiveInt
from tqdm import tqdm

from stgcn_pyg.cli.arguments import Parser, add_model_arguments, open_run, together
from stgcn_pyg.distributed import ProcessGroup
from stgcn_pyg.errors import UserError
from stgcn_pyg.progress import bar_options
from stgcn_pyg.runs.extraction import (
    ABOUT,
    USUAL,
    Description,
    EmbeddingWriter,
    describe,
    shards_of,
)
from stgcn_pyg.runs.trained_model import TrainedModel, skipped_within, tell_skipped

DESCRIPTION = """Writes the embeddings of a data set's tracklets and their labels, in shards.

If it is interrupted, the same command continues after the last complete shard.

Examples:
  stgcn extract runs/mars embeddings/mars
  stgcn evaluate embeddings/mars
  stgcn extract runs/mars embeddings/ward --dataset ward --root data/WARD --parts all"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    with together() as group:
        return _extract(_parser().parse_args(arguments), group)


@cache
def _parser() -> Parser:
    parser = Parser(prog="stgcn extract", description=DESCRIPTION)
    parser.add_argument("run", type=Path, help="a run's folder, or a checkpoint")
    parser.add_argument("output", type=Path, help="the folder to write the embeddings to")
    parser.add_argument(
        "--parts",
        type=Literal["test", "train", "held-out", "all"],
        default="test",
        help="which tracklets: test (query and gallery), train, held-out (those of the training "
        "identities that --validation-share held out) or all",
    )
    parser.add_argument(
        "--shard_size", type=PositiveInt, default=1024, help="number of tracklets in a shard"
    )
    add_model_arguments(parser, runtimes=True)
    return parser


def _extract(options: Namespace, group: ProcessGroup) -> int:
    trained = open_run(options.run, options, group)
    if options.parts == "held-out":
        tracklets = trained.held_out()
    else:
        tracklets = trained.data.dataset.tracklets(options.parts)
    if tracklets.empty:
        dataset = trained.data.dataset
        raise UserError(
            f"--parts {options.parts}: {dataset.name} at {dataset.root} has no such tracklets: "
            "pass test or all"
        )
    description = _describe(trained, tracklets, options)
    # The first process writes; the others share its work.
    writer = None
    if group.is_first:
        writer = EmbeddingWriter(options.output, description, tracklets, trained.still_bad)
        _report_other_root(options.output, writer.description["root"], description["root"])
    missing = group.from_first(writer.missing() if writer is not None else [])
    total = len(tracklets)
    shards = shards_of(description)
    rows = {shard: tracklets.iloc[shards[shard]] for shard in missing}
    there = total - sum(map(len, rows.values()))
    if there:
        print(f"{options.output}: {there:,} of {total:,} tracklets are there already")
    with tqdm(
        total=total, initial=there, desc="embedding", unit="tracklet", **bar_options()
    ) as bar:
        for shard in missing:
            with skipped_within(trained.data, group) as skipped:
                embeddings = trained.embed(rows[shard], bar)
            if writer is not None:
                writer.write(shard, embeddings.numpy(), sorted(skipped))
    tell_skipped(trained.data, group)
    print(
        f"{options.output}: {total:,} embeddings of width {description['width']:,}; "
        "docs/embeddings.md says how to read them"
    )
    return 0


def _report_other_root(output: Path, before: str, now: str) -> None:
    if Path(before).resolve() != Path(now).resolve():
        print(f"{output}: continues with the images at {now}; until now they were read at {before}")


def _describe(trained: TrainedModel, tracklets: pd.DataFrame, options: Namespace) -> Description:
    about = trained.about
    return describe(
        tracklets,
        protocols=trained.data.dataset.protocols,
        parts=options.parts,
        width=trained.model.embedding_width,
        shard_size=options.shard_size,
        **{name: about[name] for name in (*ABOUT, *USUAL) if name in about},
    )
