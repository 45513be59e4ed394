"""CMC and mAP, exact, on anyone's features.

- ``evaluate_ranking``, ``evaluate_features``: from distances, or from features block by block.
- ``Protocol``, ``protocol``, ``evaluate_protocol``, ``select_gallery``: by the name of a protocol.
- ``chance``, ``chance_for_protocol``: what a random ranking scores, in closed form.
- ``bootstrap``, ``compare``: intervals over the test identities, and whether two models differ.
- ``verify``, ``verify_protocol``: pairs of one identity or two: ROC, TPR at FPR, EER.
- ``identify``, ``identify_protocol``: the open set: DIR at FAR.
- ``threshold_at_fpr``: a threshold chosen on labelled tracklets, with its interval.
- ``rerank``, ``rerank_rows``, ``Reranking``: distances re-ranked by k-reciprocal neighbours.
- ``format_table``: results side by side.
"""

from stgcn_pyg.evaluation.bootstrap import BootstrapResult, bootstrap, format_interval
from stgcn_pyg.evaluation.chance import chance
from stgcn_pyg.evaluation.compare import ComparisonResult, compare
from stgcn_pyg.evaluation.distances import pairwise_distances
from stgcn_pyg.evaluation.open_set import OpenSetResult, identify, identify_protocol
from stgcn_pyg.evaluation.protocols import (
    AGRL,
    CROSS_CAMERA,
    DUKE,
    FULL_GALLERY,
    MARS_OFFICIAL,
    PROTOCOLS,
    QUERY_FREE,
    Protocol,
    chance_for_protocol,
    evaluate_protocol,
    protocol,
    select_gallery,
)
from stgcn_pyg.evaluation.ranking import evaluate_features, evaluate_ranking
from stgcn_pyg.evaluation.rerank import Reranking, rerank, rerank_rows
from stgcn_pyg.evaluation.result import RankingResult
from stgcn_pyg.evaluation.tables import format_table
from stgcn_pyg.evaluation.thresholds import ThresholdAtFpr, threshold_at_fpr
from stgcn_pyg.evaluation.verification import VerificationResult, verify, verify_protocol

__all__ = [
    "AGRL",
    "CROSS_CAMERA",
    "DUKE",
    "FULL_GALLERY",
    "MARS_OFFICIAL",
    "PROTOCOLS",
    "QUERY_FREE",
    "BootstrapResult",
    "ComparisonResult",
    "OpenSetResult",
    "Protocol",
    "RankingResult",
    "Reranking",
    "ThresholdAtFpr",
    "VerificationResult",
    "bootstrap",
    "chance",
    "chance_for_protocol",
    "compare",
    "evaluate_features",
    "evaluate_protocol",
    "evaluate_ranking",
    "format_interval",
    "format_table",
    "identify",
    "identify_protocol",
    "pairwise_distances",
    "protocol",
    "rerank",
    "rerank_rows",
    "select_gallery",
    "threshold_at_fpr",
    "verify",
    "verify_protocol",
]
