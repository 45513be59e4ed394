"""From the rows of a file and a user's choices to a table: what is left out, what is refused."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError, finite_number, whole_number
from stgcn_pyg.tracks.boxes import Boxes, refuse_rows
from stgcn_pyg.tracks.lasting_ids import check_ids_last
from stgcn_pyg.tracks.table import COLUMNS, TEXTS, Tracks

BOX = ("left", "top", "width", "height")


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The options of :func:`read_tracks`, checked. See there what each means."""

    camera: str = ""
    first_frame: int | None = None
    stride: int = 1
    classes: Sequence[str] | str | None = None
    min_height: float = 0.0
    min_visibility: float = 0.0
    min_frames: int = 1
    image_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.first_frame is not None:
            whole_number("first_frame", self.first_frame, least=0)
        whole_number("stride", self.stride)
        whole_number("min_frames", self.min_frames)
        finite_number("min_height", self.min_height)
        finite_number("min_visibility", self.min_visibility)
        if self.image_size is not None:
            if len(self.image_size) != 2:
                raise UserError(f"image_size={self.image_size!r}: pass the width and the height")
            for number in self.image_size:
                whole_number("image_size", number)

    def wanted_classes(self) -> tuple[str, ...] | None:
        """The classes to take; None: those of people. Not for ``"all"``."""
        if self.classes is None:
            return None
        return (self.classes,) if isinstance(self.classes, str) else tuple(self.classes)


def clean(where: str, boxes: Boxes, choices: Choices) -> Tracks:
    """The table of tracks that a file's rows make under a user's choices.

    Raises:
        UserError: A track is in a frame twice, ids do not last over frames, a number is none, or a
            box lies in no picture. The message begins with ``where``.
    """
    return _Cleaning(where, boxes, choices).tracks()


