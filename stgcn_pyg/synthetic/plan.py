"""Who is seen where: every tracklet of a benchmark before anything is drawn."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from stgcn_pyg.synthetic.bodies import Body, random_body
from stgcn_pyg.synthetic.clothes import Clothes, random_clothes
from stgcn_pyg.synthetic.exact import DECIMALS, Stream, generator

JUNK, DISTRACTOR = -1, 0  # the pids that MARS gives to what is no person to be found


@dataclass(frozen=True)
class Identity:
    """One person; `group` numbers the look-alikes, and -1 is a stranger's."""

    pid: int
    split: str
    group: int
    body: Body
    clothes: Clothes


@dataclass(frozen=True)
class TrackletPlan:
    """One tracklet to draw."""

    identity: Identity
    camera: int  # from 1
    number: int  # among the tracklets of this pid and camera, from 1
    frames: int
    occlusion: float  # mean share of the body to occlude
    fault: str  # none, or for junk: half or size, a bad box; empty, nobody there
    index: int  # place in the plan; the tracklet's draws depend on this and the seed


@dataclass(frozen=True)
class Plan:
    """All identities and tracklets in the order of MARS: by split, pid, camera and number."""

    identities: list[Identity]
    train: list[TrackletPlan]
    test: list[TrackletPlan]
    queries: list[int]  # 1-based indices into `test`


def make_plan(options: dict[str, Any]) -> Plan:
    """Spread identities, distractors and junk over the cameras and choose the queries.

    `options` are the arguments of `write_benchmark` by name.
    """
    seed, cameras, occlusion = options["seed"], options["cameras"], options["occlusion"]
    identities = _make_identities(options)
    rng = generator(seed, Stream.PLAN)
    seen: list[tuple[Identity, int, str]] = []  # an identity, its camera and a fault
    for identity in identities:
        count = min(options["cameras_per_person"], cameras)
        for camera in rng.choice(cameras, size=count, replace=False) + 1:
            seen += [(identity, int(camera), "none")] * options["tracklets_per_camera"]
    for identity in _make_strangers(seed, DISTRACTOR, options["distractors"], identities):
        seen.append((identity, int(rng.randint(cameras)) + 1, "none"))
    for identity in _make_strangers(seed, JUNK, options["junk"], identities):
        fault = str(rng.choice(["half", "size", "empty"]))
        seen.append((identity, int(rng.randint(cameras)) + 1, fault))
    seen.sort(key=lambda entry: (entry[0].split == "test", entry[0].pid, entry[1]))

    tracklets: list[TrackletPlan] = []
    numbers: Counter[tuple[int, int]] = Counter()
    spread = min(0.6 * occlusion, 0.95 - occlusion)
    least, most = options["frames"]
    for index, (identity, camera, fault) in enumerate(seen):
        numbers[identity.pid, camera] += 1
        length = int(rng.randint(least, most + 1))
        share = round(occlusion + spread * rng.uniform(-1, 1), DECIMALS)
        number = numbers[identity.pid, camera]
        tracklets.append(TrackletPlan(identity, camera, number, length, share, fault, index))
    train = [tracklet for tracklet in tracklets if tracklet.identity.split == "train"]
    test = tracklets[len(train) :]
    return Plan(identities, train, test, _choose_queries(rng, test))


def _make_identities(options: dict[str, Any]) -> list[Identity]:
    """Identities of both splits, pids from 1; no look-alike group reaches across the splits."""
    seed, look_alikes = options["seed"], options["look_alikes"]
    identities: list[Identity] = []
    first_group = 0
    for split in ("train", "test"):
        count = options[f"{split}_people"]
        for number in range(count):
            pid, group = len(identities) + 1, first_group + number // look_alikes
            body = random_body(generator(seed, Stream.BODY, pid))
            clothes = random_clothes(generator(seed, Stream.CLOTHES, group))
            identities.append(Identity(pid, split, group, body, clothes))
        first_group += -(-count // look_alikes)
    return identities


def _make_strangers(seed: int, pid: int, count: int, known: list[Identity]) -> list[Identity]:
    """Passers-by for distractors or junk; every second one is dressed like a test identity."""
    test = [identity for identity in known if identity.split == "test"]
    strangers = []
    for number in range(count):
        rng = generator(seed, Stream.STRANGER, pid + 1, number)
        body, clothes = random_body(rng), random_clothes(rng)
        if number % 2 == 1:
            clothes = test[int(rng.randint(len(test)))].clothes
        strangers.append(Identity(pid, "test", -1, body, clothes))
    return strangers


def _choose_queries(rng: np.random.RandomState, test: list[TrackletPlan]) -> list[int]:
    """One tracklet of each test identity in each camera, as 1-based indices in rising order."""
    choices: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for index, tracklet in enumerate(test, start=1):
        if tracklet.identity.pid > 0:
            choices[tracklet.identity.pid, tracklet.camera].append(index)
    return [int(rng.choice(indices)) for indices in choices.values()]
