"""A batch that runs in parts, while its losses see it whole."""

from collections.abc import Callable

import torch
from torch import Tensor

from stgcn_pyg.models import STGCN, STGCNOutput
from stgcn_pyg.models.recomputation import recomputed


def in_micro_batches(
    run: Callable[[Tensor], STGCNOutput], model: STGCN, clips: Tensor, count: int
) -> STGCNOutput:
    """The output for a batch, of which one part at a time has its activations in memory.

    As in gradient caching (Gao et al., 2021), each part runs twice: once for its features, by
    which the losses compare it with all the others, and once more when their gradients are there.
    Both times its random numbers are the same. Running statistics take in each part once.

    Batch norm, in training, normalises each part by itself. Where it is in evaluation mode, the
    result is that of the whole batch.

    Args:
        run: Calls the network.
        model: The network.
        clips: ``[B, T, 3, H, W]``.
        count: Of the parts, which are as equal as they can be; 1 runs the batch as it is.

    Returns:
        The output for all B clips.
    """
    if count == 1:
        return run(clips)
    parts = [recomputed(run, model, part) for part in clips.tensor_split(min(count, len(clips)))]
    features = {
        name: torch.cat([part.features[name] for part in parts]) for name in parts[0].features
    }
    embedding = torch.cat([part.embedding for part in parts])
    return STGCNOutput(features, embedding, torch.cat([part.logits for part in parts]))