class _Cleaning:
    """The columns of the rows, and which of them are still kept."""

    def __init__(self, where: str, boxes: Boxes, choices: Choices):
        self.where, self.boxes, self.choices = where, boxes, choices
        self.index = boxes.table.index
        self.assumed = list(boxes.assumed)
        self.dropped: dict[str, int] = {}
        self.keep = np.ones(len(self.index), dtype=bool)
        self.image_size = _one_size(where, choices.image_size, boxes.image_size)
        self.texts = {name: self._text(name) for name in TEXTS}
        self.numbers = {
            name: boxes.table[name].to_numpy(dtype=np.float64)
            if name in boxes.table
            else np.full(len(self.index), np.nan)
            for name in (*BOX, "confidence", "visibility")
        }

    def tracks(self) -> Tracks:
        by_default = self.boxes.left_out_by_default if self.choices.classes is None else ()
        for reason, rows in (*self.boxes.left_out, *by_default):
            self._drop(reason, rows)
        self._name_camera()
        self._drop_nobody()
        self._drop_classes()
        self._count_frames()
        self._check_numbers()
        self._check_ids()
        self._clip()
        self._drop_small()
        return Tracks(
            self._table(),
            self.boxes.format,
            tuple(self.assumed),
            self.dropped,
            self.image_size,
            self.boxes.num_frames,
            self._pictures(),
        )

    def _pictures(self) -> tuple[int, str] | None:
        """The picture of frame 0 and its name's form, unless the user says how frames count."""
        own = self.choices.first_frame is None and self.choices.stride == 1
        return (
            (self.boxes.first_frame, self.boxes.pictures) if own and self.boxes.pictures else None
        )

    def _drop(self, reason: str, rows: np.ndarray) -> None:
        rows = rows & self.keep
        if count := int(rows.sum()):
            self.dropped[reason] = self.dropped.get(reason, 0) + count
            self.keep &= ~rows

    def _text(self, name: str) -> pd.Categorical:
        if name not in self.boxes.table:
            return pd.Categorical.from_codes(np.zeros(len(self.index), np.int8), [""])
        column = self.boxes.table[name].astype("category").array
        if (column.codes < 0).any():
            empty = [] if "" in column.categories else [""]
            column = column.add_categories(empty).fillna("")
        return _used(column)

    def _name_camera(self) -> None:
        cameras, name = self.texts["camera"], self.choices.camera
        cameras = self.texts["camera"] = cameras.set_categories(sorted(cameras.categories))
        names = list(cameras.unique())
        if len(names) == 1 and name:
            self.texts["camera"] = cameras.rename_categories([name])
        elif name and name not in names:
            known = ", ".join(map(str, names))
            raise UserError(f"{self.where}: has no camera {name!r}: name one of {known}")
        elif name:
            self._drop("other camera", cameras != name)

    def _drop_nobody(self) -> None:
        track = self.texts["track"]
        ids = track.categories.astype(str)
        self._drop("without an id", _among(track, ids == ""))
        self._drop("nobody yet (id -1)", _among(track, ids.str.fullmatch(r"-[0-9]+")))

    def _drop_classes(self) -> None:
        boxes, column = self.boxes, self.texts["class"]
        if boxes.class_names:
            named = column.map(lambda name: boxes.class_names.get(name, name))
            column = self.texts["class"] = pd.Categorical(named)  # two numbers may have one name
        wanted = self.choices.wanted_classes()
        if wanted == ("all",) or (wanted is None and not boxes.people):
            return
        if wanted is None:
            wanted = tuple(boxes.people)
        else:
            wanted = tuple(boxes.class_names.get(name, name) for name in wanted)
        names = column.categories.astype(str)
        among = names.str.lower().isin([name.lower() for name in wanted])
        present = np.isin(np.arange(len(names)), column.codes[self.keep])
        if not present.any():
            return
        if self.choices.classes is None and boxes.own_words and not (among & present).any():
            called = ", ".join(name or "(none)" for name in names[present])
            self.assumed.append(f"no class is called person or pedestrian, so all count: {called}")
            return
        self._drop("other class", ~_among(column, among))

    def _count_frames(self) -> None:
        """The frames as the video counts them."""
        first, stride = self.choices.first_frame, self.choices.stride
        if first is None:
            first = self.boxes.first_frame
        frame = self.boxes.table["frame"].to_numpy(dtype=np.int64)
        if len(frame) and (least := int(frame.min())) < first:
            said = (
                "this format counts from" if self.choices.first_frame is None else "first_frame is"
            )
            advice = f"pass --first-frame {least}" if least >= 0 else "number frames from 0"
            what = f"is of frame {frame[np.argmax(frame < first)]}, but {said} {first}: {advice}"
            refuse_rows(self.where, frame < first, self.index, what, self.boxes.row)
        self.frame = (frame - first) * stride
        said = f"frame {first} is the video's first"
        if stride > 1 and self.boxes.last_of_stride:
            self.frame += stride - 1
            said = f"frame {first} is the video's frame {stride - 1}, from 0"
        self.assumed.append(said + (f", and {stride} follow to the next" if stride > 1 else ""))

    def _check_numbers(self) -> None:
        for name in BOX:
            bad = self.keep & ~np.isfinite(self.numbers[name])
            refuse_rows(self.where, bad, self.index, f"its {name} is no number", self.boxes.row)
        if self.boxes.relative:
            if self.image_size is None:
                raise UserError(
                    f"{self.where}: gives boxes in parts of the picture, and not its size: "
                    "pass image_size, the width and height in pixels"
                )
            for name, size in zip(BOX, self.image_size * 2, strict=True):
                self.numbers[name] = self.numbers[name] * size

    def _check_ids(self) -> None:
        camera, track = (self.texts[name] for name in ("camera", "track"))
        rows = self._in_order()
        if not len(rows):
            return
        owner = camera.codes.astype(np.int64) * len(track.categories) + track.codes
        boxes = pd.DataFrame({"owner": owner[rows], "frame": self.frame[rows]}, rows, copy=False)
        again = boxes.duplicated()
        if again.any():
            second = boxes.index[again].min()
            first = boxes.index[(boxes == boxes.loc[second]).all(axis=1)].min()
            at, before = (self.boxes.row(self.index[place]) for place in (second, first))
            number = self.boxes.table["frame"].iloc[second]
            raise UserError(
                f"{self.where}: {at}: track {track[second]} is in frame {number:.0f} again, "
                f"after {before}: give every person in a frame an id of its own"
            )
        corners = [self.numbers[name] for name in BOX]
        check_ids_last(self.where, camera.codes, self.frame, track, corners, rows)

    def _in_order(self) -> np.ndarray:
        """The places of the rows that are kept, by camera and frame, then as in the file."""
        rows = np.flatnonzero(self.keep)
        return rows[np.lexsort((self.frame[rows], self.texts["camera"].codes[rows]))]

    def _clip(self) -> None:
        left, top, width, height = (self.numbers[name] for name in BOX)
        self._drop("too small", (width <= 0) | (height <= 0))
        if self.image_size is None:
            return
        right = np.clip(left + width, 0, self.image_size[0])
        bottom = np.clip(top + height, 0, self.image_size[1])
        # What is wholly inside keeps its very numbers: left + width - left may be another one.
        inside = (left >= 0) & (top >= 0) & (right == left + width) & (bottom == top + height)
        clipped_left, clipped_top = np.maximum(left, 0), np.maximum(top, 0)
        width = np.where(inside, width, right - clipped_left)
        height = np.where(inside, height, bottom - clipped_top)
        self.numbers.update(left=clipped_left, top=clipped_top, width=width, height=height)
        beyond = self.keep & ((width <= 0) | (height <= 0))
        if beyond.any() and beyond.sum() == self.keep.sum():
            size = " x ".join(map(str, self.image_size))
            raise UserError(
                f"{self.where}: all {beyond.sum():,} boxes lie beyond the picture of {size} "
                "pixels: pass the video that was tracked"
            )
        self._drop("beyond the picture", beyond)

    def _drop_small(self) -> None:
        self._drop("too small", self.numbers["height"] < self.choices.min_height)
        self._drop("seen too little", self.numbers["visibility"] < self.choices.min_visibility)
        if self.choices.min_frames > 1:
            owner = pd.DataFrame({name: self.texts[name].codes for name in ("camera", "track")})
            kept = owner[self.keep]
            length = kept.groupby(["camera", "track"])["track"].transform("size")
            short = np.zeros(len(owner), dtype=bool)
            short[kept.index] = length < self.choices.min_frames
            self._drop("track too short", short)

    def _table(self) -> pd.DataFrame:
        rows = self._in_order()
        columns: dict[str, object] = {"frame": self.frame[rows]}
        for name, text in self.texts.items():
            columns[name] = _used(text[rows])
        for name, number in self.numbers.items():
            columns[name] = number[rows]
        return pd.DataFrame({name: columns[name] for name in COLUMNS}, copy=False)


def _used(column: pd.Categorical) -> pd.Categorical:
    """A column without empty values, with those categories alone that a row is of."""
    used = np.bincount(column.codes, minlength=len(column.categories)) > 0
    return column if used.all() else column.remove_unused_categories()


def _among(column: pd.Categorical, categories: np.ndarray) -> np.ndarray:
    """Which rows are of some of the categories."""
    return np.asarray(categories, dtype=bool)[column.codes]


def _one_size(
    where: str, given: tuple[int, int] | None, own: tuple[int, int] | None
) -> tuple[int, int] | None:
    if given is not None and own is not None and tuple(given) != tuple(own):
        raise UserError(
            f"{where}: its pictures are of {own[0]} x {own[1]} pixels, not of {given[0]} x "
            f"{given[1]}: pass the video that was tracked"
        )
    size = given or own
    return (int(size[0]), int(size[1])) if size else None
