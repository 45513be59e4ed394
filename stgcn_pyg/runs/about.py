"""What scores are of: which model on which data, by which clips.

Files of scores hold it under the key ``about``, as plain values, and tables say it in words above
themselves. The names are described in docs/protocols.md; those that are not known are left out.
"""

from collections.abc import Mapping
from typing import Any

ABOUT = "about"
SHORT = 12  # digits of a digest

CLIPS = {
    "all": "all clips",
    "consecutive": "consecutive clips",
    "first": "the first clip",
    "even": "one clip spread evenly,",
}


def split_about(content: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits the content of a file of scores into ``about`` and the scores by protocol and row.

    Files of an earlier version have no ``about``.

    Example:
        >>> split_about({"about": {"run": "runs/tiny"}, "duke": {"trained": {"mAP": 0.5}}})
        ({'run': 'runs/tiny'}, {'duke': {'trained': {'mAP': 0.5}}})
        >>> split_about({"duke": {"trained": {"mAP": 0.5}}})[0]
        {}
    """
    scores = {name: value for name, value in content.items() if name != ABOUT}
    about = content.get(ABOUT)
    return (about if isinstance(about, dict) else {}), scores


def in_words(about: Mapping[str, Any]) -> str:
    """What scores are of, in one line, and in a second one how a row was re-ranked.

    Example:
        >>> print(in_words({"run": "runs/tiny", "checkpoint_sha256": 64 * "a", "dataset": "mars",
        ...     "root": "data/tiny", "split": 0, "test_clips": "all", "num_frames": 4,
        ...     "embedding": "normalized",
        ...     "reranking": {"k1": 20, "k2": 6, "lambda_value": 0.3}}))
        runs/tiny (checkpoint aaaaaaaaaaaa) on mars at data/tiny, split 0; all clips of 4 frames; \
normalized embeddings
        re-ranked: by k-reciprocal neighbours with k1 = 20, k2 = 6, lambda = 0.3
    """
    line = "; ".join([_source(about), *clips_in_words(about)])
    reranking = about.get("reranking")
    if not isinstance(reranking, dict):
        return line
    k1, k2, weight = (reranking.get(name) for name in ("k1", "k2", "lambda_value"))
    by = f"by k-reciprocal neighbours with k1 = {k1}, k2 = {k2}, lambda = {weight}"
    return f"{line}\nre-ranked: {by}"


def _source(about: Mapping[str, Any]) -> str:
    if "file" in about:
        return f"{about['file']} (SHA-256 {_short(about, 'file_sha256')})"
    run = str(about.get("run", "a run"))
    if "checkpoint_sha256" in about:
        run += f" (checkpoint {_short(about, 'checkpoint_sha256')})"
    source = f"{about['extraction']}, embeddings of {run}" if "extraction" in about else run
    if "dataset" not in about:
        return source
    return f"{source} on {about['dataset']} at {about.get('root')}, split {about.get('split')}"


def _short(about: Mapping[str, Any], name: str) -> str:
    return str(about.get(name, "unknown"))[:SHORT]


def clips_in_words(about: Mapping[str, Any]) -> list[str]:
    """The clips, the kind of embedding, what computed it, and how many bad images were replaced.

    Example:
        >>> clips_in_words({"test_clips": "first", "num_frames": 8, "embedding": "raw"})
        ['the first clip of 8 frames', 'raw embeddings']
        >>> clips_in_words({"backend": "torch", "precision": "bfloat16"})
        ['computed by torch in bfloat16']
    """
    parts = []
    if "test_clips" in about:
        clips = CLIPS.get(str(about["test_clips"]), f"clips {about['test_clips']}")
        frames = f" of {about['num_frames']} frames" if "num_frames" in about else ""
        parts.append(clips + frames)
    if "embedding" in about:
        parts.append(f"{about['embedding']} embeddings")
    if "backend" in about:
        parts.append(f"computed by {about['backend']} in {about.get('precision')}")
    if about.get("passed_over"):
        parts.append(f"bad images, replaced by other frames: {about['passed_over']}")
    return parts
