"""`stgcn evaluate`: CMC and mAP of a model, an extraction or arrays, under named protocols."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace
from jsonargparse.typing import PositiveInt

from stgcn_pyg.cli.arguments import (
    Distance,
    Parser,
    Resamples,
    add_model_arguments,
    open_run,
    refuse_model_arguments,
    together,
)
from stgcn_pyg.cli.compiler import compiler_deferred
from stgcn_pyg.distributed import ALONE, ProcessGroup
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import RankingResult, Reranking, format_table, protocol
from stgcn_pyg.evaluation.result import REPORTED_RANKS
from stgcn_pyg.files import (
    require_apart,
    require_outside,
    require_writable,
    write_json,
    write_output,
)
from stgcn_pyg.runs.about import in_words
from stgcn_pyg.runs.score_files import (
    Intervals,
    Scores,
    Verifications,
    per_query,
    protocols_of,
    scores_as_json,
)
from stgcn_pyg.runs.scoring import (
    RankingTask,
    Source,
    score_chance,
    score_features,
    score_intervals,
    score_verification,
)

if TYPE_CHECKING:
    from stgcn_pyg.search import Gallery

INDEX_TOP = 100  # tracklets that each query finds
MAX_RANK = 50  # of the CMC that is kept, if --ranks asks for no more

DESCRIPTION = """Evaluates embeddings under every protocol that their data set allows.

The source of the embeddings is one of these:
- a run, or a checkpoint: its model embeds the test set of the run, or of another data set;
- a folder that `stgcn extract` wrote;
- an .npz of any model's features: query_features, gallery_features, query_pids, gallery_pids,
  query_camids, gallery_camids and, optionally, gallery_is_query.

Examples:
  stgcn evaluate runs/mars --rerank --json mars.json --per-query mars.csv
  stgcn evaluate runs/mars --dataset ward --root data/WARD
  stgcn evaluate embeddings/mars --protocols mars-official agrl
  stgcn evaluate embeddings/mars --index galleries/all
  stgcn evaluate embeddings/mars --verification --thresholds 0.75
  stgcn evaluate features.npz"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    with together() as group:
        return _evaluate(parser().parse_args(arguments), group)


def _evaluate(options: Namespace, group: ProcessGroup) -> int:
    max_rank = max(MAX_RANK, *options.ranks or [MAX_RANK])
    chosen = _known(options.protocols)
    if options.thresholds and not options.verification:
        raise UserError("--thresholds: is for verification: pass --verification as well")
    _require_outputs(options)
    gallery = _open_index(options)
    reranking = _reranking(options)
    source = open_source(options, group)
    task = source.task if chosen is None else replace(source.task, protocols=chosen)
    scores = {"chance": score_chance(task, max_rank)}
    _require_ranks(options.ranks, scores["chance"])
    features = source.features()
    if not group.is_first:
        return 0
    scores[source.method] = score_features(task, *features, max_rank)
    about = source.about | {"reranking": None, "ranks": list(options.ranks or REPORTED_RANKS)}
    if reranking is not None:
        about["reranking"] = reranking._asdict()
        scores["re-ranked"] = score_features(task, *features, max_rank, reranking)
    if gallery is not None:
        scores["index"], about["index"] = _score_index(gallery, options, source, task, max_rank)
    intervals = {
        row: score_intervals(task, results, options.ranks or REPORTED_RANKS, options.resamples)
        for row, results in scores.items()
        if row != "chance"
    }
    verified = {}
    if options.verification:
        given = options.thresholds or (), options.resamples
        verified[source.method] = score_verification(task, *features, *given)
    print(f"\n{in_words(about)}")
    show(scores, intervals, options.ranks)
    for name, recalls in about.get("index", {}).get("recall", {}).items():
        shares = ", ".join(f"{k.replace('-', ' at ')} {100 * v:.2f}" for k, v in recalls.items())
        print(f"index, {name}: of the nearest by an exact search: {shares}; in per cent")
    for found in verified.values():
        show_verification(found)
    if options.json is not None:
        write_json(options.json, scores_as_json(scores, about, intervals, verified))
    if options.per_query is not None:
        table = per_query(task, scores[source.method], {"method": source.method} | about)
        write_output(options.per_query, table.to_csv(index=False, lineterminator="\n").encode())
    return 0


