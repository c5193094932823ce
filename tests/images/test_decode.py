import contextlib
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from handful.core import ImageError, UInt8
from handful.images import Preprocess, decode, thumbnail

from .conftest import Encode, photo_like

PREPROCESS = Preprocess(size=64)
T = Image.Transpose
UNDO = {
    1: [],
    2: [T.FLIP_LEFT_RIGHT],
    3: [T.ROTATE_180],
    4: [T.FLIP_TOP_BOTTOM],
    5: [T.TRANSPOSE],
    6: [T.ROTATE_90],
    7: [T.TRANSVERSE],
    8: [T.ROTATE_270],
}
RED, WHITE = (255, 0, 0), (255, 255, 255)


def quarters() -> Image.Image:
    """Return an image that shows which way up it is: red, green over blue, white."""
    image = Image.new("RGB", (80, 60))
    for corner, colour in zip(
        [(0, 0), (40, 0), (0, 30), (40, 30)], ["red", "lime", "blue", "white"], strict=True
    ):
        image.paste(colour, (*corner, corner[0] + 40, corner[1] + 30))
    return image


def near(array: UInt8, image: Image.Image, most: float = 3) -> bool:
    return bool(np.abs(array.astype(int) - PREPROCESS(image)).mean() <= most)


@pytest.mark.parametrize(
    ("kind", "options", "most"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "tiff_deflate"}, 0),
        ("TIFF", {"compression": "jpeg", "quality": 95}, 3),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 3),
        ("JPEG", {"quality": 95}, 3),
        ("JPEG", {"quality": 95, "progressive": True}, 3),
        ("GIF", {}, 12),
    ],
)
def test_formats(
    photo: Image.Image, encode: Encode, kind: str, options: dict[str, object], most: float
) -> None:
    assert near(decode(encode(photo, kind, **options), PREPROCESS), photo, most)


def test_a_path_and_its_bytes_give_the_same(
    tmp_path: Path, photo: Image.Image, encode: Encode
) -> None:
    for kind, options in [("JPEG", {}), ("PNG", {}), ("TIFF", {"compression": "tiff_lzw"})]:
        content = encode(photo, kind, **options)
        (tmp_path / "image").write_bytes(content)
        assert np.array_equal(decode(tmp_path / "image", PREPROCESS), decode(content, PREPROCESS))


def test_the_content_decides_not_the_name(tmp_path: Path, photo: Image.Image) -> None:
    photo.save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert near(decode(tmp_path / "a.jpg", PREPROCESS), photo, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation(encode: Encode, kind: str, orientation: int) -> None:
    stored = quarters()
    for undo in UNDO[orientation]:
        stored = stored.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert near(decode(encode(stored, kind, exif=exif), PREPROCESS), quarters(), 4)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_orientation_of_a_photo_decoded_at_a_fraction(encode: Encode, orientation: int) -> None:
    upright = photo_like(240, 180).resize((1200, 900))
    stored = upright
    for undo in UNDO[orientation]:
        stored = stored.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    array = decode(encode(stored, "JPEG", quality=95, exif=exif), PREPROCESS)
    assert near(array, upright, 2)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_exif_means_upright(photo: Image.Image, encode: Encode) -> None:
    content = encode(photo, "JPEG", quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert near(decode(content, PREPROCESS), photo)


def test_unknown_orientation_means_upright(photo: Image.Image, encode: Encode) -> None:
    exif = Image.Exif()
    exif[0x0112] = 11
    assert near(decode(encode(photo, "JPEG", quality=95, exif=exif), PREPROCESS), photo)


def test_cmyk_jpeg(photo: Image.Image, encode: Encode) -> None:
    content = encode(photo.convert("CMYK"), "JPEG", quality=95)
    assert near(decode(content, PREPROCESS), photo)


def test_grey_jpeg(photo: Image.Image, encode: Encode) -> None:
    array = decode(encode(photo.convert("L"), "JPEG"), PREPROCESS)
    assert np.array_equal(array[..., 0], array[..., 1])


def half_clear(mode: str) -> Image.Image:
    image = Image.new("RGBA", (40, 40), RED)
    image.paste((0, 0, 0, 0), (0, 0, 40, 20))
    return image.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white(encode: Encode, mode: str) -> None:
    array = decode(encode(half_clear(mode)), PREPROCESS)
    assert (array[:24] == WHITE).all() and (array[40:] < 255).any(-1).all()


@pytest.mark.parametrize("transparency", [0, b"\0\xff"])
def test_palette_png_with_transparency(encode: Encode, transparency: object) -> None:
    image = Image.new("P", (40, 40), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.paste(0, (0, 0, 40, 20))
    array = decode(encode(image, transparency=transparency), PREPROCESS)
    assert (array[:24] == WHITE).all() and (array[40:] == RED).all()


@pytest.mark.parametrize(("mode", "clear"), [("L", 0), ("RGB", (0, 0, 0)), ("1", 0)])
def test_one_transparent_colour(encode: Encode, mode: str, clear: object) -> None:
    array = decode(encode(Image.new(mode, (9, 9), 0), transparency=clear), PREPROCESS)
    assert (array == 255).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animation_gives_its_first_frame(encode: Encode, kind: str) -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "lime", "blue")]
    content = encode(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    assert np.abs(decode(content, PREPROCESS).astype(int) - RED).max() <= 1


def test_transparent_gif(encode: Encode) -> None:
    image = Image.new("P", (40, 40), 0)
    image.putpalette([9, 9, 9])
    assert (decode(encode(image, "GIF", transparency=0), PREPROCESS) == 255).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("tiles", [1, 3])
def test_one_pixel(encode: Encode, kind: str, tiles: int) -> None:
    array = decode(encode(Image.new("RGB", (1, 1), "white"), kind), Preprocess(size=8, tiles=tiles))
    assert array.shape == (8 * tiles, 8 * tiles, 3) and (array >= 250).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(width=st.integers(1, 90), height=st.integers(1, 90), tiles=st.integers(1, 2))
def test_any_mode_and_size(encode: Encode, mode: str, width: int, height: int, tiles: int) -> None:
    preprocess = Preprocess(size=16, tiles=tiles)
    kind = "JPEG" if mode in {"CMYK", "YCbCr"} else "PNG"
    array = decode(encode(Image.new(mode, (width, height)), kind), preprocess)
    assert array.shape == (preprocess.side, preprocess.side, 3) and array.dtype == np.uint8


def test_a_large_photo_decoded_at_a_fraction_looks_the_same(encode: Encode) -> None:
    large = photo_like(400, 300).resize((1600, 1200))
    content = encode(large, "JPEG", quality=95)
    difference = np.abs(decode(content, PREPROCESS).astype(int) - PREPROCESS(large))
    assert difference.mean() < 1


@pytest.mark.parametrize("size", [(1601, 1203), (1205, 1607), (999, 1001)])
def test_a_fraction_of_an_odd_size_shifts_nothing(encode: Encode, size: tuple[int, int]) -> None:
    large = photo_like(400, 300).resize(size)
    for preprocess in (Preprocess(size=32), Preprocess(size=16, tiles=3, crop=(0.1, 0.2, 0.9, 1))):
        array = decode(encode(large, "JPEG", quality=97), preprocess).astype(int)
        assert np.abs(array - preprocess(large)).mean() < 1.5


def test_many_threads_give_what_one_gives(photo: Image.Image, encode: Encode) -> None:
    contents = [encode(photo.rotate(turn), "JPEG") for turn in range(20)]
    alone = [decode(content, PREPROCESS) for content in contents]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda content: decode(content, PREPROCESS), contents))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_thumbnail_is_upright_small_and_rgb(encode: Encode) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    small = thumbnail(encode(photo_like(800, 400).convert("L"), "JPEG", exif=exif), 64)
    assert small.size == (32, 64) and small.mode == "RGB"
    assert thumbnail(encode(Image.new("RGBA", (5, 3))), 64).size == (5, 3)
    assert thumbnail(encode(Image.new("L", (3000, 1))), 64).size == (64, 1)


