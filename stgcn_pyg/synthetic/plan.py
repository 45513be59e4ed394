"""Who is seen where: every tracklet of a benchmark before anything is drawn."""

from dataclasses import dataclass

import numpy as np

from stgcn_pyg.synthetic.bodies import Body, random_body
from stgcn_pyg.synthetic.clothes import Clothes, random_clothes
from stgcn_pyg.synthetic.exact import DECIMALS
from stgcn_pyg.synthetic.streams import Stream, generator

JUNK, DISTRACTOR = -1, 0
"""The pids that MARS gives to what is no person to be found."""


@dataclass(frozen=True)
class Person:
    """One person; `group` numbers the look-alikes, and -1 is a stranger's."""

    pid: int
    split: str
    group: int
    body: Body
    clothes: Clothes


@dataclass(frozen=True)
class TrackletPlan:
    """One tracklet to draw.

    Attributes:
        person: Who walks there.
        camera: The camera's number, from 1.
        number: The tracklet's number among those of this pid and camera, from 1.
        frames: How many frames it has.
        occlusion: Mean share of the body to hide.
        fault: `none`, or for junk: `half` or `size`, a bad box; `empty`, nobody there.
        index: Its place in the plan; its draws depend on this and the seed.
    """

    person: Person
    camera: int
    number: int
    frames: int
    occlusion: float
    fault: str
    index: int


@dataclass(frozen=True)
class Plan:
    """All people and tracklets in the order of MARS: by split, pid, camera and number."""

    people: list[Person]
    train: list[TrackletPlan]
    test: list[TrackletPlan]
    queries: list[int]  # 1-based indices into `test`


def make_people(seed: int, train: int, test: int, look_alikes: int) -> list[Person]:
    """People of both splits, pids from 1; no look-alike group reaches across the splits."""
    people: list[Person] = []
    first_group = 0
    for split, count in (("train", train), ("test", test)):
        for number in range(count):
            pid = len(people) + 1
            group = first_group + number // look_alikes
            body = random_body(generator(seed, Stream.BODY, pid))
            clothes = random_clothes(generator(seed, Stream.CLOTHES, group))
            people.append(Person(pid, split, group, body, clothes))
        first_group += -(-count // look_alikes)
    return people


def make_strangers(seed: int, pid: int, count: int, people: list[Person]) -> list[Person]:
    """Passers-by for distractors or junk; every second one is dressed like a test person."""
    test = [person for person in people if person.split == "test"]
    strangers = []
    for number in range(count):
        rng = generator(seed, Stream.STRANGER, pid + 1, number)
        body, clothes = random_body(rng), random_clothes(rng)
        if number % 2 == 1:
            clothes = test[int(rng.randint(len(test)))].clothes
        strangers.append(Person(pid, "test", -1, body, clothes))
    return strangers


def make_plan(
    seed: int,
    people: list[Person],
    cameras: int,
    cameras_per_person: int,
    tracklets_per_camera: int,
    frames: tuple[int, int],
    occlusion: float,
    distractors: int,
    junk: int,
) -> Plan:
    """Spread the people, distractors and junk over the cameras and choose the queries."""
    rng = generator(seed, Stream.PLAN)
    seen: list[tuple[Person, int, str]] = []
    for person in people:
        where = rng.choice(cameras, size=min(cameras_per_person, cameras), replace=False) + 1
        seen += [(person, int(c), "none") for c in where for _ in range(tracklets_per_camera)]
    for person in make_strangers(seed, DISTRACTOR, distractors, people):
        seen.append((person, int(rng.randint(cameras)) + 1, "none"))
    for person in make_strangers(seed, JUNK, junk, people):
        fault = str(rng.choice(["half", "size", "empty"]))
        seen.append((person, int(rng.randint(cameras)) + 1, fault))
    seen.sort(key=lambda entry: (entry[0].split == "test", entry[0].pid, entry[1]))

    tracklets: list[TrackletPlan] = []
    spread = min(0.6 * occlusion, 0.95 - occlusion)
    for index, (person, camera, fault) in enumerate(seen):
        number = 1
        if tracklets and tracklets[-1].person.pid == person.pid and tracklets[-1].camera == camera:
            number = tracklets[-1].number + 1
        length = int(rng.randint(frames[0], frames[1] + 1))
        share = round(occlusion + spread * rng.uniform(-1, 1), DECIMALS)
        tracklets.append(TrackletPlan(person, camera, number, length, share, fault, index))
    train = [tracklet for tracklet in tracklets if tracklet.person.split == "train"]
    test = tracklets[len(train) :]
    return Plan(people, train, test, choose_queries(rng, test))


def choose_queries(rng: np.random.RandomState, test: list[TrackletPlan]) -> list[int]:
    """One tracklet of each test person in each camera, as 1-based indices in rising order."""
    choices: dict[tuple[int, int], list[int]] = {}
    for index, tracklet in enumerate(test, start=1):
        if tracklet.person.pid > 0:
            choices.setdefault((tracklet.person.pid, tracklet.camera), []).append(index)
    return [int(rng.choice(indices)) for indices in choices.values()]
