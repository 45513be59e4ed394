"""Whether ids last over frames: those of a tracker that was reset at each picture do not."""

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError

SAMPLE = 200  # steps from a frame to the next that are looked at, spread over the video


def check_ids_last(
    where: str,
    camera: np.ndarray,
    frame: np.ndarray,
    track: pd.Categorical,
    boxes: list[np.ndarray],
    rows: np.ndarray,
) -> None:
    """Raises a UserError if the boxes tell that an id means another person in every frame.

    That is so if most boxes that hardly move from a frame to the next change their id. Ids that are
    1 to n in each frame, for n boxes, are refused on less: a tenth of the boxes that overlap with
    one of the next frame change their id, or most ids jump farther than a person's height. Good
    files may have 1 to n in each frame too, where the same people are always there.

    Args:
        where: The file, for the message.
        camera: The number of each row's camera ``[N]``.
        frame: The number of each row's frame ``[N]``.
        track: The track of each row ``[N]``.
        boxes: The left, top, width and height of each row, ``[N]`` each.
        rows: The places of the rows that count, by camera and frame ``[M]``.

    Raises:
        UserError: The ids do not last.
    """
    new = np.diff(frame[rows], prepend=-1) != 0
    new |= np.diff(camera[rows], prepend=-1) != 0
    starts = np.append(np.flatnonzero(new), len(rows))
    steps = np.flatnonzero(np.diff(camera[rows[starts[:-1]]]) == 0)
    if len(steps) > SAMPLE:
        steps = steps[np.linspace(0, len(steps) - 1, SAMPLE).astype(int)]
    still, overlapping, pairs = np.zeros(2, int), np.zeros(2, int), np.zeros(2, int)
    for step in steps:
        here, there = (rows[starts[step + i] : starts[step + i + 1]] for i in (0, 1))
        overlap = _overlap(*([box[some] for box in boxes] for some in (here, there)))
        same = track.codes[here][:, None] == track.codes[there]
        best = overlap == np.maximum(overlap.max(0), overlap.max(1, keepdims=True))
        for counts, least in ((still, 0.8), (overlapping, 0.5)):
            matched = best & (overlap > least)  # several, where boxes lie on one another
            staying, changed = matched.any(1), ~(matched & same).any(1)
            counts += staying.sum(), (staying & changed).sum()
        distance = np.hypot(
            *(np.subtract.outer(*(boxes[i][some] for some in (here, there))) for i in (0, 1))
        )
        gap = frame[there[0]] - frame[here[0]]
        jumps = same & (overlap == 0) & (distance > gap * boxes[3][here][:, None])
        pairs += same.sum(), jumps.sum()
    change, jump = "stay in their place and change their id", "jump away"
    tests = [(still, 10, 0.5, change)]
    if _numbered_anew(track, rows, starts):
        tests += [(overlapping, 3, 0.1, change), (pairs, 3, 0.5, jump)]
    for (count, bad), least, part, what in tests:
        if bad >= least and bad > part * count:
            raise UserError(
                f"{where}: ids do not last: {bad} of {count} boxes {what} from a frame to the "
                "next, as if the tracker was reset at each picture: track the video as a whole"
            )


def _numbered_anew(track: pd.Categorical, rows: np.ndarray, starts: np.ndarray) -> bool:
    """Whether the ids of every frame are the first numbers, from 0 or from 1."""
    numbers = pd.to_numeric(pd.Series(track.categories.astype(str)), errors="coerce").to_numpy()
    ids = numbers[track.codes[rows]]
    lowest, highest = (f.reduceat(ids, starts[:-1]) for f in (np.minimum, np.maximum))
    return bool(np.isin(lowest, (0, 1)).all() and (highest - lowest + 1 == np.diff(starts)).all())


def _overlap(one: list[np.ndarray], other: list[np.ndarray]) -> np.ndarray:
    """The intersection over union of each box with each other one ``[N, M]``."""
    inside = np.ones((len(one[0]), len(other[0])))
    for start, length in ((0, 2), (1, 3)):
        ends = (np.add(box[start], box[length]) for box in (one, other))
        inside *= np.maximum(
            np.minimum.outer(*ends) - np.maximum.outer(one[start], other[start]), 0
        )
    union = np.add.outer(*(np.abs(box[2] * box[3]) for box in (one, other))) - inside
    return np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)
