"""A picture of frames with boxes and ids as read, in which a wrong origin is seen at once."""

from collections.abc import Sequence
from io import BytesIO
from itertools import islice

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from stgcn_pyg.errors import UserError
from stgcn_pyg.tracks.cut import Camera

WIDTH = 960  # of a frame in the picture, in pixels
WITHIN = 250  # first frames, from the first with a box on, among which those to show are chosen
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#ffffff")


def draw_preview(cameras: Sequence[Camera], count: int = 3) -> bytes:
    """A JPEG picture: a row a camera, some of its frames with their boxes and the tracks' ids.

    The frames are spread over the first 250 from the first with a box on. A track has one colour
    in all of them.

    Args:
        cameras: The cameras, with their boxes.
        count: Number of frames of each camera.

    Raises:
        UserError: The first frame with a box cannot be decoded.
    """
    font = ImageFont.load_default(16)
    rows = [_frames_with_boxes(camera, count, font) for camera in cameras]
    width = max(sum(image.width for image in row) for row in rows)
    sheet = Image.new("RGB", (width, sum(row[0].height for row in rows)), "#202020")
    top = 0
    for row in rows:
        left = 0
        for image in row:
            sheet.paste(image, (left, top))
            left += image.width
        top += row[0].height
    content = BytesIO()
    sheet.save(content, "JPEG", quality=90)
    return content.getvalue()


def _frames_with_boxes(
    camera: Camera, count: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> list[Image.Image]:
    numbers = np.unique(camera.boxes["frame"])
    numbers = numbers[numbers < numbers[0] + WITHIN]
    chosen = numbers[np.linspace(0, len(numbers) - 1, min(count, len(numbers))).round().astype(int)]
    wanted = set(chosen.tolist())
    images = []
    for number, frame in enumerate(islice(camera.frames, int(chosen[-1]) + 1)):
        if number in wanted:
            image = Image.fromarray(np.ascontiguousarray(frame.rgb()))
            boxes = camera.boxes[camera.boxes["frame"] == number]
            images.append(_drawn(image, boxes, f"{camera.name}, frame {number}", font))
    if not images:
        raise UserError(f"{camera.frames.path}: frame {chosen[0]} cannot be decoded")
    return images


def _drawn(
    image: Image.Image,
    boxes: pd.DataFrame,
    title: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> Image.Image:
    scale = min(1.0, WIDTH / image.width)
    small = image.resize((round(image.width * scale), round(image.height * scale)))
    draw = ImageDraw.Draw(small)
    for box in boxes.itertuples():
        colour = COLOURS[sum(map(ord, str(box.track))) % len(COLOURS)]
        corners = [edge * scale for edge in (box.x0, box.y0, box.x1, box.y1)]
        draw.rectangle(corners, outline=colour, width=2)
        draw.text((corners[0] + 3, corners[1] + 1), str(box.track), fill=colour, font=font)
    draw.text((8, 6), title, fill="white", font=font, stroke_width=2, stroke_fill="black")
    return small
