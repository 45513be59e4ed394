"""Short codes of a segment's embeddings, from which distances are estimated.

Each embedding, less the mean of its segment, is kept as the signs of its channels and two numbers
(RaBitQ): one bit for 32. How far the estimates are off is measured when the codes are made.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from stgcn_pyg.errors import UserError, needs_extra
from stgcn_pyg.evaluation.arrays import slices
from stgcn_pyg.search.engine import Found
from stgcn_pyg.search.exact import Part, nearest

with needs_extra("search"):
    import faiss

FORMAT = 2  # 1 measured near neighbours alone, and missed others
AGAIN = (
    ": make the codes again with `stgcn index --output GALLERY --codes`, or search the gallery "
    "exactly (--exact)"
)
FEWEST_ROWS = 1024  # fewer are compared sooner than codes of them are searched
RECALL = 0.999  # at least, of the neighbours on which codes are checked
NEIGHBOURS = 20  # of each embedding on which codes are checked
_SAMPLE = 200  # embeddings that measure the error and check it, half of them each
_DEVIATIONS = 4  # of the errors of estimates, above their mean, that are allowed for
_ROUNDING = 1e-5  # of an estimate, which is in float32
_MOST_CANDIDATES = 2048  # that a search of codes begins with
# Bits of a query's channels. 0 keeps them as they are and takes 400 times as long.
# With "centered", 4 bits are about as exact as 8, which take 1.6 times as long.
_QUERY = {"qb": 4, "centered": True}
_NUMBERS = 2**23  # of the embeddings that are read at a time


@dataclass(frozen=True)
class CodeFacts:
    """What was measured when the codes of a segment were made.

    Attributes:
        rows: The number of embeddings, n.
        width: Their length D.
        floor: The largest error of the estimates of equal embeddings, over the query's distance to
            the segment's mean.
        rate: How much the errors grow with the distance that is estimated.
        slack: How many times :meth:`noise` an estimate is allowed to be too large.
        candidates: How many embeddings of the segment a search begins with: enough for 95 of 100.
        recall: The share found of the 20 nearest of embeddings that ``slack`` was not chosen on.
        queries: The number of those embeddings.
    """

    rows: int
    width: int
    floor: float
    rate: float
    slack: float
    candidates: int
    recall: float
    queries: int

    def noise(self, distances: np.ndarray) -> np.ndarray:
        """The usual error of the estimates of squared distances, over the query's to the mean.

        With c the mean, a code knows the direction of x - c but for an error, of which only the
        part across q - c counts. So the error is proportional to how far x is from the line
        through q and c, which is at most its distance from q.
        """
        return np.hypot(self.floor, self.rate * distances)


class Codes:
    """The codes of the n embeddings of a segment.

    Attributes:
        facts: What was measured when they were made.
    """

    def __init__(self, index: "faiss.IndexRaBitQ", facts: CodeFacts):
        self.facts = facts
        self._index = index
        self._mean = faiss.vector_to_array(index.center)

    @classmethod
    def of(cls, embeddings: np.ndarray) -> "Codes":
        """Makes the codes of embeddings ``[n, D]``, a piece of which is read at a time.

        Half of a sample of the embeddings measures how far the estimates of the distances to their
        20 nearest and to the others of the sample are too large; four standard deviations above the
        mean of that are allowed for, or the largest, in proportion to the distance
        (:meth:`CodeFacts.noise`). The other half checks how many of its 20 nearest are found so,
        and how many of the others would be. If either is less than 0.999, more is allowed for.

        Source: Gao and Long, RaBitQ, SIGMOD 2024; Douze et al., The Faiss library, 2024.

        Example:
            >>> embeddings = np.random.default_rng(0).random((2000, 64), dtype=np.float32)
            >>> codes = Codes.of(embeddings)
            >>> codes.facts.recall >= 0.999, codes.facts.queries
            (True, 100)
        """
        rows, width = embeddings.shape
        index = faiss.IndexRaBitQ(width)
        total = sum(piece.sum(axis=0, dtype=np.float64) for piece in _pieces(embeddings))
        index.train((total / rows).astype(np.float32)[None])  # the mean of one is itself
        for piece in _pieces(embeddings):
            index.add(piece)
        unknown = CodeFacts(rows, width, 0.0, 0.0, slack=0.0, candidates=0, recall=0.0, queries=0)
        return cls(index, cls(index, unknown)._measured(embeddings))

    def _measured(self, embeddings: np.ndarray) -> CodeFacts:
        rows, width = embeddings.shape
        sample = np.linspace(0, rows - 1, min(_SAMPLE, rows)).astype(np.int64)
        queries = np.stack([embeddings[row] for row in sample]).astype(np.float32)
        pieces = zip(_row_slices(embeddings), _pieces(embeddings), strict=True)
        parts = (Part(np.arange(rows)[some], piece) for some, piece in pieces)
        spread = self.spread(queries)
        near = self._errors(queries, nearest(queries, parts, min(NEIGHBOURS + 1, rows)))
        far = self._errors(queries, nearest(queries, [Part(sample, queries)], len(sample)))
        measure, check = slice(0, None, 2), slice(1, None, 2)

        both = [(errors[measure], distances[measure]) for _, errors, distances in (near, far)]
        of_equal = np.concatenate([errors[distances == 0] for errors, distances in both])
        floor = float(max(np.abs(of_equal).max(initial=0), _ROUNDING * np.median(spread)))
        rates = [
            _root_mean_square(errors) / (_root_mean_square(distances) or np.inf)
            for errors, distances in both
        ]
        rate = max(*rates, float(np.finfo(np.float32).tiny))  # of equal embeddings it would be 0
        known = CodeFacts(rows, width, floor, rate, slack=1.0, candidates=0, recall=0.0, queries=0)

        def in_noise(errors: np.ndarray, distances: np.ndarray) -> np.ndarray:
            return errors / known.noise(distances)

        ratios = [in_noise(*pairs) for pairs in both]
        slack = max(1.0, *(max(r.max(), r.mean() + _DEVIATIONS * r.std()) for r in ratios))
        # What a neighbour needs to be among the nearest, and any other if it were the farthest.
        ids, errors, distances = near
        last = distances[:, -1:]
        needed = in_noise(errors + (distances**2 - last**2) / spread[:, None], last)
        checked = needed[check][ids[check] != sample[check, None]]
        for pairs in (checked, in_noise(*(array[check] for array in far[1:]))):
            if (pairs <= slack).mean() < RECALL:
                slack = 1.25 * pairs.max()
        known = replace(known, slack=float(slack))
        limits = last[:, 0] ** 2 + known.slack * spread * known.noise(last[:, 0])
        estimates, _ = self.nearest(queries, min(rows, _MOST_CANDIDATES))
        counts = (estimates <= limits[:, None]).sum(axis=1)
        return replace(
            known,
            candidates=int(np.quantile(counts, 0.95, method="higher")),
            recall=float((checked <= slack).mean()),
            queries=len(sample[check]),
        )

    def _errors(
        self, queries: np.ndarray, found: Found
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ids, errors and distances of what was found for each query, ``[Q, K]``.

        The error is how much the estimate of the squared distance is too large, over the query's
        distance to the mean.
        """
        distances = found.distances.astype(np.float64)
        estimates = [self._estimates(*pair) for pair in zip(queries, found.ids, strict=True)]
        errors = (np.stack(estimates) - distances**2) / self.spread(queries)[:, None]
        return found.ids, errors, distances

    def spread(self, queries: np.ndarray) -> np.ndarray:
        """The distance of each query to the mean, ``[Q]``."""
        spread = np.linalg.norm(queries.astype(np.float64) - self._mean, axis=1)
        return np.maximum(spread, np.finfo(np.float32).tiny)

    def _estimates(self, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The estimates of squared distances to some rows, in their order."""
        allowed = np.zeros(self.facts.rows, dtype=bool)
        allowed[rows] = True
        estimates, found = self.nearest(query[None], len(rows), allowed)
        order = np.argsort(found[0])
        return estimates[0, order][np.argsort(np.argsort(rows))]

    def slack(self, spread: np.ndarray, distances: np.ndarray) -> np.ndarray:
        """How far an estimate may be above the square of a distance, for each query.

        Args:
            spread: The distance of each query to the mean, ``[Q]``.
            distances: A distance for each query, ``[Q]``.
        """
        return self.facts.slack * spread * self.facts.noise(distances) + _ROUNDING * spread**2

    def nearest(
        self, queries: np.ndarray, count: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The rows of the lowest estimates for each query.

        Args:
            queries: ``[Q, D]`` of float32.
            count: Number of rows to find.
            allowed: Which rows may be found, a boolean ``[n]``; None: all.

        Returns:
            The estimates of the squared distances ``[Q, count]``, ascending, and the rows; infinity
            and -1 where there are no more.
        """
        chosen: dict[str, Any] = dict(_QUERY)
        if allowed is not None:
            selector: Any = faiss.IDSelectorBitmap  # its types are those of C++
            chosen["sel"] = selector(np.packbits(allowed, bitorder="little"))
        parameters = faiss.RaBitQSearchParameters(**chosen)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        estimates, rows = self._index.search(queries, count, params=parameters)
        estimates[rows < 0] = np.inf  # FAISS gives the largest number
        return estimates, rows

    def to_bytes(self) -> bytes:
        """The content of a file of codes."""
        facts = {"format": FORMAT, **asdict(self.facts)}
        return save({"index": faiss.serialize_index(self._index)}, {"facts": json.dumps(facts)})

    @classmethod
    def from_bytes(cls, name: str, content: bytes) -> "Codes":
        """The codes in the content of a file; raises a UserError that begins with its name."""
        try:
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            facts = json.loads(header["__metadata__"]["facts"])
            if facts.pop("format") != FORMAT:
                raise UserError(f"{name}: codes of another version than {FORMAT}{AGAIN}")
            index: Any = faiss.deserialize_index(load(content)["index"])
            return cls(index, CodeFacts(**facts))
        except (SafetensorError, ValueError, LookupError, TypeError, RuntimeError) as error:
            raise UserError(f"{name}: damaged or no codes{AGAIN}") from error


def _row_slices(embeddings: np.ndarray) -> list[slice]:
    return slices(0, len(embeddings), max(1, _NUMBERS // embeddings.shape[1]))


def _pieces(embeddings: np.ndarray) -> Iterator[np.ndarray]:
    for rows in _row_slices(embeddings):
        yield np.ascontiguousarray(embeddings[rows], dtype=np.float32)


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0
