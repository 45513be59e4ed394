"""The processes that share a job: which of them this one is, and what they tell each other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist

from stgcn_pyg.errors import RunError, UserError

if TYPE_CHECKING:
    from lightning.fabric.plugins.environments import ClusterEnvironment

T = TypeVar("T")

TO_COME = timedelta(minutes=10)  # that the processes wait for each other at the beginning
LOST = (dist.DistBackendError, dist.DistNetworkError, dist.DistStoreError)


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of a job, of which this is one; without arguments, one that is alone.

    What they tell each other goes through the processes' memory, not the GPUs'. Every process must
    call the same methods in the same order.

    Attributes:
        rank: Of this process, from 0.
        world_size: How many there are.
        local_rank: Of this process among those on its machine, from 0. A process that sees GPUs of
            its own alone counts as the only one on a machine.
        local_world_size: How many those are.
        store: Where they leave notes for each other.

    Example:
        >>> ProcessGroup().is_first, ProcessGroup().gather("word"), ProcessGroup().largest(3)
        (True, ['word'], 3)
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1
    store: dist.Store | None = None

    @property
    def is_first(self) -> bool:
        """Whether it is this one that prints and writes."""
        return self.rank == 0

    @property
    def num_nodes(self) -> int:
        """How many machines there are."""
        return self.world_size // self.local_world_size

    def require_gpus(self) -> None:
        """Raises a UserError where a machine has fewer GPUs than processes."""
        if self.local_world_size > torch.cuda.device_count():
            raise UserError(
                f"{self.local_world_size} processes on a machine of {torch.cuda.device_count()} "
                "GPU(s): begin one a GPU, or pass --accelerator cpu"
            )

    def gather(self, value: T) -> list[T]:
        """Every process's value, in the order of their ranks."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def from_first(self, value: T) -> T:
        """The first one's value."""
        if self.world_size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values)
        return values[0]

    def largest(self, number: int) -> int:
        """The largest of every process's number."""
        if self.world_size == 1:
            return number
        shared = torch.tensor(number)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return int(shared)

    def speaks_first(self) -> bool:
        """Whether none of them has called this before: who tells an error that stops them all."""
        if self.store is None:
            return True
        try:
            return self.store.add("stgcn_pyg/told", 1) == 1
        except LOST:  # whoever kept the notes is gone, and has told its own error
            return False


ALONE = ProcessGroup()


def device_for(accelerator: str, group: ProcessGroup = ALONE) -> str:
    """The torch device of an accelerator: ``"cpu"``, or ``"cuda"`` for this process's own GPU.

    Args:
        accelerator: ``"cpu"``, ``"gpu"``, or ``"auto"``: a CUDA GPU where there is one, else the
            CPU; Apple's GPUs are not used.
        group: The processes that compute together.

    Raises:
        UserError: A GPU is asked for and there is none, or fewer than processes.
    """
    available = torch.cuda.is_available()
    if accelerator == "gpu" and not available:
        raise UserError("--accelerator gpu: PyTorch sees no GPU here; pass cpu or auto")
    if not available or accelerator == "cpu":
        return "cpu"
    group.require_gpus()
    return "cuda"


@contextmanager
def init_distributed() -> Iterator[ProcessGroup]:
    """Joins the other processes that torchrun or srun began, for as long as it is entered.

    Where it is entered already, or PyTorch's default process group is there by other means, they
    are joined already. A process that nobody began with others is alone.

    Raises:
        RunError: The others do not come, or one has ended before its time.
    """
    environment = _began_by()
    if dist.is_available() and dist.is_initialized():
        yield _placed(environment, dist.get_rank(), dist.get_world_size(), None)
    elif environment is None or environment.world_size() == 1:
        yield ProcessGroup()
    else:
        group = _join(environment)
        try:
            yield group
        except RuntimeError as error:
            if is_lost(error):
                raise RunError(_lost(group)) from error
            raise
        dist.destroy_process_group()  # after an error it would wait for the others


