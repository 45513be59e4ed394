"""Every kind of gallery holds to one contract."""

import numpy as np
import pandas as pd
import pytest
from every_gallery import (
    KINDS,
    SHA,
    by_plain_loops,
    close,
    folder_in_memory,
    new_gallery,
    new_place,
    rows,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation.distances import pairwise_distances
from stgcn_pyg.search import Filter, Queries, create_gallery, open_gallery

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module", params=KINDS)
def new(request):
    """Makes an empty gallery, or with `place` only the place of one."""
    opened = []
    with folder_in_memory() as folder:
        postgres = request.getfixturevalue("postgres") if request.param == "postgres" else None

        def make(width=3, **others):
            opened.append(new_gallery(new_place(request.param, folder, postgres), width, **others))
            return opened[-1]

        make.place = lambda: new_place(request.param, folder, postgres)
        yield make
        for gallery in opened:
            close(gallery)


def search_by_plain_loops(gallery, known, queries, k, where):
    found = gallery.search(queries, k, where)
    assert found.ids.shape == found.distances.shape == (len(queries.embeddings), k)
    assert found.ids.dtype == np.int64 and found.distances.dtype == np.float32
    for row, labels in enumerate(zip(*queries, strict=True)):
        ids, distances = by_plain_loops(known, *labels, k, where)
        assert found.ids[row].tolist() == ids
        assert found.distances[row].tolist() == distances


times = st.sampled_from([np.nan, 0.0, 1.5, 1.7e9 + 0.25])
items = st.fixed_dictionaries(
    {
        "tracklet": st.integers(0, 7),
        "dataset": st.sampled_from(["mars", "a'b"]),
        "pid": st.integers(-1, 2),
        "camid": st.integers(1, 2),
        "first_time": times,
        "last_time": times,
        "embedding": st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=3),
    }
)
filters = st.builds(
    Filter,
    camids=st.sampled_from([None, [1], [2, 3], []]),
    pids=st.sampled_from([None, [-1, 1], np.array([0])]),
    datasets=st.sampled_from([None, ["mars"], ["a'b", "none"]]),
    after=st.sampled_from([None, 1.5]),
    before=st.sampled_from([None, 1.5]),
    same_camera=st.sampled_from([None, "person", "all"]),
)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    changes=st.lists(st.lists(items, max_size=6), min_size=1, max_size=3),
    removed=st.lists(st.integers(0, 30), max_size=4),
    asked=st.lists(items, min_size=1, max_size=2),
    k=st.integers(1, 6),
    where=filters,
)
def test_after_any_changes_the_answers_are_those_of_plain_loops(
    new, changes, removed, asked, k, where
):
    gallery, known, owners = new(), {}, {}
    for change in [*changes, None]:
        if change is None:
            there = [number for number in removed if number in known]
            assert gallery.remove(np.array(removed, dtype=np.int64)) == len(set(there))
            known = {number: kept for number, kept in known.items() if number not in removed}
        elif change:
            table = pd.DataFrame(change).drop_duplicates(["dataset", "tracklet"])
            table = table.assign(num_frames=4, first_frame_path="x.jpg")
            ids = gallery.add(np.array(table["embedding"].tolist(), np.float32), table)
            keys = list(zip(table["dataset"], table["tracklet"], strict=True))
            for number, key in zip(ids.tolist(), keys, strict=True):
                assert owners.setdefault(number, key) == key  # ids are never of another tracklet
            known = {n: kept for n, kept in known.items() if owners[n] not in keys}
            known |= {
                n: (row["embedding"], row)
                for n, (_, row) in zip(ids, table.iterrows(), strict=True)
            }
        assert len(gallery) == len(known)
    queries = Queries(
        np.array([item["embedding"] for item in asked], np.float32),
        np.array([item["pid"] for item in asked]),
        np.array([item["camid"] for item in asked]),
    )
    search_by_plain_loops(gallery, known, queries, k, where)


@pytest.mark.parametrize("passing", [0, 1, 4, 5, 40])
def test_k_are_found_wherever_the_filter_passes_k(new, passing):
    gallery, rng = new(), np.random.default_rng(passing)
    embeddings = rng.integers(0, 3, (60, 3)).astype(np.float32)
    table = rows(range(60), camid=[2] * passing + [1] * (60 - passing), pid=[5, 6] * 30)
    ids = gallery.add(embeddings, table)
    known = {n: (e, row) for n, e, (_, row) in zip(ids, embeddings, table.iterrows(), strict=True)}
    queries = Queries(embeddings[-2:], np.array([5, 6]), np.array([1, 2]))
    for where in (Filter(camids=[2]), Filter(camids=[2], same_camera="person")):
        search_by_plain_loops(gallery, known, queries, 5, where)
    found = gallery.search(queries, 5, Filter(camids=[2])).ids
    assert ((found >= 0).sum(axis=1) == min(passing, 5)).all()


