"""A trained network's embeddings of the test tracklets, exactly as ``stgcn train`` gets them."""

from pathlib import Path
from time import monotonic

import numpy as np
import pandas as pd
import torch

from stgcn_pyg.data import TrackletDataModule
from stgcn_pyg.data.reading import require_good_frames
from stgcn_pyg.distributed import device_for
from stgcn_pyg.models import STGCN
from stgcn_pyg.runs.checkpoint import (
    KEY,
    checkpoint_path,
    has_training_state,
    load_checkpoint,
    previous_path,
    read_checkpoint,
    state_path,
    write_checkpoint,
)
from stgcn_pyg.runs.embedding import embed_tracklets, label_tracklets
from stgcn_pyg.runs.environment import describe_environment
from stgcn_pyg.runs.run import Run, build_data, build_module, load
from stgcn_pyg.runs.run_folder import RunFolder
from stgcn_pyg.runs.settings import RunSettings
from stgcn_pyg.runs.trained_model import tell_skipped
from stgcn_pyg.runs.training.tf32 import tf32_allowed


def train_and_embed(options: RunSettings, folder: Path) -> tuple[np.ndarray, dict[str, float]]:
    """Trains, or goes on, or finds the network trained; then embeds.

    Args:
        options: Of ``stgcn train``.
        folder: Of the run.

    Returns:
        The embeddings ``[N, D]`` in the order of ``label_tracklets``, and the seconds that
        ``training`` took, as far as it was done in this call, and ``embedding``.

    Raises:
        UserError, RunError, SignalledError: As ``stgcn train``.
    """
    start = monotonic()
    torch.manual_seed(options.seed)
    dataset, held_out = load(options)
    data = build_data(options, dataset)
    run = RunFolder(options)
    run.require_tracklets(data, held_out)
    require_good_frames(data, pd.concat([dataset.train, held_out, dataset.test()]))
    module = build_module(options, data, run.begun)
    run.write()
    run.note_environment(describe_environment(device_for(options.accelerator)))
    model = module.model
    if _weights_alone(folder):
        model, _ = load_checkpoint(folder)
    else:
        Run(options, dataset, held_out, data, module).fit()
    trained = monotonic()
    with tf32_allowed(options.tf32):
        embeddings = embed(model, data, options.accelerator)
    tell_skipped(data)
    return embeddings, {"training": trained - start, "embedding": monotonic() - trained}


def embed(model: STGCN, data: TrackletDataModule, accelerator: str) -> np.ndarray:
    """The embeddings of the test tracklets, ``[N, D]``, in the order of ``label_tracklets``."""
    tracklets = label_tracklets(data.dataset)
    return embed_tracklets(model, data, tracklets, device_for(accelerator)).numpy()


def keep_weights_alone(folder: Path) -> None:
    """Drops from a finished run's checkpoint what only further training needs: two thirds of it."""
    path = checkpoint_path(folder)
    content = read_checkpoint(path)
    write_checkpoint(path, {name: content[name] for name in (KEY, "state_dict", "epoch")})
    for other in (previous_path(path), state_path(folder, validated=True)):
        other.unlink(missing_ok=True)
        previous_path(other).unlink(missing_ok=True)


def _weights_alone(folder: Path) -> bool:
    """Whether the run there is finished."""
    path, state = checkpoint_path(folder), state_path(folder, validated=True)
    if not path.is_file() or state.exists() or previous_path(state).exists():
        return False
    return not has_training_state(read_checkpoint(path))
