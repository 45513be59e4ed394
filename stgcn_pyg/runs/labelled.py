"""Thresholds chosen on an extraction of labelled tracklets."""

import numpy as np
import pandas as pd

from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation import ThresholdAtFpr, protocol, threshold_at_fpr
from stgcn_pyg.runs.extraction import StoredEmbeddings


def has_identity(tracklets: pd.DataFrame) -> np.ndarray:
    """Which tracklets are neither junk nor distractors (pid 0, where no query has it), ``[N]``.

    Args:
        tracklets: N tracklets with ``pid``, ``is_query`` and ``is_train``.

    Example:
        >>> table = pd.DataFrame({"pid": [-1, 0, 4], "is_query": [False, False, True]})
        >>> has_identity(table.assign(is_train=False))
        array([False, False,  True])
    """
    pid = tracklets["pid"]
    zero = tracklets["is_train"] | bool((pid[tracklets["is_query"]] == 0).any())
    return ((pid > 0) | ((pid == 0) & zero)).to_numpy()


def require_same_model(
    stored: StoredEmbeddings, labelled: StoredEmbeddings, option: str = "--labelled"
) -> None:
    """Raises a UserError if the distances of two extractions cannot be compared."""
    for name in ("width", "checkpoint_sha256", "embedding"):
        one, other = (some.description.get(name) for some in (stored, labelled))
        if one != other:
            raise UserError(
                f"{option} {labelled.folder}: is of another model than {stored.folder} ({name} "
                f"is {other} there, {one} here): extract it by the same checkpoint"
            )


def require_identities(
    labelled: StoredEmbeddings, pids: np.ndarray, option: str = "--labelled "
) -> None:
    """Raises a UserError if there are fewer than two identities among those of an extraction."""
    if len(np.unique(pids)) < 2:
        raise UserError(
            f"{option}{labelled.folder}: holds fewer than two identities: extract tracklets "
            "whose identities are known"
        )


def choose_at_fpr(
    labelled: StoredEmbeddings,
    fpr: float,
    option: str = "--labelled ",
    resamples: int = 10_000,
) -> ThresholdAtFpr:
    """The threshold for a wanted FPR among the labelled tracklets, by their data set's protocol.

    Args:
        labelled: The extraction.
        fpr: The wanted share of the impostor pairs.
        option: The option that names the extraction, for messages.
        resamples: The number of resamples, for the interval.

    Raises:
        UserError: Too few identities are known, or they have too few pairs for that FPR.
    """
    known = has_identity(labelled.tracklets)
    pids, camids = (labelled.tracklets[name].to_numpy()[known] for name in ("pid", "camid"))
    require_identities(labelled, pids, option)
    names = labelled.description["protocols"]
    same_camera = protocol(names[0]).same_camera if names else "person"
    features = labelled.embeddings[known]
    try:
        return threshold_at_fpr(features, pids, camids, fpr, same_camera, resamples=resamples)
    except ValueError as error:
        raise UserError(f"{option}{labelled.folder}: {error}") from error
