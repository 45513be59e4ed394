"""`stgcn explain`: why a model ranks as it does, in figures and tables."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import pandas as pd
from jsonargparse import Namespace
from jsonargparse.typing import NonNegativeInt, PositiveInt

from stgcn_pyg.cli.arguments import Parser, add_model_arguments, model_arguments
from stgcn_pyg.data.dataset import NO_LABELS
from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import protocol
from stgcn_pyg.explain import EvaluatedModel, choose_queries
from stgcn_pyg.explain.output import write_embedding, write_queries, write_summary
from stgcn_pyg.files import new_folder, write_json
from stgcn_pyg.runs.about import ABOUT
from stgcn_pyg.runs.trained_model import TrainedModel, tell_skipped

Part = Literal["lists", "maps", "graphs", "embedding", "summary"]
Rule = Literal["worst", "best", "random", "change"]

DESCRIPTION = """Writes why a model ranks as it does: figures (PNG) and their numbers.

The parts, of which --parts selects some:
  lists      a query and the tracklets ranked first for it, with right and wrong ones marked
  maps       Grad-CAM of a query's first clip for its similarity with its nearest match, by branch
  graphs     the learned graphs of that clip, and their strongest edges
  embedding  t-SNE, distances, and scores by camera pair, length and occlusion
  summary    means of maps and graphs over all queries, also for an untrained network and, on a
             rendered data set, compared with its ground truth

Examples:
  stgcn explain runs/mars explained/mars
  stgcn explain runs/mars explained/two --queries 8298 8311 --parts lists maps
  stgcn explain runs/mars explained/change --rule change --other runs/baseline
  stgcn explain runs/tiny explained/tiny --parts summary"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    options = parser().parse_args(arguments)
    if options.rule == "change" and options.other is None:
        raise UserError("--rule change: needs --other RUN, the model to compare with")
    require_protocol(options.protocol)
    with new_folder(options.output) as folder:
        trained = TrainedModel(options.run, **model_arguments(options))
        with trained.arithmetic():
            model = EvaluatedModel.of(trained, options.protocol)
            if not trained.data.dataset.labelled:
                _leave_out_scores(options)
            content = _write_parts(folder, model, options)
        tell_skipped(trained.data)
        write_json(folder / "explain.json", {ABOUT: trained.about} | content)
    print(f"{options.output}: {', '.join(sorted(path.name for path in options.output.iterdir()))}")
    return 0


@cache
def parser() -> Parser:
    """The parser of the command's arguments."""
    parser = Parser(prog="stgcn explain", description=DESCRIPTION)
    add = parser.add_argument
    add("run", type=Path, help="a run's folder, or a checkpoint")
    add("output", type=Path, help="the folder to write; it must be new or empty")
    add("--parts", nargs="+", type=Part, default=list(get_args(Part)), help="what to write")
    numbers = "numbers of query tracklets, as in `stgcn evaluate --per-query`"
    add("--queries", nargs="+", type=NonNegativeInt, default=None, help=numbers)
    rules = (
        "which queries to take if --queries names none: those with the worst or the best average "
        "precision, random ones, or those that change most from --other"
    )
    add("--rule", type=Rule, default="worst", help=rules)
    add("--count", type=PositiveInt, default=4, help="number of queries that --rule takes")
    add("--seed", type=NonNegativeInt, default=0, help="random seed of --rule random")
    add("--top", type=PositiveInt, default=5, help="number of ranked items in a list")
    protocols = "protocol of the lists; the data set's usual one if not given"
    add("--protocol", type=str | None, default=None, help=protocols)
    add("--other", type=Path, default=None, help="another run, whose lists are drawn as well")
    add_model_arguments(parser)
    return parser


def require_protocol(name: str | None) -> None:
    """Raises a UserError if `--protocol` names none."""
    if name is not None:
        try:
            protocol(name)
        except ValueError as error:
            raise UserError(f"--protocol: {error}") from error


