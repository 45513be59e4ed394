"""How many tracklets a second are embedded: by which library, in which precision, from where.

    python -m benchmarks.inference                # on the CPU: ResNet-18, images of 128 x 64
    python -m benchmarks.inference --device cuda  # ResNet-50, images of 256 x 128
    python -m benchmarks.inference --backbones \\
        "[resnet18, resnet50, mobilenet_v2, timm/tf_efficientnet_lite0, timm/vit_small_patch16_224]"

Rendered tracklets of two clips each. `from memory` has the batches in memory already; `from disk`
decodes JPEGs.

eager float32      as `stgcn extract` was before there were backends: eager PyTorch, frames decoded
                   in two worker processes; maps channel after channel
channels last      the same with maps pixel after pixel, which was the default
bf16               the same under autocast to bfloat16
compile            the one before through torch.compile (on a GPU, or if `--compile true`)
torchreid's loop   the feature extractor of torchreid, written out: Pillow, torchvision's
                   transforms and an eager network in turns
torch float32      `embed_tracklets`, the default of `stgcn extract`
torch bfloat16     the same with --precision bfloat16
onnxruntime, openvino float32, openvino bfloat16
                   the same with --backend and --precision
openvino int8      the same with --exported, quantised by NNCF on these clips

Ways that the processor has no instructions for are named and left out.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from jsonargparse import auto_cli
from PIL import Image
from torchvision.transforms import Compose, Normalize, Resize, ToTensor
from tqdm import tqdm

from benchmarks import measuring
from benchmarks.measuring import Precision, Size, SizeName
from stgcn_pyg import STGCN
from stgcn_pyg.data import ClipBatch, TrackletDataModule, load_dataset
from stgcn_pyg.data.datamodule import FrameBatch
from stgcn_pyg.data.transforms import normalize
from stgcn_pyg.export.clip_network import ConvertedNetwork, convert
from stgcn_pyg.export.network import ExportedNetwork
from stgcn_pyg.export.openvino_precision import to_openvino_precision
from stgcn_pyg.models.inference import InferencePrecision, require_bfloat16
from stgcn_pyg.runs.devices import tf32_allowed
from stgcn_pyg.runs.embedding import average_clips, embed_tracklets
from stgcn_pyg.runs.torch_network import ClipNetwork, TorchNetwork
from stgcn_pyg.synthetic import write_benchmark

IDENTITIES = {"paper": 64, "cpu": 8, "tiny": 2}  # seen by two cameras each
FIRST = "eager float32"
# What the least ratio to `FIRST` should be, by the way and where it reads.
BARS = {
    ("torch float32", "from disk"): 1.9,
    ("torch float32", "from memory"): 1.2,
    ("torch bfloat16", "from disk"): 3.0,
    ("openvino bfloat16", "from disk"): 3.0,
    ("openvino int8", "from disk"): 5.0,
}
TORCHREIDS, TORCHREIDS_BAR = "torchreid's loop", 3.0

Embed = Callable[[Any, pd.DataFrame], object]


class KeptBatches:
    """Gives the batches of a data module from memory, at no cost."""

    def __init__(self, data: TrackletDataModule, tracklets: pd.DataFrame):
        self.data = data
        self.height, self.width = data.height, data.width
        self.skipped: set[str] = set()
        self.clips = list(data.clip_dataloader(tracklets))
        with data.frame_batches(tracklets) as batches:
            self.frames = list(batches)

    def clip_dataloader(
        self, tracklets: pd.DataFrame, *how: object
    ) -> AbstractContextManager[Iterator[ClipBatch]]:
        return nullcontext(iter(self.clips))

    def frame_batches(
        self, tracklets: pd.DataFrame, *how: object
    ) -> AbstractContextManager[Iterator[FrameBatch]]:
        return nullcontext(iter(self.frames))

    def move_and_normalize(
        self, batch: ClipBatch, device: torch.device, *colours: Sequence[float]
    ) -> ClipBatch:
        return self.data.move_and_normalize(batch, device, *colours)


def eager(
    size: Size,
    device: torch.device,
    precision: Precision = "32-true",
    channels_last: bool = True,
    compile: bool = False,
) -> Embed:
    """The network clip by clip, as it is trained."""
    model: STGCN = measuring.network(size).to(device).eval()
    model.backbone.channels_last = channels_last
    if compile:
        model.compile(fullgraph=True)

    def embed(data: Any, tracklets: pd.DataFrame) -> None:
        def embed_batch(batch: ClipBatch) -> torch.Tensor:
            clips = data.move_and_normalize(batch, device, model.mean, model.std).clips
            return model(clips).embedding

        with tf32_allowed(channels_last), measuring.autocast(precision, device):  # noqa: SIM117
            with torch.inference_mode():
                batches = data.clip_dataloader(tracklets, 0, 1, device)
                average_clips(embed_batch, batches, len(tracklets), "", silent(tracklets))

    return embed


def through(network: ClipNetwork, size: Size, device: torch.device) -> Embed:
    """What `stgcn extract` does, with a network in any library."""
    model = measuring.network(size)  # only its name is needed

    def embed(data: Any, tracklets: pd.DataFrame) -> None:
        embed_tracklets(model, data, tracklets, device, bar=silent(tracklets), network=network)

    return embed


def torchreids(size: Size, device: torch.device) -> Embed:
    """The loop of torchreid's `FeatureExtractor`, on the clips of a data module."""
    model = measuring.network(size).to(device).eval()
    preprocess = Compose([Resize((size.height, size.width)), ToTensor()])
    normalized = Normalize(model.mean, model.std)

    def embed(data: TrackletDataModule, tracklets: pd.DataFrame) -> None:
        for _, tracklet in tracklets.iterrows():
            paths = data.dataset.paths(tracklet)
            for clip in data.clips_of(len(paths)):
                images = [
                    normalized(preprocess(Image.open(paths[frame]).convert("RGB")))
                    for frame in clip
                ]
                with torch.no_grad():
                    model(torch.stack(images)[None].to(device)).embedding.cpu()

    return embed


