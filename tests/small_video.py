"""Small videos whose frames tell their number: frame i is grey of 20 + 4 i."""

from fractions import Fraction

import av
import numpy as np

SIZE = (96, 64)  # width, height


def grey(number):
    return 20 + 4 * number


def frame(number):
    """A frame with a white square, whose left edge is at 2 times the frame's number."""
    pixels = np.full((SIZE[1], SIZE[0], 3), grey(number), np.uint8)
    pixels[16:32, 2 * number : 2 * number + 16] = 255
    return pixels


def write_video(path, count=30, stamps=None, turned=0, codec="libx264", form=None, options=None):
    """Writes a video of 10 frames a second, or with time stamps of its own, in tenths."""
    with av.open(str(path), "w", format=form, options=options or {}) as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "1"}
        stream.time_base = stream.codec_context.time_base = Fraction(1, 10)
        if turned:
            stream.set_display_rotation(turned)
        for number in range(count):
            image = av.VideoFrame.from_ndarray(frame(number), format="rgb24")
            image.time_base = Fraction(1, 10)
            image.pts = number if stamps is None else stamps[number]
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    return path
