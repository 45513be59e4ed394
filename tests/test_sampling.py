"""Which frames make a clip."""

from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stgcn_pyg.data.sampling import (
    clips_at_test,
    consecutive_clips,
    even_frames,
    random_frames,
    restricted_random,
    spread_clips,
    strided_frames,
    training_clip,
)

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


@given(lengths, clip_lengths, st.integers(1, 12), st.integers(0, 1000))
def test_a_short_tracklet_gives_every_frame_and_repeats_its_last(num_frames, length, stride, seed):
    for kind in ("restricted", "random", "even", "strided"):
        frames = training_clip(kind, num_frames, length, stride, np.random.default_rng(seed))
        assert frames.shape == (length,)
        if num_frames <= length and kind != "strided":
            assert frames.tolist() == [min(i, num_frames - 1) for i in range(length)]
        else:
            assert len(set(frames.tolist())) == min(length, num_frames)
        assert (np.diff(frames) >= 0).all()
        assert frames[0] >= 0
        assert frames[-1] < num_frames


def test_random_frames_draw_every_set_of_frames_as_often():
    rng = np.random.default_rng(0)
    drawn = [tuple(random_frames(6, 3, rng).tolist()) for _ in range(4000)]
    counts = {frames: drawn.count(frames) for frames in combinations(range(6), 3)}
    assert sum(counts.values()) == 4000
    assert all(abs(count - 200) < 60 for count in counts.values()), counts  # 4.4 deviations


@given(lengths, clip_lengths)
def test_even_frames_lie_at_the_middle_of_equal_parts(num_frames, clip_length):
    frames = even_frames(num_frames, clip_length)
    if num_frames >= clip_length:
        part = Fraction(num_frames, clip_length)
        for t, frame in enumerate(frames.tolist()):
            assert frame <= (t + Fraction(1, 2)) * part < frame + 1
        assert np.ptp(np.diff(frames)) <= 1 if clip_length > 1 else True


@given(lengths, clip_lengths, st.integers(1, 12), st.integers(0, 1000))
def test_strided_frames_keep_their_stride_where_the_tracklet_is_long_enough(
    num_frames, clip_length, stride, seed
):
    frames = strided_frames(num_frames, clip_length, stride, np.random.default_rng(seed))
    if num_frames >= clip_length * stride:
        assert frames.tolist() == list(range(frames[0], frames[-1] + 1, stride))
    else:
        rng = np.random.default_rng(seed)
        assert frames.tolist() == random_frames(num_frames, clip_length, rng).tolist()


def test_every_start_of_a_strided_clip_is_drawn():
    rng = np.random.default_rng(0)
    starts = {int(strided_frames(33, 4, 8, rng)[0]) for _ in range(300)}
    assert starts == set(range(33 - 24))  # the last frame is start + 24


def test_kinds_of_test_clips_are_the_functions_that_they_name():
    for num_frames in (3, 29):
        spread = spread_clips(num_frames, 8)
        assert np.array_equal(clips_at_test("all", num_frames, 8), spread)
        assert np.array_equal(clips_at_test("first", num_frames, 8), spread[:1])
        even = clips_at_test("even", num_frames, 8)
        assert even.tolist() == [even_frames(num_frames, 8).tolist()]
        consecutive = clips_at_test("consecutive", num_frames, 8)
        assert np.array_equal(consecutive, consecutive_clips(num_frames, 8))


def test_restricted_draws_are_those_of_earlier_versions():
    for seed, frames in (
        ((0, 0, 0), [2, 5, 8, 11, 15, 18, 21, 25]),
        ((3, 2, 17), [0, 6, 9, 11, 16, 20, 24, 28]),
    ):
        rng = np.random.default_rng(seed)
        assert training_clip("restricted", 29, 8, 8, rng).tolist() == frames
