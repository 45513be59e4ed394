"""`stgcn search`: the nearest tracklets of a gallery, as a table, a file and a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from jsonargparse import Namespace
from jsonargparse.typing import OpenUnitInterval, PositiveInt

from stgcn_pyg import JUNK
from stgcn_pyg.cli.arguments import Distance, Parser
from stgcn_pyg.errors import UserError, needs_extra
from stgcn_pyg.evaluation.result import SameCamera
from stgcn_pyg.files import require_apart, require_outside, require_writable, write_output
from stgcn_pyg.runs.extracted_frames import find_frames
from stgcn_pyg.runs.extraction import NAME as EXTRACTION
from stgcn_pyg.runs.extraction import StoredEmbeddings
from stgcn_pyg.runs.labelled import choose_at_fpr
from stgcn_pyg.runs.settings import Accelerator
from stgcn_pyg.search import Engine, Filter, Found, open_gallery
from stgcn_pyg.search.open import is_database
from stgcn_pyg.search.queries import (
    TRACKLET,
    NamedQueries,
    embedder_of,
    queries_of_extraction,
    queries_of_video,
    query_of_frames,
    query_of_gallery,
)
from stgcn_pyg.search.results import SUFFIXES, results_table, write_results

PRINTED = 10  # queries

DESCRIPTION = """Finds the nearest tracklets of a gallery that `stgcn index` wrote.

QUERY is one of these:
- a folder that `stgcn extract` wrote: its queries, or all its tracklets if it has none;
- a tracklet of the gallery, DATASET:NUMBER, which does not find itself;
- a folder of images, the frames of one tracklet, with --run;
- a video, or a folder of its numbered frames, with --run and --tracks.

Examples:
  stgcn search galleries/all mars:17
  stgcn search galleries/all embeddings/mars --same-camera person --output found.csv
  stgcn search galleries/all embeddings/mars --labelled embeddings/held-out --fpr 0.0001
  stgcn search galleries/all hall.mp4 --tracks hall.txt --run runs/mars --page found.html"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    options = parser().parse_args(arguments)
    _check_outputs(options)
    gallery = open_gallery(options.gallery)
    named = _queries(gallery, options)
    where = _filter(gallery, named, options)
    there = len(gallery) - (named.own is not None)
    if not there:
        raise UserError(f"{gallery.place}: holds no tracklet to find: index an extraction into it")
    threshold, said = _threshold(gallery, options)
    top = min(options.top, there)
    if top < options.top:
        print(f"--top {options.top}: the gallery has only {there:,} tracklets to find")
    found = _search(gallery, named, top, where, options.exact)
    per_query = (found.ids >= 0).sum(axis=1)
    if not per_query.any():
        raise UserError(f"{gallery.place}: the filter passes no tracklet: widen it")
    if fewer := int((per_query < top).sum()):
        print(
            f"{fewer:,} of {len(per_query):,} queries find fewer than {top:,}: the filter passes "
            "no more"
        )
    facts = {"Gallery": f"{gallery.place}, {len(gallery):,} tracklets", "Query": options.query}
    for name in ("camera", "identity", "dataset", "after", "before", "same_camera"):
        if (value := options[name]) is not None:
            words = map(str, value) if isinstance(value, list) else [str(value)]
            facts[f"--{name.replace('_', '-')}"] = " ".join(words)
    if threshold is not None:
        found = found.within(threshold)
        nobody = np.flatnonzero((found.ids < 0).all(axis=1))
        print(f"{said}\nnobody within it: {len(nobody):,} of {len(per_query):,} queries")
        facts["Threshold"] = said
        facts["Queries with nobody within it"] = (
            ", ".join(str(named.names[query]) for query in nobody.tolist()) or "none"
        )
    table = results_table(named.names, named.queries, found, gallery)
    _print(table, named)
    if options.output is not None:
        write_results(options.output, table)
        print(f"{options.output}: {len(table):,} rows")
    if options.page is not None:
        _write_page(gallery, named, table, facts, options)
    return 0


