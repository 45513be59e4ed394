"""The files of a run's folder, read for the page."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from stgcn_pyg.errors import UserError
from stgcn_pyg.report.reported import Gaps, ReportedRun, Section
from stgcn_pyg.runs.about import split_about
from stgcn_pyg.runs.checkpoint import checkpoint_path
from stgcn_pyg.runs.environment import read_environments


def read_run(path: Path) -> ReportedRun:
    """A run with what its files hold; the page says what is missing or damaged.

    Raises:
        UserError: It is no run's folder: it has none of a run's files.
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
    label = path.resolve().name
    run = ReportedRun(path, label, config, environments, table, metrics, about, gaps)
    done, asked = run.epochs
    if table is not None and asked is not None and done < asked:
        gaps.add(f"{path}: trained for {done:,} of its {asked:,} epochs so far", "training")
    return run


def _read(
    path: Path, read: Callable[[Path], Any], section: Section, gaps: Gaps, consequence: str
) -> Any | None:
    try:
        return read(path)
    except FileNotFoundError:
        gaps.add(f"{path}: missing, {consequence}", section)
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:200]
        gaps.add(f"{path}: cannot be read ({reason})", section)
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
        valid = bool(rows) and all(map(_is_score, rows))
    except (AttributeError, TypeError):
        valid = False
    if not valid:
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
