"""Several processes have the gradients of one."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from conftest import MarsTree
from several_processes import run_together
from torch import nn

from stgcn_pyg import STGCN
from stgcn_pyg.data import TrackletDataModule, load_dataset
from stgcn_pyg.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from stgcn_pyg.distributed import ALONE, ProcessGroup, init_distributed
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.training import STGCNTraining
from stgcn_pyg.runs.training.data_parallel import SyncedBatchNorm, data_parallel

PATCHES = {"temporal_patches": 2, "spatial_patches": 2, "spatial_channels": 16}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return MarsTree(tmp_path_factory.mktemp("scale") / "mars").write()


class InDouble(STGCNTraining):
    """Of clips in float64, so that only a wrong formula makes a difference."""

    def forward(self, batch):
        return super().forward(batch._replace(clips=batch.clips.double()))


def gradients_and_labels(root, group, batch_norm, backbone="resnet18", compile="off", **options):
    """The gradients of a step in float64, and the labels of this process's part of the batch."""
    torch.manual_seed(0)
    size = {"num_frames": 2, "height": 32, "width": 16}
    people = {"identities_per_batch": 2, "tracklets_per_identity": 2}
    data = TrackletDataModule(
        load_dataset("mars", root), **size, **people, num_workers=0, shift=0.1, erase=0.5
    )
    model = STGCN(data.num_classes, 2, backbone, None, temporal_layers=2, **PATCHES, **options)
    module = InDouble(model, compile=compile)
    if batch_norm == "frozen":
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.eval()
    module.double()
    batch = next(iter(data.train_dataloader()))
    batch = data.move_and_normalize(batch, "cpu", IMAGENET_MEAN, IMAGENET_STD)
    synchronised = batch_norm == "synchronised"
    with data_parallel(module, group, torch.device("cpu"), synchronised) as parallel:
        parallel(batch)["loss"].backward()
    assert module.compiled_forward.compiled == (compile == "on")
    gradients = {name: p.grad for name, p in module.named_parameters() if p.requires_grad}
    buffers = {name: buffer for name, buffer in module.named_buffers() if "running" in name}
    return gradients | buffers, batch.labels.tolist()


@pytest.mark.parametrize(
    ("batch_norm", "options", "bound"),
    [
        ("synchronised", {}, 1e-12),
        ("frozen", {}, 1e-12),
        # Its 53 batch norms, of a few pixels each, enlarge what is rounded in float64.
        (
            "synchronised",
            {"backbone": "timm/mobilenetv2_100", "last_stage": "stride1", "neck": "bnneck"},
            1e-9,
        ),
    ],
)
def test_two_processes_have_the_gradients_of_one_and_its_batch(
    root, tmp_path, batch_norm, options, bound
):
    def step(group):
        return gradients_and_labels(root, group, batch_norm, **options)

    def work(rank):
        with init_distributed() as group:
            torch.save(step(group), tmp_path / str(rank))

    assert run_together(work) == [0, 0]
    expected_gradients, expected_labels = step(ALONE)
    (gradients, labels), (others, other_labels) = (torch.load(tmp_path / rank) for rank in "01")
    assert labels + other_labels == expected_labels
    assert all(torch.equal(gradients[name], others[name]) for name in gradients)
    difference = max(
        # A bias in front of a batch norm has a gradient of 0 but for rounding.
        float((gradients[name] - expected).abs().max() / expected.abs().max().clamp(min=0.01))
        for name, expected in expected_gradients.items()
    )
    assert difference < bound


@pytest.mark.slow
@pytest.mark.usefixtures("narrow_backbone", "shapes_unchecked")
def test_batch_norms_of_all_processes_are_compiled_with_the_network(root):
    """The graph is followed as on a GPU, but no code is made of it."""

    def work(rank):
        torch.compile = partial(torch.compile, backend="aot_eager")
        with init_distributed() as group:
            plain, compiled = (
                gradients_and_labels(root, group, "synchronised", compile=how)[0]
                for how in ("off", "on")
            )
        torch.testing.assert_close(compiled, plain, rtol=1e-9, atol=1e-9)

    assert run_together(work) == [0, 0]


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    ProcessGroup(world_size=4, local_world_size=2).require_gpus()
    with pytest.raises(UserError, match="4 processes on a machine of 2 GPU"):
        ProcessGroup(world_size=4, local_world_size=4).require_gpus()


def see_one_gpu(uuid):
    """Lets this process see a GPU, which it does not use."""
    torch.cuda.is_available = lambda: False
    torch.cuda.device_count = lambda: 1
    torch.cuda.get_device_properties = lambda gpu: SimpleNamespace(uuid=uuid)
    torch.cuda.set_device = lambda gpu: None


@pytest.mark.parametrize("slurm", [True, False])
def test_processes_that_each_see_a_gpu_of_their_own_train_as_others_do(root, tmp_path, slurm):
    """As with `srun --gpus-per-task=1`: simulated, for the training itself is on the CPU."""

    def work(rank):
        see_one_gpu(f"GPU-{rank}")
        with init_distributed() as group:
            group.require_gpus()
            assert group.local_rank == 0
            torch.save(gradients_and_labels(root, group, "synchronised"), tmp_path / str(rank))

    assert run_together(work, slurm=slurm) == [0, 0]
    _, labels = gradients_and_labels(root, ALONE, "synchronised")
    parts = [torch.load(tmp_path / rank) for rank in "01"]
    assert parts[0][1] + parts[1][1] == labels
    assert all(torch.equal(parts[0][0][name], value) for name, value in parts[1][0].items())


def test_processes_that_share_one_gpu_are_refused():
    def work(rank):
        see_one_gpu("GPU-0")
        with init_distributed() as group:
            try:
                group.require_gpus()
            except UserError:
                return 2

    assert run_together(work) == [2, 2]


def test_synchronised_batch_norm_is_that_of_the_whole_batch(tmp_path):
    torch.manual_seed(0)
    batch, gradient = 3 + 2 * torch.randn(2, 5, 4, 3, 2)
    parts = [slice(0, 2), slice(2, 5)]  # of different sizes

    def normalise(kind, rows):
        norm = kind(4)
        nn.init.uniform_(norm.weight, 0.5, 2)
        x = batch[rows].clone().requires_grad_()
        y = norm(x)
        y.backward(gradient[rows])
        return [y.detach(), x.grad, norm.weight.grad, norm.bias.grad], list(norm.buffers())

    def work(rank):
        with init_distributed():
            torch.manual_seed(1)
            torch.save(normalise(SyncedBatchNorm, parts[rank]), tmp_path / str(rank))

    assert run_together(work) == [0, 0]
    torch.manual_seed(1)
    (y, x, weight, bias), buffers = normalise(nn.BatchNorm2d, slice(None))
    (one, _), (other, of_other) = (torch.load(tmp_path / rank) for rank in "01")
    for found, expected in (
        (torch.cat([one[0], other[0]]), y),
        (torch.cat([one[1], other[1]]), x),
        (one[2] + other[2], weight),
        (one[3] + other[3], bias),
        *zip(of_other, buffers, strict=True),
    ):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