def is_lost(error: BaseException) -> bool:
    """Whether an error only says that another process is no longer there."""
    return isinstance(error, LOST) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def environment_of(group: ProcessGroup) -> "ClusterEnvironment":
    """What began the processes, as Lightning knows it.

    Raises:
        UserError: They were begun neither by torchrun nor by srun.
    """
    environment = _began_by()
    if environment is None:
        raise UserError(
            f"{group.world_size} processes are joined, but neither torchrun nor srun began them: "
            "begin them so (docs/scale.md)"
        )
    if group.local_world_size < _told_of_this_machine():
        from stgcn_pyg.runs.training.own_machines import OwnMachines

        return OwnMachines(environment)
    return environment


def _began_by() -> "ClusterEnvironment | None":
    if not {"TORCHELASTIC_RUN_ID", "SLURM_NTASKS"} & os.environ.keys():
        return None
    # Lightning takes its time to import, and one process alone may not need it.
    from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

    if TorchElasticEnvironment.detect():  # first, for it may run in a job of SLURM's
        return TorchElasticEnvironment()
    if not SLURMEnvironment.detect():
        return None
    try:
        # A run saves at SIGTERM; whether the job begins again is the user's to say.
        return SLURMEnvironment(auto_requeue=False)
    except RuntimeError as error:  # how many processes there are on a machine is not told
        raise UserError(f"SLURM: {' '.join(str(error).split())}") from error


def _join(environment: "ClusterEnvironment") -> ProcessGroup:
    rank, world_size = environment.global_rank(), environment.world_size()
    os.environ["MASTER_ADDR"] = environment.main_address
    os.environ["MASTER_PORT"] = str(environment.main_port)
    if environment.local_rank() < torch.cuda.device_count():
        torch.cuda.set_device(environment.local_rank())  # what "cuda" means from here on
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        store, _, _ = next(dist.rendezvous("env://", rank, world_size, timeout=TO_COME))
        dist.init_process_group(backend, store=store, rank=rank, world_size=world_size)
    except LOST as error:
        raise RunError(
            f"process {rank} of {world_size}: the others did not come within "
            f"{TO_COME.seconds // 60} minutes at {environment.main_address}, port "
            f"{environment.main_port}: begin all of them, where they reach that machine"
        ) from error
    return _placed(environment, rank, world_size, store)


def _placed(
    environment: "ClusterEnvironment | None", rank: int, world_size: int, store: dist.Store | None
) -> ProcessGroup:
    if environment is None:  # some other launcher, which is taken to be one of a single machine
        return ProcessGroup(rank, world_size, rank, world_size, store)
    here = _told_of_this_machine()
    if _each_sees_gpus_of_its_own(world_size, here):
        return ProcessGroup(rank, world_size, 0, 1, store)
    return ProcessGroup(rank, world_size, environment.local_rank(), here, store)


def _told_of_this_machine() -> int:
    """How many processes torchrun or srun began here."""
    return int(os.environ.get("LOCAL_WORLD_SIZE") or os.environ["SLURM_NTASKS_PER_NODE"])


def _each_sees_gpus_of_its_own(world_size: int, here: int) -> bool:
    """Whether every process sees GPUs that no other one sees, as `srun --gpus-per-task=1` has it.

    Each of them is then as if alone on a machine.
    """
    visible = torch.cuda.device_count()
    own = [_uuid_of(gpu) for gpu in range(visible)] if visible < here else []
    of_all: list[list[str]] = [[] for _ in range(world_size)]
    dist.all_gather_object(of_all, own)
    different = {uuid for uuids in of_all for uuid in uuids}
    return all(of_all) and len(different) == sum(map(len, of_all))


def _uuid_of(gpu: int) -> str:
    return str(torch.cuda.get_device_properties(gpu).uuid)


def _lost(group: ProcessGroup) -> str:
    return (
        f"process {group.rank} of {group.world_size} has lost another one, which was killed or "
        "cannot be reached: find out why (a machine's memory?) and run the same command again"
    )
