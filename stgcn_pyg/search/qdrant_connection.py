"""Connections to Qdrant by an address, and its errors in one line."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from stgcn_pyg.errors import UserError, needs_extra

with needs_extra("qdrant"):
    from qdrant_client import QdrantClient
    from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

KEY_VARIABLE = "QDRANT_API_KEY"
SECONDS = 120  # a server may take to answer
FORM = "write qdrant://host:port/collection, or qdrant:///folder/collection"


def connect(place: str, create: bool) -> tuple[QdrantClient, str, bool]:
    """A client, the name of the collection, and whether it lies in a folder."""
    url, shown = urlsplit(place), without_secrets(place)
    path, _, name = unquote(url.path).rpartition("/")
    if url.username or url.password:
        raise UserError(f"{shown}: name no user or key in it: {KEY_VARIABLE} holds the key")
    if not name or url.query or url.fragment or (url.netloc and path):
        raise UserError(f"{shown}: {FORM}")
    if not url.netloc:
        return _open_folder(shown, Path(path), create), name, True
    secure = url.scheme.endswith("https")
    client = QdrantClient(
        url=f"{'https' if secure else 'http'}://{url.hostname}",
        port=_port(url, shown),
        api_key=os.environ.get(KEY_VARIABLE) or None,
        timeout=SECONDS,
        check_compatibility=False,  # which asks the server before we can say that there is none
    )
    return client, name, False


def _port(url: SplitResult, shown: str) -> int:
    try:
        return url.port or 6333
    except ValueError as error:
        raise UserError(f"{shown}: {error}") from error


def _open_folder(shown: str, folder: Path, create: bool) -> QdrantClient:
    about = folder / "meta.json"
    if not about.is_file():
        if not create:
            raise UserError(f"{shown}: {folder} holds no collections: `stgcn index` makes one")
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{shown}: {folder} holds something else: name another folder")
    try:
        return QdrantClient(path=str(folder))
    except RuntimeError as error:
        raise UserError(
            f"{shown}: another process has {folder} open: wait for it, or run a server"
        ) from error
    except OSError as error:
        raise UserError(f"{shown}: {folder} cannot be opened ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{shown}: {about} is damaged: name another folder") from error


def without_secrets(place: str) -> str:
    """The place as messages show it."""
    return place.replace(f"{urlsplit(place).netloc.rpartition('@')[0]}@", "", 1)


@contextmanager
def in_one_line(place: str, advice: str = "") -> Iterator[None]:
    """Turns what goes wrong with a server, or in a folder, into one line."""
    try:
        yield
    except UnexpectedResponse as error:
        if error.status_code in (401, 403):
            raise UserError(
                f"{place}: the server refuses: set {KEY_VARIABLE} to a key that may do this"
            ) from error
        raise UserError(f"{place}: the server answers: {_reason(error)}{advice}") from error
    except ApiException as error:
        source = getattr(error, "source", error)
        raise UserError(
            f"{place}: no Qdrant server answers there ({source}){advice or ': start it'}"
        ) from error
    except OSError as error:
        raise UserError(f"{place}: cannot be written ({error.strerror}){advice}") from error


def _reason(error: UnexpectedResponse) -> str:
    try:
        reason = json.loads(error.content)["status"]["error"]
    except (ValueError, KeyError, TypeError):
        reason = f"{error.status_code} {error.reason_phrase}"
    return " ".join(str(reason).split())
