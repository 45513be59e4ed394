"""Galleries by the place that names them: a folder, Qdrant or PostgreSQL."""

from pathlib import Path
from typing import Any

from stgcn_pyg.search.engine import Engine
from stgcn_pyg.search.gallery import Gallery
from stgcn_pyg.search.gallery_file import NAME, of_same_model

QDRANT = ("qdrant", "qdrant+https")
POSTGRES = ("postgresql", "postgres")


def open_gallery(place: str | Path) -> Engine:
    """Opens a gallery.

    Args:
        place: A folder, or an address as :class:`.QdrantGallery` and :class:`.PostgresGallery`
            take it.

    Raises:
        UserError: There is none, or no server answers.
        MissingPackageError: The extra of this database is not installed.
    """
    database = _database(place)
    if database is not None:
        return database(place)
    return Gallery(place)


def create_gallery(place: str | Path, *, width: int, **facts: Any) -> Engine:
    """Makes an empty gallery, or opens the one that is there if it is of the same model.

    Args:
        place: The place, as :func:`open_gallery` takes it.
        width: Length D of an embedding.
        **facts: ``checkpoint_sha256``, and others as :meth:`.Gallery.create` takes them.

    Raises:
        UserError: Another model's gallery or something else is there, or no server answers.
        MissingPackageError: The extra of this database is not installed.
    """
    database = _database(place)
    if database is not None:
        return database.create(place, width=width, **facts)
    if not (Path(place) / NAME).is_file():
        return Gallery.create(place, width=width, **facts)
    return of_same_model(Gallery(place), {"width": width, **facts})


def is_database(place: str | Path) -> bool:
    """Whether a place names a database, and no folder."""
    return str(place).partition(":")[0] in (*QDRANT, *POSTGRES)


def _database(place: str | Path) -> Any:
    """The class of galleries in the database that a place names, or None for a folder."""
    scheme = str(place).partition(":")[0]
    # Each needs packages that the others do not.
    if scheme in QDRANT:
        from stgcn_pyg.search.qdrant import QdrantGallery

        return QdrantGallery
    if scheme in POSTGRES:
        from stgcn_pyg.search.postgres import PostgresGallery

        return PostgresGallery
    return None
