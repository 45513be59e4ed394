"""What an experiment consists of: the rows of its table, and which rows are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stgcn_pyg.errors import UserError

Figures = tuple[float, float]
"""mAP and rank-1 as the paper prints them, in per cent."""


@dataclass(frozen=True)
class Row:
    """A row of a table: a network to train, or what is made of trained ones.

    Args:
        name: Its name, which ``--variants`` takes.
        settings: Settings of ``stgcn train`` that differ from the preset's, by dotted name. With
            ``of``: settings that differ from that network's, and on which no training depends.
        of: Names of rows of the same experiment: none for a network to train, one for a trained
            network that is tested in another way, two for an ensemble, whose similarity scores
            are added.
        next_seed: Whether an ensemble's second network is that of the next seed; the first seed
            follows the last.
        mars, duke: The paper's figures on MARS and on DukeMTMC-VideoReID.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    of: tuple[str, ...] = ()
    next_seed: bool = False
    mars: Figures | None = None
    duke: Figures | None = None

    @property
    def kind(self) -> str:
        """``"variant"`` (a network to train), ``"retested"`` or ``"ensemble"``."""
        return ("variant", "retested", "ensemble")[len(self.of)]


@dataclass(frozen=True)
class Experiment:
    """A table or figure.

    Args:
        name: What ``python -m experiments`` calls it; also names its files.
        title: Its title, one line.
        rows: The rows of the table, from top to bottom.
        baseline: The name of the row that all others are compared with.
        pairs: Further pairs of rows to compare, the first less the second.
        panels: The panels of its figure, if it has one: names of rows by their place on the
            horizontal axis, by the label of that axis.
        report: The function that writes its tables, as ``MODULE.NAME`` in ``experiments.tables``.
    """

    name: str
    title: str
    rows: Sequence[Row]
    baseline: str
    pairs: Sequence[tuple[str, str]] = ()
    panels: Mapping[str, Mapping[float, str]] = field(default_factory=dict)
    report: str = "comparison.write_comparison"

    def row(self, name: str) -> Row:
        """The row of that name; a UserError if there is none."""
        for row in self.rows:
            if row.name == name:
                return row
        names = ", ".join(repr(row.name) for row in self.rows)
        raise UserError(f"variant {name!r} is unknown: {self.name} has {names}")

    def choose(self, names: Sequence[str] | None) -> list[Row]:
        """Rows by name, or all, with the rows that they are made of, in the order of the table.

        Raises:
            UserError: A name is unknown.
        """
        if names is None:
            return list(self.rows)
        wanted = {source for name in names for source in (*self.row(name).of, name)}
        return [row for row in self.rows if row.name in wanted]
