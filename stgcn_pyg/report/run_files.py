"""The files of a run's folder, and gaps: what is missing there and why."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import yaml

from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.about import split_about
from stgcn_pyg.runs.checkpoint import checkpoint_path
from stgcn_pyg.runs.environment import read_environments

Section = Literal["run", "training", "results", "lists", "maps", "graphs", "errors"]
FROM_MODEL: tuple[Section, ...] = ("results", "lists", "maps", "graphs", "errors")


class Gaps:
    """What a page lacks, and why: lines by the section in which they stand.

    Example:
        >>> gaps = Gaps()
        >>> gaps.add("runs/a: no checkpoint", "maps", "lists")
        >>> gaps.of("maps"), gaps.lines()
        (['runs/a: no checkpoint'], ['runs/a: no checkpoint'])
    """

    def __init__(self) -> None:
        self._lines: dict[tuple[Section, str], None] = {}

    def add(self, line: str, *sections: Section) -> None:
        """Adds a line to sections, to each once."""
        self._lines.update({(section, line): None for section in sections})

    def add_all(self, others: "Gaps") -> None:
        """Adds all lines of other gaps."""
        self._lines.update(others._lines)

    def of(self, section: Section) -> list[str]:
        """The lines of a section."""
        return [line for own, line in self._lines if own == section]

    def lines(self) -> list[str]:
        """All lines, each once."""
        return list(dict.fromkeys(line for _, line in self._lines))


@dataclass(frozen=True, eq=False)
class RunFiles:
    """The content of a run's files; None where one is missing or damaged.

    Attributes:
        path: Folder of the run.
        name: Name of the run on the page.
        config: Every setting.
        environments: Versions and machines on which it was trained, the latest last.
        log: A row an epoch, at least one.
        metrics: Scores by protocol and method, as training wrote them.
        gaps: Why something is None.
        about: What the scores are of, by the names of :mod:`stgcn_pyg.runs.about`; empty where
            the file is missing or earlier code wrote it.
    """

    path: Path
    name: str
    config: dict[str, Any] | None
    environments: list[dict[str, Any]] | None
    log: pd.DataFrame | None
    metrics: dict[str, dict[str, dict[str, Any]]] | None
    gaps: Gaps
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def epochs(self) -> tuple[int, int | None]:
        """The number of epochs in the log, and the number that was asked for."""
        done = 0 if self.log is None else int(self.log["epoch"].iloc[-1])
        asked = None if self.config is None else self.config.get("epochs")
        return done, asked if isinstance(asked, int) else None


def read_run(path: Path) -> RunFiles:
    """Reads what there is.

    Raises:
        UserError: It is no run's folder: nothing that a run leaves lies in it.
    """
    log = path / "log" / "metrics.csv"
    known = (path / "config.yaml", checkpoint_path(path), path / "metrics.json", log)
    if not any(file.is_file() for file in known):
        raise UserError(
            f"{path}: no run's folder: it has no {known[0].name}, {known[1].name}, metrics.json or "
            "log; pass the --output of `stgcn train`"
        )
    gaps = Gaps()
    config = _read(known[0], _read_yaml, "run", gaps, "so its settings are unknown")
    environments = read_environments(path)
    if environments is None:
        gaps.add(f"{path / 'environment.json'}: missing, so its commit is unknown", "run")
    table = _read(log, _read_log, "training", gaps, "so there are no curves")
    scores = _read(
        path / "metrics.json", _read_metrics, "results", gaps, "for the training has not ended"
    )
    about, metrics = scores or ({}, None)
    name = path.resolve().name
    files = RunFiles(path, name, config, environments, table, metrics, gaps, about)
    done, asked = files.epochs
    if table is not None and asked is not None and done < asked:
        gaps.add(f"{path}: trained for {done:,} of its {asked:,} epochs so far", "training")
    return files


def _read(
    path: Path, read: Callable[[Path], Any], section: Section, gaps: Gaps, consequence: str
) -> Any | None:
    try:
        return read(path)
    except FileNotFoundError:
        gaps.add(f"{path}: missing, {consequence}", section)
    except (OSError, ValueError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())[:200]
        gaps.add(f"{path}: cannot be read ({said})", section)
    return None


def _read_yaml(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text())
    if not isinstance(content, dict) or not content:
        raise ValueError("no YAML of settings")
    return content


def _read_log(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path)
    if table.empty or "epoch" not in table or not table["epoch"].notna().all():
        raise ValueError("holds no epoch")
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes):
        raise ValueError("not all of it are numbers")
    return table


def _read_metrics(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, dict[str, Any]]]]:
    """What the scores are of, and the scores."""
    about: dict[str, Any] = {}
    content = json.loads(path.read_text())
    try:
        about, content = split_about(content)
        rows = [row for by_method in content.values() for row in by_method.values()]
        sound = all(map(_is_score, rows))
    except (AttributeError, TypeError):
        rows, sound = [], False
    if not (rows and sound):
        raise ValueError("holds no scores by protocol and method")
    return about, content


def _is_score(row: dict[str, Any]) -> bool:
    """Whether it is what ``RankingResult.to_dict`` gives, as far as the page uses it."""
    numbers = [row.get("mAP"), *row.get("cmc", [])]
    numbers += [value for name, value in row.items() if name.startswith(("rank-", "mINP", "num_"))]
    return (
        len(row.get("cmc", [])) > 0
        and "num_queries" in row
        and all(isinstance(value, int | float) for value in numbers)
    )
