"""The rows of a table: networks to train, and what is made of those that are trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stgcn_pyg.errors import UserError

Figures = tuple[float, float]
"""mAP and rank-1 as the paper prints them, in per cent."""


@dataclass(frozen=True)
class Variant:
    """A network that is trained.

    Args:
        name: Of its row, and what ``--variants`` calls it.
        settings: Those of ``stgcn train`` that differ from the preset's, by their dotted names.
        mars: The paper's figures on MARS.
        duke: The paper's figures on DukeMTMC-VideoReID.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    mars: Figures | None = None
    duke: Figures | None = None


@dataclass(frozen=True)
class Ensemble:
    """Two trained networks whose similarity scores are added.

    Args:
        name, mars, duke: As in :class:`Variant`.
        of: The names of two variants of the same table, or one name twice.
        next_seed: Whether the second is the one that was trained with the next seed, which after
            the last is the first.
    """

    name: str
    of: tuple[str, str]
    mars: Figures | None = None
    duke: Figures | None = None
    next_seed: bool = False


@dataclass(frozen=True)
class Retested:
    """A trained network that is tested in another way.

    Args:
        name, mars, duke: As in :class:`Variant`.
        of: The name of a variant of the same table.
        settings: What differs from it; nothing that its training depends on.
    """

    name: str
    of: str
    settings: Mapping[str, Any]
    mars: Figures | None = None
    duke: Figures | None = None


Row = Variant | Ensemble | Retested


@dataclass(frozen=True)
class Panel:
    """Part of a figure: what each row gains over the baseline, against a number.

    Args:
        label: Of that number.
        rows: The name of the row by the number.
    """

    label: str
    rows: Mapping[float, str]


@dataclass(frozen=True)
class Experiment:
    """A table or figure.

    Args:
        name: Of its module and its files.
        title: One line.
        rows: From top to bottom.
        baseline: The name of the row that the others are compared with.
        pairs: Names of rows to compare with each other besides, the first less the second.
        panels: Of its figure, if it has one.
        report: The module of ``experiments.tables`` that writes its tables.
    """

    name: str
    title: str
    rows: Sequence[Row]
    baseline: str
    pairs: Sequence[tuple[str, str]] = ()
    panels: Sequence[Panel] = ()
    report: str = "usual"

    def row(self, name: str) -> Row:
        """The row of that name.

        Raises:
            UserError: There is none.
        """
        for row in self.rows:
            if row.name == name:
                return row
        names = ", ".join(repr(row.name) for row in self.rows)
        raise UserError(f"variant {name!r} is unknown: {self.name} has {names}")

    def choose(self, names: Sequence[str] | None) -> list[Row]:
        """The rows of these names, and those that they are made of, in the order of the table.

        Args:
            names: All rows if not given.

        Raises:
            UserError: A name is unknown.

        Example:
            >>> rows = [Variant("a"), Variant("b"), Variant("c"), Ensemble("a + c", ("a", "c"))]
            >>> table = Experiment("sums", "Sums", rows, baseline="b")
            >>> [row.name for row in table.choose(["a + c"])]
            ['a', 'c', 'a + c']
        """
        if names is None:
            return list(self.rows)
        wanted = {source for name in names for source in (*sources(self.row(name)), name)}
        return [row for row in self.rows if row.name in wanted]


def sources(row: Row) -> tuple[str, ...]:
    """The names of the variants that a row is made of; none if it is trained."""
    if isinstance(row, Ensemble):
        return row.of
    return (row.of,) if isinstance(row, Retested) else ()
