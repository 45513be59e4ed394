"""The errors of the detector that cuts people out."""

from dataclasses import dataclass

import numpy as np

from stgcn_pyg.synthetic.exact import rounded

BOX_HEIGHT = 1.22
"""A faultless box is so many times as high as the person, who stands on its foot margin."""

FOOT_MARGIN = 0.04
"""Share of a faultless box below the ground under the person."""


@dataclass(frozen=True)
class BoxError:
    """How the boxes of a tracklet miss the person, each (T,).

    Attributes:
        dx: Shift to the right, as a share of the box's width.
        dy: Shift down, as a share of the box's height.
        scale: Size over that of a faultless box.
    """

    dx: np.ndarray
    dy: np.ndarray
    scale: np.ndarray


def smooth_noise(rng: np.random.RandomState, frames: int, reach: int = 8) -> np.ndarray:
    """(T,) noise of unit variance that changes over about `reach` frames."""
    white = rng.standard_normal(frames + reach - 1)
    windows = [white[start : start + frames] for start in range(reach)]
    return np.sum(windows, axis=0) / np.sqrt(reach)


def random_box_error(
    rng: np.random.RandomState, frames: int, amount: float, fault: str
) -> BoxError:
    """Errors that drift smoothly and tremble.

    Args:
        rng: The generator.
        frames: T.
        amount: Factor on the usual error.
        fault: `none`, or for junk: `half` cuts the person in two, `size` is far too large or small.
    """

    def error(steady: float, drift: float, tremble: float) -> np.ndarray:
        steady_error = steady * rng.standard_normal()
        drifting = drift * smooth_noise(rng, frames)
        return amount * (steady_error + drifting + tremble * rng.standard_normal(frames))

    dx, dy = error(0.02, 0.03, 0.006), error(0.015, 0.012, 0.004)
    scale = np.exp(error(0.04, 0.015, 0.005))
    if fault == "half":
        if rng.uniform() < 0.5:
            dx = dx + rng.choice([-1, 1]) * rng.uniform(0.4, 0.7)
        else:
            dy = dy + rng.choice([-1, 1]) * rng.uniform(0.4, 0.6)
    elif fault == "size":
        scale = scale * (rng.uniform(0.35, 0.5) if rng.uniform() < 0.5 else rng.uniform(1.8, 2.4))
    return BoxError(rounded(dx), rounded(dy), rounded(scale))
