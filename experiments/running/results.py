"""The results folder: what runs scored, and how they were made."""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from experiments.running.jobs import OUTSIDE
from stgcn_pyg import __version__
from stgcn_pyg.errors import RunError, UserError
from stgcn_pyg.evaluation import RankingResult
from stgcn_pyg.files import PART, write_output
from stgcn_pyg.runs.scoring import RankingTask
from stgcn_pyg.runs.settings_files import RENAMED

FORMAT = 2
MAX_RANK = 50
SCORES = ("average_precision", "first_match_rank", "inverse_negative_penalty")
GO_ON = "repair that and run the same command again; what is finished is kept"


@dataclass(frozen=True, eq=False)
class RunResult:
    """What one run scored.

    Args:
        about: How it was made, its line of ``runs.jsonl``.
        queries: A row a query: ``tracklet``, ``pid``.
        results: The result under each protocol, by name, the data set's usual one first.
    """

    about: Mapping[str, Any]
    queries: pd.DataFrame
    results: Mapping[str, RankingResult]


class ResultsFolder:
    """The results of one data set, preset and kind of hardware, for all tables.

    ``per_query.parquet``: a row a run, protocol and query: the tracklet's number, and its scores;
    no label. ``runs.jsonl``: a line a run: its key, settings, scores, commit, versions, hardware
    and seconds. ``folder.json``: the version, data set and preset that all of them belong to.

    Several processes may add runs: each file is read and replaced under a lock.

    Args:
        path: The folder; it is made if it does not exist.
        dataset: Name of the data set.
        preset: Name of the preset.
        settings: Settings of the preset, by dotted name.
        defaults: Defaults of settings, for those that an older folder does not know.
        read_only: Write nothing; there need not be a folder.

    Raises:
        UserError: It holds results of another version or preset, or something else.
    """

    def __init__(
        self,
        path: Path,
        dataset: str,
        preset: str,
        settings: Mapping[str, Any],
        defaults: Mapping[str, Any] | None = None,
        read_only: bool = False,
    ):
        self.path = path
        self.dataset = dataset
        self.table = path / "per_query.parquet"
        self.runs = path / "runs.jsonl"
        self._read: tuple[object, dict[str, dict[str, Any]]] = (None, {})
        stored = path / "folder.json"
        here = {
            "format": FORMAT,
            "stgcn_pyg": __version__,
            "dataset": dataset,
            "preset": preset,
            **_of_preset(settings),
        }
        # What another process is about to write is no stranger's; listed before it is asked for.
        own = {"locks", stored.name, stored.name + PART}
        others = {f.name for f in path.iterdir()} - own if path.exists() else set()
        if others and not stored.is_file():
            raise UserError(f"{path}: holds something that is no results: choose other --results")
        if read_only and not stored.is_file():
            return
        with nullcontext() if read_only else self.lock("folder"):
            if not stored.is_file():
                write_json(stored, here)
            there = _read_json(stored)
            in_folders = there.get("format") == 1
            there["format"] = FORMAT if in_folders else there.get("format")
            _require_same(path, _of_preset(defaults or {}) | _in_todays_names(there), here)
            if in_folders and not read_only:
                self._convert_runs_in_folders()
                write_json(stored, there)

    def lock(self, name: str) -> FileLock:
        """A lock of that name, which the system frees when the process that holds it ends."""
        folder = self.path / "locks"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{folder}: cannot be written ({error.strerror}): {GO_ON}") from error
        return FileLock(folder / f"{name}.lock")

    def is_locked(self, name: str) -> bool:
        """Whether a process holds the lock of that name; nothing is written."""
        file = self.path / "locks" / f"{name}.lock"
        try:
            with FileLock(file, timeout=0) if file.exists() else nullcontext():
                return False
        except Timeout:
            return True

    def finished(self) -> dict[str, dict[str, Any]]:
        """How each finished run was made, by its key."""
        try:
            files = [file.stat() for file in (self.table, self.runs)]
        except FileNotFoundError:
            return {}
        stamp = [(file.st_mtime_ns, file.st_ino) for file in files]
        if self._read[0] != stamp:
            try:
                lines = [json.loads(line) for line in self.runs.read_text().splitlines()]
                self._read = stamp, {line["key"]: line for line in lines}
            except (OSError, ValueError, TypeError, KeyError) as error:
                raise _damaged(self.runs) from error
        return self._read[1]

    def is_finished(self, key: str) -> bool:
        """Whether the scores of a run are there."""
        return key in self.finished()

    def write(
        self,
        key: str,
        about: Mapping[str, Any],
        task: RankingTask,
        results: Mapping[str, RankingResult],
    ) -> None:
        """Adds the scores of a run by protocol, in place of earlier ones of the same key.

        ``about`` says how it was made, as plain values.

        Raises:
            RunError: They cannot be written; what was there is kept.
        """
        rows = [
            pd.DataFrame({"run": key, "protocol": name, "tracklet": task.query_tracklets}).assign(
                **{score: getattr(result, score).astype(np.float32) for score in SCORES}
            )
            for name, result in results.items()
        ]
        scores = {
            name: {k: v for k, v in result.to_dict().items() if k != "cmc"}
            for name, result in results.items()
        }
        with self.lock("folder"):
            self._add([{"key": key, **about, "scores": scores}], pd.concat(rows))

    def read(self, key: str, task: RankingTask) -> RunResult:
        """What a finished run scored.

        The labels of its queries are the task's. They are not kept with the scores, for not every
        data set's may be passed on.

        Raises:
            UserError: A file is damaged, or the run is of other queries.
        """
        about = self.finished()[key]
        try:
            # Opened once: by its name PyArrow opens it again, when another process may have
            # replaced it.
            with self.table.open("rb") as file:
                rows = pd.read_parquet(file, filters=[("run", "==", key)])
            by_protocol = dict(list(rows.groupby("protocol", observed=True)))
            results = {
                name: _result(by_protocol[name], name, scores)
                for name, scores in about["scores"].items()
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(self.table) from error
        for name in results:
            if not np.array_equal(by_protocol[name]["tracklet"], task.query_tracklets):
                raise UserError(
                    f"{self.table}: run {key} has other queries than {task.title}: remove its line "
                    f"from {self.runs.name} and run again"
                )
        config = {RENAMED.get(k, k): v for k, v in (about.get("config") or {}).items()}
        queries = {"tracklet": task.query_tracklets, "pid": task.query_pids}
        return RunResult(about | {"config": config}, pd.DataFrame(queries), results)

    def _add(self, abouts: list[dict[str, Any]], rows: pd.DataFrame) -> None:
        """Adds runs; the lock is held. A run is finished once its line is there, the last thing."""
        before = self.finished()
        keys = {about["key"] for about in abouts}
        if self.table.is_file():
            try:
                kept = pd.read_parquet(self.table)
            except (OSError, ValueError) as error:
                raise _damaged(self.table) from error
            rows = pd.concat([kept[kept["run"].isin(before.keys() - keys)], rows])
        rows = rows.astype({"run": "category", "protocol": "category"})
        lines = [*(about for key, about in before.items() if key not in keys), *abouts]
        write_bytes(self.table, rows.to_parquet(compression="zstd", index=False))
        text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
        write_bytes(self.runs, text.encode())

    def _convert_runs_in_folders(self) -> None:
        """Takes over the runs of format 1, ``runs/KEY/{run.json,per_query.parquet}``."""
        abouts, rows = [], []
        for file in sorted(self.path.glob("runs/*/run.json")):
            table = file.with_name("per_query.parquet")
            abouts.append(about := _read_json(file))
            try:
                wide = pd.read_parquet(table)
                rows += [
                    wide[["tracklet", *(f"{name} {score}" for score in SCORES)]]
                    .set_axis(["tracklet", *SCORES], axis="columns")
                    .assign(run=about["key"], protocol=name)
                    for name in about["scores"]
                ]
            except (OSError, ValueError, KeyError) as error:
                raise _damaged(table) from error
        if abouts:
            self._add(abouts, pd.concat(rows)[["run", "protocol", "tracklet", *SCORES]])
            (self.path / "runs").rename(self.path / "runs-before-conversion")


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file, its folder too; RunError as :func:`write_bytes`."""
    write_bytes(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file, its folder too; a RunError if it cannot, and what was there is kept."""
    try:
        write_output(path, content)
    except UserError as error:
        raise RunError(f"{error}: {GO_ON}") from error


def match_curve(first_match_rank: np.ndarray) -> np.ndarray:
    """The CMC ``[MAX_RANK]`` of the ranks of the first matches ``[Q]``, NaN for no match."""
    valid = first_match_rank[~np.isnan(first_match_rank)]
    return (valid[:, None] <= np.arange(1, MAX_RANK + 1)).mean(axis=0)


def _result(rows: pd.DataFrame, protocol: str, scores: Mapping[str, Any]) -> RankingResult:
    values = {name: rows[name].to_numpy(np.float64) for name in SCORES}
    settings = {name: scores[name] for name in ("num_gallery", "ap", "same_camera", "depth")}
    cmc = match_curve(values["first_match_rank"])
    return RankingResult(**values, cmc=cmc, **settings, protocol=protocol)


def _damaged(path: Path) -> UserError:
    return UserError(f"{path}: damaged: put back a copy, or remove it to score its runs again")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise _damaged(path) from error


def _of_preset(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {f"preset's {name}": value for name, value in settings.items()}


def _in_todays_names(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``folder.json``, without settings that no longer decide what comes out."""
    names = _of_preset(RENAMED)  # "preset's OLD": "NEW"
    renamed = {f"preset's {names[k]}" if k in names else k: v for k, v in stored.items()}
    outside = _of_preset(dict.fromkeys(OUTSIDE))
    return {name: value for name, value in renamed.items() if name not in outside}


def _require_same(path: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    for name in (*here, *there):
        if there.get(name) != here.get(name):
            raise UserError(
                f"{path}: results of another version ({name} is {there.get(name)} there, "
                f"{here.get(name)} here): choose other --results"
            )