# Bad input


def test_zero_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(ImageError, match=r"The file is empty\."):
        decode(tmp_path / "a.jpg", PREPROCESS)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="does not exist"):
        decode(tmp_path / "a.jpg", PREPROCESS)


def test_folder_with_an_image_name(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    with pytest.raises(ImageError, match="cannot be read"):
        decode(tmp_path / "a.jpg", PREPROCESS)


def test_unreadable_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ImageError, match="permission denied"):
        decode(tmp_path / "a.jpg", PREPROCESS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.05])
def test_truncated_file(photo: Image.Image, encode: Encode, kind: str, share: float) -> None:
    content = encode(photo, kind)
    with pytest.raises(ImageError, match="truncated"):
        decode(content[: int(len(content) * share)], PREPROCESS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello, I am text", "Not an image: the file begins with b'hello, I'"),
        (b"\xff\xd8\xff", "truncated"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"%PDF-1.7 ...", "PDF is not read"),
        (b"\0\0\0\x18ftypheic....", "HEIC is not read.*magick IN OUT.png"),
        (b"\0\0\0\x18ftypavif....", "AVIF is not read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG is not read"),
        (b"P6 1 1 255 abc", "Not an image"),
        (b"RIFF\0\0\0\0WAVEfmt ", "Not an image"),
    ],
)
def test_not_an_image(content: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        decode(content, PREPROCESS)


@pytest.mark.parametrize("kind", ["PPM", "PCX", "ICO", "JPEG2000", "TGA"])
def test_formats_that_are_not_listed_are_refused(encode: Encode, kind: str) -> None:
    with pytest.raises(ImageError, match="BMP and GIF are read"):
        decode(encode(Image.new("RGB", (32, 32)), kind), PREPROCESS)


@pytest.mark.parametrize("mode", ["I", "F", "LAB"])
def test_modes_without_a_known_white_are_refused(encode: Encode, mode: str) -> None:
    with pytest.raises(ImageError, match=f"mode '{mode}'.*-depth 8 OUT.png"):
        decode(encode(Image.new(mode, (9, 9)), "TIFF"), PREPROCESS)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_bytes_raise_nothing_but_image_error(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError):
        array = decode(bytes(content[: data.draw(st.integers(1, len(content)))]), PREPROCESS)
        assert array.shape == (64, 64, 3)


@given(content=st.binary(max_size=400))
def test_random_bytes_raise_image_error(content: bytes) -> None:
    with pytest.raises(ImageError):
        decode(content, PREPROCESS)


def _seeds() -> list[bytes]:
    image = photo_like(24, 17)
    seeds = []
    for kind, mode, options in [
        ("JPEG", "RGB", {}),
        ("JPEG", "CMYK", {"progressive": True}),
        ("PNG", "RGBA", {}),
        ("PNG", "P", {"transparency": 0}),
        ("WEBP", "RGB", {}),
        ("GIF", "P", {}),
        ("BMP", "RGB", {}),
        ("TIFF", "RGB", {}),
        ("TIFF", "L", {"compression": "packbits"}),
    ]:
        file = io.BytesIO()
        image.convert(mode).save(file, kind, **options)
        seeds.append(file.getvalue())
    return seeds


SEEDS = _seeds()
