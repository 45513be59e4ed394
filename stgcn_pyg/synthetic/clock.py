"""When each tracklet of a benchmark was taken, on a clock that all its cameras share."""

import numpy as np
import pandas as pd

from stgcn_pyg.synthetic.bodies import FRAMES_PER_SECOND
from stgcn_pyg.synthetic.exact import Stream, generator
from stgcn_pyg.synthetic.plan import Plan

CROWD = 2  # people whom a camera would see at a time if walks from one to the next took no time
WALK = (50, 500)  # smallest and largest number of frames from one camera to the next


def first_frames(plan: Plan, cameras: int, seed: int) -> np.ndarray:
    """The frame of the common clock at which each tracklet begins, train and test end to end.

    Everybody comes at a random time and passes the cameras in a random order, one after the other,
    so that nobody is in two places at once. Training and test have a clock each.

    Args:
        plan: The tracklets.
        cameras: The number of cameras.
        seed: The seed of the benchmark.
    """
    begins = []
    for part, tracklets in enumerate((plan.train, plan.test)):
        rng = generator(seed, Stream.CLOCK, part)
        span = sum(one.frames for one in tracklets) // (cameras * CROWD) + 1
        walks: dict[int, list[int]] = {}  # the tracklets of each identity; of a stranger, one
        for place, one in enumerate(tracklets):
            walks.setdefault(one.identity.pid if one.identity.pid > 0 else -1 - place, []).append(
                place
            )
        begin = np.zeros(len(tracklets), np.int64)
        for places in walks.values():
            now = int(rng.randint(span))
            for place in rng.permutation(places).tolist():
                begin[place] = now
                now += tracklets[place].frames + int(rng.randint(WALK[0], WALK[1] + 1))
        begins.append(begin)
    return np.concatenate(begins)


def timed_manifest(plan: Plan, paths: list[str], begins: np.ndarray) -> pd.DataFrame:
    """The frames as a manifest with their times, as :func:`.load_dataset` reads it.

    Args:
        plan: The tracklets.
        paths: The paths of their frames, train and test end to end.
        begins: What :func:`first_frames` gives.

    Returns:
        ``path``, ``pid``, ``camid``, ``tracklet``, ``frame``, ``split`` and ``time``, in seconds.
        The tracklets have the numbers that the data set has by the name ``mars``; a query has rows
        in the gallery as well.
    """
    tracklets = plan.train + plan.test
    owner = np.repeat(np.arange(len(tracklets)), [one.frames for one in tracklets])
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    frame = np.arange(len(owner)) - first[owner]
    seconds = (begins[owner] + frame) / FRAMES_PER_SECOND
    trains = owner < len(plan.train)
    table = pd.DataFrame(
        {
            "path": paths,
            "pid": np.array([one.identity.pid for one in tracklets])[owner],
            "camid": np.array([one.camera for one in tracklets])[owner],
            "tracklet": owner,
            "frame": frame + 1,
            "split": np.where(trains, "train", "gallery"),
            "time": seconds.round(2),
        }
    )
    is_query = table["tracklet"].isin([len(plan.train) + query - 1 for query in plan.queries])
    return pd.concat([table, table[is_query].assign(split="query")], ignore_index=True)
