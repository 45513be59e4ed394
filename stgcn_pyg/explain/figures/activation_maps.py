"""Activation maps laid over their frames."""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from stgcn_pyg.explain.figures.style import SCALE, bare, new_figure

PICTURE = 1.0  # inches that a frame is wide


def draw_activation_maps(
    pictures: np.ndarray, maps: Mapping[str, np.ndarray], title: str = ""
) -> Figure:
    """A clip's frames, and below them each map over the frames in grey.

    A row has one scale for all its frames, from 0 to its largest value.

    Args:
        pictures: ``[T, H, W, 3]`` of uint8.
        maps: By the name of the row, ``[T, h, w]``, not negative.
        title: Of the figure.

    Raises:
        ValueError: Not as many maps as pictures.
    """
    for name, cam in maps.items():
        if len(cam) != len(pictures):
            raise ValueError(f"{name}: {len(cam)} maps for {len(pictures)} pictures")
    count, height, width = pictures.shape[:3]
    rows = 1 + len(maps)
    size = PICTURE * height / width
    figure = new_figure(1.2 + count * PICTURE, 0.65 + rows * (size + 0.08))
    figure.suptitle(title, fontsize=9)
    axes = figure.subplots(rows, count, squeeze=False)
    for frame, picture in enumerate(pictures):
        axes[0, frame].imshow(picture)
        axes[0, frame].set_title(f"frame {frame + 1}", fontsize=8)
    grey = pictures.mean(axis=3)
    for row, (_, cam) in enumerate(maps.items(), start=1):
        large = enlarged(cam, height, width)
        share = large / max(float(large.max()), np.finfo(float).tiny)
        for frame in range(count):
            axes[row, frame].imshow(grey[frame], cmap="gray", vmin=0, vmax=255)
            shown = axes[row, frame].imshow(
                share[frame], cmap=SCALE, vmin=0, vmax=1, alpha=0.25 + 0.55 * share[frame]
            )
    for row, name in enumerate(["frames", *maps]):
        for axis in axes[row]:
            bare(axis)
        axes[row, 0].set_ylabel(name, fontsize=9)
    if maps:
        bar = figure.colorbar(shown, ax=axes[1:], shrink=0.6, aspect=30, pad=0.02)
        bar.set_ticks([0, 1], labels=["0", "the row's\nlargest"])
        bar.ax.tick_params(labelsize=8)
    return figure


def enlarged(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """Maps ``[T, h, w]`` at the size of the pictures, bilinear as in Grad-CAM's own figures.

    Example:
        >>> enlarged(np.array([[[0.0, 1.0]]]), 1, 4)
        array([[[0.  , 0.25, 0.75, 1.  ]]])
    """
    stack = torch.from_numpy(np.ascontiguousarray(maps))[:, None]
    large = F.interpolate(stack, (height, width), mode="bilinear", align_corners=False)
    return large[:, 0].numpy()