@cache
def parser() -> Parser:
    """The options of the command."""
    parser = Parser(prog="stgcn evaluate", description=DESCRIPTION)
    source = "folder or checkpoint of a run, folder of an extraction, or .npz of features"
    parser.add_argument("source", type=Path, help=source)
    names = "names of protocols; those of the data set if not given"
    parser.add_argument("--protocols", nargs="+", type=str, default=None, help=names)
    ranks = "the k of each rank-k to print"
    parser.add_argument("--ranks", nargs="+", type=PositiveInt, default=None, help=ranks)
    resamples = "number of bootstrap samples of the test identities, for the intervals"
    parser.add_argument("--resamples", type=Resamples, default=10_000, help=resamples)
    verify = (
        "also score verification (are two tracklets one person?) and open-set search (is the "
        "person in the gallery at all?)"
    )
    add = parser.add_argument
    add("--verification", type=bool, default=False, nargs="?", const=True, help=verify)
    given = "with --verification: also print FPR, TPR, FAR and DIR at these distances"
    add("--thresholds", nargs="+", type=Distance, default=None, help=given)
    rerank = "also re-rank by k-reciprocal neighbours"
    parser.add_argument("--rerank", type=bool, default=False, nargs="?", const=True, help=rerank)
    k1 = "number of nearest neighbours, for --rerank"
    parser.add_argument("--k1", type=PositiveInt, default=Reranking().k1, help=k1)
    k2 = "number of neighbours to average over, for --rerank"
    parser.add_argument("--k2", type=PositiveInt, default=Reranking().k2, help=k2)
    weight = "weight of the original distance, for --rerank"
    parser.add_argument("--lambda_value", type=float, default=Reranking().lambda_value, help=weight)
    index = (
        "folder of a gallery that holds this extraction; its approximate search is scored as well"
    )
    parser.add_argument("--index", type=str, default=None, help=index)
    dataset = "name of the extraction's data set in the gallery, for --index"
    parser.add_argument("--index_name", type=str, default=None, help=dataset)
    top = f"number of tracklets that each query finds, for --index; {INDEX_TOP} if not given"
    parser.add_argument("--index_top", type=PositiveInt | None, default=None, help=top)
    parser.add_argument("--json", type=Path, default=None, help="file to write the results to")
    table = "CSV file to write a row for each query and protocol to"
    parser.add_argument("--per_query", type=Path, default=None, help=table)
    add_model_arguments(parser, runtimes=True)
    return parser


def _open_index(options: Namespace) -> "Gallery | None":
    """The gallery of ``--index``, before anything is computed."""
    if options.index is None:
        for name in ("index_name", "index_top"):
            if options[name] is not None:
                option = "--" + name.replace("_", "-")
                raise UserError(f"{option} {options[name]}: is for --index: pass it as well")
        return None
    from stgcn_pyg.search import Gallery
    from stgcn_pyg.search.open import is_database

    if not (options.source / "embeddings.json").is_file():
        raise UserError(f"--index: {options.source}: is no extraction: extract and index it first")
    if is_database(options.index):
        raise UserError("--index: is for a gallery in a folder, and not for one in a database")
    return Gallery(options.index)


def _score_index(
    gallery: "Gallery", options: Namespace, source: Source, task: RankingTask, max_rank: int
) -> tuple[dict[str, RankingResult], dict[str, Any]]:
    """What the lists of ``--index`` score, and what is to be said of them."""
    from stgcn_pyg.runs.extraction import StoredEmbeddings
    from stgcn_pyg.search.evaluation import score_gallery
    from stgcn_pyg.search.extractions import Extraction

    assert isinstance(source, StoredEmbeddings)
    top = options.index_top or INDEX_TOP
    dataset = options.index_name or Extraction(source.folder).dataset
    ranks = options.ranks or REPORTED_RANKS
    scores, recalls = score_gallery(gallery, dataset, source, task, ranks, top, max_rank)
    return scores, {"gallery": options.index, "top": top, "recall": recalls}


