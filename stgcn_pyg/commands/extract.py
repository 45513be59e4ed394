"""`stgcn extract`: the embeddings of a data set's tracklets, in files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from jsonargparse.typing import PositiveInt
from tqdm import tqdm

from stgcn_pyg.commands.arguments import Parser
from stgcn_pyg.commands.frames import tell_skipped
from stgcn_pyg.commands.model_arguments import add_model_arguments
from stgcn_pyg.commands.trained_model import TrainedModel, checkpoint_sha256
from stgcn_pyg.embedding import embed_tracklets, label_tracklets
from stgcn_pyg.embedding_files import EmbeddingWriter, describe
from stgcn_pyg.progress import bar_options

DESCRIPTION = """Writes the embeddings of a data set's tracklets and their labels, in shards.

Killed and started again, the same command goes on after the last whole shard.

Examples:
  stgcn extract runs/mars embeddings/mars
  stgcn evaluate embeddings/mars
  stgcn extract runs/mars embeddings/ward --dataset ward --root data/WARD --parts all"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    parser = Parser(prog="stgcn extract", description=DESCRIPTION)
    parser.add_argument("run", type=Path, help="a run's folder, or a checkpoint")
    parser.add_argument("output", type=Path, help="the folder that receives the embeddings")
    parser.add_argument(
        "--parts",
        type=Literal["test", "train", "all"],
        default="test",
        help="the tracklets of query and gallery, those to train on, or all",
    )
    parser.add_argument("--shard_size", type=PositiveInt, default=1024, help="tracklets a shard")
    add_model_arguments(parser)
    options = parser.parse_args(arguments)

    trained = TrainedModel(options.run, options)
    writer = _open(trained, options.run, options.output, options.parts, options.shard_size)
    missing = writer.missing()
    total = len(writer.tracklets)
    there = total - sum(len(writer.rows(shard)) for shard in missing)
    if there:
        print(f"{options.output}: {there:,} of {total:,} tracklets are there already")
    with tqdm(
        total=total, initial=there, desc="embedding", unit="tracklet", **bar_options()
    ) as bar:
        for shard in missing:
            embeddings = embed_tracklets(
                trained.model, trained.data, writer.rows(shard), trained.device, bar=bar
            )
            writer.write(shard, embeddings.numpy())
    tell_skipped(trained.data)
    print(
        f"{options.output}: {total:,} embeddings of width {writer.description['width']:,}; "
        f"docs/embeddings.md tells how to read them"
    )
    return 0


def _open(
    trained: TrainedModel,
    run: Path,
    output: Path,
    parts: Literal["test", "train", "all"],
    size: int,
) -> EmbeddingWriter:
    dataset = trained.data.dataset
    tracklets = label_tracklets(dataset, parts)
    description = describe(
        tracklets,
        dataset=dataset.name,
        root=str(dataset.root.resolve()),
        split=trained.config.get("split", 0),
        protocols=dataset.protocols,
        parts=parts,
        test_clips=trained.data.test_clips,
        checkpoint_sha256=checkpoint_sha256(run),
        width=trained.model.classifier.in_features,
        shard_size=size,
    )
    return EmbeddingWriter(output, description, tracklets)