@pytest.mark.parametrize("rule, found", [("person", [1, 3, 4]), ("all", [1])])
def test_what_the_querys_own_camera_saw_is_left_out(new, rule, found):
    gallery = new()
    table = rows(range(5), pid=[7, 7, 7, 8, -1], camid=[1, 2, 1, 1, 1])
    ids = gallery.add(np.zeros((5, 3), np.float32), table)
    queries = Queries(np.zeros((2, 3)), np.array([7, -1]), np.array([1, 1]))
    of_7, of_unknown = gallery.search(queries, 5, Filter(same_camera=rule)).ids
    assert of_7[of_7 >= 0].tolist() == ids[found].tolist()
    # Nobody knows that two without an identity are one person.
    everybody = ids.tolist() if rule == "person" else ids[found].tolist()
    assert of_unknown[of_unknown >= 0].tolist() == everybody


@pytest.mark.parametrize(
    "bounds, found",
    [({"after": 2.0}, [1, 2]), ({"before": 1.0}, [0, 1]), ({"after": 2.0, "before": 1.0}, [1])],
)
def test_a_time_at_the_bound_passes_and_an_unknown_one_does_not(new, bounds, found):
    gallery, nan = new(), np.nan
    table = rows(range(5), first_time=[0, 1, 1.5, nan, nan], last_time=[1.75, 2, 3, nan, nan])
    ids = gallery.add(np.zeros((5, 3), np.float32), table)
    passed = gallery.search(Queries(np.zeros((1, 3))), 5, Filter(**bounds)).ids[0]
    assert passed[passed >= 0].tolist() == ids[found].tolist()


def test_of_equal_embeddings_the_lowest_ids_are_found(new):
    gallery = new()
    ids = gallery.add(np.ones((70, 3), np.float32), rows(range(70)))
    ids = np.sort(
        np.append(ids[:50], gallery.add(np.ones((20, 3), np.float32), rows(range(50, 70))))
    )
    found = gallery.search(Queries(np.float32([[1, 1, 1], [1, 1, 3]])), 30)
    assert_array_equal(found.ids, [ids[:30]] * 2)
    assert_array_equal(found.distances, [[0] * 30, [2] * 30])


def test_near_duplicates_have_the_order_of_exact_distances(new):
    width, rng = 1536, np.random.default_rng(3)
    query = rng.random((1, width)).astype(np.float32)
    # Distances that differ by less than a database's sum in float32 is off.
    near = query + 0.1 * np.sign(rng.random((40, width)) - 0.5) * (
        1 + 1e-8 * np.arange(40)[:, None]
    )
    gallery = new(width)
    ids = gallery.add(near.astype(np.float32), rows(range(40)))
    exact = pairwise_distances(query, near.astype(np.float32))[0].numpy()
    order = np.lexsort((ids, exact))[:8]
    found = gallery.search(Queries(query), 8)
    assert_array_equal(found.ids[0], ids[order])
    assert_array_equal(found.distances[0], exact[order])


def test_a_replaced_tracklet_is_found_with_its_new_embedding_and_labels_only(new):
    gallery = new()
    gallery.add(np.float32([[0, 0, 0], [5, 5, 5]]), rows([1, 2]))
    (number,) = gallery.add(np.float32([[9, 9, 9]]), rows([1], camid=4))
    assert len(gallery) == 2
    near = gallery.search(Queries(np.float32([[0, 0, 0]])), 1)
    assert near.distances[0, 0] == np.float32(np.sqrt(75))
    assert gallery.tracklets(np.array([number]))["camid"].tolist() == [4]


def test_ids_are_of_one_tracklet_for_ever(new):
    gallery = new()
    first = gallery.add(np.zeros((3, 3), np.float32), rows(range(3)))
    assert gallery.remove(first) == 3
    assert gallery.remove(first) == 0
    second = gallery.add(np.zeros((3, 3), np.float32), rows([7, 8, 9]))
    assert not set(first) & set(second)
    assert gallery.search(Queries(np.zeros((1, 3))), 9).ids[0, :4].tolist() == [*second, -1]


def test_rows_come_back_as_they_were_given(new):
    gallery, table = new(), rows([4, 6], first_time=[np.nan, 1.5], last_time=[2.25, np.nan], pid=-1)
    embeddings = np.float32([[0.1, 1 / 3, 1e-30], [-7, 2**20 + 0.5, 0]])
    ids = gallery.add(embeddings, table)
    back = gallery.tracklets(ids[[1, 0, 1]])
    assert_array_equal(back.index, ids[[1, 0, 1]])
    pd.testing.assert_frame_equal(
        back.reset_index(drop=True)[sorted(table)],
        table.iloc[[1, 0, 1]].reset_index(drop=True)[sorted(table)],
        check_dtype=False,
    )
    assert sorted(gallery.tracklets().index) == sorted(ids)
    assert_array_equal(gallery.embeddings(ids[[1, 0, 1]]), embeddings[[1, 0, 1]])
    for read in (gallery.tracklets, gallery.embeddings):
        with pytest.raises(UserError, match=r"no tracklet with the id 999"):
            read(np.array([ids[0], 999]))


