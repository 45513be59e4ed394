"""Galleries in a PostgreSQL that runs here: its index, kills, names, and what goes wrong."""

import os
import random
import signal
import time

import numpy as np
import psycopg
import pytest
from every_gallery import SHA, new_place, rows
from numpy.testing import assert_array_equal
from several_processes import forked, status_of

from stgcn_pyg.errors import UserError
from stgcn_pyg.search import Filter, Queries, create_gallery, open_gallery

DIGEST = {"checkpoint_sha256": SHA}


@pytest.fixture
def place(postgres):
    return new_place("postgres", None, postgres)


def ask(postgres, query, *values):
    """Asks the server beside the gallery."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        cursor = connection.execute(query, values or None)
        return cursor.fetchall() if cursor.description else None


def clustered(people, each, width, rng):
    """Embeddings of people in a few directions, with the noise of their tracklets."""
    centres = rng.normal(size=(people, 24)) @ rng.normal(size=(24, width))
    noise = 0.3 * rng.normal(size=(people * each, width))
    embeddings = np.repeat(centres, each, axis=0) + noise
    return (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def indexed(postgres):
    """The place of a gallery with an index, to which more was added since, and its embeddings."""
    place = new_place("postgres", None, postgres)
    embeddings = clustered(200, 6, 2100, np.random.default_rng(0))  # longer than HNSW takes
    table = rows(range(1200), pid=np.repeat(np.arange(200), 6), camid=np.arange(1200) % 6 + 1)
    table = table.assign(first_time=np.arange(1200) % 2.0)
    gallery = create_gallery(place, width=2100, **DIGEST)
    gallery.add(embeddings[:1000], table[:1000])
    gallery.index(components=24)
    gallery.add(embeddings[1000:], table[1000:])
    gallery.close()
    return place, embeddings


def table_of(place):
    return place.rpartition("/postgres/")[2].partition("?")[0]


def scans(postgres, place):
    """How often the index was asked, and how often the whole table was read."""
    of_index = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = %s"
    of_table = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = %s"
    index = ask(postgres, of_index, f"{table_of(place)}_reduced_idx")
    return np.array([index[0][0], ask(postgres, of_table, table_of(place))[0][0]])


def settled(postgres, place, before, scans_of_index):
    """The scans since then; a server counts them a moment after the connection is closed."""
    for _ in range(100):
        since = scans(postgres, place) - before
        if since[0] >= scans_of_index:
            break
        time.sleep(0.1)
    return since


def test_the_index_finds_nearly_what_is_nearest_with_exact_distances(postgres, indexed):
    place, embeddings = indexed
    queries, before = Queries(embeddings[::30]), scans(postgres, place)
    gallery = open_gallery(place)
    exact = gallery.search(queries, 10)
    gallery.close()
    assert scans(postgres, place)[0] == before[0]
    # So few are compared sooner than an index is read, unless PostgreSQL may not.
    gallery = open_gallery(f"{place}&options=-cenable_seqscan%3Doff")
    found = gallery.search(queries, 10, exact=False)
    gallery.close()
    assert settled(postgres, place, before, 40)[0] >= 40
    pairs = zip(found.ids, exact.ids, strict=True)
    assert np.mean([np.isin(*pair).mean() for pair in pairs]) > 0.98
    same = found.ids == exact.ids
    assert_array_equal(found.distances[same], exact.distances[same])
    assert same[-10:, 0].all()  # of what was added after the index, too


def test_the_index_goes_on_until_a_filter_has_passed_enough(postgres, indexed):
    place, embeddings = indexed
    before = scans(postgres, place)
    gallery = open_gallery(f"{place}&options=-cenable_seqscan%3Doff")
    half = Filter(before=0)
    found = gallery.search(Queries(embeddings[:9]), 10, half, exact=False)
    assert (found.ids >= 0).all()
    assert (gallery.tracklets(found.ids[0])["first_time"] == 0).all()
    gallery.close()
    # Each query is counted for before, but none is compared with the whole table afterwards.
    assert settled(postgres, place, before, 9).tolist() == [9, 9]


@pytest.mark.parametrize("settings", ["", "&options=-cenable_seqscan%3Doff"])
@pytest.mark.parametrize("passing", [0, 1, 9, 10, 11])
def test_where_a_filter_passes_few_all_of_them_are_found(indexed, passing, settings):
    place, embeddings = indexed
    pids = [3 * n for n in range(passing)]  # of one tracklet each in this camera
    queries, where = Queries(embeddings[600:602]), Filter(pids=pids, camids=[2])
    gallery = open_gallery(place + settings)
    found = gallery.search(queries, 10, where, exact=False)
    assert ((found.ids >= 0).sum(axis=1) == min(passing, 10)).all()
    assert_array_equal(found.ids, gallery.search(queries, 10, where).ids)
    gallery.close()


def test_an_index_of_more_components_than_there_can_be_is_refused(place):
    gallery = create_gallery(place, width=2, **DIGEST)
    with pytest.raises(UserError, match="components=9: its index has from 1 to 0"):
        gallery.index(components=9)
    gallery.close()


def test_killed_again_and_again_each_piece_is_there_whole_or_not_at_all(place):
    embeddings = np.random.default_rng(0).random((600, 64), np.float32)
    create_gallery(place, width=64, **DIGEST).close()

    def add_all():
        gallery = create_gallery(place, width=64, **DIGEST)
        parts = [slice(first, first + 20) for first in range(0, 600, 20)]
        gallery.add_pieces((embeddings[part], rows(range(600)).iloc[part]) for part in parts)
        gallery.close()

    here, before, chance = open_gallery(place), {}, random.Random(0)
    for least in (1, 100, 300):
        process = forked(add_all)
        while len(here) < least:
            pass
        time.sleep(chance.random() / 100)
        os.kill(process, signal.SIGKILL)
        assert status_of(process) == -signal.SIGKILL
        there = here.tracklets()["tracklet"]
        assert len(there) % 20 == 0 and there.is_unique
        assert before.items() <= dict(zip(there, there.index, strict=True)).items()
        before = dict(zip(there, there.index, strict=True))
    add_all()
    assert sorted(here.tracklets()["tracklet"]) == list(range(600))
    here.close()


def test_what_is_added_again_unchanged_is_not_written_again(postgres, place):
    gallery = create_gallery(place, width=2, **DIGEST)
    ids = gallery.add(np.eye(2, dtype=np.float32), rows([1, 2]))
    written = f"SELECT id, xmin FROM {table_of(place)} ORDER BY id"
    before = ask(postgres, written)
    again = gallery.add(np.float32([[1, 0], [0, 2]]), rows([1, 2]))
    gallery.close()
    assert_array_equal(again, ids)
    assert [a == b for a, b in zip(before, ask(postgres, written), strict=True)] == [True, False]


@pytest.mark.parametrize("name", ['people"; DROP TABLE x; --', "Größe", "select", "own.people"])
def test_any_name_is_the_name_of_a_table(postgres, name):
    ask(postgres, "CREATE SCHEMA IF NOT EXISTS own")
    place = postgres.replace("/postgres?", f"/postgres/{name}?")
    create_gallery(place, width=2, **DIGEST).close()
    gallery = open_gallery(place)
    gallery.add(np.zeros((1, 2), np.float32), rows([1], dataset="a'; DROP TABLE x; --"))
    assert gallery.tracklets()["dataset"].tolist() == ["a'; DROP TABLE x; --"]
    gallery.close()
    schema, _, table = name.rpartition(".")
    found = ask(postgres, "SELECT schemaname FROM pg_tables WHERE tablename = %s", table)
    assert found == [(schema or "public",)]


def test_another_models_embeddings_are_refused(place):
    create_gallery(place, width=2, **DIGEST).close()
    for width, digest, words in (
        (3, SHA, "width is 3"),
        (2, "b" * 64, "checkpoint_sha256 is bb"),
        (16_001, SHA, "at most 16,000 numbers, not 16,001"),
    ):
        with pytest.raises(UserError, match=words):
            create_gallery(place, width=width, checkpoint_sha256=digest)


def test_a_table_of_something_else_is_left_alone(postgres, place):
    ask(postgres, f"CREATE TABLE {table_of(place)} (letter text)")
    for open_it in (open_gallery, lambda place: create_gallery(place, width=2, **DIGEST)):
        with pytest.raises(UserError, match="is a table of something else"):
            open_it(place)
    assert ask(postgres, f"SELECT * FROM {table_of(place)}") == []


def test_a_server_without_the_extension_is_told(postgres, place):
    ask(postgres, "CREATE ROLE nobody LOGIN")
    ask(postgres, "CREATE DATABASE bare")
    bare = place.replace("postgres:@/postgres/", "nobody:@/bare/")
    with pytest.raises(UserError, match="may not make the extension pgvector"):
        create_gallery(bare, width=2, **DIGEST)


def test_a_server_that_goes_away_is_told_in_one_line(postgres, place):
    gallery = create_gallery(place, width=2, **DIGEST)
    others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'postgres'"
    ask(postgres, f"SELECT pg_terminate_backend(pid) {others}")
    with pytest.raises(UserError, match="PostgreSQL says") as raised:
        gallery.add(np.zeros((1, 2), np.float32), rows([1]))
    assert "\n" not in str(raised.value)
    gallery.close()


@pytest.mark.parametrize(
    "place, words",
    [
        ("postgresql://me:s3cret@127.0.0.1:1/db/people", "no PostgreSQL opens this .*refused"),
        ("postgresql://me:s3%zzcret@127.0.0.1:1/db/people", "is no address that PostgreSQL"),
        ("postgresql://me:s3cret@127.0.0.1:1/db", "write postgresql://"),
        ("postgresql://127.0.0.1:1/db/a/b?password=s3cret", "write postgresql://"),
        ("postgresql://127.0.0.1:1/db/" + 60 * "x", "write postgresql://"),
    ],
)
def test_a_place_that_cannot_be_opened_is_told_in_one_line(place, words):
    with pytest.raises(UserError, match=words) as raised:
        open_gallery(place)
    told = str(raised.value)
    assert "\n" not in told and "s3" not in told and "me:" not in told