def open_source(options: Namespace, group: ProcessGroup = ALONE) -> Source:
    """The model, extraction or arrays to evaluate; processes share the work of a model.

    Raises:
        UserError: There is nothing at the path that can be evaluated.
    """
    path = options.source
    if path.suffix.lower() == ".npz":
        from stgcn_pyg.runs.feature_arrays import FeatureArrays

        refuse_model_arguments(options, path)
        return FeatureArrays(path)
    if (path / "embeddings.json").exists():
        from stgcn_pyg.runs.extraction import StoredEmbeddings

        refuse_model_arguments(options, path)
        return StoredEmbeddings(path)
    if not (path / "checkpoint.ckpt" if path.is_dir() else path).is_file():
        problem = "holds neither checkpoint nor extraction" if path.is_dir() else "does not exist"
        raise UserError(
            f"{path}: {problem}; pass a run's folder, its checkpoint.ckpt, a folder that "
            "`stgcn extract` wrote, or an .npz of features"
        )
    with compiler_deferred():
        return open_run(path, options, group)  # the others need no model


def show(scores: Scores, intervals: Intervals, ranks: Sequence[int] | None) -> None:
    """Prints the table of each protocol, with its description."""
    for name in protocols_of(scores):
        rows = {row: results[name] for row, results in scores.items()}
        ends = {row: found[name] for row, found in intervals.items() if name in found}
        table = format_table(rows, tuple(ranks or REPORTED_RANKS), ends)
        print(f"\n{table}\n{protocol(name).description}")
    print(
        "\nThe intervals cover the choice of the test identities, not the seed of the training; "
        "docs/protocols.md says how they are computed."
    )


def show_verification(found: Verifications) -> None:
    """Prints verification and the open set, once for protocols that compare the same pairs."""
    shown: dict[int, list[str]] = {}
    for name, (verification, _) in found.items():
        shown.setdefault(id(verification.statistics), []).append(name)
    for names in shown.values():
        for result in found[names[0]]:
            print(f"\n{replace(result, protocol=', '.join(names))}")
    print(
        "\nFPR and FAR are of pairs and of searches: docs/thresholds.md says what each statistic "
        "is, and how a threshold is chosen."
    )


def _known(names: Sequence[str] | None) -> tuple[str, ...] | None:
    """The names of protocols, each once, if they are known."""
    if names is None:
        return None
    try:
        return tuple(dict.fromkeys(protocol(name).name for name in names))
    except ValueError as error:
        raise UserError(f"--protocols: {error}") from error


def _reranking(options: Namespace) -> Reranking | None:
    """The parameters of re-ranking, or None without ``--rerank``."""
    chosen = Reranking(options.k1, options.k2, options.lambda_value)
    if not options.rerank:
        for name, value, usual in zip(chosen._fields, chosen, Reranking(), strict=True):
            if value != usual:
                option = "--" + name.replace("_", "-")
                raise UserError(f"{option} {value}: is for re-ranking: pass --rerank as well")
        return None
    try:
        chosen.check()
    except ValueError as error:
        raise UserError(f"--rerank: {error}") from error
    return chosen


def _require_outputs(options: Namespace) -> None:
    """Refuses files that cannot be written, before anything is embedded."""
    require_writable("--json", options.json)
    require_writable("--per-query", options.per_query)
    outputs = {"--json": options.json, "--per-query": options.per_query}
    require_apart({"the source": options.source, **outputs})
    if (options.source / "embeddings.json").is_file():
        require_outside(outputs, [options.source])


def _require_ranks(ranks: Sequence[int] | None, results: dict[str, RankingResult]) -> None:
    for name, result in results.items():
        if ranks is not None and max(ranks) > result.num_gallery:
            raise UserError(
                f"--ranks {max(ranks)}: {name} has only {result.num_gallery:,} in the gallery; "
                "pass lower ones"
            )
