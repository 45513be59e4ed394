"""Exact distances between features, at little more than the cost of float32 products.

A matrix product in float32 gives every distance roughly, with a bound on its error. Where that
leaves a question open (which of two items is nearer? how is this distance rounded?), the sum of
squared differences in float64 answers it. So all results are functions of the features alone: no
block size, number of threads or device changes a bit, and equal pairs have equal distances.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from stgcn_pyg.evaluation.arrays import (
    Array,
    check_known,
    check_rows,
    in_threads,
    slices,
    to_tensor,
)

Metric = Literal["euclidean", "cosine"]

_DECIMALS = 12  # of similarities: rows nearer than 1e-6 of their length are at distance 0
_TINY = torch.finfo(torch.float64).tiny  # stands in for a length of 0
_TILE = 1024  # rows and columns of a product, so that its factors and its result fit a cache
STRIP = 64  # rows of a block that a thread works through at a time
_ELEMENTS = 2**16  # float64 numbers that a thread computes at a time, for its cache
_ELEMENTS_ON_A_GPU = 2**25  # the same on a GPU, which each piece makes wait for the host
_CHANNELS = 8192  # added up at a time: a BLAS splits more among its threads, and rounds otherwise
_LEAST, _MOST = 2.0**-30, 2.0**30  # lengths whose squares float32 takes without loss


def pairwise_distances(a: Array, b: Array, metric: Metric = "euclidean") -> Tensor:
    r"""The distance of every row of ``a`` to every row of ``b``.

    .. math::
        d_\text{euclidean} = \lVert a_i - b_j \rVert_2, \qquad
        d_\text{cosine} = 1 - \frac{a_i \cdot b_j}{\lVert a_i \rVert \lVert b_j \rVert}

    Distances are computed in float64 and rounded to float32. Before that, the squared distance is
    rounded to a multiple of 1e-12 of :math:`\lVert a_i \rVert^2 + \lVert b_j \rVert^2`, and the
    cosine distance to 12 decimals, so that rows nearer than about 1e-6 of their length are at
    distance 0 and tie. A row of zeros has cosine distance 1.

    Args:
        a: Features ``[A, D]``, array or tensor of any float type.
        b: Features ``[B, D]``; the distances are computed on the device of ``a``.
        metric: ``"euclidean"`` or ``"cosine"``.

    Returns:
        Distances ``[A, B]``, float32, never negative.

    Raises:
        ValueError: An unknown metric, features that are not ``[A, D]`` and ``[B, D]``, or that are
            not finite, or distances beyond float32.

    Example:
        >>> pairwise_distances([[0.0, 0.0]], [[3.0, 4.0], [0.0, 0.0]])
        tensor([[5., 0.]])
    """
    a = to_tensor(a)
    distances = Distances(a, to_tensor(b, a.device), metric, names=("a", "b"))
    return torch.from_numpy(distances.matrix()).to(a.device)


class Tile(NamedTuple):
    """Some rows less a common centre, ``[M, D]``, and their squared lengths ``[M]``, float64."""

    values: Tensor
    squares: Tensor


class Distances:
    r"""Exact distances of the rows of ``a`` to the rows of ``b``, computed when asked for.

    All follow from the sums of squared differences

    .. math::
        s_{ij} = \sum_k (a_{ik} - b_{jk})^2,

    the Euclidean distance as their root. For the cosine, a and b are first divided by their
    lengths, and the distance is s / 2, where a row of zeros, which has no direction, adds 1 to s.

    Attributes:
        a, b: The rows, of which :meth:`rough` takes tiles.
        shape: A and B.
        bounds: ``[A]`` float64: how far any float32 s of :meth:`rough` can be off in each row.
        unit: What distances are multiples of: a power of two, other than 1 only for features
            whose squares float32 cannot hold.

    Args:
        a: Features ``[A, D]``, float32 or float64.
        b: Features ``[B, D]`` on the same device; ``a`` itself for distances within one set.
        metric: ``"euclidean"`` or ``"cosine"``.
        device: Where matrix products run; None: where the features are.
        terms: Channels that a float32 product adds up before their sum joins the others: the fewer,
            the tighter the bound and the slower the product.
        names: What messages call a and b.

    Raises:
        ValueError: An unknown metric; features of other shapes, or that are not finite.
    """

    def __init__(
        self,
        a: Tensor,
        b: Tensor,
        metric: Metric = "euclidean",
        device: torch.device | str | None = None,
        terms: int = 512,
        names: tuple[str, str] = ("query_features", "gallery_features"),
    ):
        check_features(a, b, metric)
        self.shape, self.metric, self.terms = (len(a), len(b)), metric, terms
        self.device = a.device if device is None else torch.device(device)
        self.a = _Rows(a, metric, names[0])
        self.b = self.a if b is a else _Rows(b, metric, names[1])
        sides = [self.a] if b is a else [self.a, self.b]
        longest = max(side.longest for side in sides)
        plain = metric == "cosine" or longest == 0 or _LEAST < longest < _MOST
        self.unit = 1.0 if plain else 2.0 ** int(np.frexp(longest)[1])
        # Differences do not change when all is shifted, but the rounding of a product shrinks.
        centre = self.b.middle() / self.unit
        for side in sides:
            side.prepare(self.unit, centre, self.device)
        width = a.shape[1]
        error = (min(width, terms) + -(-width // terms) + 24) * 2.0**-24
        self.bounds = self._bounds(self.a.squares, error) + width * 2.0**-120

    def _bounds(self, squares: Tensor, error: float) -> Tensor:
        """How far s of a product can be off in rows of these squared lengths.

        A sum of n products, in any order, is off by at most :math:`n u |a_i| |b_j|` with u the unit
        roundoff (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1); a few more u
        cover the centring, the squared lengths, the sums with them and the rounding of a distance.
        """
        return error * (squares + self.b.squares.max()) if self.shape[1] else squares

    def limits(self, rows: slice, distances: Tensor) -> tuple[Tensor, Tensor]:
        """The s of :meth:`rough` that are certainly below and above distances ``[M, N]``."""
        squares = distances * 2 if self.metric == "cosine" else distances.square()
        totals = torch.from_numpy(self.a.totals[rows] + self.b.totals.max()).to(self.device)
        margin = (self.bounds[rows] + totals * 10.0**-_DECIMALS)[:, None]
        return squares - margin, squares + margin

    def of_pairs(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """The exact s of M pairs: ``[M]``, float64."""
        squares, width = np.empty(len(row)), max(1, self.a.values.shape[1])

        def fill(part: slice) -> None:
            squares[part] = _sums_of_squares(self.a.pick(row[part]), self.b.pick(column[part]))

        on_cpu = self.a.values.device.type == "cpu"
        elements = _ELEMENTS if on_cpu else _ELEMENTS_ON_A_GPU
        in_threads(fill, slices(0, len(row), max(1, elements // width)), width * len(row))
        return squares + self.a.zeros[row] + self.b.zeros[column]

    def of(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """The distances of M pairs, float32, as :func:`pairwise_distances` rounds them."""
        return self._rounded(self.of_pairs(row, column), row, column)

    def block(self, rows: slice, columns: slice, scale: np.ndarray | None = None) -> np.ndarray:
        """Some of :func:`pairwise_distances`: ``[M, N]``, float32.

        Args:
            rows, columns: M rows of ``a`` and N of ``b``, with a start and a stop.
            scale: ``[A]``: what to divide s by, and give that in place of the distance.
        """
        left, right = self.a.tile(rows, torch.float64), self.b.tile(columns, torch.float64)
        error = (left.values.shape[1] + 32) * 2.0**-53
        bounds = self._bounds(left.squares, error).cpu().numpy()[:, None]
        rough = self.rough(left, right).cpu().numpy()
        block = np.empty(rough.shape, dtype=np.float32)

        def round_rows(part: slice) -> np.ndarray:
            row, column = np.ogrid[rows.start + part.start : rows.start + part.stop, columns]
            low = np.maximum(rough[part] - bounds[part], 0)
            block[part] = self._rounded(low, row, column, scale)
            doubtful = block[part] != self._rounded(rough[part] + bounds[part], row, column, scale)
            return np.argwhere(doubtful) + np.array([part.start, 0])

        parts = slices(0, len(rough), max(1, _ELEMENTS // max(1, rough.shape[1])))
        doubtful = np.concatenate(in_threads(round_rows, parts, 8 * rough.size)).T
        pair = doubtful[0] + rows.start, doubtful[1] + columns.start
        block[tuple(doubtful)] = self._rounded(self.of_pairs(*pair), *pair, scale)
        return block

    def matrix(self) -> np.ndarray:
        """All of :func:`pairwise_distances`: ``[A, B]``."""
        result = np.empty(self.shape, dtype=np.float32)
        for rows in slices(0, len(result), _TILE):
            for columns in slices(0, result.shape[1], _TILE):
                result[rows, columns] = self.in_full(self.block(rows, columns))
        return result

    def in_full(self, distances: np.ndarray) -> np.ndarray:
        """Distances times their unit, float32; a ValueError where one is beyond that."""
        if self.unit == 1:
            return distances
        whole = distances * np.float64(self.unit)
        if whole.max(initial=0) > np.finfo(np.float32).max:
            raise ValueError(
                f"a distance of {whole.max():.2g} is more than float32 can hold: divide all "
                "features by one number"
            )
        return whole.astype(np.float32)

    def _rounded(
        self, squares: np.ndarray, row: Any, column: Any, scale: np.ndarray | None = None
    ) -> np.ndarray:
        """float32 distances from s, which is overwritten; rows and columns broadcast to it."""
        if scale is not None:
            return np.divide(squares, scale[row], out=squares).astype(np.float32)
        totals: Any = 2.0
        if self.metric == "euclidean":
            totals = np.maximum(self.a.totals[row] + self.b.totals[column], _TINY)
        with np.errstate(over="ignore"):  # the bound of two rows of zeros, by next to nothing
            squares /= totals
            rest = 1 - (1 - squares).round(_DECIMALS)
        return (rest if self.metric == "cosine" else np.sqrt(rest * totals)).astype(np.float32)

    def rough(self, left: Tile, right: Tile) -> Tensor:
        """s by a matrix product in the type of the tiles, off by the bounds at most: ``[M, N]``."""
        products = _product(left.values, right.values, self.terms)
        of_rows, of_columns = left.squares.to(products), right.squares.to(products)
        return products.mul_(-2).add_(of_columns).add_(of_rows[:, None])


class _Rows:
    """The features of one side: ``values`` ``[N, D]`` with what is known of each row, ``[N]``.

    ``lengths`` are those of the values, ``totals`` their squares, ``zeros`` what a row without a
    direction adds to s, and ``squares`` the squared lengths of the rows less the centre.
    """

    def __init__(self, values: Tensor, metric: Metric, name: str):
        self.values, self.cosine = values, metric == "cosine"
        self.lengths = self._by_tile(lambda rows: _length(values[rows]))
        bad = ~self.lengths.isfinite().cpu().numpy()
        if bad.any():  # the length may overflow where the values do not
            finite = values.isfinite().all(dim=1).cpu().numpy()
            check_rows(name, ~finite, "are not finite", "NaN or overflow")
            check_rows(name, bad, "have squares beyond float64", "overflow")
        self.longest = float(self.lengths.max()) if len(values) else 0.0
        self.zeros = ((self.lengths == 0) & self.cosine).double().cpu().numpy()

    def prepare(self, unit: float, centre: Tensor, device: torch.device) -> None:
        """Makes the unit that of the values, and the centre what tiles are taken less."""
        if unit != 1:
            self.values, self.lengths = self.values / unit, self.lengths / unit
        self.totals = self.lengths.square().cpu().numpy()
        self.centre, self.device = centre, device
        squares = self._by_tile(lambda rows: _length(self._less_centre(rows, torch.float32)))
        self.squares = squares.square_().to(device) + torch.from_numpy(self.zeros).to(device)

    def pick(self, index: np.ndarray | slice) -> Any:
        """Some rows, of length 1 for the cosine: on a CPU an array, which is quicker."""
        on_cpu = self.values.device.type == "cpu"
        values: Any = self.values.numpy() if on_cpu else self.values
        lengths: Any = self.lengths.numpy() if on_cpu else self.lengths
        return values[index] / lengths[index].clip(_TINY)[:, None] if self.cosine else values[index]

    def middle(self) -> Tensor:
        """About the mean of all rows: ``[D]``."""
        count = min(len(self.values), _TILE)
        some = self.pick(np.linspace(0, len(self.values) - 1, count).astype(int))
        return torch.as_tensor(some).sum(dim=0) / max(1, count)

    def tile(self, rows: slice, dtype: torch.dtype = torch.float32) -> Tile:
        """Some rows less the centre, on the device."""
        values = self._less_centre(rows, dtype).to(self.device)
        if dtype == torch.float32:
            return Tile(values, self.squares[rows])
        zeros = torch.from_numpy(self.zeros[rows]).to(self.device)
        return Tile(values, _length(values).square_() + zeros)

    def _less_centre(self, rows: slice, dtype: torch.dtype) -> Tensor:
        values = self.pick(rows)
        if isinstance(values, Tensor):
            return (values.to(torch.promote_types(dtype, values.dtype)) - self.centre).to(dtype)
        result, centre = torch.empty(values.shape, dtype=dtype), self.centre.numpy()
        out = result.numpy()
        wider = np.result_type(out, values, centre)

        def subtract(part: slice) -> None:
            np.subtract(values[part], centre, out=out[part], dtype=wider, casting="same_kind")

        in_threads(subtract, slices(0, len(values), STRIP), values.size)
        return result

    def _by_tile(self, function: Callable[[slice], Tensor]) -> Tensor:
        parts = [function(rows) for rows in slices(0, len(self.values), _TILE)]
        return torch.cat(parts) if parts else self.values.new_empty(0, dtype=torch.float64)


def _length(rows: Tensor) -> Tensor:
    return torch.linalg.vector_norm(rows.double(), dim=1)


def _sums_of_squares(a: Any, b: Any) -> np.ndarray:
    """Of the differences of M rows, in float64: ``[M]``."""
    if isinstance(a, Tensor):
        return (a.double() - b.double()).square_().sum(dim=1).cpu().numpy()
    difference = np.subtract(a, b, dtype=np.float64)
    channels = slices(0, difference.shape[1], _CHANNELS)
    # Unlike einsum and sum, vecdot adds in an order that their length alone decides.
    return sum(np.linalg.vecdot(difference[:, c], difference[:, c]) for c in channels)


def _product(a: Tensor, b: Tensor, terms: int) -> Tensor:
    """``a @ b.T``; in float32 at most so many terms are added before their sum joins others."""
    if a.dtype == torch.float64:
        return a @ b.T
    # Given a layout of oneDNN's, linear takes its product: on AMD, MKL's needs twice the time.
    onednn = a.device.type == "cpu" and torch.backends.mkldnn.is_available() and a.shape[1] > 0
    total: Any = None
    with _plain_float32(a.device):
        for a_part, b_part in zip(a.split(terms, dim=1), b.split(terms, dim=1), strict=True):
            if onednn:
                part = linear(a_part.to_mkldnn(), b_part.to_mkldnn()).to_dense()
            else:
                part = a_part @ b_part.T
            total = part if total is None else total.add_(part)
    return total


@contextmanager
def _plain_float32(device: torch.device) -> Iterator[None]:
    """Products in float32 as it is, whatever faster formats the caller has allowed."""
    every: Any = torch.backends
    backends = (every.cuda.matmul, every.mkldnn.matmul)
    allowed = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "ieee"
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for backend, precision in zip(backends, allowed, strict=True):
            backend.fp32_precision = precision


def check_features(a: Any, b: Any, metric: str) -> None:
    check_known(metric=(metric, Metric))
    if a is b and a.ndim != 2:
        raise ValueError(f"features must be [N, D], got {list(a.shape)}")
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(
            f"features must be [A, D] and [B, D], got {list(a.shape)} and {list(b.shape)}"
        )
