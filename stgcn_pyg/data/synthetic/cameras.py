"""Cameras: where they look from and what they make of the colours."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from stgcn_pyg.data.synthetic.streams import Stream, generator


@dataclass(frozen=True)
class Camera:
    """One camera.

    Attributes:
        number: From 1.
        pitch: Radians that it looks down.
        road: Heading in radians of those who walk along its road one way.
        light: Direction of the light: right, down and towards the viewer.
        matrix: 3 x 3 colour response, row by row, exposure included.
        gamma: Exponent of the tone curve.
        haze: Brightness that black is lifted to.
        resolution: Sharpness, as a share of the box's pixels.
        noise: Standard deviation of the sensor's noise, of 255.
        box_error: How much larger than usual its detector's errors are.
    """

    number: int
    pitch: float
    road: float
    light: tuple[float, float, float]
    matrix: tuple[float, ...]
    gamma: float
    haze: float
    resolution: float
    noise: float
    box_error: float


def random_camera(seed: int, number: int) -> Camera:
    """The camera of this number in the benchmark of this seed."""
    rng = generator(seed, Stream.CAMERA, number)
    gains = rng.uniform(0.92, 1.08, 3) * rng.uniform(0.85, 1.15)
    # Rows that sum to one keep greys; above the diagonal lies how much the channels mix.
    mix = rng.uniform(-0.04, 0.16, (3, 3))
    np.fill_diagonal(mix, 0)
    np.fill_diagonal(mix, 1 - mix.sum(axis=1))
    matrix = gains[:, None] * mix
    return Camera(
        number=number,
        pitch=rng.uniform(0.05, 0.4),
        road=rng.uniform(0, 2 * np.pi),
        light=(rng.uniform(-0.25, 0.25), rng.uniform(-0.2, 0.0), rng.uniform(0.75, 1.1)),
        matrix=tuple(float(value) for value in matrix.ravel()),
        gamma=rng.uniform(0.8, 1.25),
        haze=rng.uniform(0, 0.12),
        resolution=rng.uniform(0.4, 0.95),
        noise=rng.uniform(2.0, 6.0),
        box_error=rng.uniform(0.7, 1.3),
    )


def _tone_curve(camera: Camera) -> np.ndarray:
    """(256,) float32, the level that each level becomes."""
    levels = (np.arange(256) / 255) ** camera.gamma
    return (255 * (camera.haze + (1 - camera.haze) * levels)).astype(np.float32)


def develop(
    camera: Camera, image: np.ndarray, exposure: float, rng: np.random.Generator
) -> Image.Image:
    """What a camera records.

    Args:
        camera: The camera.
        image: (3, H, W) float32 about [0, 1], the light of the scene.
        exposure: Factor on the light.
        rng: For the sensor's noise.

    Returns:
        The H x W picture, noisy and as sharp as the camera is.
    """
    _, height, width = image.shape
    pixels = np.clip(image * np.float32(255 * exposure), 0, 255).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    red, green, blue = (camera.matrix[row : row + 3] for row in (0, 3, 6))
    picture = picture.convert("RGB", (*red, 0.0, *green, 0.0, *blue, 0.0))
    small = (max(round(width * camera.resolution), 8), max(round(height * camera.resolution), 16))
    picture = picture.resize(small, Image.Resampling.BOX)
    grain = rng.standard_normal((small[1], small[0], 1), dtype=np.float32) * camera.noise
    noisy = np.clip(_tone_curve(camera)[np.asarray(picture)] + grain, 0, 255).astype(np.uint8)
    return Image.fromarray(noisy).resize((width, height), Image.Resampling.BILINEAR)
