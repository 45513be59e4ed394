"""Galleries in Qdrant: in a folder, and what a server would be asked."""

import json
import os
import signal
import sqlite3
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import numpy as np
import pytest
from every_gallery import SHA, folder_in_memory, rows
from several_processes import forked, status_of

from stgcn_pyg.errors import UserError
from stgcn_pyg.search import Filter, Queries, create_gallery, open_gallery

DIGEST = {"checkpoint_sha256": SHA}


@pytest.fixture
def folder():
    with folder_in_memory() as folder:
        yield folder / "qdrant"


def points_in(folder):
    try:
        with sqlite3.connect(f"file:{folder}/collection/people/storage.sqlite?mode=ro") as file:
            return file.execute("SELECT count(*) FROM points").fetchone()[0]
    except sqlite3.Error:
        return 0


def test_killed_again_and_again_the_same_command_ends_with_every_tracklet_once(folder):
    place = f"qdrant://{folder}/people"
    embeddings = np.random.default_rng(0).random((160, 8), np.float32)

    def add_all(_=None):
        gallery = create_gallery(place, width=8, **DIGEST)
        parts = [slice(first, first + 20) for first in range(0, 160, 20)]
        gallery.add_pieces((embeddings[part], rows(range(160)).iloc[part]) for part in parts)
        gallery.close()

    before, deadline = {}, time.monotonic() + 60
    for least in (1, 30, 90):
        process = forked(add_all)
        while points_in(folder) < least and time.monotonic() < deadline:
            time.sleep(0.001)
        os.kill(process, signal.SIGKILL)
        assert status_of(process) == -signal.SIGKILL
        gallery = open_gallery(place)
        there = gallery.tracklets()["tracklet"]
        assert least <= len(there) < 160 and there.is_unique
        assert before.items() <= dict(zip(there, there.index, strict=True)).items()
        before = dict(zip(there, there.index, strict=True))
        gallery.close()
    add_all()
    gallery = open_gallery(place)
    there = gallery.tracklets()
    assert sorted(there["tracklet"]) == list(range(160))
    found = gallery.search(Queries(embeddings), 1)
    assert there["tracklet"][found.ids[:, 0]].tolist() == list(range(160))


def test_a_folder_that_is_open_elsewhere_or_holds_something_else_is_told(folder, tmp_path):
    place = f"qdrant://{folder}/people"
    gallery = create_gallery(place, width=2, **DIGEST)
    with pytest.raises(UserError, match=r"another process has .* open"):
        open_gallery(place)
    gallery.close()
    with pytest.raises(UserError, match="no such collection"):
        open_gallery(f"qdrant://{folder}/others")
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(UserError, match="holds something else"):
        create_gallery(f"qdrant://{tmp_path}/people", width=2, **DIGEST)
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]
    (folder / "meta.json").write_text('{"collections"')
    with pytest.raises(UserError, match="damaged"):
        open_gallery(place)


def test_another_models_embeddings_are_refused(folder):
    place = f"qdrant://{folder}/people"
    create_gallery(place, width=2, **DIGEST).close()
    for width, digest, words in ((3, SHA, "width is 3"), (2, "b" * 64, "checkpoint_sha256 is bb")):
        with pytest.raises(UserError, match=words):
            create_gallery(place, width=width, checkpoint_sha256=digest)
    create_gallery(place, width=2, **DIGEST).close()  # it is closed after a refusal, too


class StandIn(BaseHTTPRequestHandler):
    """Answers as Qdrant's REST interface does, with a gallery that stays empty."""

    requests, metadata, status = None, None, 200

    def answer(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        self.requests.append((self.command, self.path.split("?")[0], body, dict(self.headers)))
        result = True
        if self.path.endswith("/exists"):
            result = {"exists": self.metadata is not None}
        elif self.command == "PUT" and self.path.split("?")[0] == "/collections/people":
            type(self).metadata = body["metadata"]
        elif self.command == "GET":
            result = self.info()
        elif "/points/scroll" in self.path:
            result = {"points": [], "next_page_offset": None}
        elif "/points/query/batch" in self.path:
            result = [{"points": []} for _ in body["searches"]]
        elif "/points" in self.path or "/index" in self.path:
            result = {"operation_id": 1, "status": "completed"}
        content = {"result": result, "status": "ok", "time": 0.0}
        if self.status != 200:
            content = {"status": {"error": "the disk\nis full"}, "time": 0.0}
        content = json.dumps(content).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_PATCH = answer  # noqa: N815

    def info(self):
        hnsw = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000}
        optimizer = dict.fromkeys(("deleted_threshold", "vacuum_min_vector_number"), 1)
        optimizer |= dict.fromkeys(("default_segment_number", "flush_interval_sec"), 1)
        vectors = {"size": 2, "distance": "Euclid"}
        config = {"params": {"vectors": vectors}, "metadata": self.metadata}
        config |= {"hnsw_config": hnsw, "optimizer_config": optimizer}
        info = {"status": "green", "optimizer_status": "ok", "segments_count": 1}
        return info | {"config": config, "payload_schema": {}}

    def log_message(self, *_):
        pass


