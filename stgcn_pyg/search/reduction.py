"""Shorter embeddings: their principal components, in half precision."""

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from stgcn_pyg.errors import UserError
from stgcn_pyg.evaluation.arrays import slices

_MOST_ROWS = 20_000  # that the components are computed from


class Reduction:
    """The first D' principal components of embeddings of D numbers.

    Attributes:
        mean: Mean of the embeddings that they were computed from, ``[D]`` float32.
        axes: The components, orthonormal, ``[D', D]`` float32.
    """

    def __init__(self, mean: np.ndarray, axes: np.ndarray):
        self.mean, self.axes = mean, axes

    @property
    def width(self) -> int:
        """D', the number of components."""
        return len(self.axes)

    @classmethod
    def of(cls, embeddings: np.ndarray, width: int) -> "Reduction":
        """Computes the first ``width`` components of embeddings ``[N, D]``, of 20,000 at most.

        Raises:
            UserError: There are fewer embeddings or numbers in one than that.

        Example:
            >>> points = np.float32([[0, 0, 1], [1, 1, 1], [2, 2, 1]])
            >>> reduced = Reduction.of(points, 1).apply(points)
            >>> np.abs(np.diff(reduced, axis=0)).round(3).ravel().tolist(), reduced.dtype.name
            ([1.4140625, 1.4140625], 'float16')
        """
        from sklearn.decomposition import PCA  # takes a second; a gallery that is open needs none

        some = embeddings[:: -(-len(embeddings) // _MOST_ROWS) or 1]
        most = min(len(some), embeddings.shape[1])
        if width > most:
            raise UserError(
                f"--reduce {width}: {len(embeddings):,} embeddings of {embeddings.shape[1]:,} "
                f"numbers have {most:,} components at most: pass fewer"
            )
        found = PCA(width, random_state=0).fit(some)
        return cls(found.mean_.astype(np.float32), found.components_.astype(np.float32))

    def apply(self, embeddings: np.ndarray) -> np.ndarray:
        """The components of embeddings ``[N, D]``: ``[N, D']`` float16."""
        result = np.empty((len(embeddings), self.width), dtype=np.float16)
        for rows in slices(0, len(embeddings), 1024):
            result[rows] = (embeddings[rows] - self.mean) @ self.axes.T
        return result

    def to_bytes(self) -> bytes:
        """The content of a file of it."""
        rows = np.concatenate([self.mean[None], self.axes])
        # save writes the numbers as they lie in memory, whatever the order of the axes.
        return save({"mean and axes": np.ascontiguousarray(rows)})

    @classmethod
    def from_bytes(cls, name: str, content: bytes) -> "Reduction":
        """The one in the content of a file; raises a UserError that begins with its name."""
        try:
            rows = load(content)["mean and axes"]
        except (SafetensorError, LookupError) as error:
            raise UserError(f"{name}: damaged: index its extractions into a new gallery") from error
        return cls(rows[0], rows[1:])
