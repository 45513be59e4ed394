"""A training step of a run's settings on a fake GPU: its memory and its work."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from stgcn_pyg.data import ClipBatch, TrackletDataset
from stgcn_pyg.errors import UserError
from stgcn_pyg.planning.fake_cuda import backward, fake_cuda, missing, move
from stgcn_pyg.planning.memory import LiveMemory, StepMemory, bytes_of
from stgcn_pyg.runs.run import build_data, build_module, require_fitting_network
from stgcn_pyg.runs.settings import RunSettings


class PlannedStep:
    """Runs training steps of a run's settings without data, weights or values.

    The step is that of ``stgcn train``: augmentation, forward pass, losses, backward pass and
    optimiser, from its second step on, when the optimiser has a state. It is not compiled; a
    compiled one needs less memory.

    Args:
        settings: Settings of the run; its weights are not read, nor is its data set.
        num_identities: Number of identities to train on.
        device: Device to predict for, ``"cuda"`` or ``"cpu"``.

    Raises:
        UserError: A setting makes no sense, or this version of PyTorch has moved what a fake GPU
            is made of.
    """

    def __init__(self, settings: RunSettings, num_identities: int, device: str = "cuda"):
        self.device = device
        lacking = missing()
        if lacking is not None:
            raise UserError(f"the memory of a step cannot be predicted here: {lacking}")
        model: Mapping[str, Any] = {**settings.model, "weights": None}
        training: Mapping[str, Any] = {**settings.training, "compile": "off"}
        self.settings = replace(
            settings, model=model, training=training, weights_from=None, pack=None
        )
        require_fitting_network(self.settings)
        self.data = build_data(
            self.settings, _tracklets_of_nobody(settings.dataset, num_identities)
        )
        self.steps_per_epoch = len(self.data.sampler)  # refuses batches of more identities
        self.module = build_module(self.settings, self.data).train()
        self.num_parameters = sum(p.numel() for p in self.module.model.parameters())
        with fake_cuda() as self._mode:
            move(self.module, device)
            self.optimizer, _ = self.module.build_optimizer(settings.epochs)
            _give_gradients(self.module)
            self.optimizer.step()

    def memory(
        self,
        identities_per_batch: int,
        micro_batches: int | None = None,
        activation_checkpointing: bool | None = None,
        precision: str | None = None,
    ) -> StepMemory:
        """The bytes on the device at the peak of a step.

        Args:
            identities_per_batch: P, the number of identities in the batch.
            micro_batches: Number of parts of the batch; that of the settings if not given.
            activation_checkpointing: Whether blocks are computed twice; as the settings say if
                not given.
            precision: ``"32-true"`` or ``"bf16-mixed"``; that of the settings if not given.
        """
        self._choose(micro_batches, activation_checkpointing)
        with fake_cuda(self._mode):
            _give_gradients(self.module)
            live = LiveMemory(self.device)
            live.add_present(parameter.grad for parameter in self.module.parameters())
            with live:
                batch = self._batch(identities_per_batch)
                self._step(batch, precision)
        of_batch = bytes_of(batch.clips) + bytes_of(batch.labels)
        state = (v for s in self.optimizer.state.values() for v in s.values())
        of_optimizer = sum(bytes_of(value) for value in state if isinstance(value, Tensor))
        of_module = sum(map(bytes_of, [*self.module.parameters(), *self.module.buffers()]))
        return StepMemory(of_module, of_optimizer, of_batch, live.peak - of_batch)

    def flop(
        self,
        identities_per_batch: int,
        micro_batches: int | None = None,
        activation_checkpointing: bool | None = None,
    ) -> int:
        """The floating-point operations of a step's products and convolutions.

        A product and an addition are two; what is computed twice counts twice. The arguments are
        those of :meth:`memory`.
        """
        self._choose(micro_batches, activation_checkpointing)
        with fake_cuda(self._mode), flop_counter() as counter:
            self._step(self._batch(identities_per_batch))
        return counter.get_total_flops()

    def _choose(self, micro_batches: int | None, activation_checkpointing: bool | None) -> None:
        chosen = self.settings.training
        if micro_batches is None:
            micro_batches = chosen["micro_batches"]
        if activation_checkpointing is None:
            activation_checkpointing = chosen["activation_checkpointing"]
        self.module.micro_batches = micro_batches
        self.module.model.backbone.activation_checkpointing = activation_checkpointing

    def _step(self, batch: ClipBatch, precision: str | None = None) -> None:
        mixed = (precision or self.settings.precision) == "bf16-mixed"
        with torch.autocast(self.device, torch.bfloat16, enabled=mixed):
            loss = self.module(batch)["loss"]
        self.optimizer.zero_grad()
        backward(loss)
        self.optimizer.step()

    def _batch(self, identities_per_batch: int) -> ClipBatch:
        """A batch as the loader reads it, moved to the GPU, augmented and normalised."""
        data, model = self.data, self.module.model
        num_clips = identities_per_batch * data.tracklets_per_identity
        shape = num_clips, data.num_frames, data.height, data.width, 3
        rows = data.num_frames if data.augmentation.augment == "frame" else 1
        clips = torch.empty(shape, dtype=torch.uint8).permute(0, 1, 4, 2, 3)
        labels = torch.empty(num_clips, dtype=torch.long)
        read = ClipBatch(clips, labels, torch.empty(num_clips, rows, 14))
        return data.move_and_normalize(read, self.device, model.mean, model.std)


def _give_gradients(module: nn.Module) -> None:
    """Gradients as the step before has left them."""
    for parameter in module.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.empty_like(parameter)


def _tracklets_of_nobody(name: str, num_identities: int) -> TrackletDataset:
    """A data set of as many identities, none of whose frames is ever read."""
    train = pd.DataFrame({"pid": range(num_identities), "camid": 0, "num_frames": 1})
    train["first_frame"] = 0
    test = train.head(1).rename(index={0: num_identities})
    frames = pd.Series(["frame.jpg"])
    return TrackletDataset(name, Path(), train, test, test, frames, ("cross-camera",))


def flop_counter() -> FlopCounterMode:
    """Counts the products and additions of products and convolutions run inside.

    PyTorch's own counter multiplies the weight gradient of a grouped convolution by its groups
    (torch 2.14.1), which makes a MobileNetV2 seven times as heavy as it is.

    Example:
        >>> depthwise = torch.nn.Conv2d(8, 8, 3, groups=8, bias=False)
        >>> with flop_counter() as counter:
        ...     depthwise(torch.zeros(1, 8, 6, 6, requires_grad=True)).sum().backward()
        >>> counter.get_total_flops() == 3 * 2 * (8 * 4 * 4) * 9
        True
    """
    mapping = {torch.ops.aten.convolution_backward: _flop_of_convolution_backward}
    return FlopCounterMode(display=False, custom_mapping=mapping)


def _flop_of_convolution_backward(
    grad_shape: Sequence[int],
    x_shape: Sequence[int],
    weight_shape: Sequence[int],
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: int,
    output_mask: Sequence[bool],
    **_others: Any,
) -> int:
    """As much as the forward pass for each gradient, of the input and of the weight.

    ``weight_shape`` holds the channels of one group, so that groups need no further care.
    """
    places = x_shape if transposed else grad_shape
    forward = 2 * places[0] * prod(places[2:]) * prod(weight_shape)
    return forward * sum(map(bool, output_mask[:2]))
