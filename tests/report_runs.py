"""Two runs on one rendered data set, trained for a moment, and what a page of them says."""

import os
import shutil
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import rendered
from PIL import Image

from stgcn_pyg.cli import main

_FOLDER = TemporaryDirectory(prefix="report-")
QUICK = ("--num-workers=0", "--count=2", "--top=4")
SETTINGS = """
epochs: 2
model: {backbone: resnet18, weights: null, num_frames: 2, spatial_channels: 16}
data:
  {height: 64, width: 32, identities_per_batch: 2, tracklets_per_identity: 2, num_workers: 0}
"""


@cache
def data() -> Path:
    """A rendered data set of eight test people in three cameras."""
    people = {"train_people": 2, "test_people": 8, "cameras": 3, "cameras_per_person": 3}
    return rendered.tiny(Path(_FOLDER.name) / "data", **people, frames=(2, 4)).path


@cache
def run(name: str = "run", *more: str) -> Path:
    """A run with all branches; not to be altered."""
    output, settings = Path(_FOLDER.name) / name, Path(_FOLDER.name) / "settings.yaml"
    settings.write_text(SETTINGS)
    command = ["train", "mars", str(data()), f"--config={settings}", f"--output={output}"]
    assert main([*command, *more]) == 0
    return output


def other_run() -> Path:
    """A run without graphs, from another seed."""
    return run("other", "--model.branches=[global]", "--seed=5", "--epochs=1")


def copy_of(source: Path, folder: Path) -> Path:
    """A copy whose files may be removed and replaced, though not written into."""
    return Path(shutil.copytree(source, folder, copy_function=os.link))


def evil_manifest(folder):
    """A manifest whose people are called `<script>`: their pictures lie in folders of that name."""
    rows = []
    for pid in range(4):
        for camid in (1, 2):
            for frame in range(2):
                split = "train" if pid < 2 else "gallery"
                path = f"<script>document.title='taken'</script>/{pid}-{camid}-{frame}.png"
                tracklet = 2 * pid + camid
                rows.append((path, pid, camid, tracklet, frame, split))
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (16, 32), (60 * pid, 90 * camid, 9 * frame)).save(folder / path)
                if split == "gallery" and camid == 1:
                    rows.append((path, pid, camid, tracklet, frame, "query"))
    columns = ["path", "pid", "camid", "tracklet", "frame", "split"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "people.csv", index=False)
    return folder / "people.csv"


class Page(HTMLParser):
    """What a page holds: its tables by caption, boxes, tags, texts, descriptions and links."""

    def __init__(self, path: Path):
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.boxes: list[str] = []
        self.descriptions: list[str | None] = []
        self.text = ""
        self._parts: dict[str, str] = {}
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [
            values[name] for name in ("href", "xlink:href", "src", "data") if name in values
        ]
        if values.get("role") == "img":
            self.descriptions.append(values.get("aria-label"))
        if tag == "table":
            self._rows, self._caption = [], ""
        if tag == "tr":
            self._rows.append([])
        if tag in ("caption", "th", "td") or values.get("class") == "gap":
            self._parts[tag] = ""

    def handle_endtag(self, tag):
        if tag in self._parts:
            text = " ".join(self._parts.pop(tag).split())
            if tag == "caption":
                self._caption = text
            elif tag == "p":
                self.boxes.append(text.removeprefix("Missing. "))
            else:
                self._rows[-1].append(text)
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data):
        self.text += data
        for tag in self._parts:
            self._parts[tag] += data

    def table(self, start: str) -> dict[str, dict[str, str]]:
        """Cells of the table whose caption starts so, by the name of the row and column."""
        (rows,) = (rows for caption, rows in self.tables.items() if caption.startswith(start))
        return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[1:]}
