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
from stgcn_pyg.tracks import COLUMNS, tracks_of, write_tracks
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
    assert embedder.compare(torch.zeros(2, requires_grad=True), one) == 5


def test_a_network_without_a_run_needs_the_size_of_its_frames(run):
    torch.manual_seed(0)
    model = STGCN(4, num_frames=2, backbone="resnet18", weights=None, branches=("global",))
    with pytest.raises(UserError, match="height and width"):
        Embedder(model)
    vector = Embedder(model, height=64, width=32).embed([np.zeros((5, 5, 3), np.uint8)])
    assert vector.shape == (model.embedding_width,)
    with pytest.raises(UserError, match="height=0: pass a whole number of at least 1"):
        Embedder(model, height=0, width=32)
    for wrong in ({"width": 0}, {"height": True}, {"height": 8}, {"test_clips": ""}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            Embedder(run, **wrong)


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([], "a list of the tracklet's frames, at least one"),
        ("frames.jpg", "pass a list"),
        *((wrong, "pass a list") for wrong in (None, 3, Image.new("RGB", (4, 4)))),
        ([Image.new("RGB", (0, 4))], "number 0 is 0 x 4: pass a whole image"),
        ([Image.new("F", (4, 4))], "is unknown: save it as 8-bit RGB$"),
        ([np.zeros((4, 4, 3))], r"number 0 is float64 of shape \[4, 4, 3\]"),
        ([np.zeros((4, 4, 3), np.uint8), 7], "number 1 is a int: pass a path"),
    ],
)
def test_what_are_no_frames_is_refused(run, frames, said):
    with pytest.raises(UserError, match=said):
        Embedder(run).embed(frames)


@pytest.mark.parametrize(
    "options",
    [
        *({"accelerator": word} for word in ("cuda", None)),
        *({"backend": "x"}, {"precision": "int8"}, {"on_bad_frame": "x"}, {"test_clips": "x"}),
        *({"clips_per_batch": 0}, {"num_workers": -1}, {"split": -1}),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(run, options):
    (name,) = options
    with pytest.raises(UserError, match=f"^{name}="):
        TrainedModel(run, **options)
    if name in ("accelerator", "test_clips", "clips_per_batch"):
        with pytest.raises(UserError, match=f"^{name}="):
            Embedder(run, **options)


def test_an_image_that_does_not_decode_is_named_as_its_path_is(run, tmp_path):
    whole, half = tmp_path / "whole.jpg", tmp_path / "half.jpg"
    Image.effect_noise((40, 80), 60).save(whole)
    half.write_bytes(whole.read_bytes()[:700])
    with pytest.raises(UserError, match=r"half\.jpg: truncated"):
        Embedder(run).embed([whole, half])
    with pytest.raises(UserError, match=r"number 1 cannot be decoded \(image file is truncated"):
        Embedder(run).embed([Image.open(whole), Image.open(half)])


@pytest.mark.parametrize("kind", ["on its side", "16 bits of grey"])
def test_an_image_of_pillow_is_taken_as_its_file_is(run, tmp_path, kind):
    noise = np.random.default_rng(0).integers(0, 2**16, (40, 80)).astype(np.uint16)
    image, exif = Image.fromarray(noise), Image.Exif()
    if kind == "on its side":
        image = Image.fromarray((noise >> 8).astype(np.uint8)).convert("RGB")
        exif[0x0112] = 6
    image.save(tmp_path / "image.png", exif=exif)
    embedder = Embedder(run)
    by_path = embedder.embed([tmp_path / "image.png"])
    np.testing.assert_array_equal(embedder.embed([Image.open(tmp_path / "image.png")]), by_path)


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
    missing = sum(frame >= decoded for frame in range(0, 50, 10))
    with pytest.warns(UserWarning, match=f": {missing} frames? with boxes could not be decoded"):
        embedder.embed_video(video, tracks, every=10)


def test_the_tracks_of_one_camera_of_several_are_embedded(run, tmp_path):
    video = write_video(tmp_path / "hall.mp4", 4)
    rows = [("hall", 0, 7, 9), ("hall", 1, 7, 9), ("stairs", 2, 7, 40), ("stairs", 3, 7, 40)]
    boxes = pd.DataFrame(rows, columns=COLUMNS[:4]).assign(top=20, width=12, height=30)
    tracks, path = tracks_of(boxes), tmp_path / "tracks.csv"
    write_tracks(tracks, path)
    embedder = Embedder(run)
    frames = [frame.rgb() for frame in open_frames(video)]
    hall, stairs = (
        embedder.embed([frame[20:50, left : left + 12] for frame in some])
        for left, some in ((9, frames[:2]), (40, frames[2:]))
    )
    for given in (tracks, path):
        for camera in (None, ""):
            with pytest.raises(UserError, match=r"hall\.mp4: .* several cameras \(hall, stairs\)"):
                embedder.embed_video(video, given, camera=camera)
        with pytest.raises(UserError, match="hall, stairs"):
            embedder.embed_video(video, given, camera="yard")
        for camera, first, expected in (("hall", 0, hall), ("stairs", 2, stairs)):
            table, vectors = embedder.embed_video(video, given, camera=camera)
            assert table.values.tolist() == [["7", first, first + 1, 2]]
            np.testing.assert_allclose(vectors, expected[None], atol=1e-6)
    # One camera has no need of its name, and takes any, as in `stgcn tracklets`.
    alone = tracks_of(boxes[boxes["camera"] == "hall"])
    for camera in (None, "entrance"):
        _, vectors = embedder.embed_video(video, alone, camera=camera)
        np.testing.assert_allclose(vectors, hall[None], atol=1e-6)


def test_tracks_that_count_every_second_frame_are_warned_of(run, tmp_path):
    video = write_video(tmp_path / "hall.mp4", 24)
    boxes = pd.DataFrame([(frame, 1, 9, 20, 12, 30) for frame in range(12)], columns=COLUMNS[1:7])
    with pytest.warns(UserWarning, match=r"hall\.mp4: .*near one in 2: .* pass --stride 2") as told:
        Embedder(run).embed_video(video, tracks_of(boxes))
    assert told[0].filename == __file__
