"""Processes that each see a GPU of their own, as Lightning is to take them."""

from lightning.fabric.plugins.environments import ClusterEnvironment


class OwnMachines(ClusterEnvironment):
    """Takes each process of a job for the only one on a machine, whose GPU is its first.

    Args:
        environment: What began the processes.
    """

    def __init__(self, environment: ClusterEnvironment):
        self.environment = environment

    @property
    def creates_processes_externally(self) -> bool:
        """Whether the processes are there already: they are."""
        return True

    @property
    def main_address(self) -> str:
        """The address of the first process."""
        return self.environment.main_address

    @property
    def main_port(self) -> int:
        """Its port."""
        return self.environment.main_port

    @staticmethod
    def detect() -> bool:
        """Whether it is to be chosen by itself: it is not."""
        return False

    def world_size(self) -> int:
        """How many processes there are."""
        return self.environment.world_size()

    def set_world_size(self, size: int) -> None:
        """Says it; whoever began them knows."""

    def global_rank(self) -> int:
        """Which of them this one is."""
        return self.environment.global_rank()

    def set_global_rank(self, rank: int) -> None:
        """Says it; whoever began them knows."""

    def local_rank(self) -> int:
        """Which one it is on its machine: the first."""
        return 0

    def node_rank(self) -> int:
        """Which machine it is on."""
        return self.environment.global_rank()
