"""16-bit images: which value is white is a fact of the data set, never of one image.

A 12-bit camera writes 4,095 as white, a depth sensor something else. Scaling
each image by its own maximum would erase differences of brightness between
images; taking 65,535 for all would turn many data sets black.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from handful.core import ImageError
from handful.images.formats import check_pixels, open_file, opened

_GREY = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_COLOUR = frozenset({"LA", "RGB", "RGBA", "RGBX"})
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_NATIVE = "16L" if sys.byteorder == "little" else "16B"
_OTHER_BYTE = {"16L": "16B", "16B": "16L", "16N": "16B" if _NATIVE == "16L" else "16L"}


def is_sixteen_bit(image: ImageFile.ImageFile) -> bool:
    """Tell whether an image that is not decoded yet has 16 bits a channel."""
    if image.format not in {"PNG", "TIFF"}:
        return False
    kind, _, order = _raw_mode(image).partition(";")
    return image.mode in _GREY or (kind in _COLOUR and order in _OTHER_BYTE)


def to_eight_bits(image: ImageFile.ImageFile, file: BinaryIO, white: int) -> Image.Image:
    """Return a 16-bit image with 8 bits a channel.

    Parameters
    ----------
    image : PIL.ImageFile.ImageFile
        The image, not decoded yet.
    file : BinaryIO
        What it is read from.
    white : int
        The value that becomes 255; larger ones do too.
    """
    values = _values(image, file)
    table = (np.minimum(np.arange(65536), white) * (255 / white) + 0.5).astype(np.uint8)
    pixels = table[values]
    if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        pixels = 255 - pixels
    if _has_opacity(values):
        pixels[..., -1] = values[..., -1] >> 8  # opacity is a share of 65535 in every data set
    return Image.fromarray(pixels)


def white_level(paths: Iterable[Path]) -> int | None:
    """Return the value of white in the 16-bit images of a data set.

    Parameters
    ----------
    paths : iterable of Path
        All images of the data set; those of 8 bits, and those that cannot be
        read, are passed over.

    Returns
    -------
    int or None
        The smallest ``2**k - 1`` that no value exceeds, so 4095 for a 12-bit
        camera; ``None`` when there is no 16-bit image.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.png"
    ...     Image.fromarray(np.full((2, 2), 3000, np.uint16)).save(path)
    ...     white_level([path])
    4095
    """
    highest = -1
    for path in paths:
        try:
            highest = max(highest, _maximum(path))
        except ImageError:
            continue
    return None if highest < 0 else max(1, (1 << highest.bit_length()) - 1)


def _maximum(path: Path) -> int:
    """Return the highest colour value of an image, -1 when it is not of 16 bits."""
    with opened(path) as (image, file):
        if not is_sixteen_bit(image):
            return -1
        check_pixels(*image.size)
        values = _values(image, file)
        return int((values[..., :-1] if _has_opacity(values) else values).max())


def _has_opacity(values: NDArray[np.uint16]) -> bool:
    return values.ndim == 3 and values.shape[-1] in {2, 4}


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Return how the file's bytes become pixels, such as ``"RGB;16B"``."""
    arguments: Any = image.tile[0].args if image.tile else ""
    return str(arguments[0]) if isinstance(arguments, tuple) and arguments else str(arguments)


def _values(image: ImageFile.ImageFile, file: BinaryIO) -> NDArray[np.uint16]:
    """Return all 16 bits of every channel; Pillow keeps them for one-channel images alone.

    For more channels it unpacks the high byte. Told that the bytes come in the
    other order it unpacks the low one, so two decodes give both.
    """
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16, copy=False)
    kind, _, order = _raw_mode(image).partition(";")
    image.load()  # before the file is opened anew: both read from one position
    again = open_file(file)
    if kind == "LA":
        again._mode = "RGBA"  # as many bytes a pixel, all of them kept
        _unpack_as(again, "RGBA")
        return np.asarray(again).view(">u2" if order == "16B" else "<u2").astype(np.uint16)
    _unpack_as(again, f"{kind};{_OTHER_BYTE[order]}")
    values = np.asarray(image).astype(np.uint16)
    np.left_shift(values, 8, out=values)
    np.bitwise_or(values, np.asarray(again), out=values)
    return values[..., :3] if image.mode == "RGBX" else values


def _unpack_as(image: ImageFile.ImageFile, raw_mode: str) -> None:
    image.tile = [
        tile._replace(args=(raw_mode, *tile.args[1:]) if isinstance(tile.args, tuple) else raw_mode)
        for tile in image.tile
    ]
