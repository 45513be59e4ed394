"""Files of scores, as tests compare them."""

import json
from pathlib import Path

from stgcn_pyg.runs.about import split_about


def read_scores(path: Path) -> dict:
    """The scores by protocol and row, without what they are of, which names the run's folder."""
    return split_about(json.loads(path.read_text()))[1]
