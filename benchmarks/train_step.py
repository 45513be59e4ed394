"""What a training step costs beside that of its backbone, and where the rest goes.

    python -m benchmarks.train_step                # on the CPU: ResNet-18, 64 images of 128 x 64
    python -m benchmarks.train_step --device cuda  # the paper's: ResNet-50, 512 of 256 x 128

A step is forward, backward and the optimiser, on a batch that is on the device.

backbone       the backbone alone, on images that are normalised already, with its own Adam
full           the whole step: augmentation, network, losses, finite checks, Adam
eager float32  the same without torch.compile, channels-last, mixed precision, TF32 and fused Adam
augmentation   flips and normalisation
branches       what follows the backbone: graphs, classifier and losses, forward and backward
finite checks  whether the loss and all gradients are finite
Adam           its step for the whole network; that for the backbone alone is in `backbone`
product, copy  a large matrix product and a large copy: the highest rates that can be reached
"""

from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from jsonargparse import auto_cli
from torch import Tensor
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import measuring
from benchmarks.measuring import Precision, Size, SizeName, Step
from stgcn_pyg.data import ClipBatch
from stgcn_pyg.data.transforms import ClipAugmentation, normalize
from stgcn_pyg.losses import stgcn_losses
from stgcn_pyg.planning.step import flop_counter
from stgcn_pyg.runs.devices import tf32_allowed
from stgcn_pyg.runs.training import STGCNTraining
from stgcn_pyg.runs.training.compiled import Compile
from stgcn_pyg.runs.training.finite_checks import FiniteChecks


class WholeStep:
    """A step as :func:`stgcn_pyg.runs.training.loop` takes it, without its loop."""

    def __init__(
        self,
        size: Size,
        device: torch.device,
        precision: Precision,
        compile: Compile,
        tf32: bool,
        **options: Any,
    ):
        self.module = (
            STGCNTraining(measuring.network(size), compile=compile, **options).to(device).train()
        )
        self.optimizer, _ = self.module.build_optimizer(epochs=1)
        self.checks = FiniteChecks(None, None, Path("none"))  # type: ignore[arg-type]  # all are good
        self.augmentation = ClipAugmentation(flip=0.5)  # the paper's
        self.batch = measuring.batch(size, device)
        self.precision = precision
        self.tf32 = tf32
        self.device = device

    def __call__(self) -> None:
        with tf32_allowed(self.tf32):
            clips = self.augment()
            with measuring.autocast(self.precision, self.device):
                loss = self.module(ClipBatch(clips, self.batch.labels))["loss"]
            self.optimizer.zero_grad()
            loss.backward()
            self.check_finite(loss)
            self.optimizer.step()

    def augment(self) -> Tensor:
        return normalize(
            self.augmentation.apply(self.batch.clips.float() / 255, self.batch.changes)
        )

    def check_finite(self, loss: Tensor | None = None) -> None:
        loss = torch.zeros((), device=self.device) if loss is None else loss
        self.checks.check(loss, self.module, self.optimizer, step=1, epoch=1, batch=1)
        self.checks.read_if_due()


def backbone_step(whole: WholeStep, size: Size, compiled: bool) -> Step:
    """A step of the backbone alone, from the gradient of its maps; all else as in `whole`."""
    module = STGCNTraining(
        measuring.network(size), channels_last=whole.module.model.backbone.channels_last
    )
    backbone = module.model.backbone.to(whole.device).train()
    images = whole.augment().flatten(0, 1)
    with torch.no_grad():
        gradient = torch.randn_like(backbone(images))
    optimizer = torch.optim.Adam(
        backbone.parameters(), lr=3e-4, weight_decay=5e-4, fused=whole.optimizer.defaults["fused"]
    )
    run = torch.compile(backbone, fullgraph=True) if compiled else backbone

    def step() -> None:
        with tf32_allowed(whole.tf32):
            with measuring.autocast(whole.precision, whole.device):
                maps = run(images)
            optimizer.zero_grad()
            torch.autograd.backward(maps, gradient.to(maps.dtype))
            optimizer.step()

    return step


def branches_step(whole: WholeStep, size: Size) -> Step:
    """What follows the backbone, from maps like its own."""
    model = measuring.network(size).to(whole.device).train()
    with torch.no_grad(), measuring.autocast(whole.precision, whole.device):
        maps = model.backbone(whole.augment().flatten(0, 1))
    maps.requires_grad_()

    def step() -> None:
        model.zero_grad()
        maps.grad = None
        with measuring.autocast(whole.precision, whole.device):
            output = model.from_feature_maps(maps)
            loss, _ = stgcn_losses(output.features, output.logits, whole.batch.labels)
        loss.backward()

    return step


def product(device: torch.device, dtype: torch.dtype, size: int) -> Step:
    one, other = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return lambda: one @ other


def copy(device: torch.device, count: int) -> Step:
    source = torch.randn(count, device=device)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