@pytest.fixture
def stand_in():
    class Own(StandIn):
        pass

    Own.requests = []
    server = HTTPServer(("127.0.0.1", 0), Own)
    Thread(target=server.serve_forever, daemon=True).start()
    Own.place = f"qdrant://127.0.0.1:{server.server_port}/people"
    yield Own
    server.shutdown()
    server.server_close()


def test_a_server_is_asked_for_indexes_before_points_and_for_exact_answers(stand_in, monkeypatch):
    monkeypatch.setenv("QDRANT_API_KEY", "s3cret")
    with pytest.warns(UserWarning, match="insecure"):  # of the client, for there is no https here
        gallery = create_gallery(stand_in.place, width=2, **DIGEST)
    gallery.add(np.zeros((3, 2), np.float32), rows(range(3)))
    where = Filter(camids=[1], after=2.5, same_camera="person")
    queries = Queries(np.zeros((1, 2)), np.array([7]), np.array([4]))
    gallery.search(queries, 5, where)
    gallery.search(queries, 5, exact=False)
    gallery.index()
    gallery.search(queries, 5, exact=False)
    asked = [(method, path) for method, path, *_ in stand_in.requests]
    indexes = [n for n, (_, path) in enumerate(asked) if path.endswith("/index")]
    fields = {stand_in.requests[n][2]["field_name"] for n in indexes}
    assert fields == {"dataset", "tracklet", "pid", "camid", "first_time", "last_time"}
    assert max(indexes) < asked.index(("PUT", "/collections/people/points"))
    taken = asked.index(("PATCH", "/collections/people"))
    assert stand_in.requests[taken][2]["metadata"]["next_id"] == 3
    assert taken < asked.index(("PUT", "/collections/people/points"))
    point = stand_in.requests[asked.index(("PUT", "/collections/people/points"))][2]["points"][0]
    assert point["id"] == 0 and not {"first_time", "last_time"} & set(point["payload"])  # JSON
    (made,) = [body for m, p, body, _ in stand_in.requests if (m, p) == ("PUT", asked[1][1])]
    assert made["vectors"]["distance"] == "Euclid" and made["vectors"]["size"] == 2
    first, *others = (
        body["searches"][0] for _, path, body, _ in stand_in.requests if path.endswith("batch")
    )
    assert (first["limit"], first["params"]["exact"]) == (17, True)
    assert first["filter"]["must"] == [
        {"key": "camid", "match": {"any": [1]}},
        {"key": "last_time", "range": {"gte": 2.5}},
    ]
    (own,) = first["filter"]["must_not"]
    assert {c["key"]: c["match"]["any"] for c in own["must"]} == {"pid": [7], "camid": [4]}
    # Once there is an index, it is asked first; one that gives too few is followed by all.
    assert [body["params"]["exact"] for body in others] == [True, False, True]
    assert {headers.get("api-key") for *_, headers in stand_in.requests} == {"s3cret"}


@pytest.mark.parametrize(
    "status, words", [(401, "set QDRANT_API_KEY"), (500, "the server answers: the disk is full")]
)
def test_what_a_server_refuses_is_told_in_one_line(stand_in, status, words):
    stand_in.status = status
    with pytest.raises(UserError, match=words) as raised:
        open_gallery(stand_in.place)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "place, words",
    [
        ("qdrant://127.0.0.1:1/people", "no Qdrant server answers there .*refused.*: start it"),
        ("qdrant://me:s3cret@127.0.0.1:1/people", "QDRANT_API_KEY holds the key"),
        ("qdrant://127.0.0.1:1", "write qdrant://host:port/collection"),
        ("qdrant://127.0.0.1:1/a/b", "write qdrant://host:port/collection"),
        ("qdrant://127.0.0.1:99999/people", "Port out of range"),
        ("qdrant:///nowhere/at/all/people", "/nowhere/at/all holds no collections"),
    ],
)
def test_a_place_that_cannot_be_opened_is_told_in_one_line(place, words):
    with pytest.raises(UserError, match=words) as raised:
        open_gallery(place)
    assert "\n" not in str(raised.value) and "s3cret" not in str(raised.value)
