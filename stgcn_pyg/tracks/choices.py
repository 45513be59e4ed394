"""What a user chooses when tracks are read."""

from collections.abc import Sequence
from dataclasses import dataclass

from stgcn_pyg.errors import UserError, finite_number, whole_number


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The options of :func:`read_tracks`, checked. See there what each means."""

    camera: str = ""
    first_frame: int | None = None
    stride: int = 1
    classes: Sequence[str] | str | None = None
    min_height: float = 0.0
    min_visibility: float = 0.0
    min_frames: int = 1
    image_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.first_frame is not None:
            whole_number("first_frame", self.first_frame, least=0)
        whole_number("stride", self.stride)
        whole_number("min_frames", self.min_frames)
        finite_number("min_height", self.min_height)
        finite_number("min_visibility", self.min_visibility)
        if self.image_size is not None:
            if len(self.image_size) != 2:
                raise UserError(f"image_size={self.image_size!r}: pass the width and the height")
            for number in self.image_size:
                whole_number("image_size", number)

    def wanted_classes(self) -> tuple[str, ...] | None:
        """The classes to take; None: those of people. Not for ``"all"``."""
        if self.classes is None:
            return None
        return (self.classes,) if isinstance(self.classes, str) else tuple(self.classes)
