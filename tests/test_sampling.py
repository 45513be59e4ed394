"""Which frames make a clip and which tracklets make a batch."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stgcn_pyg.data.sampling import (
    PKSampler,
    consecutive_clips,
    restricted_random,
    spread_clips,
)
from stgcn_pyg.errors import UserError

lengths = st.integers(1, 200)
clip_lengths = st.integers(1, 16)


@given(lengths, clip_lengths, st.integers(0, 1000))
def test_one_frame_comes_from_each_chunk(num_frames, clip_length, seed):
    frames = restricted_random(num_frames, clip_length, np.random.default_rng(seed))
    assert len(frames) == clip_length
    if num_frames < clip_length:
        assert frames.tolist() == [min(i, num_frames - 1) for i in range(clip_length)]
    else:
        chunks = np.array_split(np.arange(num_frames), clip_length)
        edges = [i * num_frames // clip_length for i in range(clip_length + 1)]
        for frame, (start, end) in zip(frames, pairwise(edges), strict=True):
            assert start <= frame < end
        sizes = {end - start for start, end in pairwise(edges)}
        assert sizes == {len(chunk) for chunk in chunks}


def test_every_frame_of_a_chunk_is_drawn():
    rng = np.random.default_rng(0)
    drawn = np.stack([restricted_random(12, 4, rng) for _ in range(200)])
    assert [sorted(set(column)) for column in drawn.T.tolist()] == [
        [0, 1, 2],
        [3, 4, 5],
        [6, 7, 8],
        [9, 10, 11],
    ]


@given(lengths, clip_lengths)
def test_test_clips_hold_every_frame_once_or_as_filling(num_frames, clip_length):
    for clips in (spread_clips, consecutive_clips):
        drawn = clips(num_frames, clip_length)
        assert drawn.shape == (-(-num_frames // clip_length), clip_length)
        assert set(drawn.ravel().tolist()) == set(range(num_frames))
        assert (np.diff(drawn, axis=1) >= 0).all()
    first = spread_clips(num_frames, clip_length)[0].tolist()
    starts = [min(i, num_frames - 1) for i in range(clip_length)]
    if num_frames >= clip_length:
        starts = [i * num_frames // clip_length for i in range(clip_length)]
    assert first == starts


def rows(batch):
    return [draw.row for draw in batch]


PIDS = [pid for pid in range(10) for _ in range(1 + pid % 5)]


def test_an_epoch_takes_in_every_person_in_batches_of_p_people_by_k_tracklets():
    sampler = PKSampler(PIDS, people_per_batch=4, tracklets_per_person=3)
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
    for batch in PKSampler(PIDS, people_per_batch=5, tracklets_per_person=4):
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
    with pytest.raises(UserError, match="10 people to train on, fewer than people_per_batch=16"):
        PKSampler(PIDS)
    with pytest.raises(UserError, match="both must be at least 2"):
        PKSampler(PIDS, 4, 1)