class Traffic(TorchDispatchMode):
    """The bytes that kernels read and write, each tensor counted once a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        out = function(*arguments, **(options or {}))
        if not function.is_view:
            for value in torch.utils._pytree.tree_leaves((arguments, options, out)):
                if isinstance(value, Tensor):
                    self.bytes += value.numel() * value.element_size()
        return out


def counted(step: Step) -> dict[str, float]:
    """The operations of products and convolutions in a step, and the bytes of all its kernels."""
    with flop_counter() as flops:
        step()
    with Traffic() as traffic:
        step()
    return {"operations": flops.get_total_flops(), "bytes": traffic.bytes}


def account(step: Step, device: torch.device, rows: int = 12) -> list[dict[str, Any]]:
    """Where the time of a step goes, by kernel: the largest shares."""
    cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda
    step()
    with profile(activities=activities) as profiler:
        step()
    # On a GPU the kernels alone: the operations that launch them are listed with their time again.
    kind = DeviceType.CUDA if cuda else DeviceType.CPU
    name = "self_device_time_total" if cuda else "self_cpu_time_total"
    events = [
        (getattr(event, name), event.key, event.count)
        for event in profiler.key_averages()
        if event.device_type == kind
    ]
    total = sum(time for time, _, _ in events)
    return [
        {"kernel": key[:60], "share": round(time / total, 4), "calls": count}
        for time, key, count in sorted(events, reverse=True)[:rows]
    ]


def main(
    device: Literal["cpu", "cuda"] = "cpu",
    precision: Precision | None = None,
    compile: Compile = "auto",
    size: SizeName | None = None,
    rounds: int = 9,
    parts: bool = True,
    json: Path | None = None,
) -> None:
    """Times a training step, its backbone's, and its parts.

    Args:
        device: Where to measure.
        precision: Precision of all but `eager float32`; bf16-mixed on a GPU if not given.
        compile: Whether all but `eager float32` go through torch.compile.
        size: `paper`, `cpu` or `tiny`; the paper's on a GPU if not given.
        rounds: How many interleaved rounds.
        parts: Whether to time the parts of the step too.
        json: Where to write the figures.
    """
    where, chosen = torch.device(device), measuring.size_for(device, size)
    precision = precision or ("bf16-mixed" if device == "cuda" else "32-true")
    full = WholeStep(chosen, where, precision, compile, tf32=True)
    full()  # compiles, or finds that it cannot
    compiled = full.module.compiled_forward.compiled
    eager = WholeStep(chosen, where, "32-true", "off", tf32=False, channels_last=False, fused=False)
    kind = "bfloat16" if precision == "bf16-mixed" else "float32"
    large = 8192 if device == "cuda" else 1024
    numbers = 2**28 if device == "cuda" else 2**24
    steps: dict[str, Step] = {
        "backbone": backbone_step(full, chosen, compiled),
        "full": full,
        "eager float32": eager,
        "product": product(where, getattr(torch, kind), large),
        "copy": copy(where, numbers),
    }
    if parts:
        steps |= {
            "augmentation": full.augment,
            "branches": branches_step(full, chosen),
            "finite checks": full.check_finite,
            "Adam": full.optimizer.step,
        }
    times = measuring.times_by_round(steps, rounds, long_rounds=rounds)
    rate = measuring.spread([2 * large**3 / seconds for seconds in times["product"]])
    bandwidth = measuring.spread([8 * numbers / seconds for seconds in times["copy"]])
    work = counted(eager)
    seconds = measuring.spread(times["full"])["median"]
    results = {
        "seconds": {name: measuring.spread(values) for name, values in times.items()},
        "ratios": {
            "full / backbone": measuring.ratios(times["full"], times["backbone"]),
            "eager float32 / full": measuring.ratios(times["eager float32"], times["full"]),
        },
        "work of a step": work,
        "full, TFLOP a second": work["operations"] / seconds / 1e12,
        "product, operations a second": rate,
        "copy, bytes a second": bandwidth,
        "shares": {
            "of the product's rate in bfloat16": measuring.NOT_MEASURED,
            f"of the product's rate in {kind}": work["operations"] / seconds / rate["median"],
            "of the copy's bandwidth": work["bytes"] / seconds / bandwidth["median"],
        },
        "account": account(full, where),
    }
    results["bars"] = bars(results["ratios"], device)
    _print(results)
    settings = {"size": str(chosen), "precision": precision, "compiled": compiled, "rounds": rounds}
    measuring.write_results(json, results, settings, device)


def bars(found: dict[str, dict[str, float]], device: str) -> list[dict[str, object]]:
    """The bounds of the ratios; that of float32 is for a GPU."""
    full, eager = (found[name]["median"] for name in ("full / backbone", "eager float32 / full"))
    return [
        measuring.bar("full / backbone", full, "<=", 1.08),
        measuring.bar("eager float32 / full", eager if device == "cuda" else None, ">=", 3.0),
    ]


def _print(results: dict[str, Any]) -> None:
    table = pd.DataFrame(results["seconds"]).T * 1e3
    print(table.round(2).add_suffix(", ms").to_string())
    print(pd.DataFrame(results["ratios"]).T.round(3).to_string())
    for name, share in results["shares"].items():
        print(f"{share if isinstance(share, str) else format(share, '.1%')} {name}")
    print(pd.DataFrame(results["account"]).to_string(index=False))
    print(pd.DataFrame(results["bars"]).to_string(index=False))


if __name__ == "__main__":
    auto_cli(main)
