"""What a model must beat: the colours of horizontal stripes, without any learning."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def colour_stripes(clips: Tensor, num_stripes: int = 8, bins: int = 16) -> Tensor:
    """Histograms of hue, saturation and value in horizontal stripes, averaged over the frames.

    Args:
        clips: ``[B, T, 3, H, W]`` of uint8, RGB.
        num_stripes: The number of stripes from top to bottom.
        bins: The bins of each histogram; the last axis holds hue, saturation and value in turn.

    Returns:
        The square roots of the shares, ``[B, num_stripes * 3 * bins]``: their Euclidean distance
        is the Hellinger distance of the histograms, but for a factor.

    Example:
        >>> colour_stripes(torch.zeros(2, 4, 3, 32, 16, dtype=torch.uint8)).shape
        torch.Size([2, 384])
    """
    frames = clips.flatten(0, 1).permute(0, 2, 3, 1).cpu().numpy()  # [B * T, H, W, 3]
    histograms = np.stack([_histograms(frame, num_stripes, bins) for frame in frames])
    shares = torch.from_numpy(histograms).unflatten(0, clips.shape[:2]).mean(dim=1)
    return shares.flatten(1).sqrt()


def _histograms(frame: np.ndarray, num_stripes: int, bins: int) -> np.ndarray:
    """`[H, W, 3]` of RGB to `[stripes, 3, bins]` of shares."""
    hsv = np.asarray(Image.fromarray(frame).convert("HSV")).astype(np.int64) * bins // 256
    stripe = np.arange(len(hsv))[:, None, None] * num_stripes // len(hsv)
    cell = (stripe * 3 + np.arange(3)) * bins + hsv
    counts = np.bincount(cell.ravel(), minlength=num_stripes * 3 * bins)
    counts = counts.reshape(num_stripes, 3, bins)
    return (counts / counts.sum(axis=2, keepdims=True)).astype(np.float32)
