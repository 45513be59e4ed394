"""How long `import stgcn_pyg.layers` takes, beside PyG itself.

    python -m benchmarks.import_time

Each import runs in an interpreter of its own, in turns; medians.
"""

import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

from jsonargparse import auto_cli

from benchmarks.measuring import write_results

IMPORTS = {
    "PyG": "import torch_geometric.nn, torch_geometric.data",
    "layers": "import stgcn_pyg.layers",
}


def main(rounds: int = 15, json: Path | None = None) -> None:
    """Times the imports.

    Args:
        rounds: How often each is imported; of several, once more before, for the disk's sake.
        json: Where to write the figures.
    """
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    warm_up = int(rounds > 1)
    for _ in range(rounds + warm_up):
        for name, statement in IMPORTS.items():
            begin = perf_counter()
            subprocess.run([sys.executable, "-W", "ignore", "-c", statement], check=True)
            times[name].append(perf_counter() - begin)
    medians = {name: median(values[warm_up:]) for name, values in times.items()}
    ratio = medians["layers"] / medians["PyG"]
    print("  ".join(f"{name} {value:.2f} s" for name, value in medians.items()))
    print(f"layers / PyG {ratio:.3f}, bar <= 1.1")
    results = {"seconds": medians, "ratio": ratio}
    write_results(json, results)


if __name__ == "__main__":
    auto_cli(main)
