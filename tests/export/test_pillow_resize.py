"""Pictures of any size are resized inside an exported network, as Pillow does it."""

import io

import numpy as np
import onnxruntime
import openvino
import pytest
import torch
from PIL import Image
from torch.export import Dim, export

from stgcn_pyg.export.pillow_resize import PillowResize

pytestmark = pytest.mark.usefixtures("shapes_unchecked")

HEIGHT, WIDTH = 64, 32


def pictures(height, width, kind):
    """Three pictures: noise, black and white, or smooth."""
    rng = np.random.default_rng([height, width])
    noise = rng.integers(0, 256, (3, height, width, 3), dtype=np.uint8)
    if kind == "extreme":
        return noise // 128 * 255
    if kind == "smooth":
        seeds = rng.integers(0, 256, (3, 5, 4, 3), dtype=np.uint8)
        smooth = [Image.fromarray(seed).resize((width, height)) for seed in seeds]
        return np.stack([np.asarray(picture) for picture in smooth])
    return noise


def by_pillow(frames, size=(WIDTH, HEIGHT)):
    how = Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(frame).resize(size, how)) for frame in frames])


def channels_first(frames):
    return np.ascontiguousarray(frames.transpose(0, 3, 1, 2))


@pytest.fixture(scope="module")
def runners():
    resize = PillowResize(HEIGHT, WIDTH)
    example = torch.zeros(2, 3, HEIGHT + 3, WIDTH + 5, dtype=torch.uint8)
    free = {place: Dim(name, min=1) for place, name in ((0, "frames"), (2, "rows"), (3, "columns"))}
    program = export(resize, (example,), dynamic_shapes=(free,), strict=False)
    onnx = torch.onnx.export(program, dynamo=True, opset_version=20, verbose=False).model_proto
    content = onnx.SerializeToString()
    session = onnxruntime.InferenceSession(content)
    compiled = openvino.compile_model(
        openvino.convert_model(io.BytesIO(content)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return {
        "torch": lambda frames: resize(torch.from_numpy(frames)).numpy(),
        "onnx": lambda frames: session.run(None, {"pictures": frames})[0],
        "openvino": lambda frames: compiled([frames])[0],
    }


SIZES = [
    (HEIGHT, WIDTH),
    (1, 1),
    (17, 9),
    (60, 5),  # rows and columns are gained
    (63, 33),
    (65, 31),
    (128, 64),
    (200, 20),  # many more rows than columns are lost: Pillow takes the columns first
    (129, 64),
    (130, 64),
    (40, 300),
    (333, 211),
    (600, 300),
]


@pytest.mark.parametrize("runtime", ["torch", "onnx", "openvino"])
@pytest.mark.parametrize("kind", ["noise", "extreme", "smooth"])
def test_every_pixel_is_that_of_pillow_whatever_the_size(runners, runtime, kind):
    for height, width in SIZES:
        frames = pictures(height, width, kind)
        found = runners[runtime](channels_first(frames))
        np.testing.assert_array_equal(found, channels_first(by_pillow(frames)), f"{height, width}")


def test_pictures_of_more_than_ten_times_the_size_are_at_most_one_level_off(runners):
    frames = pictures(1500, 700, "noise")
    found = runners["torch"](channels_first(frames))
    difference = np.abs(found - channels_first(by_pillow(frames)).astype(int))
    assert difference.max() <= 1


def test_other_sizes_of_the_network_are_those_of_pillow_too():
    rng = np.random.default_rng(0)
    for height, width in rng.integers(1, 90, (12, 2)).tolist():
        for rows, columns in rng.integers(1, 200, (4, 2)).tolist():
            frames = pictures(rows, columns, "noise")
            found = PillowResize(height, width)(torch.from_numpy(channels_first(frames)))
            wanted = channels_first(by_pillow(frames, (width, height)))
            np.testing.assert_array_equal(found.numpy(), wanted)
