"""A trained network as a function: the vectors are those of `stgcn extract`."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import MarsTree
from PIL import Image
from small_video import write_video
from tiny_run import write_run

from stgcn_pyg import STGCN
from stgcn_pyg.data import load_dataset
from stgcn_pyg.errors import UserError
from stgcn_pyg.runs.embedder import Embedder
from stgcn_pyg.runs.embedding import embed_tracklets
from stgcn_pyg.runs.trained_model import TrainedModel
from stgcn_pyg.tracks import COLUMNS, tracks_of
from stgcn_pyg.tracks.video import open_frames

pytestmark = pytest.mark.usefixtures("one_thread", "narrow_backbone")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedder")
    return write_run(folder / "run", MarsTree(folder / "mars").write())


def test_the_vector_of_a_tracklets_frames_is_that_of_its_extraction(run):
    trained = TrainedModel(run, num_workers=0)
    dataset = load_dataset("mars", run.parent / "mars")
    tracklets = dataset.test()
    wanted = embed_tracklets(trained.model, trained.data, tracklets).numpy()
    embedder = Embedder(run)
    paths = [dataset.paths(tracklet) for _, tracklet in tracklets.iterrows()]
    found = np.stack([embedder.embed(of_one) for of_one in paths])
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    images = [Image.open(path) for path in paths[0]]
    arrays = [np.asarray(image) for image in images]
    for frames in (images, arrays, [str(path) for path in paths[0]]):
        np.testing.assert_allclose(embedder.embed(frames), wanted[0], atol=1e-6)


def test_clips_are_embedded_in_batches_of_any_size(run):
    frames = list(np.random.default_rng(0).integers(0, 255, (9, 40, 20, 3), np.uint8))
    whole, parts = (Embedder(run, clips_per_batch=size).embed(frames) for size in (32, 2))
    np.testing.assert_allclose(whole, parts, atol=1e-6)


def test_distances_of_vectors_have_the_shape_of_what_is_compared(run):
    embedder = Embedder(run)
    one, several = np.array([3.0, 4.0]), np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]])
    assert embedder.compare(one, several[0]) == 5
    assert embedder.compare(one, several).tolist() == [5, 0, 4]
    assert embedder.compare(several, several).tolist() == [[0, 5, 3], [5, 0, 4], [3, 4, 0]]


def test_a_network_without_a_run_needs_the_size_of_its_frames(run):
    torch.manual_seed(0)
    model = STGCN(4, num_frames=2, backbone="resnet18", weights=None, branches=("global",))
    with pytest.raises(UserError, match="height and width"):
        Embedder(model)
    vector = Embedder(model, height=64, width=32).embed([np.zeros((5, 5, 3), np.uint8)])
    assert vector.shape == (model.embedding_width,)


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([], "a list of the tracklet's frames, at least one"),
        ("frames.jpg", "pass a list"),
        ([np.zeros((4, 4, 3))], r"number 0 is float64 of shape \[4, 4, 3\]"),
        ([np.zeros((4, 4, 3), np.uint8), 7], "number 1 is a int: pass a path"),
    ],
)
def test_what_are_no_frames_is_refused(run, frames, said):
    with pytest.raises(UserError, match=said):
        Embedder(run).embed(frames)


def test_the_tracklets_of_a_video_are_embedded_as_their_images_are(run, tmp_path):
    video = write_video(tmp_path / "hall.mp4", 50, options={"movflags": "faststart"})
    boxes = [(frame, track, 9 * track, 20, 12, 30) for frame in range(50) for track in (1, 2)]
    tracks = tracks_of(pd.DataFrame(boxes, columns=COLUMNS[1:7]))
    embedder = Embedder(run)
    table, vectors = embedder.embed_video(video, tracks, every=8)
    assert table["track"].tolist() == ["1", "2"]
    assert table[["first_frame", "last_frame", "num_frames"]].values.tolist() == [[0, 48, 7]] * 2
    frames = [frame.rgb()[20:50, 9:21] for frame in open_frames(video)][::8]
    np.testing.assert_allclose(vectors[0], embedder.embed(frames), atol=1e-6)

    video.write_bytes(video.read_bytes()[: int(video.stat().st_size * 0.6)])
    decoded = len(list(open_frames(video)))
    with pytest.warns(UserWarning, match=f"{50 - decoded} frames with boxes could not be decoded"):
        table, vectors = embedder.embed_video(video, tracks)
    assert table["last_frame"].tolist() == [decoded - 1] * 2
    assert table["num_frames"].tolist() == [decoded] * 2 and np.isfinite(vectors).all()
