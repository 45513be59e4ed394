"""k-reciprocal re-ranking as published, dense and in plain loops, for the tests to hold it against.

Zhong et al., CVPR 2017: whole matrices in float64, sets of Python, one item at a time.
"""

import numpy as np


def rerank_by_the_book(queries, gallery, k1=20, k2=6, lambda_value=0.3):
    items = np.concatenate([queries, gallery])
    original = normalised_distances(items)
    rank = np.argsort(original, axis=1, kind="stable")
    v = encoded(original, rank, k1)
    if k2 != 1:
        v = np.array([v[rank[i, :k2]].mean(axis=0) for i in range(len(items))])
    final = np.empty((len(queries), len(gallery)))
    for q in range(len(queries)):
        smaller = np.minimum(v[q], v[len(queries) :]).sum(axis=1)
        jaccard = 1 - smaller / (2 - smaller)
        final[q] = jaccard * (1 - lambda_value) + original[q, len(queries) :] * lambda_value
    return final


def normalised_distances(items):
    """Squared distances; each column by its maximum, then transposed."""
    items = items.astype(np.float64)
    squared = np.array([((items - item) ** 2).sum(axis=1) for item in items])
    return (squared / squared.max(axis=0)).T


def reciprocal(rank, i, k):
    return {j for j in rank[i, : k + 1].tolist() if i in rank[j, : k + 1].tolist()}


def encoded(original, rank, k1):
    v = np.zeros_like(original)
    half = [reciprocal(rank, i, int(np.around(k1 / 2))) for i in range(len(v))]
    for i in range(len(v)):
        near = reciprocal(rank, i, k1)
        expanded = set(near)
        for candidate in near:
            if len(half[candidate] & near) > 2 / 3 * len(half[candidate]):
                expanded |= half[candidate]
        members = sorted(expanded)
        weight = np.exp(-original[i, members])
        v[i, members] = weight / weight.sum()
    return v