def parser() -> Parser:
    """The options of the command."""
    parser = Parser(prog="stgcn search", description=DESCRIPTION)
    add = parser.add_argument
    add("gallery", type=str, help="the gallery that `stgcn index` wrote: a folder, or an address")
    add("query", type=str, help="what to look for, as above")
    add("--top", type=PositiveInt, default=10, help="number of tracklets to find for each query")
    exact = "compare all tracklets, also where the gallery has codes or an index"
    add("--exact", type=bool, default=False, nargs="?", const=True, help=exact)
    parts = "tracklets of an extraction to look for: query or all"
    add("--parts", type=Literal["query", "all"] | None, default=None, help=parts)
    run = "folder or checkpoint of the run that made the gallery's embeddings"
    add("--run", type=Path | None, default=None, help=run)
    tracks = "file of tracks of the video, as for `stgcn tracklets`"
    add("--tracks", type=Path | None, default=None, help=tracks)
    add("--format", type=str, default="auto", help="format of the file of tracks")
    filmed = "name of the camera that the video is of, where the file of tracks has several"
    add("--tracks_camera", type=str | None, default=None, help=filmed)
    where = "where to embed; auto means a CUDA GPU if there is one"
    add("--accelerator", type=Accelerator, default="auto", help=where)
    add("--camera", nargs="+", type=int, default=None, help="cameras to look in, by number")
    add("--identity", nargs="+", type=int, default=None, help="identities to look among")
    add("--dataset", nargs="+", type=str, default=None, help="data sets to look in, by name")
    after = "only tracklets that ended at this second or later"
    add("--after", type=float | None, default=None, help=after)
    before = "only tracklets that began at this second or earlier"
    add("--before", type=float | None, default=None, help=before)
    same = (
        "what each query leaves out: person, its own identity in its own camera, or all of its "
        "own camera"
    )
    add("--same_camera", type=SameCamera | None, default=None, help=same)
    threshold = "leave out tracklets farther away than this distance; no limit if not given"
    add("--threshold", type=Distance | None, default=None, help=threshold)
    labelled = "extraction of labelled tracklets by the same model, to choose the threshold on"
    add("--labelled", type=Path | None, default=None, help=labelled)
    fpr = "share of the pairs of two people that may be taken for one, for --labelled"
    add("--fpr", type=OpenUnitInterval | None, default=None, help=fpr)
    output = f"file to write all that was found to: {', '.join(SUFFIXES)}"
    add("--output", type=Path | None, default=None, help=output)
    page = "HTML file to write with frames of each query and of the tracklets found"
    add("--page", type=Path | None, default=None, help=page)
    return parser


def _check_outputs(options: Namespace) -> None:
    if (options.labelled is None) != (options.fpr is None):
        raise UserError("--labelled, --fpr: give both, or neither")
    if options.threshold is not None and options.labelled is not None:
        raise UserError("--threshold, --labelled: give one of the two")
    for name in ("output", "page"):
        require_writable(f"--{name}", options[name])
    files = {"--output": options.output, "--page": options.page}
    require_apart(files)
    extractions = (Path(options.query), options.labelled)
    read = [one for one in extractions if one is not None and (one / EXTRACTION).is_file()]
    require_outside(files, [*read, None if is_database(options.gallery) else Path(options.gallery)])
    if options.output is not None and options.output.suffix.lower() not in SUFFIXES:
        raise UserError(f"--output {options.output}: ends in none of {', '.join(SUFFIXES)}")


def _threshold(gallery: Engine, options: Namespace) -> tuple[float | None, str]:
    """The threshold that is given or chosen, if any, and what to say of it."""
    if options.labelled is None:
        return options.threshold, f"threshold {options.threshold}"
    labelled = StoredEmbeddings(options.labelled)
    gallery.require_same_model(str(options.labelled), labelled.description)
    chosen = choose_at_fpr(labelled, options.fpr)
    wrong = chosen.wanted_fpr * len(gallery)
    return chosen.threshold, (
        f"{chosen}\nat that FPR a search of {len(gallery):,} tracklets finds up to {wrong:,.2g} "
        "wrong ones on average"
    )


def _queries(gallery: Engine, options: Namespace) -> NamedQueries:
    path = Path(options.query)
    if (path / EXTRACTION).is_file():
        _refuse(options, "an extraction", "run", "tracks", "tracks_camera")
        return queries_of_extraction(gallery, path, options.parts)
    if path.exists():
        _refuse(options, "no extraction", "parts")
        if options.run is None:
            raise UserError(f"{path}: is no extraction: pass --run and the run to embed it by")
        if options.tracks is None and not path.is_dir():
            raise UserError(f"{path}: pass --tracks and the file of the video's tracks")
        embedder = embedder_of(gallery, options.run, options.accelerator)
        if options.tracks is None:
            _refuse(options, "a folder of one tracklet without --tracks", "tracks_camera")
            return query_of_frames(embedder, path)
        filmed = options.tracks, options.format, options.tracks_camera
        return queries_of_video(embedder, path, *filmed)
    if not TRACKLET.fullmatch(options.query):
        raise UserError(
            f"{path}: no such folder or video, and no tracklet of the gallery (DATASET:NUMBER)"
        )
    _refuse(options, "a tracklet of the gallery", "run", "tracks", "tracks_camera", "parts")
    return query_of_gallery(gallery, options.query)


def _refuse(options: Namespace, kind: str, *names: str) -> None:
    """Raises a UserError if an option is given that says nothing of this kind of query."""
    for name in names:
        if options[name] is not None:
            option = "--" + name.replace("_", "-")
            raise UserError(
                f"{option} {options[name]}: {options.query} is {kind}: leave the option out"
            )


