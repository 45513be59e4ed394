"""Elements of the page, as escaped HTML: the macros of ``templates/elements.html.jinja``."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from math import isfinite
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from stgcn_pyg import __version__
from stgcn_pyg.figures import Line, draw_lines, to_page_svg

NUMERIC = ("", *"+-–0123456789")  # what the cells of a column of numbers begin with

templates = Environment(
    loader=PackageLoader("stgcn_pyg.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
html: Any = templates.get_template("elements.html.jinja").module  # a function for each macro


def number(value: float, digits: int = 0) -> str:
    """A number with separators; a dash for one that is not finite."""
    return f"{value:,.{digits}f}" if isfinite(value) else "–"


def percent(fraction: float) -> str:
    return number(100 * fraction, 1)


def whole_page(
    command: str,
    kind: str,
    labels: Sequence[str],
    sections: Sequence[tuple[str, str, Sequence[str], Sequence[Markup] | None]],
    lead: str = "",
    headline: Sequence[Markup] = (),
    gaps: Sequence[str] = (),
) -> str:
    """A page as HTML that needs no other file.

    Args:
        command: Name of the command that writes it.
        kind: A few words above the title on what the page is of.
        labels: Names that are the title.
        sections: For each section its name, its title, lines on what it lacks, and its elements.
        lead: Text below the title.
        headline: Elements below that.
        gaps: Lines on all that the page lacks.
    """
    assert templates.loader is not None
    style, script = (
        templates.loader.get_source(templates, name)[0] for name in ("page.css", "page.js")
    )
    return templates.get_template("page.html.jinja").render(
        version=__version__,
        command=command,
        kind=kind,
        labels=labels,
        lead=lead,
        headline=headline,
        sections=sections,
        gaps=gaps,
        style=Markup(style),
        script=Markup(script),
        script_digest=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def table(
    caption: str, frame: pd.DataFrame, sortable: bool = False, note: str = "", opens: str = ""
) -> Markup:
    """A table in a box that scrolls.

    Args:
        caption: Caption of the table.
        frame: Its cells; the first column names the rows. Text after a line break is small.
        sortable: Whether a click on a column's title sorts the rows.
        note: Text below the table.
        opens: Title on which the table opens; it is always open if not given.
    """
    rows = frame.map(str).to_numpy()
    are_text = [any(cell[:1] not in NUMERIC for cell in column) for column in rows.T]
    shown = html.table(caption, list(map(str, frame)), rows, are_text, sortable, note)
    return html.details(opens, shown) if opens else shown


def line_chart(
    name: str,
    title: str,
    x_label: str,
    y_label: str,
    lines: Sequence[Line],
    more: Markup | str = "",
    **options: Any,
) -> Markup:
    """A chart of lines, and the lines in words for those who cannot see it.

    Args:
        name: Name that no other figure of the page has.
        title: Caption of the chart.
        x_label, y_label, lines, **options: As :func:`.draw_lines` takes them.
        more: Elements below the chart.
    """
    drawn = draw_lines(lines, x_label, "" if y_label == title else y_label, **options)
    words = [f"Line chart of {y_label} by {x_label}."]
    for line in lines:
        y = [value for value in line.y if isfinite(value)]
        if y:
            words.append(
                f"{line.name}: from {y[0]:.4g} to {y[-1]:.4g}, lowest {min(y):.4g}, "
                f"highest {max(y):.4g}."
            )
    return html.figure(to_page_svg(drawn, name), " ".join(words), title, more)
