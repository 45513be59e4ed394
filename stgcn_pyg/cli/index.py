"""`stgcn index`: extractions into a gallery that `stgcn search` searches."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import Namespace
from jsonargparse.typing import PositiveInt
from tqdm import tqdm

from stgcn_pyg.cli.arguments import Parser
from stgcn_pyg.errors import UserError
from stgcn_pyg.progress import bar_options
from stgcn_pyg.runs.extraction import StoredEmbeddings
from stgcn_pyg.search import Engine, Gallery, create_gallery, open_gallery
from stgcn_pyg.search.evaluation import loss_of_reduction
from stgcn_pyg.search.extractions import Extraction
from stgcn_pyg.search.gallery_file import LOCK, MODEL, NAME, REDUCTION
from stgcn_pyg.search.open import is_database
from stgcn_pyg.search.queries import ids_of
from stgcn_pyg.search.reduction import Reduction

DESCRIPTION = """Puts extractions of embeddings into a gallery, which `stgcn search` searches.

A tracklet that is there already, by the name of its data set and its number, is replaced. A gallery
holds the embeddings of one checkpoint. While it is written, it can be read. If the command is
interrupted, a gallery in a folder has each extraction whole or not at all, and one in a database
may have a part of one: run the command again.

Examples:
  stgcn index embeddings/mars --output galleries/all
  stgcn index embeddings/hall embeddings/yard --name hall yard --output galleries/all
  stgcn index --output galleries/all --remove yard hall:17 --compact
  stgcn index --output galleries/all --codes
  stgcn index embeddings/mars --output postgresql://me@localhost/station/people"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    options = parser().parse_args(arguments)
    extractions = _extractions(options)
    with _gallery(options.output, extractions, options.reduce) as gallery:
        for extraction in extractions:
            gallery.require_same_model(str(extraction.folder), extraction.description)
        if options.remove or len(extractions) > 1:  # what fails later would leave half of it done
            for extraction in extractions:
                extraction.check()
        if options.remove:
            ids = np.concatenate([ids_of(gallery, name) for name in options.remove])
            print(f"{gallery.place}: {gallery.remove(ids):,} tracklets removed")
        for extraction in extractions:
            _add(gallery, extraction)
        if options.compact:
            gallery.compact()
        if options.codes:
            _make_codes(gallery)
        print(f"{gallery.place}: {len(gallery):,} tracklets, embeddings of width {gallery.width:,}")
    return 0


def parser() -> Parser:
    """The options of the command."""
    parser = Parser(prog="stgcn index", description=DESCRIPTION)
    add = parser.add_argument
    add("embeddings", nargs="*", type=Path, help="folders that `stgcn extract` wrote")
    place = "the gallery, made if there is none: a folder, or an address of Qdrant or PostgreSQL"
    add("--output", type=str, required=True, help=place)
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
    reduce = (
        "shorten embeddings to so many principal components, computed from the first extraction, "
        "in half precision; what that loses is shown"
    )
    add("--reduce", type=PositiveInt | None, default=None, help=reduce)
    codes = (
        "whether to make codes where there are none yet, by which a large gallery is searched "
        "faster; in a database, an index"
    )
    add("--codes", type=bool, default=False, nargs="?", const=True, help=codes)
    return parser


def _extractions(options: Namespace) -> list[Extraction]:
    folders, names = options.embeddings, options.name or []
    if not (folders or options.remove or options.compact or options.codes):
        raise UserError("EMBEDDINGS: name an extraction, or give --remove, --compact or --codes")
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
def _gallery(place: str, extractions: Sequence[Extraction], reduce: int | None) -> Iterator[Engine]:
    """The gallery; a new folder is removed if the block fails before anything is in it."""
    folder = Path(place)
    model: dict[str, Any] = {}
    if extractions:
        model = {name: extractions[0].description.get(name) for name in MODEL}
    if is_database(place) or (folder / NAME).exists() or not extractions:
        if reduce is not None:
            wrong = "is for a new gallery in a folder: name another --output"
            said = wrong if extractions else "is computed from an extraction: name one"
            raise UserError(f"--reduce {reduce}: {said}")
        create = is_database(place) and extractions
        with closing(create_gallery(place, **model) if create else open_gallery(place)) as gallery:
            yield gallery
        return
    there = folder.exists()
    reduction = None if reduce is None else _reduction(extractions[0], reduce)
    gallery = Gallery.create(folder, **model, reduction=reduction)
    try:
        yield gallery
    except BaseException:
        if not len(Gallery(folder)):
            for name in (NAME, LOCK, REDUCTION):
                (folder / name).unlink(missing_ok=True)
            with suppress(OSError):
                if not there:
                    folder.rmdir()
        raise


def _add(gallery: Engine, extraction: Extraction) -> None:
    before, earlier = len(gallery), gallery.facts["sources"].get(extraction.dataset)
    with tqdm(total=len(extraction), desc="indexing", unit="tracklet", **bar_options()) as bar:

        def pieces():  # type: ignore[no-untyped-def]
            for embeddings, tracklets in extraction.pieces():
                yield embeddings, tracklets
                bar.update(len(tracklets))

        gallery.add_pieces(pieces(), {extraction.dataset: extraction.source})
    replaced = before + len(extraction) - len(gallery)
    said = f"{extraction.dataset}: {len(extraction):,} tracklets of {extraction.folder}"
    print(said + (f", {replaced:,} of which replace earlier ones" if replaced else ""))
    if replaced and earlier not in (None, extraction.source):
        print(
            f"{extraction.dataset}: the earlier ones were of {earlier['root']}: if that is another "
            "data set, index both anew, each by a --name of its own"
        )
    for note in extraction.notes:
        print(note)


def _make_codes(gallery: Engine) -> None:
    if not isinstance(gallery, Gallery):
        gallery.index()
        print(f"{gallery.place}: searches take candidates from its index, unless they are --exact")
        return
    segments = tqdm(gallery.segments_without_codes(), desc="codes", unit="segment", **bar_options())
    for segment in segments:
        gallery.make_codes([segment])
    facts = [one.codes.facts for one in gallery.segments if one.codes is not None]
    if not facts:
        print(f"{gallery.place}: too small for codes: it is searched exactly")
        return
    rows, queries = sum(fact.rows for fact in facts), sum(fact.queries for fact in facts)
    recall = sum(fact.recall * fact.queries for fact in facts) / queries
    candidates = sum(fact.candidates for fact in facts)
    print(
        f"{gallery.place}: codes of {rows:,} tracklets; a search for 20 begins with about "
        f"{candidates:,} candidates or fewer; recall {recall:.5f} of the 20 nearest, measured on "
        f"{queries:,} tracklets"
    )


def _reduction(extraction: Extraction, width: int) -> Reduction:
    """The reduction of an extraction, after what it loses is shown."""
    stored = StoredEmbeddings(extraction.folder)
    reduction = Reduction.of(stored.embeddings, width)
    try:
        losses = loss_of_reduction(reduction, stored.task, *stored.features())
    except UserError as error:
        print(f"--reduce {width}: what it loses is not known: {error}")
        return reduction
    for name, loss in losses.items():
        print(f"\n{name}: first all {len(reduction.mean):,} numbers, second the {width:,} kept")
        print(f"{loss}\n")
    return reduction
