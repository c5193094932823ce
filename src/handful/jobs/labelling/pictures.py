"""Images as the page shows them: upright, small, always the content that the label belongs to."""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict

from handful.core import ImageError
from handful.images import thumbnail
from handful.project import Image

SIDES = (192, 960)  # of a tile, and of a single image, in pixels
_LOSSLESS = 128  # a smaller image is sent as PNG: JPEG would blur its few pixels
_KEPT = 64 * 2**20  # bytes


class Pictures:
    """Make and keep small copies of images; every method may be called from any thread.

    Parameters
    ----------
    kept : int, default=64 MiB
        Bytes of copies held in memory.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self.kept = kept
        self._copies: OrderedDict[tuple[str, int], tuple[bytes, str]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, image: Image, side: int, white: int | None) -> tuple[bytes, str]:
        """Return the bytes of a copy and their media type.

        Parameters
        ----------
        image : Image
        side : int
            One of `SIDES`, the longest side of the copy in pixels.
        white : int or None
            The value of white in 16-bit images.

        Raises
        ------
        FileNotFoundError
            If no file holds this content any more.
        ImageError
            If it cannot be decoded.
        """
        key = (image.hash, side)
        with self._lock:
            if key in self._copies:
                self._copies.move_to_end(key)
                return self._copies[key]
        copy = _encoded(_content(image), side, white)
        with self._lock:
            if key not in self._copies:
                self._copies[key] = copy
                self._size += len(copy[0])
            while self._size > self.kept:
                _, (content, _) = self._copies.popitem(last=False)
                self._size -= len(content)
        return copy


def _content(image: Image) -> bytes:
    """Return the bytes of the first file that still holds this content."""
    for path in image.paths:
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if hashlib.blake2b(content, digest_size=16).hexdigest() == image.hash:
            return content
    raise FileNotFoundError(f"{image.name} is no longer there, or was changed.")


def _encoded(content: bytes, side: int, white: int | None) -> tuple[bytes, str]:
    small = thumbnail(content, side, white=white or 65535)
    file = io.BytesIO()
    try:
        if max(small.size) <= _LOSSLESS:
            small.save(file, "PNG")
            return file.getvalue(), "image/png"
        small.save(file, "JPEG", quality=88)
    except OSError as error:
        raise ImageError(f"The image cannot be shown: {error}.") from error
    return file.getvalue(), "image/jpeg"
