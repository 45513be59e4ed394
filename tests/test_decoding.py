"""Pictures from disk: every mode and orientation, and what the system says about a file."""

import os
import resource
import struct
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from stgcn_pyg.cli import main
from stgcn_pyg.data import TrackletDataModule, check_dataset, load_dataset
from stgcn_pyg.data.check.images import inspect_image, read_images
from stgcn_pyg.data.decoding import read_image
from stgcn_pyg.data.pack import PackedFrames, write_pack
from stgcn_pyg.errors import BadImageError, UnreadableFileError, UserError, last_line

OPTIONS = {"num_frames": 3, "height": 48, "width": 24, "num_workers": 0} | {
    "identities_per_batch": 2,
    "tracklets_per_identity": 2,
}
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def grey16(value, size=(24, 48)):
    return Image.fromarray(np.full(size[::-1], value, np.uint16))


def tiff(rows, bits, photometric=1, sample_format=1):
    """A TIFF of one uncompressed strip of bytes, as Pillow does not write it."""
    data = rows.tobytes()
    height, width = rows.shape[0], rows.shape[1] * rows.itemsize * 8 // bits
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric)]
    tags += [(273, 8), (277, 1), (278, height), (279, len(data)), (339, sample_format)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    header = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    return header + data + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"


@contextmanager
def no_file_more():
    """Lets this process open no file but those that are open."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, limits[1]), limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for number in held:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def loop(path):
    """Puts a link to itself in a file's place."""
    path.unlink(missing_ok=True)
    path.symlink_to(path)


@pytest.mark.parametrize("name", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_16_bit_grey_is_scaled_by_257(tmp_path, name):
    pixels = np.random.default_rng(0).integers(0, 2**16, (48, 24)).astype(np.uint16)
    pixels[0, :4] = 0, 128, 129, 2**16 - 1
    Image.fromarray(pixels).save(
        tmp_path / "grey", name, **{"irreversible": False} if name[4:] else {}
    )
    expected = np.round(pixels / 257).astype(np.uint8)
    found = read_image(tmp_path / "grey", 48, 24)
    assert np.array_equal(found, np.repeat(expected[..., None], 3, axis=2))


def test_grey_of_10_12_and_16_bits_is_scaled_by_its_own_white(tmp_path):
    path = tmp_path / "grey"
    path.write_bytes(b"P5 2 1 1023\n" + struct.pack(">2H", 1023, 512))
    assert read_image(path, 1, 2)[0, :, 0].tolist() == [255, 128]
    path.write_bytes(tiff(np.array([[0xFF, 0xF8, 0x00]], np.uint8), bits=12))  # 4095 and 2048
    assert read_image(path, 1, 2)[0, :, 0].tolist() == [255, 128]
    Image.new("I;16B", (2, 1), 30000).save(path, "TIFF")
    assert read_image(path, 1, 2)[0, :, 0].tolist() == [117, 117]
    path.write_bytes(tiff(np.array([[0, 30000]], np.uint16), bits=16, photometric=0))
    assert read_image(path, 1, 2)[0, :, 0].tolist() == [255, 255 - 117]


def test_16_bit_frames_are_the_same_in_loader_pack_and_check(mars_tree, tmp_path):
    root = mars_tree.write()
    for path in root.rglob("*.jpg"):
        grey16(30000).save(path, "PNG")
    dataset = load_dataset("mars", root)
    assert sum(write_pack(dataset, tmp_path / "pack", 48, 24, workers=1)) == len(dataset.frames)
    for pack in (None, tmp_path / "pack"):
        data = TrackletDataModule(dataset, **OPTIONS, pack=pack)
        for loader in (data.train_dataloader(), data.clip_dataloader(dataset.query)):
            assert all((batch.clips == 117).all() for batch in loader)
    kinds = {fault.kind for fault in check_dataset("mars", root, workers=1, progress=False).faults}
    assert not kinds & {"no image", "truncated or damaged", "cannot be used"}


COLOURED = {
    "RGBA": ("PNG", {}),
    "LA": ("PNG", {}),
    "P": ("PNG", {}),
    "1": ("PNG", {}),
    "PA": ("TIFF", {}),
    "CMYK": ("TIFF", {}),
    "LAB": ("TIFF", {}),
    "YCbCr": ("JPEG", {"quality": 100}),
    "L": ("TIFF", {"compression": "tiff_lzw"}),
}


@pytest.mark.parametrize("mode", COLOURED)
def test_every_other_mode_gives_its_colour(tmp_path, mode):
    grey = mode in ("1", "L", "LA")
    colour = WHITE if grey else (204, 102, 51)
    picture = Image.new("RGB", (8, 16), colour).convert("LAB" if mode == "LAB" else mode)
    name, options = COLOURED[mode]
    picture.save(tmp_path / "picture", name, **options)
    found = read_image(tmp_path / "picture", 16, 8)
    assert np.abs(found.astype(int) - colour).max() <= 1


def test_grey_multiplied_by_its_opacity_is_divided_again(tmp_path):
    path = tmp_path / "grey.tif"
    Image.new("LA", (8, 16), (100, 255)).save(path)
    content = path.read_bytes()
    unassociated = struct.pack("<HHIHH", 338, 3, 1, 2, 0)
    assert content.count(unassociated) == 1
    path.write_bytes(content.replace(unassociated, struct.pack("<HHIHH", 338, 3, 1, 1, 0)))
    with Image.open(path) as image:
        assert image.mode == "La"
    assert (read_image(path, 16, 8) == 100).all()


@pytest.mark.parametrize(
    ("mode", "content"),
    [
        ("F", tiff(np.full((2, 2), 0.5, np.float32), 32, sample_format=3)),
        ("F", b"Pf 1 1 -1.0\n" + struct.pack("<f", 0.5)),
        ("I", tiff(np.full((2, 2), 30000, np.uint32), 32)),
        ("I", tiff(np.full((2, 2), 30000, np.int32), 32, sample_format=2)),
        ("I", tiff(np.full((2, 2), 30000, np.int16), 16, sample_format=2)),
    ],
)
def test_numbers_without_a_white_are_refused_by_their_mode(tmp_path, mode, content):
    path = tmp_path / "numbers"
    path.write_bytes(content)
    with pytest.raises(BadImageError, match=f"numbers: .* of mode {mode}, .* save it as 8-bit"):
        read_image(path, 2, 2)
    found = inspect_image(path)
    assert found.kind == "cannot be used" and f"mode {mode}" in found.what and not found.digest


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path, name, orientation):
    pixels = np.zeros((32, 16, 3), np.uint8)
    pixels[:16, :8], pixels[:16, 8:], pixels[16:, 8:], pixels[16:, :8] = RED, GREEN, BLUE, WHITE
    # What lies in the file is turned away; see what each orientation's first row and column are.
    stored = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels),
        7: pixels[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(pixels, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if name == "JPEG" else {"lossless": True}
    path = tmp_path / "picture"
    Image.fromarray(np.ascontiguousarray(stored)).save(
        path, name, exif=exif, **(options if name in ("JPEG", "WEBP") else {})
    )
    found = read_image(path, 32, 16).astype(int)
    assert np.abs(found - pixels).max() <= (3 if name == "JPEG" else 0)


def test_a_sideways_jpeg_is_decoded_no_smaller_than_it_is_needed(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (256, 128, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "sideways.jpg"
    Image.fromarray(pixels).save(path, exif=exif)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
    expected = upright.resize((32, 128), Image.Resampling.BILINEAR)
    assert np.array_equal(read_image(path, 128, 32), np.asarray(expected))


def test_a_16_bit_picture_is_turned_as_well(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    grey = np.array([[0, 65535], [0, 30000]], np.uint16)
    for name in ("PNG", "TIFF"):
        Image.fromarray(grey).save(tmp_path / "grey", name, exif=exif)
        assert read_image(tmp_path / "grey", 2, 2)[..., 0].tolist() == [[0, 0], [117, 255]]


def test_a_sound_picture_with_damaged_exif_data_is_read(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 16), BLUE).save(path, exif=b"Exif\0\0no TIFF header at all")
    assert read_image(path, 16, 8)[0, 0, 2] > 250
    assert inspect_image(path).digest


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_a_png_with_one_changed_bit_in_its_pixels_is_damaged(tmp_path, mode):
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 256, (48, 24, 3)).astype(np.uint8)
    Image.fromarray(noise).convert(mode).save(path)
    content = path.read_bytes()
    begin, end = content.index(b"IDAT") + 8, content.index(b"IEND") - 8
    for place in (begin, (begin + end) // 2, end - 1):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(BadImageError, match=r"a\.png: damaged \(its pixels do not have thei"):
            read_image(path, 48, 24)
        assert inspect_image(path).what == "truncated or damaged (its checksum is wrong)"
    for missing in (4, 12, 16):  # what follows the pixels changes none of them
        path.write_bytes(content[:-missing])
        assert inspect_image(path).what == ""
        assert (read_image(path, 48, 24) == np.asarray(Image.open(path).convert("RGB"))).all()


def test_what_a_name_says_does_not_matter_to_reading(tmp_path):
    for name, kind in (("a.jpg", "PNG"), ("a.png", "JPEG"), ("b.jpg", "BMP")):
        Image.new("RGB", (8, 16), WHITE).save(tmp_path / name, kind)
        assert (read_image(tmp_path / name, 16, 8) == 255).all()
    found = inspect_image(tmp_path / "a.png")
    assert (found.kind, found.what) == ("wrong format", "JPEG, not PNG as its name says")
    assert found.digest
    path = tmp_path / "a.png"
    path.write_bytes(path.read_bytes()[:200])
    assert inspect_image(path).kind == "truncated or damaged"


def test_too_many_pixels_are_told_in_one_line(tmp_path, monkeypatch):
    path = tmp_path / "large.png"
    Image.new("RGB", (30, 30)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    with pytest.raises(BadImageError, match=r"large\.png: has more pixels than Pillow decodes"):
        read_image(path, 16, 8)
    assert inspect_image(path).kind == "cannot be used"


def test_nobody_waits_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(BadImageError, match=r"pipe\.jpg: not a regular file"):
        read_image(tmp_path / "pipe.jpg", 16, 8)
    assert inspect_image(tmp_path / "pipe.jpg").kind == "cannot be read"


def test_an_error_of_the_system_is_told_as_what_it_is(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 16)).save(path)
    with no_file_more(), pytest.raises(UnreadableFileError) as caught:
        read_image(path, 16, 8)
    assert str(caught.value) == f"{path}: cannot be read: Too many open files"
    read_image(path, 16, 8)
    loop(path)
    with pytest.raises(UnreadableFileError, match="Too many levels of symbolic links"):
        read_image(path, 16, 8)
    with pytest.raises(UnreadableFileError, match="cannot be read: File name too long"):
        read_image(tmp_path / ("a" * 300), 16, 8)
    with pytest.raises(BadImageError, match="no such image"):
        read_image(tmp_path / "none.jpg", 16, 8)
    with pytest.raises(BadImageError, match="a folder, not an image"):
        read_image(tmp_path, 16, 8)


def test_check_stops_where_no_file_can_be_opened_and_lists_what_concerns_one(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (8, 16)).save(tmp_path / name)
    with no_file_more(), pytest.raises(UserError, match=r"a\.jpg: cannot be read: Too many open"):
        list(read_images(tmp_path, ["a.jpg", "b.jpg"], workers=1))
    loop(tmp_path / "a.jpg")
    one, other = read_images(tmp_path, ["a.jpg", "b.jpg"], workers=1)
    assert one.what == "cannot be read (Too many levels of symbolic links)"
    assert one.kind == "cannot be read" and other.digest and not other.kind


def complaint(loader):
    """The line that a loader stops with; its workers end with this function."""
    try:
        list(loader)
    except UnreadableFileError as error:
        error.__traceback__ = None  # it holds the loader
        return last_line(error)
    pytest.fail("nothing stopped it")


@pytest.mark.parametrize("workers", [0, 1])
def test_skipping_passes_over_no_error_of_the_system(mars_tree, workers):
    dataset = load_dataset("mars", mars_tree.write())
    path = dataset.paths(dataset.query.iloc[0])[1]
    content = path.read_bytes()
    loop(path)
    options = OPTIONS | {"num_workers": workers}
    data = TrackletDataModule(dataset, **options, on_bad_frame="skip")
    line = complaint(data.clip_dataloader(dataset.query))
    assert line == f"{path}: cannot be read: Too many levels of symbolic links"
    path.unlink()
    path.write_bytes(content)  # it is not remembered as bad
    clip, faults = data.reader.read(dataset.query.iloc[0], [1])
    assert torch.equal(clip[0], torch.tensor(read_image(path, 48, 24)))
    assert faults == []


def test_a_pack_passes_over_no_error_of_the_system(mars_tree, tmp_path):
    dataset = load_dataset("mars", mars_tree.write())
    loop(dataset.root / dataset.frames[40])
    with pytest.raises(UnreadableFileError, match="Too many levels"):
        list(write_pack(dataset, tmp_path / "pack", 48, 24, on_bad_frame="skip", workers=2))
    with pytest.raises(UserError, match="no pack"):
        PackedFrames(tmp_path / "pack", dataset.frames, 48, 24)


def test_the_command_stops_with_the_systems_word_for_it(mars_tree, tmp_path, capsys):
    root = mars_tree.write()
    dataset = load_dataset("mars", root)
    path = dataset.paths(dataset.train.iloc[0])[0]
    loop(path)
    config = tmp_path / "tiny.yaml"
    config.write_text(
        "epochs: 2\n"
        "model: {backbone: resnet18, weights: null, num_frames: 5, spatial_channels: 16}\n"
        "data: {height: 64, width: 32, identities_per_batch: 4, tracklets_per_identity: 2}\n"
    )
    command = ["train", "mars", str(root), f"--config={config}", f"--output={tmp_path / 'run'}"]
    assert main([*command, "--on-bad-frame=skip", "--data.num_workers=1"]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line == f"stgcn train: error: {path}: cannot be read: Too many levels of symbolic links"