def silent(tracklets: pd.DataFrame) -> tqdm:
    """A progress bar that is not shown."""
    return tqdm(total=len(tracklets), disable=True)


def variants(size: Size, device: torch.device, compile: bool) -> dict[str, Embed]:
    """The ways that the device has, without those of other libraries."""

    def in_bfloat16(compile: bool = False) -> Embed:
        if device.type == "cpu":
            require_bfloat16()
        return eager(size, device, "bf16-mixed", compile=compile)

    def torchs(precision: InferencePrecision) -> Embed:
        shape = size.height, size.width
        network = TorchNetwork(measuring.network(size), shape, device, precision)
        return through(network, size, device)

    ways: dict[str, Callable[[], Embed]] = {
        FIRST: lambda: eager(size, device, channels_last=False),
        "channels last": lambda: eager(size, device),
        "bf16": in_bfloat16,
    }
    if compile:
        ways["compile"] = lambda: in_bfloat16(compile=True)
    ways["torch float32"] = lambda: torchs("float32")
    ways["torch bfloat16"] = lambda: torchs("bfloat16")
    return measuring.those_possible(ways)


def runtimes(size: Size, batches: Sequence[FrameBatch]) -> dict[str, Embed]:
    """The ways of onnxruntime and OpenVINO, on a CPU."""
    model, cpu = measuring.network(size).eval(), torch.device("cpu")
    shape = size.height, size.width
    networks: dict[str, ClipNetwork] = measuring.those_possible(
        {
            "onnxruntime": lambda: convert(model, shape, "onnxruntime"),
            "openvino float32": lambda: convert(model, shape, "openvino"),
            "openvino bfloat16": lambda: convert(model, shape, "openvino", "bfloat16"),
            "openvino int8": lambda: in_int8(model, shape, batches),
        }
    )
    return {name: through(network, size, cpu) for name, network in networks.items()}


