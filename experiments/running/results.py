"""The small files that tables are made of: what a run scored, and how it came about."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from experiments.running.claims import Claim
from experiments.running.jobs import OUTSIDE
from stgcn_pyg import __version__
from stgcn_pyg.errors import RunError, UserError
from stgcn_pyg.evaluation import RankingResult
from stgcn_pyg.files import written_aside
from stgcn_pyg.runs.scoring import RankingTask

FORMAT = 1
MAX_RANK = 50
SCORES = ("average_precision", "first_match_rank", "inverse_negative_penalty")


@dataclass(frozen=True, eq=False)
class RunResult:
    """What one run scored.

    Attributes:
        about: The content of its ``run.json``.
        queries: A row a query: ``tracklet``, ``pid``.
        results: By the name of each protocol, the data set's usual one first.
    """

    about: Mapping[str, Any]
    queries: pd.DataFrame
    results: Mapping[str, RankingResult]


class ResultsFolder:
    """The results of one data set, preset and kind of hardware, for all tables.

    runs/KEY/run.json            the config, scores, commit, versions, hardware and seconds of a run
    runs/KEY/per_query.parquet   what each query scored under each protocol, and no label
    folder.json                  which version, data set and preset all of them belong to

    Args:
        path: The folder; it is made if it is not there.
        dataset: The data set's name.
        preset: The preset's name.
        settings: Of the preset, by dotted name.
        usual: The defaults of settings, for those that the folder does not know yet.

    Raises:
        UserError: It belongs to another version or preset; the message has the difference.
    """

    def __init__(
        self,
        path: Path,
        dataset: str,
        preset: str,
        settings: Mapping[str, Any],
        usual: Mapping[str, Any] = MappingProxyType({}),
    ):
        self.path = path
        self.dataset = dataset
        self.claims = path / "claims"
        here = {
            "format": FORMAT,
            "stgcn_pyg": __version__,
            "dataset": dataset,
            "preset": preset,
            **_of_preset(settings),
        }
        stored = path / "folder.json"
        known = {self.claims.name, stored.name}
        if not stored.is_file() and path.exists() and {f.name for f in path.iterdir()} - known:
            raise UserError(f"{path}: holds something that is no results: choose other --results")
        with Claim(self.claims, "folder").waited_for():
            if not stored.is_file():
                write_json(stored, here)
        _require_same(path, _of_preset(usual) | _deciding(_read_json(stored)), here)

    def run(self, key: str) -> Path:
        """The folder of a run's small files."""
        return self.path / "runs" / key

    def is_finished(self, key: str) -> bool:
        """Whether a run's small files are there."""
        return (self.run(key) / "run.json").is_file()

    def write(
        self,
        key: str,
        about: Mapping[str, Any],
        task: RankingTask,
        results: Mapping[str, RankingResult],
    ) -> None:
        """Writes a run's small files, ``run.json`` last.

        Raises:
            RunError: They cannot be written.
        """
        table = pd.DataFrame({"tracklet": task.query_tracklets})
        scores = {}
        for protocol, result in results.items():
            for name in SCORES:
                table[f"{protocol} {name}"] = getattr(result, name).astype(np.float32)
            scores[protocol] = {k: v for k, v in result.to_dict().items() if k != "cmc"}
        write_parquet(self.run(key) / "per_query.parquet", table)
        write_json(self.run(key) / "run.json", {"key": key, **about, "scores": scores})

    def read(self, key: str, task: RankingTask) -> RunResult:
        """What a finished run scored.

        Args:
            key: The run's.
            task: The labels of its queries, which are not kept with the scores: not every data
                set's may be passed on.

        Raises:
            UserError: A file is damaged, or is of other queries.
        """
        about = _read_json(self.run(key) / "run.json")
        path = self.run(key) / "per_query.parquet"
        try:
            table = pd.read_parquet(path)
            results = {
                protocol: _result(table, protocol, scores)
                for protocol, scores in about["scores"].items()
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: damaged: remove {path.parent} and run again") from error
        if not np.array_equal(table["tracklet"], task.query_tracklets):
            raise UserError(
                f"{path}: has other queries than {task.title}: remove {path.parent} and run again"
            )
        queries = {"tracklet": task.query_tracklets, "pid": task.query_pids}
        return RunResult(about, pd.DataFrame(queries), results)


def _result(table: pd.DataFrame, protocol: str, scores: Mapping[str, Any]) -> RankingResult:
    values = {name: table[f"{protocol} {name}"].to_numpy(np.float64) for name in SCORES}
    first = values["first_match_rank"]
    first = first[~np.isnan(first)]
    return RankingResult(
        **values,
        cmc=(first[:, None] <= np.arange(1, MAX_RANK + 1)).mean(axis=0),
        **{name: scores[name] for name in ("num_gallery", "ap", "same_camera", "depth")},
        protocol=protocol,
    )


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file, its folder too.

    Raises:
        RunError: It cannot be written; what was there stays.
    """
    text = json.dumps(content, indent=2, allow_nan=False)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a file, its folder too.

    Raises:
        RunError: It cannot be written; what was there stays.
    """
    write_bytes(path, text.encode())


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """The same of a table."""
    write_bytes(path, table.to_parquet(compression="zstd", index=False))


def write_bytes(path: Path, content: bytes) -> None:
    """The same of bytes."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(path) as file:
            file.write(content)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror}): mend that and run the same command "
            "again; what is finished is kept"
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: damaged: remove {path.parent} and run again") from error


def _deciding(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What a folder holds, less the settings that an older version still took for deciding."""
    outside = _of_preset(dict.fromkeys(OUTSIDE))
    return {name: value for name, value in stored.items() if name not in outside}


def _of_preset(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {f"preset's {name}": value for name, value in settings.items()}


def _require_same(path: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    for name in (*here, *there):
        if there.get(name) != here.get(name):
            raise UserError(
                f"{path}: results of another version ({name} is {there.get(name)} there, "
                f"{here.get(name)} here): choose other --results"
            )
