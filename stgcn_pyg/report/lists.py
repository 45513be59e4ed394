"""Ranked lists: what each model puts first for a query."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from stgcn_pyg.errors import UserError, last_line
from stgcn_pyg.explain.subject import Subject
from stgcn_pyg.progress import bar_options
from stgcn_pyg.report.pictures import Album, strip
from stgcn_pyg.report.queries import ShownQuery, who
from stgcn_pyg.report.reported import ReportedRun
from stgcn_pyg.report.tables import Cell, Table, label, number, words

FRAMES = 2  # of a tracklet that are shown
MARKS = {"right": "✓", "wrong": "✗"}
SAID = {"same-camera": "in the query's camera", "junk": "junk"}


@dataclass(frozen=True)
class Tile:
    """A tracklet in a list.

    Attributes:
        kind: ``"query"``, ``"right"``, ``"wrong"``, or ``"left-out"`` for some that the protocol
            does not rank.
        title: Its rank and mark, or what it is.
        lines: Below the picture.
        picture: As a data URI, if there is room.
        alternative: The picture in words.
    """

    kind: str
    title: str
    lines: Sequence[str]
    picture: str | None = None
    alternative: str = ""


@dataclass(frozen=True)
class RunsList:
    """What one run makes of a query: how it scores, the list, and the same as a table."""

    label: str
    score: str
    tiles: Sequence[Tile]
    table: Table


@dataclass(frozen=True)
class QueryLists:
    """A query and its lists, one a run."""

    query: ShownQuery
    lists: list[RunsList] = field(default_factory=list)


def query_lists(
    runs: Sequence[ReportedRun], queries: Sequence[ShownQuery], top: int, album: Album
) -> list[QueryLists]:
    """The list of each query in each run, until the album is full.

    Args:
        runs: Those with a subject.
        queries: To show.
        top: Ranked items in a list.
        album: Takes the pictures.
    """
    shown = []
    for query in tqdm(queries, desc="ranked lists", unit="query", **bar_options()):
        if album.full:
            break
        lists = QueryLists(query)
        for run in runs:
            try:
                lists.lists.append(_list(run, query, top, album))
            except UserError as error:  # a picture is bad, and no other can stand in for it
                run.gaps.add("lists", last_line(error))
        shown.append(lists)
    return shown


def score_of(subject: Subject, row: int) -> str:
    """What a query scores, in words."""
    first = subject.result.first_match_rank[row]
    place = f"first match at rank {first:.0f}" if np.isfinite(first) else "no match in the list"
    return f"AP {100 * subject.result.average_precision[row]:.1f} %, {place}"


def _list(run: ReportedRun, query: ShownQuery, top: int, album: Album) -> RunsList:
    subject = run.subject
    assert subject is not None
    ranked = subject.ranked(query.row, top)
    items = subject.gallery.iloc[ranked["item"]]
    tiles = [_query_tile(subject, query.tracklet, album)]
    passed: list[str] = []
    for entry, (_, item) in zip(ranked.itertuples(), items.iterrows(), strict=True):
        if entry.kind in SAID:
            passed.append(entry.kind)
            continue
        if passed:
            tiles.append(_left_out(passed))
            passed = []
        tiles.append(_tile(subject, entry.kind, int(entry.rank), entry.distance, item, album))
    table = Table(
        f"The list of tracklet {query.tracklet.name}, {run.label}",
        ("Rank", "Mark", "Tracklet", "Person", "Camera", "Distance", "First frame"),
        [
            _row(entry, tracklet, item)
            for entry, (tracklet, item) in zip(ranked.itertuples(), items.iterrows(), strict=True)
        ],
        sortable=False,
    )
    return RunsList(run.label, score_of(subject, query.row), tiles, table)


def _query_tile(subject: Subject, query: pd.Series, album: Album) -> Tile:
    return Tile(
        "query",
        "Query",
        [f"person {query['pid']}", f"camera {query['camid']}"],
        *_picture(subject, query, album),
    )


def _tile(
    subject: Subject, kind: str, rank: int, distance: float, item: pd.Series, album: Album
) -> Tile:
    person, camera = who(item, subject.task).split(", ")
    return Tile(
        kind,
        f"{rank} {MARKS[kind]}",
        [person, camera, f"{distance:.3f}"],
        *_picture(subject, item, album),
    )


def _left_out(kinds: Sequence[str]) -> Tile:
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    return Tile("left-out", "left out", [f"{count} {SAID[kind]}" for kind, count in counts.items()])


def _picture(subject: Subject, tracklet: pd.Series, album: Album) -> tuple[str | None, str]:
    if album.full:  # nothing is read for what is not shown
        album.left_out += 1
        return None, ""
    frames = subject.pictures(tracklet, FRAMES)
    return album.add(strip(frames)), f"{FRAMES} frames of tracklet {tracklet.name}"


def _row(entry: Any, tracklet: object, item: pd.Series) -> list[Cell]:
    """An entry of a ranked list beside the labels of its tracklet."""
    ranked = entry.kind in MARKS
    return [
        label(int(entry.rank)) if ranked else Cell("–"),
        words(entry.kind if ranked else f"left out: {SAID[entry.kind]}"),
        label(tracklet),
        label(int(item["pid"])),
        label(int(item["camid"])),
        number(entry.distance, 3),
        words(item["first_frame_path"]),
    ]