def test_what_was_added_is_there_when_it_is_opened_again(new):
    place = new.place()
    gallery = new_gallery(place, 3)
    ids = gallery.add(np.eye(3, dtype=np.float32), rows(range(3)))
    gallery.remove(ids[:1])
    close(gallery)
    again = open_gallery(place)
    assert (again.width, again.checkpoint_sha256, len(again)) == (3, SHA, 2)
    assert not set(ids) & set(again.add(np.zeros((1, 3), np.float32), rows([9])))
    close(again)


def test_bad_embeddings_are_told_in_one_line_and_change_nothing(new):
    gallery = new()
    gallery.add(np.zeros((1, 3), np.float32), rows([1]))
    for embeddings, table, words in (
        (np.zeros((1, 4)), rows([2]), "shape"),
        (np.zeros((2, 3)), rows([2]), "shape"),
        (np.full((1, 3), np.nan), rows([2]), "not finite"),
        (np.zeros((2, 3)), rows([2, 2]), "twice"),
        (np.zeros((1, 3)), rows([2]).assign(tracklet=53.5), "tracklets: "),
        (np.zeros((1, 3)), rows([2]).assign(camid="1"), "camid of the tracklets is no whole"),
        (np.zeros((1, 3)), rows([2]).assign(pid=np.nan), "pid is missing"),
        (np.zeros((1, 3)), rows([2]).assign(dataset=None), "dataset is missing"),
    ):
        with pytest.raises(UserError, match=words) as raised:
            gallery.add(embeddings.astype(np.float32), table)
        assert "\n" not in str(raised.value)
    assert len(gallery) == 1


def test_queries_that_do_not_fit_are_told_in_one_line(new):
    gallery = new()
    for queries, where, words in (
        (Queries(np.zeros((1, 4))), Filter(), "width"),
        (Queries(np.full((1, 3), np.inf)), Filter(), "finite"),
        (Queries(np.zeros((1, 3))), Filter(same_camera="all"), "camids"),
        (Queries(np.zeros((1, 3)), camids=np.ones(1)), Filter(same_camera="person"), "pids"),
        (Queries(np.zeros((1, 3)), camids=np.array(["1"])), Filter(same_camera="all"), "whole"),
        (Queries(np.zeros((1, 3)), camids=[np.nan]), Filter(same_camera="all"), "whole numbers"),
    ):
        with pytest.raises(UserError, match=words) as raised:
            gallery.search(queries, 1, where)
        assert "\n" not in str(raised.value)
    assert gallery.search(Queries(np.zeros((1, 3))), 2, exact=False).ids.tolist() == [[-1, -1]]
    with pytest.raises(UserError, match="k=0"):
        gallery.search(Queries(np.zeros((1, 3))), 0)


@pytest.mark.parametrize("ids", [[True, False, True], [0.5], ["0"], 1])
def test_ids_that_are_none_are_refused_and_nothing_is_removed(new, ids):
    gallery = new()
    gallery.add(np.zeros((3, 3), np.float32), rows(range(3)))
    for call in (gallery.remove, gallery.tracklets, gallery.embeddings):
        with pytest.raises(UserError, match=r"^ids: of type .*: pass a list of whole numbers"):
            call(np.array(ids))
    assert len(gallery) == 3


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"after": np.nan}, "after=nan: pass a finite number"),
        ({"before": "noon"}, "before='noon': pass a finite number"),
        ({"datasets": "station"}, "datasets='station': pass a list of names"),
        ({"datasets": [3]}, "datasets=\\[3\\]: pass a list of names"),
        ({"camids": 1}, "camids=1: pass a list of whole numbers"),
        ({"pids": ["1"]}, "pids=\\['1'\\]: pass a list of whole numbers"),
    ],
)
def test_a_filter_whose_values_are_no_list_does_not_pass_nobody_silently(values, words):
    with pytest.raises(UserError, match=words):
        Filter(**values)
    assert Filter(camids=np.array([1]), pids=(2,), datasets={"station"}).pids == [2]


def test_a_gallery_is_opened_and_made_by_a_path_as_by_text(tmp_path):
    made = create_gallery(tmp_path / "gallery", width=3, checkpoint_sha256=SHA)
    assert len(made) == len(open_gallery(tmp_path / "gallery")) == 0


def test_an_empty_gallery_finds_nobody(new):
    found = new().search(Queries(np.zeros((2, 3))), 2)
    assert found.ids.tolist() == [[-1, -1]] * 2 and np.isinf(found.distances).all()


def test_a_gallery_that_is_not_there_is_told_in_one_line(new):
    with pytest.raises(UserError) as raised:
        open_gallery(new.place())
    assert "\n" not in str(raised.value)
