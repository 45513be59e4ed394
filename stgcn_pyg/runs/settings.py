"""Every setting of a run: declared once, complete, and checked.

A setting of the network, the batches or the optimisation is an argument of the class that takes
it (:class:`.STGCN`, :class:`.TrackletDataModule`, :class:`.STGCNTraining`): its name, type, default
and description stand in that signature alone. :class:`FitOptions` and :class:`RunSettings` declare
the others; ``stgcn train`` makes its options from all of them.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import KW_ONLY, dataclass, fields
from functools import cache
from importlib.resources import files as package_files
from inspect import signature
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from jsonargparse import ArgumentParser

from stgcn_pyg.data.sampling import OnBadFrame, TestClips
from stgcn_pyg.errors import UserError, require_known, whole_number
from stgcn_pyg.runs.parser import SettingsParser
from stgcn_pyg.runs.settings_files import SECTIONS, by_name, flatten, nest, read_settings

if TYPE_CHECKING:
    NonNegativeInt: TypeAlias = int
    PositiveInt: TypeAlias = int
else:
    from jsonargparse.typing import NonNegativeInt, PositiveInt

Precision = Literal["32-true", "bf16-mixed"]
Accelerator = Literal["auto", "cpu", "gpu"]
Backend = Literal["torch", "onnxruntime", "openvino"]
InferencePrecision = Literal["float32", "bfloat16"]
PRESETS = package_files("stgcn_pyg") / "presets"

# Settings that change how a run is computed, not what comes out.
FREE = frozenset(
    (
        *("output", "pack", "accelerator", "checkpoint_every", "finite_check_every", "baselines"),
        *("data.num_workers", "data.min_frames", "training.compile", "training.channels_last"),
        *("training.fused", "training.activation_checkpointing"),
    )
)
# Settings that may change when a run is continued: more epochs, the data set's place, what happens
# at a bad image, at which a run may have stopped, and how many clips are embedded at once.
CHANGEABLE = frozenset({"epochs", "root", "on_bad_frame", "data.clips_per_test_batch"})

MAX_SEED = 2**64 - 1  # PyTorch takes no larger one


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How long a run is trained, and how that is computed.

    Args:
        epochs: Number of epochs to train for in all.
        precision: Floating-point precision of the training step; with bf16-mixed, products and
            convolutions are in bfloat16, losses and weights in float32.
        accelerator: Where to train; auto means a CUDA GPU if there is one.
        tf32: Allow TensorFloat-32 in the float32 products and convolutions of a GPU.
        finite_check_every: Number of steps between two checks of losses and gradients for NaN and
            infinity; each check waits until the GPU has finished.
        checkpoint_every: Number of epochs between two checkpoints; one is always written at the
            end.
        validation_every: Number of epochs between two evaluations of the held-out identities.
        sync_batch_norm: With several processes, batch norm normalises over the whole batch, as in
            one process. If false, each process normalises its own part, which is faster.

    Raises:
        UserError: A number is no whole number of at least 1, or a word is unknown.
    """

    epochs: PositiveInt = 800
    precision: Precision = "32-true"
    accelerator: Accelerator = "auto"
    tf32: bool = True
    finite_check_every: PositiveInt = 50
    checkpoint_every: PositiveInt = 1
    validation_every: PositiveInt = 10
    sync_batch_norm: bool = True

    def __post_init__(self) -> None:
        require_known(
            precision=(self.precision, Precision), accelerator=(self.accelerator, Accelerator)
        )
        for name in ("epochs", "checkpoint_every", "validation_every", "finite_check_every"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name)))


