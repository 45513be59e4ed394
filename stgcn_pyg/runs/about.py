"""What scores are of: which model on which data, by which clips.

Files of scores hold it under the key ``about``; tables say it in words above themselves. It is a
mapping of plain values, by these names as far as they are known:

version              of stgcn-pyg, by which the scores were computed
run, extraction, file  where the embeddings come from, as it was named
checkpoint_sha256    SHA-256 of the checkpoint; of the row ``trained`` where there are several rows
extraction_key       the key of the extraction
file_sha256          SHA-256 of the file of arrays
dataset, root, split  the data set, as it was named
test_clips, num_frames  which clips stood for a tracklet, and of how many frames
embedding            the kind of embedding
on_bad_frame, passed_over  what was done at bad images, and how many were replaced by others
reranking            k1, k2 and lambda_value of the row ``re-ranked``, or None
ranks                the k of the rank-k that were asked for
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
    """What scores are of, in one line, or two where there are re-ranked ones.

    Example:
        >>> print(in_words({"run": "runs/tiny", "checkpoint_sha256": 64 * "a", "dataset": "mars",
        ...     "root": "data/tiny", "split": 0, "test_clips": "all", "num_frames": 4,
        ...     "embedding": "normalized",
        ...     "reranking": {"k1": 20, "k2": 6, "lambda_value": 0.3}}))
        runs/tiny (checkpoint aaaaaaaaaaaa) on mars at data/tiny, split 0; all clips of 4 frames; \
normalized embeddings
        re-ranked: by k-reciprocal neighbours with k1 = 20, k2 = 6, lambda = 0.3
    """
    parts = [_source(about) + _data(about), *clips_in_words(about)]
    line = "; ".join(part for part in parts if part)
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
    return f"{about['extraction']}, embeddings of {run}" if "extraction" in about else run


def _short(about: Mapping[str, Any], name: str) -> str:
    return str(about.get(name, "unknown"))[:SHORT]


def _data(about: Mapping[str, Any]) -> str:
    if "dataset" not in about:
        return ""
    return f" on {about['dataset']} at {about.get('root')}, split {about.get('split')}"


def clips_in_words(about: Mapping[str, Any]) -> list[str]:
    """By which clips and embeddings, and how many bad images were replaced by other frames.

    Example:
        >>> clips_in_words({"test_clips": "first", "num_frames": 8, "embedding": "raw"})
        ['the first clip of 8 frames', 'raw embeddings']
    """
    parts = []
    if "test_clips" in about:
        clips = CLIPS.get(str(about["test_clips"]), f"clips {about['test_clips']}")
        frames = f" of {about['num_frames']} frames" if "num_frames" in about else ""
        parts.append(clips + frames)
    if "embedding" in about:
        parts.append(f"{about['embedding']} embeddings")
    if about.get("passed_over"):
        parts.append(f"bad images, replaced by other frames: {about['passed_over']}")
    return parts
