"""A person's body and gait: all that tells look-alikes apart."""

from dataclasses import dataclass

import numpy as np

from stgcn_pyg.synthetic.exact import rounded_fields


@dataclass(frozen=True)
class Body:
    """Body and gait of one person. Lengths in metres, angles in radians."""

    height: float
    hip_height: float
    head_length: float
    head_width: float
    shoulder_width: float
    waist_width: float
    hip_width: float
    depth: float  # of the trunk, from chest to back
    arm_length: float
    arm_radius: float
    thigh_radius: float
    calf_radius: float
    stride: float  # how far the hip swings either way
    cadence: float  # strides (two steps) a second
    knee_lift: float
    arm_swing: float
    elbow_bend: float
    lean: float  # of the trunk, forwards
    sway: float  # of the pelvis, sideways
    step_width: float
    toe_out: float
    bag: str  # none, backpack, shoulder or hand
    bag_size: float


def random_body(rng: np.random.RandomState) -> Body:
    """A body drawn evenly from the ranges of adults; a common girth ties the widths together."""
    height = rng.uniform(1.54, 1.94)
    girth = rng.uniform(0.0, 1.0)

    def width(slim: float, stout: float) -> float:
        share = 0.6 * girth + 0.4 * rng.uniform(0.0, 1.0)
        return slim + (stout - slim) * share

    return rounded_fields(
        Body(
            height=height,
            hip_height=height * rng.uniform(0.455, 0.54),
            head_length=rng.uniform(0.205, 0.265),
            head_width=rng.uniform(0.145, 0.195),
            shoulder_width=width(0.34, 0.54),
            waist_width=width(0.23, 0.46),
            hip_width=width(0.28, 0.46),
            depth=width(0.17, 0.34),
            arm_length=height * rng.uniform(0.36, 0.42),
            arm_radius=width(0.036, 0.064),
            thigh_radius=width(0.066, 0.108),
            calf_radius=width(0.046, 0.074),
            stride=rng.uniform(0.24, 0.52),
            cadence=rng.uniform(0.75, 1.15),
            knee_lift=rng.uniform(0.7, 1.2),
            arm_swing=rng.uniform(0.08, 0.65),
            elbow_bend=rng.uniform(0.08, 0.95),
            lean=rng.uniform(-0.05, 0.2),
            sway=rng.uniform(0.0, 0.04),
            step_width=rng.uniform(0.06, 0.17),
            toe_out=rng.uniform(0.0, 0.4),
            bag=str(rng.choice(["none", "none", "backpack", "shoulder", "hand"])),
            bag_size=rng.uniform(0.8, 1.25),
        )
    )
