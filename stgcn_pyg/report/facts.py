"""What was run: data, settings, commit and versions, in words and tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from stgcn_pyg.data import TrackletDataset
from stgcn_pyg.report.reported import ReportedRun
from stgcn_pyg.report.tables import Cell, Table, words
from stgcn_pyg.runs.about import in_words

SHORT = 12  # digits of a commit


def facts(run: ReportedRun) -> list[tuple[str, str]]:
    """What a reader wants to know first: terms and what stands for them."""
    told = [("Folder", str(run.files.path))]
    if run.files.config is not None:
        told.append(("Data", _place(run.files.config)))
    if run.subject is not None:
        told += _data(run.subject.data.dataset, tested_alone=not run.stored)
    if run.about:
        told.append(("Scores of", in_words(run.about)))
    if run.files.config is not None:
        told += _settings(run.files.config, *run.files.epochs)
    if run.files.environments:
        told += _environment(run.files.environments)
    return told


def settings_table(runs: Sequence[ReportedRun]) -> Table | None:
    """Every setting of every run; those that differ say so."""
    configs = {run.label: pd.json_normalize(c).iloc[0] for run in runs if (c := run.files.config)}
    return _side_by_side("Every setting", "Setting", configs)


def environment_table(runs: Sequence[ReportedRun]) -> Table | None:
    """In what each run was made last."""
    latest = {
        run.label: pd.Series(environments[-1], dtype=object)
        for run in runs
        if (environments := run.files.environments)
    }
    return _side_by_side("Versions and machine", "What", latest)


def _data(data: TrackletDataset, tested_alone: bool) -> list[tuple[str, str]]:
    """How large a data set is, and where, if it is not the one that the run was trained on."""
    people = data.train["pid"].nunique()
    sizes = f"{len(data.query):,} queries, {len(data.gallery):,} in the gallery"
    if tested_alone:
        return [("Tested on", f"{data.name} at {data.root}"), ("Tracklets", sizes)]
    trained = f"{len(data.train):,} of {people:,} people to train on, "
    return [("Tracklets", f"{trained}{sizes}; {len(data.frames):,} frames in all")]


def _settings(config: Mapping[str, Any], done: int, asked: int | None) -> list[tuple[str, str]]:
    model, data = (
        part if isinstance(part := config.get(n), dict) else {} for n in ("model", "data")
    )
    told = []
    if model:
        branches = " + ".join(map(str, model.get("branches") or ["no branches"]))
        told.append(
            (
                "Model",
                f"{model.get('backbone')} from {model.get('weights') or 'random'} weights; "
                f"{branches}; clips of {model.get('num_frames')} frames",
            )
        )
    if "height" in data:
        told.append(("Pictures", f"{data['height']} x {data.get('width')} pixels"))
    if asked is not None:
        count = f"{done:,} of {asked:,} epochs" if done else f"{asked:,} epochs"
        told.append(("Training", f"{count}, seed {config.get('seed')}"))
    return told


def _environment(environments: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    latest = environments[-1]
    commit = latest.get("commit")
    told = f"stgcn-pyg {latest.get('stgcn-pyg')}"
    if commit:
        changes = ", with changes that are not committed" if latest.get("changed") else ""
        told += f", commit {str(commit)[:SHORT]}{changes}"
    else:
        told += ", installed, so no commit"
    if len(environments) > 1:
        told += f"; begun with others ({len(environments)} in all)"
    return [
        ("Code", told),
        ("Machine", f"torch {latest.get('torch')} on {latest.get('device')}"),
    ]


def _place(config: Mapping[str, Any]) -> str:
    return f"{config.get('dataset', 'unknown')} at {config.get('root', 'an unknown place')}"


def _side_by_side(caption: str, title: str, columns: Mapping[str, pd.Series]) -> Table | None:
    if not columns:
        return None
    names = list(dict.fromkeys(name for column in columns.values() for name in column.index))
    several = len(columns) > 1
    rows = []
    for name in names:
        values = [_shown(column.get(name, "–")) for column in columns.values()]
        row = [words(name), *map(words, values)]
        if several:
            row.append(Cell("differs", 0.0) if len(set(values)) > 1 else Cell(""))
        rows.append(row)
    titles = [title, *columns] if several else [title, "Value"]
    return Table(caption, [*titles, *(["Differs"] if several else [])], rows)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "–" if value is None or value is pd.NA else str(value)
