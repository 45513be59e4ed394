"""What the paper leaves open, one reading at a time against what is taken here (docs/choices.md).

    python -m experiments.choices --dataset stgcn-synth-v1 --preset small --seeds 0 1 2

A row that says what the preset does anyway is the default once more, and is not compared with it.
"""

import sys

from experiments.command import main
from experiments.variants import Experiment, Retested, Variant

CHOICES = Experiment(
    name="choices",
    title="What the paper leaves open",
    rows=[
        Variant("default", mars=(83.70, 89.95), duke=(95.70, 97.29)),
        Variant("affinity: softmax", {"model.affinity": "softmax"}),
        Variant("affinity: cosine", {"model.affinity": "cosine"}),
        Variant("SGCN: weights shared by frames", {"model.spatial_weights": "shared"}),
        Variant("SGCN: 512 hidden channels", {"model.spatial_hidden_channels": 512}),
        Variant("SGCN: 2048 hidden channels", {"model.spatial_hidden_channels": 2048}),
        Variant("SGCN: no shortcut", {"model.spatial_shortcut": False}),
        Variant("margin: 0.3", {"training.margin": 0.3}),
        Variant("margin: soft", {"training.margin": "soft"}),
        Variant("no weight decay", {"training.weight_decay": 0.0}),
        Variant("frames: random", {"data.train_frames": "random"}),
        Variant("frames: even", {"data.train_frames": "even"}),
        Variant("frames: strided", {"data.train_frames": "strided"}),
        Variant("augmented by frame", {"data.augment": "frame"}),
        Retested("test clips: consecutive", "default", {"data.test_clips": "consecutive"}),
        Retested("test clips: first", "default", {"data.test_clips": "first"}),
        Retested("test clips: even", "default", {"data.test_clips": "even"}),
        Retested("embedding: raw", "default", {"model.embedding": "raw"}),
    ],
    baseline="default",
)

if __name__ == "__main__":
    sys.exit(main(CHOICES))
