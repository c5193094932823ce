from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from handful.images import Preprocess, decode, thumbnail, white_level

from .conftest import Encode
from .written import png, tiff

AS_IS = Preprocess(size=8, crop_pct=1.0)


def eight_bits(values: NDArray[np.uint16], white: int) -> NDArray[np.uint8]:
    return np.floor(np.minimum(values, white) * 255.0 / white + 0.5).astype(np.uint8)


def drawn(channels: int, seed: int = 0) -> NDArray[np.uint16]:
    return np.random.default_rng(seed).integers(0, 65536, (8, 8, channels)).astype(np.uint16)


@pytest.mark.parametrize("white", [1, 1000, 4095, 65535])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
def test_all_bits_of_every_channel_are_scaled_by_white(
    channels: int, order: str, white: int
) -> None:
    values = drawn(channels)
    expected = np.broadcast_to(eight_bits(values, white), (8, 8, 3))
    preprocess = Preprocess(size=8, crop_pct=1.0, white=white)
    assert np.array_equal(decode(png(values), preprocess), expected)
    assert np.array_equal(decode(tiff(values, order=order), preprocess), expected)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits"])
@pytest.mark.parametrize("as_file", [True, False])
def test_compressed_tiff(tmp_path: Path, encode: Encode, compression: str, as_file: bool) -> None:
    values = drawn(1)[..., 0]
    content = encode(Image.fromarray(values), "TIFF", compression=compression)
    (tmp_path / "a.tif").write_bytes(content)
    array = decode(tmp_path / "a.tif" if as_file else content, AS_IS)
    assert np.array_equal(array[..., 0], eight_bits(values, 65535))


def test_one_white_for_the_data_set_keeps_dark_images_dark(tmp_path: Path) -> None:
    dark, bright = np.full((8, 8, 1), 400, np.uint16), np.full((8, 8, 1), 4000, np.uint16)
    for name, values in {"dark": dark, "bright": bright}.items():
        (tmp_path / f"{name}.png").write_bytes(png(values))
    white = white_level(tmp_path.iterdir())
    assert white == 4095
    preprocess = Preprocess(size=8, white=white)
    assert (decode(tmp_path / "dark.png", preprocess) == 25).all()
    assert (decode(tmp_path / "bright.png", preprocess) == 249).all()


def test_a_value_above_white_is_white() -> None:
    values = np.full((8, 8, 1), 60_000, np.uint16)
    assert (decode(png(values), Preprocess(size=8, white=4095)) == 255).all()


@pytest.mark.parametrize("channels", [2, 4])
def test_opacity_is_a_share_of_65535_whatever_white_is(channels: int) -> None:
    values = np.full((8, 8, channels), 2048, np.uint16)
    values[:4, :, -1] = 65535
    values[4:, :, -1] = 0
    array = decode(png(values), Preprocess(size=8, crop_pct=1.0, white=4095))
    assert (array[:4] == 128).all() and (array[4:] == 255).all()


def test_tiff_in_which_zero_is_white() -> None:
    values = np.full((8, 8, 1), 4095, np.uint16)
    values[:4] = 0
    array = decode(tiff(values, photometric=0), Preprocess(size=8, crop_pct=1.0, white=4095))
    assert (array[:4] == 255).all() and (array[4:] == 0).all()


@settings(max_examples=30, deadline=None)
@given(values=arrays(np.uint16, st.tuples(st.just(8), st.just(8), st.sampled_from([1, 3]))))
def test_any_values(values: Any) -> None:
    expected = np.broadcast_to(eight_bits(values, 65535), (8, 8, 3))
    assert np.array_equal(decode(png(values), AS_IS), expected)


@pytest.mark.parametrize(
    ("highest", "white"), [(0, 1), (1, 1), (255, 255), (256, 511), (4095, 4095), (40_000, 65535)]
)
def test_white_level_is_the_next_full_number_of_bits(
    tmp_path: Path, highest: int, white: int
) -> None:
    values = np.zeros((4, 4, 3), np.uint16)
    values[1, 2, 1] = highest
    (tmp_path / "a.png").write_bytes(png(values))
    assert white_level([tmp_path / "a.png"]) == white


def test_white_level_does_not_look_at_opacity(tmp_path: Path) -> None:
    values = np.full((4, 4, 4), 900, np.uint16)
    values[..., 3] = 65535
    (tmp_path / "a.png").write_bytes(png(values))
    assert white_level([tmp_path / "a.png"]) == 1023


def test_white_level_of_8_bit_and_unreadable_files_is_none(tmp_path: Path) -> None:
    for kind in ("PNG", "TIFF", "JPEG", "BMP", "GIF", "WEBP"):
        Image.new("RGB", (4, 4), "white").save(tmp_path / f"a.{kind}", kind)
    (tmp_path / "b.png").write_bytes(b"")
    (tmp_path / "c.png").write_bytes(png(drawn(3))[:60])
    assert white_level(sorted(tmp_path.iterdir())) is None
    assert white_level([]) is None


def test_5_6_5_bit_bmp_is_not_sixteen_bit() -> None:
    header = b"BM" + (54 + 8).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    info = b"".join(n.to_bytes(s, "little") for n, s in [(40, 4), (2, 4), (2, 4), (1, 2), (16, 2)])
    content = header + info + bytes(24) + b"\xff\x7f" * 4
    assert (decode(content, Preprocess(size=8, white=4095)) == 255).all()


def test_thumbnail_is_scaled_by_white() -> None:
    small = thumbnail(png(np.full((8, 8, 1), 1023, np.uint16)), white=1023)
    assert small.getpixel((0, 0)) == (255, 255, 255)
