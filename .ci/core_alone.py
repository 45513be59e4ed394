"""Uses the wheel in the folder `site` with the packages that it asks for, and no extra."""

from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

import stgcn_pyg
from stgcn_pyg.data import check_dataset, load_dataset
from stgcn_pyg.evaluation import MARS_OFFICIAL, bootstrap, evaluate_protocol
from stgcn_pyg.losses import stgcn_losses

assert Path(stgcn_pyg.__file__).is_relative_to(Path("site").resolve()), stgcn_pyg.__file__
found = [
    name for name in ("jsonargparse", "tensorboard", "matplotlib", "captum") if find_spec(name)
]
assert not found, f"this environment holds {found}: the core alone was not to be seen"

model = stgcn_pyg.STGCN(num_classes=2, num_frames=4, backbone="resnet18", weights=None)
output = model(torch.rand(4, 4, 3, 128, 64))
assert output.embedding.shape == (4, 2048) and output.logits.shape == (4, 2)
loss, _ = stgcn_losses(output.features, output.logits, torch.tensor([0, 0, 1, 1]))
loss.backward()

with TemporaryDirectory() as folder:
    for pid in range(1, 9):
        for camid in (1, 2):
            for frame in range(4):
                path = Path(folder, f"{pid:04d}{camid:04d}{frame:04d}.jpg")
                Image.new("RGB", (32, 64), (20 * pid, 40 * camid, frame)).save(path)
    dataset = load_dataset("ward", folder)
    assert not check_dataset("ward", folder, workers=1, progress=False).faults

rng = np.random.default_rng(0)
pids, camids = np.arange(80) % 20, np.arange(80) // 20 % 2
features = rng.normal(size=(20, 64))[pids] + rng.normal(size=(80, 64))
labels = (pids[:40], pids, camids[:40], camids)
result = evaluate_protocol(MARS_OFFICIAL, features[:40], features, *labels)
print(bootstrap(result, pids[:40]))
print("a forward pass, losses, a data set and an evaluation with the core alone")
