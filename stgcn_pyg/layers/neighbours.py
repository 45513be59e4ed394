"""Sums over the neighbours of each node, for the affinities that are normalised over them."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor
from torch_geometric.utils import scatter, softmax


class Neighbours(ABC):
    """The neighbours of each node, by which scores of pairs become weights that sum to 1.

    An affinity is written once, with these methods; :class:`DenseNeighbours` computes them over the
    rows of matrices ``[..., N, N]`` and :class:`EdgeNeighbours` over edges ``[E]`` or
    ``[E, heads]``. A pair that is masked, or whose prior weight is 0, has the weight 0. Where all
    pairs of a node have the weight 0, the weights of its row are 0 and do not sum to 1.
    """

    mask: Tensor | None = None
    prior: Tensor | None = None

    def share(self, scores: Tensor, power: int = 1) -> Tensor:
        r""":math:`p_{ij} s_{ij}^q / \sum_k p_{ik} s_{ik}^q` with the prior p and the power q.

        Scores must be :math:`\ge 0`, or the power even. They are divided by the largest score of
        their row before they are raised, so that powers neither overflow nor vanish; priors are
        divided by their largest likewise.
        """
        scores = self.kept(scores)  # only these say how large a row is
        if power != 1:
            scores = (scores / self._of_row(scores.detach().abs(), "max")).pow(power)
        if self.prior is not None:
            prior = self.prior.to(scores.dtype)
            weighed = torch.where(scores == 0, 0, prior.detach())
            scores = scores * (prior / self._of_row(weighed, "max"))
        return scores / self._of_row(scores, "sum")

    @abstractmethod
    def softmax(self, scores: Tensor) -> Tensor:
        r""":math:`p_{ij} \exp(s_{ij}) / \sum_k p_{ik} \exp(s_{ik})` with the prior p."""

    def kept(self, values: Tensor) -> Tensor:
        """Values of pairs, with 0 for those that are masked or whose prior weight is 0."""
        if self.mask is not None:
            values = values.masked_fill(~self.mask, 0)
        return values if self.prior is None else values.masked_fill(self.prior == 0, 0)

    @abstractmethod
    def _of_row(self, values: Tensor, reduce: Literal["max", "sum"]) -> Tensor:
        """The maximum or sum of each row; 1 in place of 0, so that one can divide by it."""


class DenseNeighbours(Neighbours):
    """The rows of matrices ``[..., N, N]``.

    Args:
        mask: Which pairs exist, ``[..., N, N]``; all if not given.
        prior: The prior weight p of each pair, ``[..., N, N]``; 1 if not given.
    """

    def __init__(self, mask: Tensor | None = None, prior: Tensor | None = None):
        self.mask, self.prior = mask, prior

    def softmax(self, scores: Tensor) -> Tensor:
        keep = self.mask
        if self.prior is not None:
            kept = self.prior > 0 if keep is None else keep & (self.prior > 0)
            scores = scores + torch.where(kept, self.prior, 1).log()
            keep = kept
        if keep is None:
            return scores.softmax(dim=-1)
        lowest = torch.finfo(scores.dtype).min
        return scores.masked_fill(~keep, lowest).softmax(dim=-1).masked_fill(~keep, 0)

    def _of_row(self, values: Tensor, reduce: Literal["max", "sum"]) -> Tensor:
        if not values.size(-1):
            return values
        of_row = values.amax(dim=-1, keepdim=True) if reduce == "max" else values.sum(-1, True)
        return of_row.masked_fill(of_row == 0, 1)


class EdgeNeighbours(Neighbours):
    """The edges into each node.

    Args:
        target: The node that each edge points at, ``[E]``.
        num_nodes: The number V of nodes.
        prior: The prior weight p of each edge, ``[E]`` or ``[E, 1]``; 1 if not given.
    """

    def __init__(self, target: Tensor, num_nodes: int, prior: Tensor | None = None):
        self.target, self.num_nodes, self.prior = target, num_nodes, prior

    def softmax(self, scores: Tensor) -> Tensor:
        keep = None
        if self.prior is not None:
            keep = self.prior > 0
            scores = scores + torch.where(keep, self.prior, 1).log()
            scores = scores.masked_fill(~keep, torch.finfo(scores.dtype).min)
        a = softmax(scores, self.target, num_nodes=self.num_nodes)
        return a if keep is None else a.masked_fill(~keep, 0)

    def _of_row(self, values: Tensor, reduce: Literal["max", "sum"]) -> Tensor:
        out = scatter(values, self.target, dim_size=self.num_nodes, reduce=reduce)
        return out.masked_fill(out == 0, 1).index_select(0, self.target)
