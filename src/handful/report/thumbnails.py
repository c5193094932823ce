"""Images small enough to travel inside the page, without anything but their pixels."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

from PIL import Image

from handful.core import ImageError

SIDE = 176


def thumbnail_uri(name: str, image: Callable[[str], Image.Image | None]) -> str | None:
    """Return an image as a JPEG data URI, or None when there is none to show.

    Parameters
    ----------
    name : str
        The image's name in the report.
    image : callable
        Returns the upright image of a name, of any size and mode, or None.

    Returns
    -------
    str or None
        At most 176 pixels a side. EXIF, comments, colour profiles and every
        other record are left behind.
    """
    try:
        found = image(name)
        return None if found is None else _uri(found)
    except (
        ImageError,
        OSError,
        Image.DecompressionBombError,
    ):  # the page says that it is not shown
        return None


def _uri(image: Image.Image) -> str:
    clear = image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info
    small = image.convert("RGBA" if clear else "RGB")  # a copy, also where the mode is the same
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    pixels = Image.new("RGB", small.size, "white")  # a new image: it has no records to save
    pixels.paste(small, mask=small.getchannel("A") if clear else None)
    buffer = io.BytesIO()
    pixels.save(buffer, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
