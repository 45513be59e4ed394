"""An exported file, read and run in its own runtime."""

from pathlib import Path

import numpy as np

from stgcn_pyg.errors import UserError
from stgcn_pyg.export.metadata import Metadata, format_of
from stgcn_pyg.export.runtimes import OPENERS, RUNTIMES


class Exported:
    """An exported network, ready to run.

    Args:
        path: A file that `stgcn export` wrote: ``.onnx``, ``.xml`` (beside its ``.bin``) or
            ``.pt2``.
        threads: Number of threads of the runtime; its own choice if not given.

    Attributes:
        about: What the file says of itself.
        runtime: Name of the runtime.

    Raises:
        UserError: There is no such file, it is none of `stgcn export`, or the runtime is not
            installed.
    """

    def __init__(self, path: str | Path, threads: int | None = None):
        self.path = Path(path)
        format = format_of(path, self.path.suffix)
        if not self.path.is_file():
            raise UserError(f"{path}: no such file; `stgcn export` writes one")
        self.runtime = RUNTIMES[format]
        self.about: Metadata
        self.about, self._run = OPENERS[format](self.path, threads)

    def run(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs for a batch, by name.

        Args:
            frames: For the input ``pictures`` ``[B, T, h, w, 3]`` of uint8, for ``clips``
                ``[B, T, 3, height, width]`` of float32, normalised.

        Raises:
            UserError: The batch has another shape or type.
        """
        self._require_fitting(frames)
        outputs = self._run(np.ascontiguousarray(frames))
        return dict(zip(self.about.outputs, outputs, strict=True))

    def prepare(self, frames: np.ndarray) -> np.ndarray:
        """What the file takes for frames of its own size, ``[B, T, height, width, 3]`` of uint8."""
        return self.about.prepare(frames)

    def require(
        self,
        *,
        checkpoint_sha256: str | None = None,
        num_frames: int | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Raises a UserError if the file is of another checkpoint, T or size; None: of any."""
        about = self.about
        wanted = {
            "checkpoint": ((about.checkpoint_sha256 or "none")[:12], checkpoint_sha256),
            "T": (about.num_frames, None if about.free_frames else num_frames),
            "size": (f"{about.height} x {about.width}", size and f"{size[0]} x {size[1]}"),
        }
        for name, (there, here) in wanted.items():
            here = here[:12] if name == "checkpoint" and isinstance(here, str) else here
            if here is not None and here != there:
                raise UserError(
                    f"{self.path}: was exported with another {name}, {there}, and not {here}: "
                    "export the run again"
                )

    def _require_fitting(self, frames: np.ndarray) -> None:
        about = self.about
        t = "T" if about.free_frames else about.num_frames
        if about.input == "pictures":
            fits = frames.ndim == 5 and frames.shape[4] == 3 and frames.dtype == np.uint8
            wanted = f"pictures [batch, {t}, height, width, 3] of uint8"
        else:
            size = (3, about.height, about.width)
            fits = frames.ndim == 5 and frames.shape[2:] == size and frames.dtype == np.float32
            wanted = f"clips [batch, {t}, 3, {about.height}, {about.width}] of float32"
        if not fits or not frames.size or (t != "T" and frames.shape[1] != t):
            raise UserError(
                f"{self.path}: takes {wanted}, and not {list(frames.shape)} of {frames.dtype}"
            )


def read_exported(path: str | Path, threads: int | None = None) -> Exported:
    """Opens a file that `stgcn export` wrote, as :class:`Exported` says."""
    return Exported(path, threads)
