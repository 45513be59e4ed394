"""What a page lacks, and why: boxes in the places of what is missing."""

from typing import Literal

Section = Literal["run", "training", "results", "lists", "maps", "graphs", "errors"]

FROM_MODEL: tuple[Section, ...] = ("results", "lists", "maps", "graphs", "errors")


class Gaps:
    """Lines by the section that they stand in, in the order in which they were added.

    Example:
        >>> gaps = Gaps()
        >>> gaps.add("maps", "runs/a: no checkpoint")
        >>> gaps.add("lists", "runs/a: no checkpoint")
        >>> gaps.of("maps"), gaps.lines()
        (['runs/a: no checkpoint'], ['runs/a: no checkpoint'])
    """

    def __init__(self) -> None:
        self._lines: list[tuple[Section, str]] = []

    def add(self, section: Section, line: str) -> None:
        """Adds a line to a section, once."""
        if (section, line) not in self._lines:
            self._lines.append((section, line))

    def add_without_model(self, line: str) -> None:
        """Adds a line to every section that needs a model and its test set."""
        for section in FROM_MODEL:
            self.add(section, line)

    def add_all(self, others: "Gaps") -> None:
        """Adds all lines of others."""
        for section, line in others._lines:
            self.add(section, line)

    def of(self, section: Section) -> list[str]:
        """The lines of a section."""
        return [line for own, line in self._lines if own == section]

    def lines(self) -> list[str]:
        """All lines, each once."""
        return list(dict.fromkeys(line for _, line in self._lines))
