"""Several processes of one job, forked from the tests, which have imported everything already."""

import os
import socket
import traceback

import torch


def environment(rank, world_size, port, slurm=False):
    """What torchrun, or srun, tells a process of a job on one machine."""
    master = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    if slurm:
        told = {"NTASKS": world_size, "NTASKS_PER_NODE": world_size, "NNODES": 1, "NODEID": 0}
        told |= {"PROCID": rank, "LOCALID": rank, "JOB_NAME": "train"}
        return master | {f"SLURM_{name}": str(value) for name, value in told.items()}
    told = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0}
    told |= {"WORLD_SIZE": world_size, "LOCAL_WORLD_SIZE": world_size}
    return master | {"TORCHELASTIC_RUN_ID": "a test"} | {k: str(v) for k, v in told.items()}


def run_together(work, world_size=2, slurm=False):
    """Runs `work(rank)` in processes of their own and gives their exit statuses.

    The status is what `work` returns, 99 where it raises, or minus the signal that killed it.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def as_rank(rank):
        os.environ.update(environment(rank, world_size, port, slurm))
        return work(rank)

    return [status_of(process) for process in [forked(as_rank, r) for r in range(world_size)]]


def forked(work, *arguments):
    """The number of a process that runs `work` and ends."""
    process = os.fork()
    if process == 0:
        try:
            torch.set_num_threads(1)  # OpenMP would wait for threads that a fork does not have
            os._exit(work(*arguments) or 0)
        finally:  # whatever it raised, it must not go on as a second run of the tests
            traceback.print_exc()
            os._exit(99)
    return process


def status_of(process):
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
