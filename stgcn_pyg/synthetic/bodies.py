"""A person's body and gait, all that tells look-alikes apart, and the joints of a walk."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from stgcn_pyg.synthetic.exact import rounded, rounded_fields

FRAMES_PER_SECOND = 25


Joint = IntEnum(
    "Joint",
    "PELVIS NECK CHIN CROWN LEFT_SHOULDER LEFT_ELBOW LEFT_HAND RIGHT_SHOULDER RIGHT_ELBOW "
    "RIGHT_HAND LEFT_HIP LEFT_KNEE LEFT_ANKLE LEFT_TOE RIGHT_HIP RIGHT_KNEE RIGHT_ANKLE RIGHT_TOE",
    start=0,
)
"""The joints of a pose, in the order of its second axis."""


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


def walk(body: Body, phase: np.ndarray) -> np.ndarray:
    """(T, 18, 3) metres of each `Joint`: forward, to the person's left, and up from the ground.

    The lower foot stands on the ground. `phase` is (T,), that of the stride in radians; the left
    heel strikes at 0.
    """
    zero = np.zeros_like(phase)
    pelvis = np.stack([zero, -body.sway * np.cos(phase), zero], axis=-1)
    trunk = body.height - body.hip_height - body.head_length - 0.055
    neck = pelvis + trunk * np.array([np.sin(body.lean), 0.0, np.cos(body.lean)])
    nod = np.array([np.sin(1.3 * body.lean), 0.0, np.cos(1.3 * body.lean)])
    chin = neck + 0.055 * nod
    crown = chin + body.head_length * nod

    turn = 0.25 * body.stride * np.cos(phase)  # the pelvis follows the legs, the shoulders oppose
    joints = [pelvis, neck, chin, crown]
    sides = (1, phase), (-1, phase + np.pi)
    for side, own_phase in sides:
        half = side * (body.shoulder_width / 2 - 1.1 * body.arm_radius)
        offset = np.stack([half * np.sin(turn), half * np.cos(turn), zero - 0.065], axis=-1)
        joints += _arm(body, neck + offset, own_phase, side)
    for side, own_phase in sides:
        half = side * max(body.step_width / 2, body.hip_width / 2 - body.thigh_radius)
        offset = np.stack([-half * np.sin(turn), half * np.cos(turn), zero - 0.02], axis=-1)
        # Feet come closer together than hips.
        narrowing = np.array([0, side * body.step_width / 2 - half, 0])
        leg = _leg(body, pelvis + offset, own_phase, side)
        joints += [
            joint + share * narrowing for joint, share in zip(leg, (0, 0.5, 1, 1), strict=True)
        ]
    pose = np.stack(joints, axis=1)
    feet = [Joint.LEFT_ANKLE, Joint.LEFT_TOE, Joint.RIGHT_ANKLE, Joint.RIGHT_TOE]
    sole = np.array([0.075, 0.035, 0.075, 0.035])
    pose[..., 2] -= (pose[:, feet, 2] - sole).min(axis=1, keepdims=True)
    return rounded(pose)


def _arm(body: Body, shoulder: np.ndarray, phase: np.ndarray, side: int) -> list[np.ndarray]:
    """Shoulder, elbow and hand, each (T, 3); an arm swings against the leg of its side."""
    swing = -body.arm_swing * np.cos(phase) + body.lean * 0.5
    bend = body.elbow_bend + 0.35 * body.arm_swing * (1 - np.cos(phase))
    elbow = shoulder + 0.47 * body.arm_length * _in_walking_plane(swing, 0.14 * side)
    hand = elbow + 0.53 * body.arm_length * _in_walking_plane(swing + bend, -0.02 * side)
    return [shoulder, elbow, hand]


def _leg(body: Body, hip: np.ndarray, phase: np.ndarray, side: int) -> list[np.ndarray]:
    """Hip, knee, ankle and toe, each (T, 3); the heel strikes at phase 0."""
    shank = 0.47 * body.hip_height
    thigh = body.hip_height - shank - 0.075
    swing = body.stride * np.cos(phase) + 0.08
    # The knee bends most in mid-swing and gives a little when the leg takes the weight.
    lifting = np.maximum(np.cos(phase - 1.46 * np.pi), 0) ** 2
    loading = np.maximum(np.cos(phase - 0.25 * np.pi), 0) ** 2
    bend = 0.06 + body.knee_lift * lifting * (0.5 + body.stride) + 0.22 * loading * body.stride
    knee = hip + thigh * _in_walking_plane(swing)
    ankle = knee + shank * _in_walking_plane(swing - bend)
    pitch = 0.7 * (swing - bend)
    forward = np.cos(pitch) * np.cos(body.toe_out)
    sideways = np.cos(pitch) * np.sin(body.toe_out) * side
    foot = 0.124 * body.height * np.stack([forward, sideways, np.sin(pitch) - 0.28], axis=-1)
    return [hip, knee, ankle, ankle + foot]


def _in_walking_plane(angle: np.ndarray, outwards: float = 0.0) -> np.ndarray:
    """(T, 3) unit-length directions `angle` radians forward of straight down."""
    return np.stack([np.sin(angle), np.full_like(angle, outwards), -np.cos(angle)], axis=-1)
