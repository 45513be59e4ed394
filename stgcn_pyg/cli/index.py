"""`stgcn index`: extractions into a gallery that `stgcn search` searches."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import Namespace
from tqdm import tqdm

from stgcn_pyg.cli.arguments import Parser
from stgcn_pyg.errors import UserError
from stgcn_pyg.progress import bar_options
from stgcn_pyg.search import Gallery
from stgcn_pyg.search.extractions import Extraction
from stgcn_pyg.search.gallery import LOCK, MODEL, NAME
from stgcn_pyg.search.queries import ids_of

DESCRIPTION = """Puts extractions of embeddings into a gallery, which `stgcn search` searches.

A tracklet that is there already, by the name of its data set and its number, is replaced. A gallery
holds the embeddings of one checkpoint. While it is written, it can be read; if the command is
interrupted, the gallery is as it was before.

Examples:
  stgcn index embeddings/mars --output galleries/all
  stgcn index embeddings/hall embeddings/yard --name hall yard --output galleries/all
  stgcn index --output galleries/all --remove yard hall:17 --compact"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    options = parser().parse_args(arguments)
    extractions = _extractions(options)
    with _gallery(options.output, extractions) as gallery:
        for extraction in extractions:
            gallery.require_same_model(str(extraction.folder), extraction.description)
        if options.remove:
            ids = np.concatenate([ids_of(gallery, name) for name in options.remove])
            print(f"{options.output}: {gallery.remove(ids):,} tracklets removed")
        for extraction in extractions:
            _add(gallery, extraction)
        if options.compact:
            gallery.compact()
        print(
            f"{options.output}: {len(gallery):,} tracklets, embeddings of width {gallery.width:,}"
        )
    return 0


def parser() -> Parser:
    """The options of the command."""
    parser = Parser(prog="stgcn index", description=DESCRIPTION)
    add = parser.add_argument
    add("embeddings", nargs="*", type=Path, help="folders that `stgcn extract` wrote")
    add("--output", type=Path, required=True, help="the gallery: a folder, made if there is none")
    name = (
        "name in the gallery of the data set of each of them; if not given, the data set's own, or "
        "of a manifest the folder's"
    )
    add("--name", nargs="+", type=str, default=None, help=name)
    manifest = "manifest of the tracklets of a single extraction, for their times, if it has moved"
    add("--manifest", type=Path, default=None, help=manifest)
    remove = "tracklets to remove first: DATASET, all of its tracklets, or DATASET:NUMBER"
    add("--remove", nargs="+", type=str, default=[], help=remove)
    compact = "write anew what holds removed tracklets, which frees their space"
    add("--compact", type=bool, default=False, nargs="?", const=True, help=compact)
    return parser


def _extractions(options: Namespace) -> list[Extraction]:
    folders, names = options.embeddings, options.name or []
    if not (folders or options.remove or options.compact):
        raise UserError("EMBEDDINGS: name an extraction, or give --remove or --compact")
    if names and len(names) != len(folders):
        raise UserError(
            f"--name: has {len(names)} names for {len(folders)} extractions: give one for each"
        )
    if options.manifest is not None and len(folders) != 1:
        raise UserError(
            f"--manifest: is of one extraction; {len(folders)} are named: index it alone"
        )
    chosen = names or [None] * len(folders)
    return [
        Extraction(folder, name, options.manifest)
        for folder, name in zip(folders, chosen, strict=True)
    ]


@contextmanager
def _gallery(folder: Path, extractions: Sequence[Extraction]) -> Iterator[Gallery]:
    """The gallery; a new one is removed if the block fails before anything is in it."""
    if (folder / NAME).exists() or not extractions:
        yield Gallery(folder)
        return
    there = folder.exists()
    model: dict[str, Any] = {name: extractions[0].description.get(name) for name in MODEL}
    gallery = Gallery.create(folder, **model)
    try:
        yield gallery
    except BaseException:
        if not len(Gallery(folder)):
            for name in (NAME, LOCK):
                (folder / name).unlink(missing_ok=True)
            with suppress(OSError):
                if not there:
                    folder.rmdir()
        raise


def _add(gallery: Gallery, extraction: Extraction) -> None:
    before = len(gallery)
    with tqdm(total=len(extraction), desc="indexing", unit="tracklet", **bar_options()) as bar:

        def pieces():  # type: ignore[no-untyped-def]
            for embeddings, tracklets in extraction.pieces():
                yield embeddings, tracklets
                bar.update(len(tracklets))

        gallery.add_pieces(pieces(), {extraction.dataset: extraction.source})
    replaced = before + len(extraction) - len(gallery)
    said = f"{extraction.dataset}: {len(extraction):,} tracklets of {extraction.folder}"
    print(said + (f", {replaced:,} of which replace earlier ones" if replaced else ""))
    for note in extraction.notes:
        print(note)
