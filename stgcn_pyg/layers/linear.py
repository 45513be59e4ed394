"""Linear maps of nodes: one for each frame position (Eq. 7), and those whose input's width is taken
from the first batch, as ``in_channels=-1`` asks for."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter

from stgcn_pyg.layers.checks import Float, Integer, whole_number
from stgcn_pyg.layers.layout import Layout
from stgcn_pyg.layers.routes import layout_of_nodes


class PerFrameLinear(torch.nn.Module):
    r"""T linear maps, one for each position of a frame in its video (Eq. 7).

    .. math::
        y_{i,p} = W_i\, x_{i,p}, \qquad i = 1 \dots T

    All T run as one batched product.

    Args:
        num_frames: The number T of frame positions.
        in_channels: The width of a node.
        out_channels: The width of the output.

    Attributes:
        weight: ``[T, out_channels, in_channels]``.

    Shapes:
        - ``x``: ``[V, in_channels]``; each frame is a graph, and a video is T graphs in order.
        - ``graph_size``: N if every frame has N nodes; V is then B * T * N.
        - ``ptr``: ``[B * T + 1]`` if frames have different numbers of nodes: graph g holds the
          nodes ``ptr[g]`` to ``ptr[g + 1] - 1``.
        - Output: ``[V, out_channels]``.

    Raises:
        ValueError: The graphs do not divide into videos of T frames, or neither ``graph_size``
            nor ``ptr`` is given.

    Example:
        >>> lin = PerFrameLinear(num_frames=8, in_channels=512, out_channels=256)
        >>> lin(torch.randn(2 * 8 * 4, 512), graph_size=4).shape
        torch.Size([64, 256])
    """

    def __init__(self, num_frames: int, in_channels: int, out_channels: int):
        super().__init__()
        self.num_frames = whole_number("num_frames", num_frames, at_least=1)
        self.in_channels = whole_number("in_channels", in_channels, at_least=0)
        self.out_channels = whole_number("out_channels", out_channels, at_least=0)
        shape = (self.num_frames, self.out_channels, self.in_channels)
        self.weight = torch.nn.Parameter(torch.empty(shape))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new weights for each map as `torch.nn.Linear` does."""
        for weight in self.weight:
            torch.nn.init.kaiming_uniform_(weight, a=5**0.5)

    def forward(
        self,
        x: Float[Tensor, "V C"],
        graph_size: int | None = None,
        ptr: Integer[Tensor, " _"] | None = None,
        layout: Layout | None = None,
    ) -> Float[Tensor, "V D"]:
        """Applies to each node the map of its frame's position."""
        if layout is None:
            layout = layout_of_nodes(x, self.in_channels, graph_size, ptr=ptr)
        return layout.transform_by_frame(x, self.weight)

    def extra_repr(self) -> str:
        return f"{self.num_frames}, {self.in_channels}, {self.out_channels}"


class LazyPerFrameLinear(LazyModuleMixin, PerFrameLinear):
    """A `PerFrameLinear` that takes its input's width from the first batch."""

    cls_to_become = PerFrameLinear  # type: ignore[assignment]
    weight: UninitializedParameter  # type: ignore[assignment]

    def __init__(self, num_frames: int, out_channels: int):
        super().__init__(num_frames, 0, out_channels)
        self.weight = UninitializedParameter()

    def reset_parameters(self) -> None:
        if self.in_channels and not self.has_uninitialized_params():
            super().reset_parameters()

    def initialize_parameters(self, x: Tensor, *_: Any, **__: Any) -> None:  # type: ignore[override]
        drawn = self.has_uninitialized_params()
        if drawn:
            self.weight.materialize((self.num_frames, self.out_channels, x.size(-1)))
        self.in_channels = self.weight.size(-1)  # which loaded weights have, too
        if drawn:
            self.reset_parameters()


class LazyProjection(LazyModuleMixin, torch.nn.Linear):
    """The map φ of an affinity: `torch.nn.LazyLinear` whose output may follow its input's width.

    Args:
        width: The width D of each head; if None, that of the input divided by the heads.
        heads: The number of heads.
    """

    cls_to_become = torch.nn.Linear  # type: ignore[assignment]
    weight: UninitializedParameter

    def __init__(self, width: int | None, heads: int):
        super().__init__(0, 0, bias=False)
        self.out_features = 0 if width is None else width * heads
        self.width, self.heads = width, heads
        self.weight = UninitializedParameter()

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and self.in_features:
            super().reset_parameters()

    def initialize_parameters(self, x: Tensor) -> None:  # type: ignore[override]
        if not self.has_uninitialized_params():  # they were loaded
            self.out_features, self.in_features = self.weight.shape
            return
        channels = x.size(-1)
        if self.width is None and channels % self.heads:
            raise ValueError(
                f"x {tuple(x.shape)} has {channels} channels, no multiple of heads={self.heads}: "
                "pass an affinity with out_channels, the width of each head"
            )
        width = channels // self.heads if self.width is None else self.width
        self.in_features, self.out_features = channels, self.heads * width
        with torch.no_grad():
            self.weight.materialize((self.out_features, channels))
            self.reset_parameters()


def input_width(module: Any) -> int:
    """The input's width of a linear map, as its weights have it; -1 before they are known."""
    weight: Any = getattr(module, "weight", None)
    unknown = isinstance(weight, UninitializedParameter) or not isinstance(weight, Tensor)
    return -1 if unknown else weight.size(-1)


def linear(in_channels: int, out_channels: int, num_frames: int | None = None) -> torch.nn.Module:
    """The map W of a convolution, without bias; of the first batch's width if in_channels is -1."""
    if num_frames is not None:
        if in_channels == -1:
            return LazyPerFrameLinear(num_frames, out_channels)
        return PerFrameLinear(num_frames, in_channels, out_channels)
    if in_channels == -1:
        return torch.nn.LazyLinear(out_channels, bias=False)
    return torch.nn.Linear(in_channels, out_channels, bias=False)
