"""Identities across cameras: which tracklets show one person.

- ``link_tracklets``: clusters of tracklets whose embeddings are near, none of which holds two that
  are seen by one camera at one time.
- ``choose_threshold``: the distance up to which clusters are merged, chosen on labelled tracklets.
- ``centred_by_camera``: embeddings without what all tracklets of a camera have in common.
- ``merge_tree``, ``cut_tree``: all merges, and the clusters at any threshold.
"""

from stgcn_pyg.linking.centring import centred_by_camera
from stgcn_pyg.linking.threshold import ChosenThreshold, choose_threshold
from stgcn_pyg.linking.tree import cut_tree, link_tracklets, merge_tree

__all__ = [
    "ChosenThreshold",
    "centred_by_camera",
    "choose_threshold",
    "cut_tree",
    "link_tracklets",
    "merge_tree",
]