def _write_parts(folder: Path, model: EvaluatedModel, options: Namespace) -> dict[str, Any]:
    """Writes the parts that are asked for, and returns what `explain.json` holds of them."""
    content: dict[str, Any] = {"run": str(options.run), "protocol": model.protocol.name}
    if {"lists", "maps", "graphs"} & set(options.parts):
        other = None
        if options.other is not None:
            run = _other_run(options, model)
            other = EvaluatedModel.of(run, model.protocol.name)
            content["other"] = run.about
        rows = _chosen(model, other, options)
        write_queries(folder, model, rows, options.parts, options.top)
        if other is not None and "lists" in options.parts:
            write_queries(folder, other, rows, ["lists"], options.top, "other-list")
        content["queries"] = [_query(model, other, row) for row in rows]
    for part, write in (("embedding", write_embedding), ("summary", write_summary)):
        if part in options.parts:
            tables = write(folder / part, model)
            rows_of = {
                name: table.reset_index() if table.index.names[0] else table
                for name, table in tables.items()
            }
            content[part] = {
                name: json.loads(table.to_json(orient="records", double_precision=15))
                for name, table in rows_of.items()
            }
            _show(tables)
    return content


def _leave_out_scores(options: Namespace) -> None:
    """Takes out what cannot be without identities, and says so."""
    kept = [part for part in options.parts if part not in ("embedding", "summary")]
    if not kept:
        raise UserError(f"--parts {' '.join(options.parts)}: {NO_LABELS}")
    if kept != options.parts or options.rule != "random":
        print("no identity is known: lists, maps and graphs of random queries are drawn")
    options.parts, options.rule = kept, "random"


def _other_run(options: Namespace, model: EvaluatedModel) -> TrainedModel:
    """The model of --other on the same data set, whatever it was trained on."""
    dataset = model.data.dataset
    same = {"dataset": dataset.name, "root": dataset.root}
    other = TrainedModel(options.other, **model_arguments(options) | same)
    if not other.data.dataset.query.index.equals(dataset.query.index):
        raise UserError(f"{options.other}: has other queries of {dataset.name}: pass --split")
    return other


def _chosen(model: EvaluatedModel, other: EvaluatedModel | None, options: Namespace) -> list[int]:
    """Rows of queries."""
    labelled = model.data.dataset.labelled
    scores = model.result.average_precision if labelled else np.zeros(len(model.queries))
    if options.queries is None:
        others = None if other is None else other.result.average_precision
        return choose_queries(scores, options.rule, options.count, others, options.seed).tolist()
    numbers = list(dict.fromkeys(options.queries))
    rows = model.queries.index.get_indexer(numbers)
    if (rows < 0).any():
        some = ", ".join(map(str, model.queries.index[:5]))
        raise UserError(
            f"--queries {numbers[int(np.argmin(rows))]}: is no query's number; there are {some} ..."
        )
    unmatched = np.isnan(scores[rows])
    if unmatched.any():
        raise UserError(
            f"--queries {numbers[int(np.argmax(unmatched))]}: has no match in another camera "
            f"under {model.protocol.name}: leave it out"
        )
    return rows.tolist()


def _query(model: EvaluatedModel, other: EvaluatedModel | None, row: int) -> dict[str, Any]:
    """What `explain.json` holds of a query."""
    query, match = model.queries.iloc[row], model.gallery.iloc[model.nearest_match(row)]
    found: dict[str, Any] = {
        "tracklet": int(cast(int, query.name)),
        "pid": int(query["pid"]),
        "camid": int(query["camid"]),
        "nearest_match": int(cast(int, match.name)),
    }
    if not model.data.dataset.labelled:
        return found
    first = model.result.first_match_rank[row]
    found["average_precision"] = float(model.result.average_precision[row])
    found["first_match_rank"] = int(first) if np.isfinite(first) else None
    if other is not None:
        found["other_average_precision"] = float(other.result.average_precision[row])
    return found


def _show(tables: dict[str, pd.DataFrame]) -> None:
    """Prints the tables of the summary, shares in per cent."""
    for name in ("mass_on_person", "weight_from_uncovered"):
        if name in tables:
            shown = tables[name].copy()
            shown[["value", "standard_error"]] *= 100
            print(f"\n{name.replace('_', ' ')}, %\n{shown.round(1).to_string()}")
    for name in ("distance_between_patches", "weight_by_time"):
        if name in tables:
            print(f"\n{name.replace('_', ' ')}\n{tables[name].round(4).to_string()}")
