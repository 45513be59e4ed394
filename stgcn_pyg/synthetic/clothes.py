"""Clothes, hair and skin: all that look-alikes share."""

from colorsys import hsv_to_rgb
from dataclasses import dataclass

import numpy as np

from stgcn_pyg.synthetic.exact import rounded, rounded_fields

Colour = tuple[float, float, float]
"""Red, green and blue in [0, 1]."""

PATTERNS = ("plain", "hoops", "stripes", "halves", "checks", "print")


@dataclass(frozen=True)
class Clothes:
    """Hair, skin and clothes of one look-alike group."""

    hair: Colour
    hair_style: str  # short, long, bald or cap
    skin: Colour
    shirt: Colour
    second_shirt: Colour  # the other colour of the pattern
    pattern: str
    pattern_size: float  # metres from one stripe to the next
    sleeves: str  # long or short
    hem: float  # where the shirt ends, as a share of the trunk
    trousers: Colour
    trousers_style: str  # long, shorts or skirt
    shoes: Colour
    bag_colour: Colour  # of those in the group who carry one


def _cloth(rng: np.random.RandomState) -> Colour:
    """A dyed colour: greys and muted tones are more common than bright ones."""
    saturation = rng.beta(1.2, 1.8)
    return hsv_to_rgb(rng.uniform(0, 1), saturation, rng.uniform(0.16, 0.92))


def _between(rng: np.random.RandomState, first: Colour, last: Colour) -> Colour:
    share = rng.uniform(0, 1)
    red, green, blue = (a + share * (b - a) for a, b in zip(first, last, strict=True))
    return red, green, blue


def random_clothes(rng: np.random.RandomState) -> Clothes:
    """Clothes, hair and skin drawn for one look-alike group."""
    dark_trousers = hsv_to_rgb(rng.uniform(0.5, 0.75), rng.uniform(0, 0.6), rng.uniform(0.12, 0.5))
    trousers = dark_trousers if rng.uniform() < 0.6 else _cloth(rng)
    grey_hair = _between(rng, (0.45, 0.44, 0.43), (0.8, 0.79, 0.77))
    brown_hair = _between(rng, (0.07, 0.055, 0.05), (0.55, 0.38, 0.2))
    return rounded_fields(
        Clothes(
            hair=grey_hair if rng.uniform() < 0.15 else brown_hair,
            hair_style=str(rng.choice(["short", "short", "long", "long", "bald", "cap"])),
            skin=_between(rng, (0.36, 0.23, 0.16), (0.93, 0.76, 0.66)),
            shirt=_cloth(rng),
            second_shirt=_cloth(rng),
            pattern=str(rng.choice(PATTERNS)),
            pattern_size=rng.uniform(0.07, 0.16),
            sleeves=str(rng.choice(["long", "short"])),
            hem=rng.uniform(0.8, 1.0),
            trousers=trousers,
            trousers_style=str(rng.choice(["long", "long", "long", "shorts", "skirt"])),
            shoes=_cloth(rng) if rng.uniform() < 0.5 else (0.1, 0.09, 0.09),
            # Of the trousers' colour, so that a bag changes the outline more than the colours.
            bag_colour=trousers,
        )
    )


def second_colour_share(
    clothes: Clothes, down: np.ndarray, across: np.ndarray, facing: np.ndarray, turn: float = 0.0
) -> np.ndarray:
    """(h, w) booleans: where the shirt shows its second colour.

    `down` is in metres below the neck, `across` the position across the trunk from -1 to 1,
    `facing` the cosine of the angle from the breastbone, `turn` the trunk's in radians.
    """
    size = clothes.pattern_size
    if clothes.pattern == "halves":
        return down > 0.32
    if clothes.pattern == "print":
        return (np.abs(down - 0.22) < 0.09) & (facing > 0.75)
    shows = np.zeros(down.shape, bool)
    if clothes.pattern in ("hoops", "checks"):
        shows ^= _is_odd(down * (2 / size))
    if clothes.pattern in ("stripes", "checks"):
        angle = _ANGLES[(across * 500 + 500).astype(np.intp)] - turn
        # A trunk's girth of about 0.9 m turns the angle into metres of cloth.
        shows ^= _is_odd(angle * (0.3 / size))
    return shows


def _is_odd(values: np.ndarray) -> np.ndarray:
    return (np.floor(values).astype(np.intp) & 1).astype(bool)


_ANGLES = rounded(np.arcsin(np.arange(-500, 501) / 500))
"""The angle about the trunk at each of a thousand positions across it."""
