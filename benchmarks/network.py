"""The network and the batches on which training and inference are measured."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal, NamedTuple

import torch

from stgcn_pyg import STGCN
from stgcn_pyg.data import ClipBatch
from stgcn_pyg.data.transforms import ClipAugmentation

Precision = Literal["32-true", "bf16-mixed"]


class Size(NamedTuple):
    """Of a network and its batch: P x K clips of T frames."""

    backbone: str
    people: int
    tracklets: int
    frames: int
    height: int
    width: int
    classes: int = 625

    @property
    def clips(self) -> int:
        """P x K."""
        return self.people * self.tracklets

    @property
    def pictures(self) -> int:
        """P x K x T."""
        return self.clips * self.frames

    def __str__(self) -> str:
        return (
            f"{self.backbone}, {self.people} x {self.tracklets} clips of {self.frames} pictures "
            f"of {self.height} x {self.width}"
        )


SIZES = {
    "paper": Size("resnet50", 16, 4, 8, 256, 128),
    "cpu": Size("resnet18", 4, 4, 4, 128, 64),
    "tiny": Size("resnet18", 2, 2, 2, 32, 16),
}
SizeName = Literal["paper", "cpu", "tiny"]


def size_for(device: str, name: SizeName | None) -> Size:
    """The size of a name; if none is given, the paper's on a GPU and a small one on a CPU."""
    return SIZES[name or ("paper" if device == "cuda" else "cpu")]


def network(size: Size) -> STGCN:
    """STGCN with random weights, the same each time."""
    torch.manual_seed(0)
    patches = min(4, -(-size.height // 16))
    return STGCN(
        size.classes,
        size.frames,
        size.backbone,
        weights=None,
        temporal_patches=patches,
        spatial_patches=patches,
    )


def batch(size: Size, device: torch.device) -> ClipBatch:
    """A batch as the loader gives it, on the device: bytes, and which clips are flipped."""
    generator = torch.Generator().manual_seed(0)
    shape = (size.clips, size.frames, size.height, size.width, 3)
    clips = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    labels = torch.arange(size.people).repeat_interleave(size.tracklets)
    changes = torch.zeros(size.clips, 1, 14)
    changes[:, 0, 0] = torch.where(torch.arange(size.clips) % 2 == 0, 1.0, -1.0)
    return ClipBatch(clips.to(device).permute(0, 1, 4, 2, 3), labels.to(device), changes.to(device))


def augmentation() -> ClipAugmentation:
    """The paper's: flips alone."""
    return ClipAugmentation(flip=0.5)


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager:
    """What a training step runs in for a precision."""
    return torch.autocast(device.type, torch.bfloat16) if precision != "32-true" else nullcontext()
