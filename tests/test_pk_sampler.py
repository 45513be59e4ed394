"""Which tracklets make a batch, and which of it a process gets."""

from collections import Counter

import pytest

from stgcn_pyg.data.pk_sampler import PKSampler
from stgcn_pyg.errors import UserError


def rows(batch):
    return [draw.row for draw in batch]


PIDS = [pid for pid in range(10) for _ in range(1 + pid % 5)]


def test_an_epoch_takes_in_every_person_in_batches_of_p_people_by_k_tracklets():
    sampler = PKSampler(PIDS, identities_per_batch=4, tracklets_per_identity=3)
    batches = list(sampler)
    assert len(batches) == len(sampler) == 3
    seen = []
    for batch in batches:
        people = [PIDS[row] for row in rows(batch)]
        assert set(Counter(people).values()) == {3}
        assert len(set(people)) == 4
        seen += people
    assert set(seen) == set(PIDS)


def test_a_persons_tracklets_repeat_only_where_there_are_too_few():
    for batch in PKSampler(PIDS, identities_per_batch=5, tracklets_per_identity=4):
        for pid, drawn in Counter(PIDS[row] for row in rows(batch)).items():
            distinct = {row for row in rows(batch) if PIDS[row] == pid}
            assert drawn == 4
            assert len(distinct) == min(4, PIDS.count(pid))


def test_draws_follow_from_seed_and_epoch_alone():
    def epoch(seed, number):
        sampler = PKSampler(PIDS, 4, 3, seed)
        sampler.set_epoch(number)
        return list(sampler)

    assert epoch(1, 5) == epoch(1, 5)
    assert epoch(1, 5) != epoch(1, 6)
    assert epoch(1, 5) != epoch(2, 5)
    seeds = [draw.seed for number in (0, 1) for batch in epoch(0, number) for draw in batch]
    assert len(set(seeds)) == len(seeds)


def test_batches_without_triplets_are_refused():
    with pytest.raises(
        UserError, match="10 identities to train on, fewer than identities_per_batch=16"
    ):
        PKSampler(PIDS)
    with pytest.raises(UserError, match="both must be at least 2"):
        PKSampler(PIDS, 4, 1)


def test_draws_are_those_of_earlier_versions():
    sampler = PKSampler(PIDS, 4, 3, seed=3)
    sampler.set_epoch(2)
    batches = list(sampler)
    assert [rows(batch) for batch in batches] == [
        [18, 19, 20, 13, 10, 14, 2, 1, 2, 23, 24, 22],
        [17, 16, 17, 0, 0, 0, 4, 5, 3, 28, 25, 27],
        [8, 7, 9, 15, 15, 15, 18, 19, 20, 13, 11, 10],
    ]
    assert batches[1][5] == (0, (3, 2, 17))


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_the_ranks_parts_in_order_are_the_batch_of_one_process(world_size):
    for epoch in (0, 3):
        parts = []
        for rank in range(world_size):
            sampler = PKSampler(PIDS, 8, 3, seed=1, rank=rank, world_size=world_size)
            sampler.set_epoch(epoch)
            parts.append(list(sampler))
            assert len(parts[-1]) == len(sampler) == 2
        whole = PKSampler(PIDS, 8, 3, seed=1)
        whole.set_epoch(epoch)
        for batch, *shares in zip(whole, *parts, strict=True):
            assert batch == [draw for share in shares for draw in share]
            for share in shares:
                people = Counter(PIDS[row] for row in rows(share))
                assert set(people.values()) == {3}
                assert len(people) == 8 // world_size


@pytest.mark.parametrize(("people", "world_size"), [(8, 3), (3, 2), (2, 4)])
def test_a_batch_that_cannot_be_shared_is_refused(people, world_size):
    with pytest.raises(UserError, match=f"identities_per_batch={people} cannot be shared by"):
        PKSampler(PIDS, people, 3, world_size=world_size)
