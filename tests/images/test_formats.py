import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.core import ImageError
from handful.images import IMAGE_SUFFIXES, MAX_PIXELS, Preprocess, decode, may_pass, thumbnail
from handful.images.formats import check_pixels

from .conftest import Encode
from .written import grey_jpeg, png, tiff, with_jpeg_size

PREPROCESS = Preprocess(size=32)
SMALL = np.full((4, 4, 3), 200, np.uint8)


def test_suffixes_are_lower_case_with_a_dot() -> None:
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in IMAGE_SUFFIXES)
    assert {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"} <= IMAGE_SUFFIXES


# 20,000 by 20,000 pixels


def huge_progressive() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "JPEG", progressive=True)
    return with_jpeg_size(file.getvalue(), 20_000, 20_000)


def huge_bmp() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "BMP")
    return file.getvalue()[:18] + struct.pack("<II", 20_000, 20_000) + file.getvalue()[26:]


def huge_gif() -> bytes:
    return (
        b"GIF89a"
        + struct.pack("<HH", 20_000, 20_000)
        + b"\0\0\0,\0\0\0\0"
        + (struct.pack("<HH", 20_000, 20_000) + b"\0\x02\x02\x44\x01\0;")
    )


HUGE = {
    "PNG": png(SMALL, width=20_000, height=20_000),
    "TIFF": tiff(np.full((1, 20_000, 1), 9, np.uint8), height=20_000),
    "progressive JPEG": huge_progressive(),
    "BMP": huge_bmp(),
    "GIF": huge_gif(),
}


@pytest.mark.parametrize("kind", HUGE)
def test_400_megapixels_that_must_be_decoded_in_whole_are_refused(kind: str) -> None:
    with pytest.raises(ImageError, match=r"20000 by 20000 pixels.*magick IN -resize"):
        decode(HUGE[kind], PREPROCESS)


def test_400_megapixel_jpeg_is_decoded_at_an_eighth() -> None:
    array = decode(grey_jpeg(20_000, 20_000, 77), PREPROCESS)
    assert (array == 77).all()


@pytest.mark.slow
def test_400_megapixel_jpeg_takes_little_memory(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    (tmp_path / "a.jpg").write_bytes(grey_jpeg(20_000, 20_000))
    code = (
        "import resource, sys; from pathlib import Path; from handful.images import *\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak(); decode(Path(sys.argv[1]), Preprocess()); print(peak() - before)"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path / "a.jpg")]
    grown = int(subprocess.run(command, capture_output=True, check=True).stdout)
    assert grown * (1 if sys.platform == "darwin" else 1024) < 100e6


def test_a_jpeg_beyond_a_thousand_megapixels_is_refused() -> None:
    content = with_jpeg_size(grey_jpeg(64, 64), 65_000, 65_000)
    with pytest.raises(ImageError, match="more than the 1074 million"):
        decode(content, PREPROCESS)


def test_a_jpeg_with_a_scan_for_each_channel_is_limited_like_a_progressive_one() -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "JPEG")
    content = with_jpeg_size(file.getvalue(), 20_000, 20_000)
    split = content.replace(b"\xff\xda\x00\x0c\x03", b"\xff\xda\x00\x08\x01")
    assert split != content
    with pytest.raises(ImageError, match="more than the 89 million"):
        decode(split, PREPROCESS)


def test_a_long_thin_jpeg_within_the_limit_is_decoded_in_whole() -> None:
    assert (decode(grey_jpeg(60_000, 40), Preprocess(size=32, tiles=2)) == 128).all()


def test_just_above_the_limit_no_warning_of_pillow_gets_out() -> None:
    width = 10_000
    content = png(SMALL, width=width, height=MAX_PIXELS // width + 1)
    with pytest.raises(ImageError, match="more than the 89 million"):
        thumbnail(content)


# TIFF


@pytest.mark.parametrize("channels", [5, 8, 13])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_more_than_four_channels_are_refused_with_the_way_out(
    channels: int, dtype: type[np.generic]
) -> None:
    content = tiff(np.zeros((4, 4, channels), dtype), extra=[0] * (channels - 3))
    with pytest.raises(ImageError, match=f"has {channels} channels.*gdal_translate -b 1 -b 2 -b 3"):
        decode(content, PREPROCESS)


def test_tiff_stack_is_refused_with_the_way_out(encode: Encode) -> None:
    page = Image.new("L", (9, 9))
    content = encode(page, "TIFF", save_all=True, append_images=[page, page])
    with pytest.raises(ImageError, match=r"stack of several pages.*magick IN OUT-%03d\.png"):
        decode(content, PREPROCESS)


def linked(content: bytes, offset: int) -> bytes:
    """Return a one-page TIFF whose page names another as the next."""
    at = len_of_tags(content)
    return content[:at] + struct.pack("<I", offset) + content[at + 4 :]


def len_of_tags(content: bytes) -> int:
    start = struct.unpack("<I", content[4:8])[0]
    return int(start + 2 + 12 * struct.unpack("<H", content[start : start + 2])[0])


@pytest.mark.parametrize(("kind", "is_page"), [(0, True), (1, False), (2, True), (4, False)])
def test_a_reduced_copy_or_a_mask_in_a_tiff_is_not_a_page(kind: int, is_page: bool) -> None:
    content = tiff(SMALL)
    start = struct.unpack("<I", content[4:8])[0]
    tags = struct.pack("<HHIHH", 254, 4, 1, kind, 0) + content[start + 2 : len_of_tags(content)]
    both = linked(content, len(content)) + struct.pack("<H", len(tags) // 12) + tags + bytes(4)
    if is_page:
        with pytest.raises(ImageError, match="stack"):
            decode(both, PREPROCESS)
    else:
        assert (decode(both, PREPROCESS) == 200).all()


def test_a_chain_of_pages_that_loops_ends() -> None:
    content = tiff(SMALL)
    looped = linked(content, struct.unpack("<I", content[4:8])[0])
    assert (decode(looped, PREPROCESS) == 200).all()


def test_planes_of_16_bits_are_refused_with_the_way_out() -> None:
    content = tiff(np.zeros((4, 4, 3), np.uint16), planes=True)
    with pytest.raises(ImageError, match=r"separate planes.*magick IN OUT\.png"):
        decode(content, PREPROCESS)


def test_planes_of_8_bits_are_read() -> None:
    values = np.broadcast_to(np.array([10, 20, 30], np.uint8), (4, 4, 3))
    assert (decode(tiff(values, planes=True), PREPROCESS) == (10, 20, 30)).all()


def test_a_fourth_channel_that_is_not_opacity_is_dropped() -> None:
    values = np.broadcast_to(np.array([10, 20, 30, 0], np.uint8), (4, 4, 4))
    assert (decode(tiff(values, extra=[0]), PREPROCESS) == (10, 20, 30)).all()


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (FileNotFoundError(2, "x"), True),
        (PermissionError(13, "x"), True),
        (OSError(5, "Input/output error"), True),
        (MemoryError(), True),
        (OSError("image file is truncated"), False),
        (ValueError("broken"), False),
    ],
)
def test_what_the_disk_or_the_memory_did_may_pass(error, passes, tmp_path, monkeypatch):
    def fail(*arguments):
        raise error

    monkeypatch.setattr("handful.images.formats.open_file", fail)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ImageError) as raised:
        decode(tmp_path / "a.png", Preprocess(size=8))
    assert may_pass(str(raised.value)) == passes


def test_too_many_pixels_may_pass_with_another_size():
    with pytest.raises(ImageError) as raised:
        check_pixels(20_000, 20_000)
    assert may_pass(str(raised.value))
