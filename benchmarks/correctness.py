"""Whether a device computes what float64 on the CPU does: the tests that need a GPU, as figures.

    python -m benchmarks.correctness --device cuda --group step

They are those of `make test-gpu`. Each error stands beside the bound that its test holds it to.

step       loss and gradients of a training step: float32, TF32, bfloat16, compiled and not
processes  the same under NCCL with synchronised batch norm; torchrun, in two processes on two GPUs
device     layers, evaluation and re-ranking; how often layers and training make the host wait
commands   training, going on, evaluate, extract and explain
"""

import os
import sys
from pathlib import Path
from typing import Any, Literal

from jsonargparse import auto_cli

from benchmarks.measuring import NOT_MEASURED, bar, write_results
from stgcn_pyg.errors import needs_extra

with needs_extra("test"):
    import nbmake  # noqa: F401  # which the configuration of the tests names
    import pytest

GroupName = Literal["step", "processes", "device", "commands"]
TESTS = Path(__file__).parents[1] / "tests"


GPU, COMMANDS = "test_on_a_gpu.py", "test_commands_on_a_gpu.py"
# The tests of each group; and, as an expression of pytest, the few that show that they run.
GROUPS: dict[GroupName, tuple[list[str], str]] = {
    "step": (
        [
            f"{GPU}::test_a_step_has_the_loss_and_the_gradients_of_float64",
            f"{GPU}::test_tf32_false_is_float32",
        ],
        "32-true-False-off",
    ),
    "processes": (
        [f"{GPU}::test_processes_take_the_step_of_one", f"{COMMANDS}::test_torchrun_trains_there"],
        "test_processes",
    ),
    "device": (
        [
            f"{GPU}::test_ranking_there_is_ranking_here",
            f"{GPU}::test_layers_are_those_of_float64",
            f"{GPU}::test_reranking_there_is_reranking_here",
            f"{GPU}::test_how_often_a_forward_makes_the_host_wait",
            f"{GPU}::test_no_step_waits",
        ],
        "cosine or wait",
    ),
    "commands": (
        [
            f"{COMMANDS}::test_training_has_the_losses_of_the_cpu",
            f"{COMMANDS}::test_explain_draws_what_it_draws_on_the_cpu",
            f"{COMMANDS}::test_evaluate_gives_the_scores_of_the_cpu",
            f"{COMMANDS}::test_extract_gives_the_embeddings_of_the_cpu",
            f"{COMMANDS}::test_a_training_goes_on_there_as_if_nothing_had_happened",
        ],
        "evaluate or explain",
    ),
}


class Noted:
    """The plugin of pytest that notes each test as it ends, and writes all of them."""

    def __init__(self, json: Path | None, device: str):
        self.json, self.device = json, device
        self.tests: list[dict[str, Any]] = []
        self.failures: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        name = report.nodeid.rpartition("::")[2].removeprefix("test_")
        test: dict[str, Any] = {"test": name, "outcome": report.outcome}
        if report.skipped:
            test["figure"] = NOT_MEASURED
        elif report.failed:
            self.failures[name] = _reason(report)
        for figure, (value, bound) in report.user_properties:
            test[figure] = bar(figure, value, "<=", bound) if bound is not None else value
        self.tests.append(test | {"seconds": round(report.duration, 1)})
        write_results(self.json, {"tests": self.tests}, device=self.device)


def _reason(report: pytest.TestReport) -> str:
    """The line of the failure that says what went wrong."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return (crash.message if crash else str(report.longrepr)).strip().splitlines()[0]


def main(
    device: Literal["cpu", "cuda"] = "cpu",
    group: GroupName = "step",
    smallest: bool = False,
    json: Path | None = None,
) -> None:
    """Runs a group of the tests that need a GPU.

    Args:
        device: Where they compute; on the CPU, what only a GPU shows is not measured.
        group: Which tests: `step`, `processes`, `device` or `commands`.
        smallest: Only a few of them, to see that they run.
        json: Where to write the figures.
    """
    os.environ["STGCN_TEST_DEVICE"] = device
    tests, few = GROUPS[group]
    noted = Noted(json, device)
    options = ["-q", "-p", "no:cacheprovider", *(["-k", few] if smallest else [])]
    status = pytest.main([*options, *(str(TESTS / test) for test in tests)], plugins=[noted])
    if noted.failures:
        told = "; ".join(f"{name}: {reason}" for name, reason in noted.failures.items())
        sys.exit(f"{len(noted.failures)} of {len(noted.tests)} tests failed: {told}")
    if status != pytest.ExitCode.OK:
        sys.exit(f"the tests ended with pytest's status {status:d} before all had run")


if __name__ == "__main__":
    auto_cli(main)
