"""`embedding.score`: each embedding goes with its own tracklet, or the table is refused."""

import pandas as pd
import pytest
import torch

from stgcn_pyg.data import load_dataset
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.embedding import score


@pytest.fixture
def dataset(mars_tree):
    mars_tree.add("test", 5, 1, frames=4)
    mars_tree.add("test", 5, 2, frames=4)
    return load_dataset("mars", mars_tree.write())


@pytest.fixture
def embeddings(dataset):
    return torch.randn(len(dataset.test()), 8)


def means(dataset, tracklets, embeddings):
    return {name: r.mAP for name, r in score(dataset, tracklets, embeddings).items()}


def test_the_order_of_the_rows_and_rows_beyond_the_test_set_change_nothing(dataset, embeddings):
    tracklets = dataset.test()
    expected = means(dataset, tracklets, embeddings)
    order = torch.randperm(len(tracklets))
    assert means(dataset, tracklets.iloc[order.numpy()], embeddings[order]) == expected
    more = pd.concat([dataset.train.iloc[:2], tracklets])
    assert means(dataset, more, torch.cat([torch.randn(2, 8), embeddings])) == expected


def test_a_missing_tracklet_is_named(dataset, embeddings):
    missing = dataset.test().index[2]
    kept = torch.arange(len(embeddings)) != 2
    with pytest.raises(UserError, match=rf"1 .*tracklets.*missing.* {missing}\b"):
        score(dataset, dataset.test()[kept.numpy()], embeddings[kept])


def test_a_tracklet_that_stands_twice_is_named(dataset, embeddings):
    tracklets = dataset.test()
    twice = tracklets.iloc[[*range(len(tracklets)), 3]]
    with pytest.raises(UserError, match=rf"tracklet {tracklets.index[3]} .*twice"):
        score(dataset, twice, torch.cat([embeddings, embeddings[:1]]))


@pytest.mark.parametrize("rows", [-1, 1])
def test_another_number_of_embeddings_than_of_rows_is_refused(dataset, embeddings, rows):
    number = len(embeddings)
    with pytest.raises(UserError, match=rf"\[{number + rows}, 8\].*{number} tracklets"):
        score(dataset, dataset.test(), torch.randn(number + rows, 8))


def test_embeddings_that_are_no_table_of_numbers_are_refused(dataset, embeddings):
    with pytest.raises(UserError, match=r"\[\d+\].*\[N, D\]"):
        score(dataset, dataset.test(), embeddings[:, 0])
    embeddings[4, 1] = torch.nan
    with pytest.raises(UserError, match="not finite"):
        score(dataset, dataset.test(), embeddings)
