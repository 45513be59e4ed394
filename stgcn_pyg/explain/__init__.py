"""Why a model ranks as it does: activation maps, the learned graph, ranked lists, the embedding.

``EvaluatedModel`` is a model with its ranking of a test set. ``stgcn_pyg.figures`` draws the
numbers, and ``stgcn_pyg.explain.output`` writes both for a test set.
"""

from stgcn_pyg.errors import needs_extra

with needs_extra("report"):
    from stgcn_pyg.explain.activation_maps import (
        activation_maps,
        feature_maps_of,
        towards_identities,
        towards_tracklets,
    )
    from stgcn_pyg.explain.embedding_space import (
        distance_histogram,
        scores_by_camera_pair,
        scores_by_quartile,
        tsne,
    )
    from stgcn_pyg.explain.evaluated_model import EvaluatedModel
    from stgcn_pyg.explain.graphs import (
        learned_graphs,
        patch_distances,
        share_from_uncovered,
        strongest_edges,
        weight_by_stripe,
        weight_by_time,
    )
    from stgcn_pyg.explain.ranked_lists import choose_queries, ranked_list
    from stgcn_pyg.explain.rendered_truth import RenderedTruth, has_truth, mean_hidden
    from stgcn_pyg.explain.summary import (
        distance_between_patches,
        mass_on_person,
        weight_from_uncovered,
    )
    from stgcn_pyg.explain.tracklets import ExplainedTracklets, explain_tracklets

__all__ = [
    "EvaluatedModel",
    "ExplainedTracklets",
    "RenderedTruth",
    "activation_maps",
    "choose_queries",
    "distance_between_patches",
    "distance_histogram",
    "explain_tracklets",
    "feature_maps_of",
    "has_truth",
    "learned_graphs",
    "mass_on_person",
    "mean_hidden",
    "patch_distances",
    "ranked_list",
    "scores_by_camera_pair",
    "scores_by_quartile",
    "share_from_uncovered",
    "strongest_edges",
    "towards_identities",
    "towards_tracklets",
    "tsne",
    "weight_by_stripe",
    "weight_by_time",
    "weight_from_uncovered",
]