def in_int8(model: STGCN, shape: tuple[int, int], batches: Sequence[FrameBatch]) -> ClipNetwork:
    """The network of OpenVINO in int8, calibrated on some batches."""
    import openvino

    def clips_of(batch: FrameBatch) -> torch.Tensor:
        pixels = batch.frames.permute(0, 3, 1, 2).float() / 255
        return normalize(pixels, model.mean, model.std)[batch.places].contiguous()

    calibration = [clips_of(batch).numpy() for batch in batches]
    quantised = to_openvino_precision(ExportedNetwork(model, *shape, "clips"), "int8", calibration)
    threads = {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = openvino.Core().compile_model(quantised, "CPU", threads)
    return ConvertedNetwork(lambda clips: compiled(clips)[0], model.mean, model.std)


def measure(
    root: Path, size: Size, device: torch.device, compile: bool, rounds: int
) -> tuple[dict[str, list[float]], int]:
    """Seconds of each way in each round, and the number of tracklets."""
    shape = size.frames, size.height, size.width
    data = TrackletDataModule(load_dataset("mars", root), *shape, identities_per_batch=2)
    tracklets = data.dataset.test()
    kept = KeptBatches(data, tracklets)
    ways = variants(size, device, compile)
    if device.type == "cpu":
        ways |= runtimes(size, kept.frames)
    steps = {}
    for way, embed in ways.items():
        steps[f"{way}, from memory"] = _step(embed, kept, tracklets)
        steps[f"{way}, from disk"] = _step(embed, data, tracklets)
    steps[f"{TORCHREIDS}, from disk"] = _step(torchreids(size, device), data, tracklets)
    return measuring.times_by_round(steps, rounds, long_rounds=rounds), len(tracklets)


def _step(embed: Embed, data: object, tracklets: pd.DataFrame) -> Callable[[], object]:
    return lambda: embed(data, tracklets)


def bars_of(times: Mapping[str, Sequence[float]]) -> list[dict[str, object]]:
    """The ratios that have a bar, by how often a way embeds as many tracklets."""
    bars = []
    for (way, where), bound in BARS.items():
        if f"{way}, {where}" in times:
            ratio = measuring.ratios(times[f"{FIRST}, {where}"], times[f"{way}, {where}"])
            name = f"{way} / {FIRST}, {where}"
            bars.append(measuring.bar(name, ratio["median"], ">=", bound))
    ratio = measuring.ratios(times[f"{TORCHREIDS}, from disk"], times["torch float32, from disk"])
    name = f"torch float32 / {TORCHREIDS}, from disk"
    bars.append(measuring.bar(name, ratio["median"], ">=", TORCHREIDS_BAR))
    return bars


def main(
    device: Literal["cpu", "cuda"] = "cpu",
    compile: bool | None = None,
    size: SizeName | None = None,
    backbones: list[str] | None = None,
    rounds: int = 5,
    json: Path | None = None,
) -> None:
    """Times embedding.

    Args:
        device: Where to embed.
        compile: Whether to time torch.compile too; only on a GPU if not given.
        size: `paper`, `cpu` or `tiny`; the paper's on a GPU if not given.
        backbones: Names of the backbones; that of the size if not given.
        rounds: How many interleaved rounds.
        json: Where to write the figures.
    """
    where, chosen = torch.device(device), measuring.size_for(device, size)
    compile = device == "cuda" if compile is None else compile
    identities = next(n for name, n in IDENTITIES.items() if measuring.SIZES[name] is chosen)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        root = write_tracklets(Path(name) / "data", chosen, identities)
        for backbone in backbones or [chosen.backbone]:
            of_one = chosen._replace(backbone=backbone)
            times, count = measure(root, of_one, where, compile, rounds)
            first = times[f"{FIRST}, from memory"]
            found = {
                "tracklets_a_second": {
                    name: measuring.spread([count / seconds for seconds in values])
                    for name, values in times.items()
                },
                "ratios": {
                    f"{FIRST} / {way}": measuring.ratios(first, values)
                    for step, values in times.items()
                    if (way := step.partition(", ")[0]) != FIRST and step.endswith("memory")
                },
                "bars": bars_of(times),
            }
            results[backbone] = found
            # Now, since the next takes minutes.
            settings = {"size": str(chosen), "tracklets": count, "rounds": rounds}
            written = found if backbones is None else results
            measuring.write_results(json, written, settings, device)
            print(f"\n{backbone}")
            for figures in (found["tracklets_a_second"], found["ratios"]):
                print(pd.DataFrame(figures).T.round(3).to_string())
            print(pd.DataFrame(found["bars"]).to_string(index=False))


def write_tracklets(root: Path, size: Size, identities: int) -> Path:
    """Renders tracklets of two clips."""
    write_benchmark(
        root,
        train_people=2,
        test_people=identities,
        cameras=2,
        tracklets_per_camera=1,
        frames=(2 * size.frames, 2 * size.frames),
        height=size.height,
        width=size.width,
        distractors=0,
        junk=0,
        workers=os.cpu_count() or 1,
        progress=False,
    )
    return root


if __name__ == "__main__":
    auto_cli(main)
