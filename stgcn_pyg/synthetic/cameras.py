"""Cameras: where they look from and what they make of the colours."""

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from math import pi
from typing import Any

import numpy as np
from PIL import Image

from stgcn_pyg.synthetic.clothes import Colour
from stgcn_pyg.synthetic.exact import Stream, generator, rounded_fields


@dataclass(frozen=True)
class Camera:
    """One camera."""

    number: int  # from 1
    pitch: float  # radians that it looks down
    road: float  # heading in radians of those who walk along its road one way
    light: tuple[float, float, float]  # its direction: right, down and towards the viewer
    matrix: tuple[float, ...]  # 3 x 3 colour response, row by row, exposure included
    gamma: float  # exponent of the tone curve
    haze: float  # brightness that black is lifted to
    resolution: float  # pixels of the sensor along each side of a box, over those of the image
    noise: float  # standard deviation of the sensor's noise, of 255
    box_error: float  # how much larger than usual the detector's errors are

    def sensor_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the sensor that a box of the image's size covers."""
        return max(round(height * self.resolution), 32), max(round(width * self.resolution), 16)


def random_camera(seed: int, number: int) -> Camera:
    """The camera of this number in the benchmark of this seed."""
    rng = generator(seed, Stream.CAMERA, number)
    gains = rng.uniform(0.96, 1.04, 3) * rng.uniform(0.9, 1.1)
    # Rows that sum to one keep greys; off the diagonal stands how much the channels mix.
    mix = rng.uniform(-0.03, 0.09, (3, 3))
    np.fill_diagonal(mix, 0)
    np.fill_diagonal(mix, 1 - mix.sum(axis=1))
    # The golden section spreads the roads over all directions, however many cameras there are.
    first_road = generator(seed, Stream.CAMERA, 0).uniform(0, pi)
    return rounded_fields(
        Camera(
            number=number,
            pitch=rng.uniform(0.05, 0.4),
            road=first_road + 0.618 * pi * number,
            light=(rng.uniform(-0.25, 0.25), rng.uniform(-0.2, 0.0), rng.uniform(0.75, 1.1)),
            matrix=tuple((gains[:, None] * mix).ravel().tolist()),
            gamma=rng.uniform(0.88, 1.14),
            haze=rng.uniform(0, 0.06),
            resolution=rng.uniform(0.4, 0.95),
            noise=rng.uniform(2.0, 6.0),
            box_error=rng.uniform(0.7, 1.3),
        )
    )


def recorded_image(camera: Camera, image: np.ndarray) -> np.ndarray:
    """(3, ...) float32 with the camera's colour response."""
    matrix = np.array(camera.matrix, np.float32).reshape(3, 3)
    return np.stack([row[0] * image[0] + row[1] * image[1] + row[2] * image[2] for row in matrix])


def recorded_colours(camera: Camera, thing: Any) -> Any:
    """A dataclass, such as clothes, whose colours have the camera's response.

    The response is linear, as are shading and laying one thing over another: to give it to the
    few colours gives it to every pixel.
    """
    names = [field.name for field in fields(thing) if field.type is Colour]
    colours = np.array([getattr(thing, name) for name in names], np.float32)
    recorded = recorded_image(camera, colours.T).T.tolist()
    return replace(thing, **dict(zip(names, map(tuple, recorded), strict=True)))


@lru_cache(maxsize=16)
def random_grain(seed: int, camera: Camera) -> np.ndarray:
    """(512, 512) float32 noise of the camera's sensor, in whole levels of 255."""
    rng = generator(seed, Stream.SENSOR, 0, camera.number)
    return np.rint(camera.noise * rng.standard_normal((512, 512))).astype(np.float32)


def develop(
    camera: Camera, image: np.ndarray, exposure: float, grain: np.ndarray, size: tuple[int, int]
) -> Image.Image:
    """The image that a camera makes of the light on its sensor, which is overwritten.

    The light `image` is (3, h, w) float32 about [0, 1], the noise `grain` (h, w); `size` is that of
    the image in rows and columns.
    """
    image *= np.float32(255 * exposure)
    image += grain
    np.maximum(image, 0, out=image)
    np.minimum(image, 255, out=image)
    pixels = np.empty((*image.shape[1:], 3), np.uint8)
    np.copyto(pixels, image.transpose(1, 2, 0), casting="unsafe")
    levels = pixels.tobytes().translate(_tone_curve(camera))
    sensor = Image.frombytes("RGB", pixels.shape[1::-1], levels)
    return sensor.resize(size[::-1], Image.Resampling.BILINEAR)


@lru_cache(maxsize=16)
def _tone_curve(camera: Camera) -> bytes:
    """The level that each of 256 becomes."""
    levels = (np.arange(256) / 255) ** camera.gamma
    curve = np.rint(255 * (camera.haze + (1 - camera.haze) * levels))
    return curve.astype(np.uint8).tobytes()
