"""The evaluation protocols of the field, by name: on MARS alone, "mAP" is four numbers.

Sources: ``mars-official`` is ``CM_evaluation.m`` in github.com/liangzheng06/MARS-evaluation;
``query-free`` the ``mars.py`` and ``rank.py`` of github.com/KaiyangZhou/deep-person-reid;
``agrl`` is ``evaluate_mars`` in ``torchreid/metrics/rank.py`` of github.com/weleen/AGRL.pytorch,
which sorts the whole gallery with its junk, keeps 50 places, and only then skips junk and
same-camera views; its AP divides by all matches, and a match beyond the cut is a miss in its CMC.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from stgcn_pyg.evaluation.arrays import Array, to_integers, to_numpy
from stgcn_pyg.evaluation.candidates import JUNK, Labels, check_labels
from stgcn_pyg.evaluation.chance import expectation
from stgcn_pyg.evaluation.distances import Metric
from stgcn_pyg.evaluation.ranking import rank_distances, rank_features
from stgcn_pyg.evaluation.rerank import Reranking, rerank
from stgcn_pyg.evaluation.result import AveragePrecision, RankingResult, SameCamera, Scoring


@dataclass(frozen=True)
class Protocol:
    """What is ranked and how it is scored.

    Attributes:
        name: The name that results carry.
        description: One sentence.
        ap: The average precision, ``"step"`` or ``"trapezoid"``.
        same_camera: What is left out of a query's list: ``"person"``, the same identity in the
            same camera, or ``"all"``, everything of the query's camera.
        keep_junk: Whether pid -1 is kept in the gallery. It is never ranked; it counts in the
            gallery's size and takes places where ``depth`` cuts.
        keep_queries: Whether the query tracklets are kept in the gallery, as matches of each other.
        depth: The number of places after which lists are cut, or None.
    """

    name: str
    description: str
    ap: AveragePrecision = "step"
    same_camera: SameCamera = "person"
    keep_junk: bool = False
    keep_queries: bool = True
    depth: int | None = None


MARS_OFFICIAL = Protocol(
    "mars-official",
    "MARS's own MATLAB code: whole gallery, junk and same-camera views ignored, trapezoid AP.",
    ap="trapezoid",
    keep_junk=True,
)
FULL_GALLERY = Protocol(
    "full-gallery",
    "Junk dropped, queries kept in the gallery, step AP: AP3D, TCLNet, BiCnet, PSTA, TF-CLIP.",
)
QUERY_FREE = Protocol(
    "query-free",
    "Junk and queries dropped, step AP: torchreid, Video-Person-ReID, MGH.",
    keep_queries=False,
)
AGRL = Protocol(
    "agrl",
    "As mars-official, but lists are cut after 50 places, junk and same-camera views included.",
    ap="trapezoid",
    keep_junk=True,
    depth=50,
)
DUKE = Protocol(
    "duke",
    "DukeMTMC-VideoReID: the gallery as its folder gives it, without junk, step AP.",
)
CROSS_CAMERA = Protocol(
    "cross-camera",
    "Only other cameras than the query's are ranked, step AP: iLIDS-VID, PRID-2011, WARD.",
    same_camera="all",
)

PROTOCOLS = (MARS_OFFICIAL, FULL_GALLERY, QUERY_FREE, AGRL, DUKE, CROSS_CAMERA)


def protocol(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        ValueError: No protocol has that name; the message lists the names.

    Example:
        >>> protocol("query-free").keep_queries
        False
    """
    for known in PROTOCOLS:
        if known.name == name:
            return known
    names = ", ".join(known.name for known in PROTOCOLS)
    raise ValueError(f"protocol {name!r} is unknown: give one of {names}")


def select_gallery(
    protocol: Protocol, gallery_pids: Array, gallery_is_query: Array | None = None
) -> np.ndarray:
    """The gallery items that the protocol ranks against: a boolean mask ``[G]``.

    Args:
        protocol: The protocol, which says what to keep.
        gallery_pids: Identities of the gallery ``[G]``; -1 is junk.
        gallery_is_query: ``[G]``, true where the item is also a query. Needed only where the
            protocol takes the queries out.

    Raises:
        ValueError: ``gallery_pids`` are not integers ``[G]``, or ``gallery_is_query`` is needed and
            missing, or not a boolean ``[G]``.

    Example:
        >>> select_gallery(QUERY_FREE, [-1, 0, 4, 4], [False, False, True, False])
        array([False,  True, False,  True])
    """
    pids = to_integers("gallery_pids", gallery_pids)
    keep = np.ones(len(pids), dtype=bool)
    if not protocol.keep_junk:
        keep &= pids != JUNK
    if not protocol.keep_queries:
        if gallery_is_query is None:
            raise ValueError(
                f"{protocol.name} takes the queries out of the gallery: pass gallery_is_query, "
                "a boolean a gallery item that is true where the item is also a query"
            )
        is_query = to_numpy(gallery_is_query)
        if is_query.dtype != bool or is_query.shape != keep.shape:
            raise ValueError(
                f"gallery_is_query must be {len(keep)} booleans, one a gallery item, "
                f"got {is_query.dtype} of shape {list(is_query.shape)}"
            )
        keep &= ~is_query
    return keep