def _filter(gallery: Engine, named: NamedQueries, options: Namespace) -> Filter:
    chosen = {"camera": "camid", "identity": "pid", "dataset": "dataset"}
    chosen = {name: column for name, column in chosen.items() if options[name] is not None}
    known = gallery.tracklets() if chosen else pd.DataFrame()
    for name, column in chosen.items():
        for value in options[name]:
            if not (known[column] == value).any():
                raise UserError(f"--{name} {value}: {gallery.place} has no tracklet of it")
    if options.same_camera is not None and (np.asarray(named.queries.camids) == JUNK).any():
        raise UserError(
            "--same-camera: the camera of the query is not known: leave the option out; --camera "
            "names the cameras to look in"
        )
    return Filter(
        camids=options.camera,
        pids=options.identity,
        datasets=options.dataset,
        after=options.after,
        before=options.before,
        same_camera=options.same_camera,
    )


def _search(gallery: Engine, named: NamedQueries, top: int, where: Filter, exact: bool) -> Found:
    """The nearest, without the query itself where it is a tracklet of the gallery."""
    if named.own is None:
        return gallery.search(named.queries, top, where, exact=exact)
    found = gallery.search(named.queries, top + 1, where, exact=exact)
    # The query goes to the end of its row, which is cut; so does the last of a row without it.
    order = np.argsort(found.ids == named.own[:, None], axis=1, kind="stable")[:, :top]
    ids = np.take_along_axis(found.ids, order, axis=1)
    return Found(ids, np.take_along_axis(found.distances, order, axis=1))


def _print(table: pd.DataFrame, named: NamedQueries) -> None:
    """Prints a small table for each query, up to so many."""
    cells = pd.DataFrame(
        {
            "rank": table["rank"],
            "distance": table["distance"].map("{:.4f}".format),
            "tracklet": table["dataset"] + ":" + table["tracklet"].astype(str),
            "identity": table["pid"].astype(str).where(table["pid"] != JUNK, "-"),
            "camera": table["camid"],
            "frames": table["num_frames"],
        }
    )
    if table["first_time"].notna().any():
        times = table[["first_time", "last_time"]].map("{:.1f}".format)
        spans = times["first_time"] + " to " + times["last_time"]
        cells["seconds"] = spans.where(table["first_time"].notna(), "")
    cells["first frame"] = table["first_frame_path"]
    shown = named.names[:PRINTED]
    for name in shown:
        found = cells[table["query"] == name]
        print(f"\nquery {name}")
        print(found.to_string(index=False) if len(found) else "nobody")
    if len(named.names) > len(shown):
        print(f"\n... and {len(named.names) - len(shown):,} more queries: --output writes them all")


def _write_page(
    gallery: Engine,
    named: NamedQueries,
    table: pd.DataFrame,
    facts: Mapping[str, str],
    options: Namespace,
) -> None:
    with needs_extra("report"):
        from stgcn_pyg.report.found import render_found
    gaps: list[str] = []
    frames: dict[tuple[str, int], list[Path]] = {}
    own = table.iloc[:0] if named.own is None else gallery.tracklets(named.own)
    for dataset in dict.fromkeys([*table["dataset"], *own["dataset"]]):
        source = gallery.facts["sources"].get(dataset)
        if source is None:
            gaps.append(
                f"the frames of {dataset} are not known: the gallery does not say where they are; "
                "`stgcn index` notes it with an extraction"
            )
            continue
        paths = _paths(source, gaps)
        frames |= {(dataset, number): some for number, some in paths.items()}
    of_queries: Mapping[Any, list[Path]] = named.frames
    if named.source is not None:
        of_queries = _paths(named.source, gaps)
    elif named.own is not None:
        of_queries = {
            name: frames.get((row.dataset, row.tracklet), [])
            for name, row in zip(named.names, own.itertuples(), strict=True)
        }
    elif not named.frames:
        gaps.append("the frames of the queries are not shown: they are of a video")
    page, more = render_found(Path(gallery.place).name, table, of_queries, frames, facts, gaps)
    write_output(options.page, page.encode())
    for line in more:
        print(f"on the page: {line}")
    print(f"{options.page}: {len(page.encode()) / 1e6:.1f} MB")


def _paths(source: Mapping[str, Any], gaps: list[str]) -> dict[int, list[Path]]:
    """The frames of a data set's tracklets; adds a line where they are not known."""
    try:
        root, frames, _ = find_frames(source)
    except UserError as error:
        gaps.append(f"the frames are not known: {error}")
        return {}
    return {
        number: [root / path for path in paths]
        for number, paths in frames.groupby("tracklet")["path"]
    }
