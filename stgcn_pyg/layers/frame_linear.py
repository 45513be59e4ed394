"""One linear map a frame position: the weights W_i^k of Equation 7."""

import torch
from torch import Tensor


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
        - ``x``: ``[B * T * N, in_channels]``, frames of a video in a row, N nodes a frame.
        - Output: ``[B * T * N, out_channels]``.

    Raises:
        ValueError: The graphs do not divide into videos of T frames.

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

    def forward(self, x: Tensor, graph_size: int | None) -> Tensor:
        """Applies to each node the map of its frame's position."""
        if graph_size is None:
            raise ValueError("weights by frame need graph_size, which tells the frames apart")
        graphs = x.size(0) // graph_size
        if graphs % self.num_frames:
            raise ValueError(
                f"x {tuple(x.shape)} holds {graphs} graphs of graph_size={graph_size}, "
                f"which is no multiple of num_frames={self.num_frames}"
            )
        videos = x.view(-1, self.num_frames, graph_size, self.in_channels)
        by_frame = videos.transpose(0, 1).flatten(1, 2)  # [T, B * N, in]
        out = torch.bmm(by_frame, self.weight.mT).unflatten(1, (-1, graph_size))
        return out.transpose(0, 1).reshape(-1, self.out_channels)

    def extra_repr(self) -> str:
        return f"{self.num_frames}, {self.in_channels}, {self.out_channels}"