def evaluate_protocol(
    protocol: Protocol,
    query_features: Array,
    gallery_features: Array,
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    gallery_is_query: Array | None = None,
    metric: Metric = "euclidean",
    max_rank: int = 50,
    block_size: int = 512,
    device: torch.device | str | None = None,
    reranking: Reranking | None = None,
) -> RankingResult:
    """CMC and mAP of features under a protocol, whose name the result carries.

    Args:
        protocol: One of ``PROTOCOLS``, or one of your own.
        query_features, gallery_features: ``[Q, D]`` and ``[G, D]``; the gallery *before* the
            protocol selects from it.
        query_pids, gallery_pids, query_camids, gallery_camids: Integers, as in
            :func:`evaluate_ranking`.
        gallery_is_query: As in :func:`select_gallery`.
        metric, max_rank, block_size, device: As in :func:`evaluate_features`.
        reranking: Parameters of :func:`rerank`, to re-rank by the neighbours that queries and the
            selected gallery share; None: do not re-rank.

    Returns:
        A result whose ``num_gallery`` is the size after the selection.

    Raises:
        ValueError: As :func:`evaluate_features`, :func:`select_gallery` and :func:`rerank`.

    Warns:
        UserWarning: Some queries have no match; mAP and CMC are means over the others.

    Example:
        >>> result = evaluate_protocol(FULL_GALLERY, [[0.0]], [[0.1], [0.2], [0.3]],
        ...                            [4], [-1, 4, 0], [1], [2, 2, 2])
        >>> result.mAP, result.num_gallery, result.protocol
        (1.0, 2, 'full-gallery')
    """
    features = query_features, gallery_features
    labels = check_labels(query_pids, gallery_pids, query_camids, gallery_camids, features)
    labels, scoring = _under(protocol, labels, gallery_is_query, max_rank)
    if reranking is None:
        # The features are not copied: those that are kept may take gigabytes.
        return rank_features(*features, labels, scoring, metric, block_size, device)
    keep = labels.listed
    kept = to_numpy(gallery_features)[keep]
    distances = rerank(query_features, kept, *reranking, metric, device=device)
    return rank_distances(distances.numpy(), labels.of_gallery(keep), scoring)


def chance_for_protocol(
    protocol: Protocol,
    query_pids: Array,
    gallery_pids: Array,
    query_camids: Array,
    gallery_camids: Array,
    gallery_is_query: Array | None = None,
    max_rank: int = 50,
) -> RankingResult:
    """:func:`chance` under a protocol: the row to print below :func:`evaluate_protocol`'s.

    Args:
        protocol, gallery_is_query: As in :func:`select_gallery`.
        query_pids, gallery_pids, query_camids, gallery_camids, max_rank: As in :func:`chance`.

    Raises:
        ValueError: As :func:`chance` and :func:`select_gallery`.

    Warns:
        UserWarning: Some queries have no match; mAP and CMC are means over the others.

    Example:
        >>> chance_for_protocol(CROSS_CAMERA, [7], [7, 5, 5], [1], [2, 2, 1]).mAP
        0.75
    """
    labels = check_labels(query_pids, gallery_pids, query_camids, gallery_camids)
    return expectation(*_under(protocol, labels, gallery_is_query, max_rank))


def _under(
    protocol: Protocol, labels: Labels, gallery_is_query: Array | None, max_rank: int
) -> tuple[Labels, Scoring]:
    """The labels with the gallery that a protocol selects, and how it scores."""
    keep = select_gallery(protocol, labels.gallery_pids, gallery_is_query)
    scoring = Scoring(protocol.ap, max_rank, protocol.same_camera, protocol.depth, protocol.name)
    return replace(labels, listed=keep), scoring
