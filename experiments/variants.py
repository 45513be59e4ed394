"""What an experiment consists of: the rows of its table, and which rows are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stgcn_pyg.errors import UserError

Figures = tuple[float, float]
"""mAP and rank-1 as the paper prints them, in per cent."""


@dataclass(frozen=True)
class Variant:
    """A network to train.

    Args:
        name: Name of the row, which ``--variants`` takes.
        settings: Settings of ``stgcn train`` that differ from the preset's, by dotted name.
        mars: The paper's figures on MARS.
        duke: The paper's figures on DukeMTMC-VideoReID.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    mars: Figures | None = None
    duke: Figures | None = None
    of: tuple[str, ...] = field(default=(), init=False)


@dataclass(frozen=True)
class Ensemble:
    """Two trained networks whose similarity scores are added.

    Args:
        name, mars, duke: As in :class:`Variant`.
        of: The names of two variants of the same experiment, or one name twice.
        next_seed: Whether the second network is the one trained with the next seed; the first
            seed follows the last.
    """

    name: str
    of: tuple[str, ...]
    mars: Figures | None = None
    duke: Figures | None = None
    next_seed: bool = False


@dataclass(frozen=True)
class Retested:
    """A trained network that is tested in another way.

    Args:
        name, mars, duke: As in :class:`Variant`.
        of: The name of one variant of the same experiment.
        settings: Settings that differ from that variant's; training must not depend on them.
    """

    name: str
    of: tuple[str, ...]
    settings: Mapping[str, Any]
    mars: Figures | None = None
    duke: Figures | None = None


Row = Variant | Ensemble | Retested


@dataclass(frozen=True)
class Panel:
    """A panel of a figure: what rows gain over the baseline, against a number.

    Args:
        label: Label of the horizontal axis.
        rows: Names of the rows by their number.
    """

    label: str
    rows: Mapping[float, str]


@dataclass(frozen=True)
class Experiment:
    """A table or figure.

    Args:
        name: What ``python -m experiments`` calls it; also names its files.
        title: Its title, one line.
        rows: The rows of the table, from top to bottom.
        baseline: The name of the row that all others are compared with.
        pairs: Further pairs of rows to compare, the first less the second.
        panels: The panels of its figure, if it has one.
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
        """The row of that name; a UserError if there is none."""
        for row in self.rows:
            if row.name == name:
                return row
        names = ", ".join(repr(row.name) for row in self.rows)
        raise UserError(f"variant {name!r} is unknown: {self.name} has {names}")

    def choose(self, names: Sequence[str] | None) -> list[Row]:
        """Rows by name, with the rows that they are made of, in the order of the table.

        Args:
            names: Names of rows; None for all rows.

        Raises:
            UserError: A name is unknown.
        """
        if names is None:
            return list(self.rows)
        wanted = {source for name in names for source in (*self.row(name).of, name)}
        return [row for row in self.rows if row.name in wanted]
