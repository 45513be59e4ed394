"""Table 3's "Ensemble": the similarity scores of two models, added."""

from collections.abc import Sequence

import numpy as np

from stgcn_pyg.evaluation import pairwise_distances


def sum_of_distances(features: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Distances by which several models rank together; a model's scores are minus its distances.

    Args:
        features: Of each model, those of the queries ``[Q, D]`` and of the gallery ``[G, D]``; D
            may differ from model to model.

    Returns:
        ``[Q, G]`` of float32.

    Example:
        >>> model = np.array([[0.0]]), np.array([[3.0], [1.0]])
        >>> sum_of_distances([model, model])
        array([[6., 2.]], dtype=float32)
    """
    return np.sum(
        [pairwise_distances(query, gallery).numpy() for query, gallery in features], axis=0
    )
