"""From a file to the array of a backbone: the hot path, as fast as Pillow allows.

Large JPEG photos are decoded at a half, a quarter or an eighth of their size,
which the format allows for little more than reading the file, as long as at
least twice the wanted pixels remain. Everything here runs in many threads.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageFile, JpegImagePlugin

from handful.core import ImageError, UInt8
from handful.images.formats import MAX_PIXELS, MAX_SCALED_PIXELS, check_pixels, opened
from handful.images.preprocess import Preprocess
from handful.images.sixteen_bit import is_sixteen_bit, to_eight_bits

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_OVERSAMPLING = 2.0


def decode(source: Path | bytes, preprocess: Preprocess) -> UInt8:
    """Return the array that a backbone takes for one image file.

    The image is turned upright (EXIF), its first frame taken (GIF, WebP, PNG),
    transparency laid on white, 16-bit values scaled by ``preprocess.white``.

    Parameters
    ----------
    source : Path or bytes
        A JPEG, PNG, WebP, TIFF, BMP or GIF file, or its content.
    preprocess : Preprocess
        The backbone's preprocessing.

    Returns
    -------
    ndarray of shape (side, side, 3), uint8
        RGB; ``side`` is ``preprocess.side``.

    Raises
    ------
    ImageError
        If the image cannot be used; the message is the reason.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> Image.new("L", (60, 40), 255).save(file, "PNG")
    >>> array = decode(file.getvalue(), Preprocess(size=32))
    >>> array.shape, int(array.min())
    ((32, 32, 3), 255)
    """
    with opened(source) as (image, file):
        pixels = _eight_bits(image, file, preprocess.white)
        orientation = _orientation(image)
        width, height = image.size if orientation < 5 else image.size[::-1]
        region = preprocess.region(width, height)
        wanted = min(region[2] - region[0], region[3] - region[1]) / preprocess.side
        shrink = _shrink(image, wanted / _OVERSAMPLING)
        upright = _upright(_rgb(pixels), orientation)
        left, top, right, bottom = region
        return preprocess.cut(
            upright, (left / shrink, top / shrink, right / shrink, bottom / shrink)
        )


def thumbnail(source: Path | bytes, side: int = 96, *, white: int = 65535) -> Image.Image:
    """Return a small upright RGB copy of an image, for people to look at.

    Parameters
    ----------
    source : Path or bytes
        An image file, or its content.
    side : int, default=96
        Longest side of the copy in pixels; a smaller image keeps its size.
    white : int, default=65535
        The value of white in 16-bit images.

    Returns
    -------
    PIL.Image.Image
        Mode RGB.

    Raises
    ------
    ImageError
        If the image cannot be used; the message is the reason.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> Image.new("L", (600, 400)).save(file, "JPEG")
    >>> thumbnail(file.getvalue()).size
    (96, 64)
    """
    with opened(source) as (image, file):
        pixels = _eight_bits(image, file, white)
        orientation = _orientation(image)
        _shrink(image, max(image.size) / side / _OVERSAMPLING)
        small = _upright(_rgb(pixels), orientation)
        small.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=None)
        return small


def shorter_side(source: Path | bytes) -> int:
    """Return the shorter side of an image in pixels, read from its header alone.

    Raises
    ------
    ImageError
        If it is no image that can be used.
    """
    with opened(source) as (image, _):
        return min(image.size)


def _eight_bits(image: ImageFile.ImageFile, file: BinaryIO, white: int) -> Image.Image:
    """Return the image itself, not decoded yet, unless it has 16 bits a channel."""
    is_scalable = isinstance(image, JpegImagePlugin.JpegImageFile) and _is_one_scan(image)
    check_pixels(*image.size, MAX_SCALED_PIXELS if is_scalable else MAX_PIXELS)
    return to_eight_bits(image, file, white) if is_sixteen_bit(image) else image


def _shrink(image: ImageFile.ImageFile, most: float) -> int:
    """Let a JPEG be decoded at a fraction of its size; return by how much, at most ``most``."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return 1
    width, height = image.size
    shrink = next((s for s in (8, 4, 2) if s <= most), 1)
    if shrink > 1:
        image.draft(None, (max(width // shrink, 1), max(height // shrink, 1)))
    check_pixels(*image.size)
    return shrink


def _is_one_scan(image: JpegImagePlugin.JpegImageFile) -> bool:
    """Tell whether the decoder goes through the file once, holding a few rows and not all of it.

    A progressive JPEG, or one with a scan for each channel, is held in whole
    whatever size it is decoded at. The header of the first scan lies just
    before the file's position: its length in two bytes and its channels in one.
    """
    if image.info.get("progressive") or image.fp is None:
        return False
    length = 6 + 2 * image.layers
    image.fp.seek(-length, 1)
    return bool(image.fp.read(length)[:3] == bytes((0, length, image.layers)))


def _orientation(image: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation, 1 (upright) when it is absent or unreadable.

    Pillow turns TIFF images itself while it decodes them.
    """
    if image.format == "TIFF":
        return 1
    if isinstance(image, JpegImagePlugin.JpegImageFile) and not image.info.keys() & {"exif", "xmp"}:
        return 1
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1
    return value if value in _UPRIGHT else 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _rgb(image: Image.Image) -> Image.Image:
    """Decode the pixels, if need be, and return them as RGB."""
    if image.mode == "RGB" and "transparency" not in image.info:
        image.load()
        return image
    if image.mode in {"I", "F", "I;16S", "LAB", "HSV"}:
        raise ImageError(
            f"The pixels are of mode {image.mode!r}; 8- and 16-bit grey, palette, RGB and CMYK "
            "are read. Convert it with: magick IN -colorspace sRGB -auto-level -depth 8 OUT.png"
        )
    if image.has_transparency_data:
        return _on_white(image)
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
