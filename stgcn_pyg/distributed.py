"""The processes of a job: their ranks, and the values that they exchange."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from stgcn_pyg.errors import RunError, UserError

T = TypeVar("T")

START_TIMEOUT = timedelta(minutes=10)  # for the processes to find each other
LOST = (dist.DistBackendError, dist.DistNetworkError, dist.DistStoreError)


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of a job, of which this is one; without arguments, a single process.

    Values are exchanged through the memory of the CPUs. Every process must call the same methods in
    the same order.

    Attributes:
        rank: Number of this process, from 0.
        world_size: Number of processes.
        local_rank: Number of this process among those of its machine, from 0. A process that sees
            only GPUs of its own counts as the only one of a machine.
        local_world_size: Number of processes on this machine.
        store: Key-value store that the processes share.

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
        """Whether this is the process that prints and writes."""
        return self.rank == 0

    def require_gpus(self) -> None:
        """Raises a UserError if the machine has fewer GPUs than processes."""
        if self.local_world_size > torch.cuda.device_count():
            raise UserError(
                f"{self.local_world_size} processes on a machine of {torch.cuda.device_count()} "
                "GPU(s): begin one a GPU, or pass --accelerator cpu"
            )

    def gather(self, value: T) -> list[T]:
        """The value of every process, in the order of the ranks."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def from_first(self, value: T) -> T:
        """The value of the first process."""
        if self.world_size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values)
        return values[0]

    def largest(self, number: int) -> int:
        """The largest number of any process."""
        if self.world_size == 1:
            return number
        shared = torch.tensor(number)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return int(shared)

    def reports_first(self) -> bool:
        """Whether no process has called this before, so that an error is printed once."""
        if self.store is None:
            return True
        try:
            return self.store.add("stgcn_pyg/reported", 1) == 1
        except LOST:  # the process with the store has ended, and has printed its own error
            return False


ALONE = ProcessGroup()


@contextmanager
def init_distributed() -> Iterator[ProcessGroup]:
    """Joins the other processes that torchrun or srun began, until the end of the block.

    Inside another such block, or where PyTorch's default process group was initialised by other
    means, that group is used. A process without others forms a group alone.

    Raises:
        UserError: SLURM does not say how many processes it began on each machine.
        RunError: The other processes do not appear in time, or one of them is lost.
    """
    launched = _read_launch()
    if dist.is_available() and dist.is_initialized():
        rank, world_size = dist.get_rank(), dist.get_world_size()
        if launched is None:  # another launcher, which is taken to be one of a single machine
            yield ProcessGroup(rank, world_size, rank, world_size)
        else:
            yield _with_own_gpus(launched[0])
    elif launched is None or launched[0].world_size == 1:
        yield ALONE
    else:
        group = _join(*launched)
        try:
            yield group
        except RuntimeError as error:
            if is_lost(error):
                raise RunError(
                    f"process {group.rank} of {group.world_size} has lost another one, which was "
                    "killed or cannot be reached: find out why (a machine's memory?) and run the "
                    "same command again"
                ) from error
            raise
        dist.destroy_process_group()  # after an error it would wait for the others


def is_lost(error: BaseException) -> bool:
    """Whether an error only says that another process is no longer there."""
    return isinstance(error, LOST) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def _read_launch() -> tuple[ProcessGroup, str, str] | None:
    """The group that torchrun or srun began, and address and port of its first process."""
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env:  # first, for torchrun may run in a job of SLURM
        group = _group_in("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        return group, env.get("MASTER_ADDR", "127.0.0.1"), env.get("MASTER_PORT", "12910")
    # An interactive shell of SLURM has the variables, too, but did not begin this process.
    is_shell = env.get("SLURM_JOB_NAME") in ("bash", "interactive")
    if is_shell or int(env.get("SLURM_NTASKS", 1)) == 1:
        return None
    if "SLURM_NTASKS_PER_NODE" not in env:
        raise UserError(
            f"SLURM: {env['SLURM_NTASKS']} tasks, but not how many on each machine: pass "
            "--ntasks-per-node instead of --ntasks"
        )
    names = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE")
    nodes = re.sub(r"\[(\w+).*\]", r"\1", env.get("SLURM_NODELIST", "127.0.0.1"))
    port = 15000 + int(env["SLURM_JOB_ID"][-4:]) if "SLURM_JOB_ID" in env else 12910
    address = env.get("MASTER_ADDR", re.split("[ ,]", nodes)[0])
    return _group_in(*names), address, env.get("MASTER_PORT", str(port))


def _group_in(*names: str) -> ProcessGroup:
    rank, world_size, local_rank, local_world_size = (int(os.environ[name]) for name in names)
    return ProcessGroup(rank, world_size, local_rank, local_world_size)


def _join(group: ProcessGroup, address: str, port: str) -> ProcessGroup:
    rank, world_size = group.rank, group.world_size
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = address, port
    if group.local_rank < torch.cuda.device_count():
        torch.cuda.set_device(group.local_rank)  # what "cuda" means from here on
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        store, _, _ = next(dist.rendezvous("env://", rank, world_size, timeout=START_TIMEOUT))
        dist.init_process_group(backend, store=store, rank=rank, world_size=world_size)
    except LOST as error:
        raise RunError(
            f"process {rank} of {world_size}: the others did not come within "
            f"{START_TIMEOUT.seconds // 60} minutes at {address}, port {port}: begin all of them, "
            "where they reach that machine"
        ) from error
    return _with_own_gpus(replace(group, store=store))


def _with_own_gpus(group: ProcessGroup) -> ProcessGroup:
    """The group, with each process alone on a machine if no two of them see the same GPU.

    That is how `srun --gpus-per-task=1` shares out the GPUs of a machine.
    """
    visible, own = torch.cuda.device_count(), []
    if visible < group.local_world_size:
        own = [str(torch.cuda.get_device_properties(gpu).uuid) for gpu in range(visible)]
    of_all = group.gather(own)
    different = {uuid for uuids in of_all for uuid in uuids}
    if all(of_all) and len(different) == sum(map(len, of_all)):
        return replace(group, local_rank=0, local_world_size=1)
    return group
