"""Whether the options of a benchmark make sense."""

from stgcn_pyg.errors import UserError

MAX_PEOPLE = 9999
"""The layout of MARS gives a pid four digits, a camera one and a frame three."""


def check_options(
    train_people: int,
    test_people: int,
    cameras: int,
    cameras_per_person: int,
    tracklets_per_camera: int,
    frames: tuple[int, int],
    look_alikes: int,
    occlusion: float,
    clutter: float,
    distractors: int,
    junk: int,
    height: int,
    width: int,
    quality: int,
    seed: int,
    workers: int,
) -> None:
    """Check the arguments of `write_benchmark`.

    Raises:
        UserError: If one is out of its range, naming the argument and the range.
    """
    for name, value, least, most in (
        ("train_people", train_people, 1, MAX_PEOPLE - 1),
        ("test_people", test_people, 1, MAX_PEOPLE - train_people),
        ("cameras", cameras, 2, 9),
        ("cameras_per_person", cameras_per_person, 2, 9),
        ("tracklets_per_camera", tracklets_per_camera, 1, 9999),
        ("look_alikes", look_alikes, 1, MAX_PEOPLE),
        ("occlusion", occlusion, 0, 0.9),
        ("clutter", clutter, 0, 1),
        ("distractors", distractors, 0, 9999),
        ("junk", junk, 0, 9999),
        ("height", height, 32, 4096),
        ("width", width, 16, 2048),
        ("quality", quality, 1, 95),
        ("seed", seed, 0, 2**63),
        ("workers", workers, 1, 1024),
    ):
        if not least <= value <= most:
            raise UserError(f"{name} is {value}: give a number from {least} to {most}")
    if len(frames) != 2 or not 1 <= frames[0] <= frames[1] <= 999:
        raise UserError(
            f"frames is {tuple(frames)}: give the least and the most, in that order, from 1 to 999"
        )
    if height % 32 or width % 16:
        raise UserError(
            f"height x width is {height} x {width}: give multiples of 32 and 16, like 256 x 128"
        )