@dataclass(frozen=True)
class RunSettings(FitOptions):
    """The run: its data, its length, and how it is computed.

    Args:
        dataset: Name of the data set: mars, dukemtmc-videoreid, ilids-vid, prid2011, ward or
            manifest.
        root: Folder that holds the data set, or the manifest file.
        output: Folder of the run.
        split: Number of the split, from 0, of iLIDS-VID, PRID 2011 and WARD.
        seed: Seed of everything random.
        validation_share: Share of the training identities to hold out. The epoch with the highest
            mAP on them becomes the result; with 0 it is the last epoch.
        weights_from: Folder or checkpoint of a run whose weights this run begins with, instead of
            --model.weights; the classifier starts anew if its identities differ.
        pack: Pack of the data set (`stgcn pack`) to read the frames from.
        on_bad_frame: What to do at a bad image: stop, or skip it, which takes the nearest good
            frame of its tracklet instead and counts the bad one.
        baselines: Also score the untrained network, and colour stripes, which are colour
            histograms of horizontal stripes.
        model: Arguments of :class:`.STGCN`, by name.
        data: Arguments of :class:`.TrackletDataModule`, by name.
        training: Arguments of :class:`.STGCNTraining`, by name.

    Raises:
        UserError: As above, or a split or seed is no whole number from 0 on.
    """

    dataset: str
    root: Path
    _: KW_ONLY
    output: Path = Path("runs/stgcn")
    split: NonNegativeInt = 0
    seed: NonNegativeInt = 0
    validation_share: float = 0.0
    weights_from: Path | None = None
    pack: Path | None = None
    on_bad_frame: OnBadFrame = "stop"
    baselines: bool = False
    model: Mapping[str, Any]
    data: Mapping[str, Any]
    training: Mapping[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        require_known(on_bad_frame=(self.on_bad_frame, OnBadFrame))
        whole_number("split", self.split, least=0)
        whole_number("seed", self.seed, least=0, most=MAX_SEED)

    @classmethod
    def of(cls, parsed: Mapping[str, Any]) -> "RunSettings":
        """The settings among the nested values that a parser with :func:`add_settings` gives.

        Raises:
            UserError: One is null that cannot be (the parser lets null pass), or is refused.
        """
        values = {field.name: parsed[field.name] for field in fields(cls)}
        for name, default in default_settings().items():
            section, _, last = name.rpartition(".")
            value = (values[section] if section else values)[last]
            if value is None and default is not None and name != "model.weights":
                raise UserError(f"{name} is null: pass a value, or leave it out for {default}")
        return cls(**values | {name: _plain(values[name]) for name in SECTIONS})

    def fit_options(self) -> dict[str, Any]:
        """Those settings that :func:`.fit` takes, by name."""
        return {field.name: getattr(self, field.name) for field in fields(FitOptions)}

    def nested(self) -> dict[str, Any]:
        """The settings as nested dicts of plain values, as YAML and JSON hold them."""
        return _plain({name: getattr(self, name) for name in signature(RunSettings).parameters})

    def flat(self) -> dict[str, Any]:
        """The settings as plain values by dotted name, such as ``model.num_frames``."""
        return flatten(self.nested())


@dataclass(frozen=True)
class EmbeddingOptions:
    """The data set that a trained model embeds, and how.

    Args:
        dataset: Name of a data set other than the run's own.
        root: Folder of the data set, or the manifest file, if it is not the run's own.
        split: Number of the split, from 0, of iLIDS-VID, PRID 2011 and WARD.
        test_clips: Clips whose embeddings are averaged for a tracklet; the run's own choice if not
            given.
        pack: Pack of the data set (`stgcn pack`) to read the frames from.
        on_bad_frame: What to do at a bad image: stop, or skip it, which takes the nearest good
            frame of its tracklet instead and counts the bad one.
        num_workers: Number of processes that read frames, or of threads on a CPU.
        clips_per_batch: Number of clips to embed at once.
        accelerator: Where to embed; auto means a CUDA GPU if there is one.
        backend: Library that runs the network: torch; onnxruntime or openvino, on a CPU.
        precision: Arithmetic of the network; bfloat16 rounds its factors to 8 bits, and needs a
            processor or GPU that has it.
        exported: File of the run that `stgcn export` wrote, such as one in int8, to run in the
            place of the checkpoint; its backend is onnxruntime (.onnx) or openvino (.xml).

    Raises:
        UserError: A number is no whole number or too small, or a word is unknown.
    """

    dataset: str | None = None
    root: Path | None = None
    split: NonNegativeInt | None = None
    test_clips: TestClips | None = None
    pack: Path | None = None
    on_bad_frame: OnBadFrame = "stop"
    num_workers: NonNegativeInt = 2
    clips_per_batch: PositiveInt = 32
    accelerator: Accelerator = "auto"
    backend: Backend = "torch"
    precision: InferencePrecision = "float32"
    exported: Path | None = None

    def __post_init__(self) -> None:
        require_known(
            on_bad_frame=(self.on_bad_frame, OnBadFrame),
            accelerator=(self.accelerator, Accelerator),
            backend=(self.backend, Backend),
            precision=(self.precision, InferencePrecision),
        )
        if self.test_clips is not None:
            require_known(test_clips=(self.test_clips, TestClips))
        if self.split is not None:
            whole_number("split", self.split, least=0)
        whole_number("num_workers", self.num_workers, least=0)
        whole_number("clips_per_batch", self.clips_per_batch)


def load_settings(
    files: Iterable[Path] = (), changes: Mapping[str, Any] = MappingProxyType({})
) -> RunSettings:
    """The settings of a run from YAML files and changes, the others at their defaults.

    Args:
        files: YAML files of settings, each laid over the one before, such as
            ``preset_path("finetune")`` or the ``config.yaml`` of a run.
        changes: Values by dotted name, which are laid over the files.

    Returns:
        Every setting, checked against its type.

    Raises:
        UserError: A file cannot be read, a setting is unknown, has a value of another type, or
            ``dataset`` or ``root`` is missing.

    Example:
        >>> changes = {"dataset": "mars", "root": "data/tiny", "model.num_frames": 8}
        >>> settings = load_settings([preset_path("finetune")], changes)
        >>> settings.epochs, settings.model["num_frames"], settings.data["height"]
        (30, 8, 128)
    """
    values: dict[str, Any] = {}
    for file in files:
        values |= read_settings(file)
    values |= by_name(changes)
    return RunSettings.of(_parser().parse_object(nest(values)).as_dict())


@cache
def default_settings() -> Mapping[str, Any]:
    """The default of every setting that has one, as plain values by dotted name."""
    defaults = flatten(_plain(_parser().get_defaults().as_dict()))
    return MappingProxyType({k: v for k, v in defaults.items() if k not in ("dataset", "root")})


def preset_path(name: str) -> Path:
    """The YAML file of a preset in the package; raises a UserError if there is no such preset."""
    names = sorted(p.name.removesuffix(".yaml") for p in PRESETS.iterdir() if ".yaml" in p.name)
    if name not in names:
        raise UserError(f"preset {name!r} is unknown: use {', '.join(names)}")
    return Path(str(PRESETS / f"{name}.yaml"))


def add_settings(parser: ArgumentParser, without: Set[str] = frozenset()) -> None:
    """Adds an option for every setting; the data set and its folder are positional arguments.

    Args:
        parser: Parser that receives them.
        without: Names of settings of the run itself that are left out.
    """
    # Settings can be read and compared without them, which take seconds to import.
    from stgcn_pyg.data import TrackletDataModule
    from stgcn_pyg.models import STGCN
    from stgcn_pyg.runs.training.module import STGCNTraining

    parser.add_class_arguments(RunSettings, as_positional=True, skip={*SECTIONS, *without})
    parser.add_class_arguments(STGCN, "model", skip={"num_classes"})
    elsewhere = {"dataset", "num_frames", "seed", "pack", "on_bad_frame"}
    parser.add_class_arguments(TrackletDataModule, "data", skip=elsewhere)
    parser.add_class_arguments(STGCNTraining, "training", skip={"model", "config"})


@cache
def _parser() -> SettingsParser:
    parser = SettingsParser()
    add_settings(parser)
    return parser


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, Path):
        return str(value)
    # The parser's restricted numbers are subclasses that YAML does not know.
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
