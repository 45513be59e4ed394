"""The page: what stands in each section, and the file."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from stgcn_pyg import __version__
from stgcn_pyg.files import write_output
from stgcn_pyg.report.error_tables import distance_chart, error_tables
from stgcn_pyg.report.explained import (
    explain_queries,
    mean_graphs,
    query_graphs,
    query_maps,
)
from stgcn_pyg.report.facts import environment_table, facts, settings_table
from stgcn_pyg.report.gaps import Section
from stgcn_pyg.report.lists import query_lists
from stgcn_pyg.report.pictures import Album
from stgcn_pyg.report.queries import TITLES, shown_queries
from stgcn_pyg.report.reported import ReportedRun
from stgcn_pyg.report.scores import headline, protocol_scores
from stgcn_pyg.report.training import training_charts, training_tables

# Bytes that the pictures of a section may take. All of them, and the text, stay below 15 MB.
ROOM: dict[Section, int] = {"lists": 6_000_000, "maps": 4_000_000, "graphs": 2_500_000}


def render_page(runs: Sequence[ReportedRun], count: int = 3, top: int = 10, seed: int = 0) -> str:
    """The page of some runs, as HTML that needs nothing beside it.

    What is missing on it is in the runs' gaps afterwards.

    Args:
        runs: At least one; several have the same test set, and are held against the first.
        count: Queries of each kind whose lists are shown, at most.
        top: Ranked items in a list.
        seed: Of the random queries.
    """
    content = {
        "version": __version__,
        "runs": runs,
        "facts": [(run.label, facts(run)) for run in runs],
        "tables": [t for t in (settings_table(runs), environment_table(runs)) if t is not None],
        "training": training_charts(runs),
        "training_tables": training_tables(runs),
        **_results(runs),
        **_queries([run for run in runs if run.subject is not None], count, top, seed),
    }
    content["gaps"] = lambda section: [line for run in runs for line in run.gaps.of(section)]
    content["all_gaps"] = list(dict.fromkeys(line for run in runs for line in run.gaps.lines()))
    environment = _environment()
    script = _source(environment, "page.js")
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html.jinja").render(
        content,
        style=Markup(_source(environment, "page.css")),
        script=Markup(script),
        script_digest=digest,
    )


def write_page(path: Path, page: str) -> None:
    """Writes the page, its folder too.

    Raises:
        UserError: It cannot be written; what was there stays.
    """
    write_output(path, page.encode())


def _results(runs: Sequence[ReportedRun]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for run in runs for name in run.protocols()))
    usual = _usual(runs, names)
    return {
        "usual": usual,
        "headlines": [h for run in runs if usual and (h := headline(run, usual)) is not None],
        "protocols": [protocol_scores(runs, name) for name in names],
    }


def _usual(runs: Sequence[ReportedRun], names: Sequence[str]) -> str | None:
    """The protocol of the lists, or the first there is."""
    chosen = [run.subject.protocol.name for run in runs if run.subject is not None]
    return next(iter([*chosen, *names]), None)


def _queries(runs: Sequence[ReportedRun], count: int, top: int, seed: int) -> dict[str, Any]:
    """What stands about single queries, and where the models err."""
    subjects = [run.subject for run in runs if run.subject is not None]
    shown: dict[str, Any] = {
        "rules": TITLES,
        "errors": None,
        "judge": runs[0].label if runs else "",
    }
    if not subjects:
        return shown | dict.fromkeys(("lists", "maps", "graphs", "mean_graphs", "distances"), ())
    albums = {section: Album(room) for section, room in ROOM.items()}
    queries = shown_queries(subjects, count, seed)
    lists = query_lists(runs, queries, top, albums["lists"])
    explained = explain_queries(runs, queries)
    shown |= {
        "lists": lists,
        "maps": query_maps(explained, queries, albums["maps"]),
        "graphs": query_graphs(explained, queries, albums["graphs"]),
        "mean_graphs": mean_graphs(explained),
        "errors": error_tables(runs),
        "distances": [distance_chart(run) for run in runs],
    }
    for section, album in albums.items():
        if album.full:
            runs[0].gaps.add(
                section, "not all pictures are shown, so that the page stays below 15 MB"
            )
    return shown


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("stgcn_pyg.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]
