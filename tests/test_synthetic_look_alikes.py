"""Look-alikes share what can be seen of clothes, and their bodies distinguish them."""

from functools import cache

import numpy as np
import pandas as pd
from PIL import Image
from rendered import bare, covered, truth_of

from stgcn_pyg.synthetic.bodies import Body, random_body
from stgcn_pyg.synthetic.clothes import Clothes
from stgcn_pyg.synthetic.exact import Stream, generator


def test_look_alikes_share_clothes_exactly_and_differ_in_body():
    people = pd.read_parquet(covered().path / "people.parquet")
    assert people.group.value_counts().tolist() == [4, 4, 4, 1]
    clothes = list(Clothes.__dataclass_fields__)
    worn = people[clothes].map(
        lambda value: tuple(value) if isinstance(value, np.ndarray) else value
    )
    assert (worn.groupby(people.group).nunique() == 1).all(axis=None)
    assert worn.groupby(people.group).first().shirt.nunique() == 4
    body = people[list(Body.__dataclass_fields__)].drop(columns="bag")
    assert (body.nunique() == len(people)).all()
    assert set(people.bag) <= {"none", "backpack", "shoulder", "hand"} and people.bag.nunique() > 1


@cache
def colour_histograms():
    """Mean colour histogram of each test tracklet, (N, 216), and its row of labels.

    Each camera's cast is taken off first, so that the colours have every chance.
    """
    truth = truth_of(bare()).query("split == 'test'").reset_index(drop=True)
    pixels = [person_pixels(bare().path, row) for row in truth.itertuples()]
    histograms = np.zeros((len(truth), 216))
    for _, rows in truth.groupby("camid"):
        seen = np.concatenate([pixels[row] for row in rows.index])
        for row in rows.index:
            level = np.clip((pixels[row] - seen.mean(axis=0)) / seen.std(axis=0) * 1.5 + 3, 0, 5)
            histograms[row] = np.bincount(level.astype(int) @ [36, 6, 1], minlength=216)
            histograms[row] /= len(pixels[row])
    names = ["pid", "camid", "tracklet"]
    means = pd.DataFrame(histograms).groupby([truth[name] for name in names]).mean()
    return means.to_numpy(), truth.drop_duplicates(names).sort_values(names)


def person_pixels(root, row):
    with Image.open(root / row.path) as image:
        pixels = np.asarray(image, float)
    mask = np.unpackbits(np.frombuffer(row.seen_mask, np.uint8)).reshape(16, 8).astype(bool)
    return pixels[np.kron(mask, np.ones((4, 4), bool))]


def hits_within_groups(features, table):
    """Share of tracklets whose nearest look-alike in another camera has the same identity."""
    distance = np.abs(features[:, None] - features[None]).sum(axis=2)
    same_group = table.group.to_numpy()[:, None] == table.group.to_numpy()
    same_camera = table.camid.to_numpy()[:, None] == table.camid.to_numpy()
    nearest = np.where(same_group & ~same_camera, distance, np.inf).argmin(axis=1)
    return float((table.pid.to_numpy()[nearest] == table.pid.to_numpy()).mean())


def test_colours_do_not_distinguish_look_alikes_across_cameras():
    hits = hits_within_groups(*colour_histograms())
    assert hits < 0.25 + 0.15


def test_colours_distinguish_groups_better_than_chance():
    features, table = colour_histograms()
    anywhere = table.assign(group=0, pid=table.group)
    assert hits_within_groups(features, anywhere) > 0.8


def test_true_bodies_distinguish_look_alikes_even_when_measured_badly():
    people = pd.read_parquet(bare().path / "people.parquet").query("split == 'test'")
    body = people[list(Body.__dataclass_fields__)].drop(columns="bag")
    drawn = [random_body(generator(9, Stream.BODY, number)) for number in range(300)]
    spread = pd.DataFrame([vars(one) for one in drawn]).drop(columns="bag").std()
    rng = np.random.default_rng(0)
    measured = [body / spread + 0.5 * rng.standard_normal(body.shape) for _ in range(2)]
    table = pd.concat([people.assign(camid=camera) for camera in range(2)])
    assert hits_within_groups(np.concatenate(measured), table) == 1
