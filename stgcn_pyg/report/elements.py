"""Elements of the page: tables, figures and what opens on a click, as escaped HTML."""

from collections.abc import Sequence
from math import isfinite

import pandas as pd
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from stgcn_pyg.figures import Line, draw_lines, to_page_svg

NUMERIC = ("", *"+-–0123456789")  # what the cells of a column of numbers begin with


def number(value: float, digits: int = 0) -> str:
    """A number with separators; a dash for one that is not finite.

    Example:
        >>> number(1234), number(0.5, 2), number(float("nan"))
        ('1,234', '0.50', '–')
    """
    return f"{value:,.{digits}f}" if isfinite(value) else "–"


def percent(fraction: float) -> str:
    """A fraction in per cent."""
    return number(100 * fraction, 1)


def table(
    caption: str, frame: pd.DataFrame, sortable: bool = False, note: str = "", opens: str = ""
) -> Markup:
    """A table in a box that scrolls.

    Args:
        caption: Caption of the table.
        frame: Its cells as they are shown; the first column names the rows. What follows a line
            break stands small below the rest.
        sortable: Whether a click on a column's title sorts the rows.
        note: Text below the table.
        opens: Title on which the table opens; it is always open if not given.
    """
    rows = frame.map(str).to_numpy()
    words = [any(cell[:1] not in NUMERIC for cell in column) for column in rows.T]

    def row(tags: Sequence[str], cells: Sequence[object]) -> Markup:
        parts = []
        for tag, cell, is_text in zip(tags, cells, words, strict=True):
            first, _, below = str(cell).partition("\n")
            inner = escape(first) + (Markup(" <small>{}</small>").format(below) if below else "")
            scope = Markup(tag.replace(" ", ' scope="', 1) + '"' if " " in tag else tag)
            kind = Markup(' class="text"') if is_text else ""
            parts.append(Markup("<{}{}>{}</{}>").format(scope, kind, inner, tag.split()[0]))
        return Markup("<tr>{}</tr>\n").format(Markup("").join(parts))

    head = row(["th col"] * frame.shape[1], list(frame))
    body = Markup("").join(row(["th row", *["td"] * (frame.shape[1] - 1)], cells) for cells in rows)
    whole = Markup(
        '<div class="wide" role="group" aria-label="{0}" tabindex="0"><table{1}>\n'
        "<caption><span>{0}</span></caption>\n<thead>{2}</thead>\n<tbody>{3}</tbody>\n"
        "</table></div>\n{4}"
    ).format(
        caption,
        Markup(' class="sortable"') if sortable else "",
        head,
        body,
        Markup('<p class="note">{}</p>\n').format(note) if note else "",
    )
    return details(opens, whole) if opens else whole


def details(title: str, content: Markup) -> Markup:
    """What opens on a click on its title."""
    form = "<details><summary>{}</summary>\n{}</details>\n"
    return Markup(form).format(title, content)


def figure(svg: str, description: str, caption: str = "", more: Markup | str = "") -> Markup:
    """A figure in a box that scrolls.

    Args:
        svg: The drawing, from :func:`.to_page_svg`.
        description: The drawing in words, for those who cannot see it.
        caption: Caption of the figure.
        more: Elements below the drawing.
    """
    return Markup(
        '<figure>{}<div class="wide" role="img" aria-label="{}" tabindex="0">{}</div>{}</figure>\n'
    ).format(
        Markup("<figcaption>{}</figcaption>\n").format(caption) if caption else "",
        description,
        Markup(svg),
        more,
    )


def line_chart(
    name: str,
    title: str,
    x_label: str,
    y_label: str,
    lines: Sequence[Line],
    more: Markup | str = "",
    **options: object,
) -> Markup:
    """A chart of lines with its description; see :func:`.draw_lines`.

    Args:
        name: Tells the chart from others of the page.
        title: Caption of the chart.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.
        lines: The lines.
        more: Elements below the chart.
        **options: Further arguments of :func:`.draw_lines`.
    """
    label = "" if y_label == title else y_label
    drawn: Figure = draw_lines(lines, x_label, label, **options)  # type: ignore[arg-type]
    said = [f"Line chart of {y_label} by {x_label}."]
    for line in lines:
        y = [value for value in line.y if isfinite(value)]
        if y:
            said.append(
                f"{line.name}: from {y[0]:.4g} to {y[-1]:.4g}, lowest {min(y):.4g}, "
                f"highest {max(y):.4g}."
            )
    return figure(to_page_svg(drawn, name), " ".join(said), title, more)


def grid(figures: Sequence[Markup]) -> Markup:
    """Figures beside each other, as many as there is room for."""
    return Markup('<div class="figures">{}</div>\n').format(Markup("").join(figures))


def paragraph(text: str, kind: str = "") -> Markup:
    """A paragraph of text, of a class of the style sheet."""
    return Markup('<p class="{}">{}</p>\n').format(kind, text)


def heading(level: int, text: str) -> Markup:
    """A heading within a section."""
    return Markup("<h{0}>{1}</h{0}>\n").format(level, text)
