"""One linear map a frame position: the weights W_i^k of Equation 7."""

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from stgcn_pyg.layers.checks import check_nodes, optional_size
from stgcn_pyg.layers.ragged_blocks import to_rows
from stgcn_pyg.layers.routes import graph_ptr


class FrameLinear(torch.nn.Module):
    r"""T linear maps without bias, one for each position of a frame in its video (Eq. 7).

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
        - ``x``: ``[V, in_channels]``, one graph a frame, the frames of a video in a row.
        - ``graph_size``: N where each frame has N nodes; V is then B * T * N.
        - ``ptr``: ``[B * T + 1]`` where frames have different numbers of nodes: graph g holds
          the nodes ``ptr[g]`` to ``ptr[g + 1] - 1``.
        - Output: ``[V, out_channels]``.

    Raises:
        ValueError: The graphs do not divide into videos of T frames, or neither ``graph_size``
            nor ``ptr`` tells the frames apart.

    Example:
        >>> lin = FrameLinear(num_frames=8, in_channels=512, out_channels=256)
        >>> lin(torch.randn(2 * 8 * 4, 512), graph_size=4).shape
        torch.Size([64, 256])
    """

    def __init__(self, num_frames: int, in_channels: int, out_channels: int):
        super().__init__()
        self.num_frames = num_frames
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.weight = torch.nn.Parameter(torch.empty(num_frames, out_channels, in_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws each map as `torch.nn.Linear` draws its own."""
        for weight in self.weight:
            torch.nn.init.kaiming_uniform_(weight, a=5**0.5)

    def forward(
        self,
        x: Float[Tensor, "V C"],
        graph_size: int | None = None,
        ptr: Integer[Tensor, " _"] | None = None,
    ) -> Float[Tensor, "V D"]:
        """Applies to each node the map of its frame's position."""
        graph_size = optional_size(graph_size)
        check_nodes(x, self.in_channels, graph_size)
        ptr = graph_ptr(x.size(0), graph_size, None, ptr)
        if ptr is not None:
            self._check_graphs(x, ptr.numel() - 1)
            return self._ragged(x, ptr)
        if graph_size is None:
            raise ValueError(
                "weights by frame need graph_size, batch or ptr, which tell the frames apart"
            )
        self._check_graphs(x, x.size(0) // graph_size)
        videos = x.view(-1, self.num_frames, graph_size, self.in_channels)
        by_frame = videos.transpose(0, 1).flatten(1, 2)  # [T, B * N, in]
        out = torch.bmm(by_frame, self.weight.mT).unflatten(1, (-1, graph_size))
        return out.transpose(0, 1).reshape(-1, self.out_channels)

    def _ragged(self, x: Tensor, ptr: Tensor) -> Tensor:
        sizes = ptr.diff().view(-1, self.num_frames)  # [B, T]
        ends = sizes.cumsum(dim=0)  # of each frame, among the nodes at its position
        longest = int(ends[-1:].max()) if ptr.numel() > 1 else 0
        torch._check(longest >= 0)  # tells a compiler that it is a size
        # Nodes at the same position lie in a row, each position padded to the longest.
        begin = torch.arange(self.num_frames, device=x.device) * longest + ends - sizes
        shift = (begin.flatten() - ptr[:-1]).repeat_interleave(
            sizes.flatten(), output_size=x.size(0)
        )
        row = torch.arange(x.size(0), device=x.device) + shift
        by_frame = to_rows(x, row, self.num_frames * longest)
        out = torch.bmm(by_frame.view(self.num_frames, longest, self.in_channels), self.weight.mT)
        return out.flatten(0, 1).index_select(0, row)

    def _check_graphs(self, x: Tensor, graphs: int) -> None:
        if graphs % self.num_frames:
            raise ValueError(
                f"x {tuple(x.shape)} holds {graphs} graphs, one a frame, "
                f"which is no multiple of num_frames={self.num_frames} "
                "(of frames without any node at the end, only ptr knows)"
            )

    def extra_repr(self) -> str:
        return f"{self.num_frames}, {self.in_channels}, {self.out_channels}"
