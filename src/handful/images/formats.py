"""Opening an image file: six formats, told by their first bytes, with limits on their size.

The plugins of Pillow are called directly. ``Image.open`` would compare the size
with a limit that lives in module state and answer with a warning, which the
embedding pipeline's threads could neither catch nor turn into a reason.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from handful.core import ImageError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
)
"""Suffixes of the files that a scan looks at, in lower case."""

MAX_PIXELS = 89_478_485
"""Most pixels that are decoded at once, Pillow's own limit: 358 MB as RGB in memory."""

MAX_SCALED_PIXELS = 2**30
"""Most pixels of a JPEG that is decoded at a half to an eighth of its size."""

_ABSENT, _FORBIDDEN = "The file does not exist.", "The file may not be read (permission denied)."
_NO_MEMORY = "The image does not fit in memory."
_UNREADABLE, _TOO_MANY = "The file cannot be read", "million that are decoded at once"

_Factory = Callable[..., ImageFile.ImageFile]
_READ = "JPEG, PNG, WebP, TIFF, BMP and GIF are read"
_FORMATS: tuple[tuple[bytes, str, _Factory], ...] = (
    (b"\xff\xd8\xff", "JPEG", JpegImagePlugin.JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", "PNG", PngImagePlugin.PngImageFile),
    (b"II*\0", "TIFF", TiffImagePlugin.TiffImageFile),
    (b"MM\0*", "TIFF", TiffImagePlugin.TiffImageFile),
    (b"II+\0", "TIFF", TiffImagePlugin.TiffImageFile),
    (b"MM\0+", "TIFF", TiffImagePlugin.TiffImageFile),
    (b"BM", "BMP", BmpImagePlugin.BmpImageFile),
    (b"GIF8", "GIF", GifImagePlugin.GifImageFile),
)
_FOREIGN = (
    (0, b"%PDF", "PDF"),
    (0, b"8BPS", "Photoshop"),
    (0, b"\0\0\x01\0", "icon"),
    (0, b"\x0a", "PCX"),
    (0, b"<svg", "SVG"),
    (0, b"<?xml", "SVG or XML"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"jP  ", "JPEG 2000"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (128, b"DICM", "DICOM"),
)


@contextmanager
def opened(source: Path | bytes) -> Iterator[tuple[ImageFile.ImageFile, BinaryIO]]:
    """Open an image without decoding it; whatever goes wrong inside becomes an `ImageError`.

    Parameters
    ----------
    source : Path or bytes
        The file, or its content.

    Yields
    ------
    image : PIL.ImageFile.ImageFile
        Its size, mode and metadata are known, its pixels are not read yet.
    file : BinaryIO
        What it is read from.

    Raises
    ------
    ImageError
        With the reason, also for errors of the ``with`` body.
    """
    with _reasons():
        if isinstance(source, bytes):
            file: BinaryIO = io.BytesIO(source)
            yield open_file(file), file
        else:
            with source.open("rb") as file:
                yield open_file(file), file


def open_file(file: BinaryIO) -> ImageFile.ImageFile:
    """Return the image of an open file, from its start, its pixels not read yet."""
    file.seek(0)
    start = file.read(132)
    file.seek(0)
    name, factory = _format(start)
    if name == "TIFF":
        check_tiff(file)
        file.seek(0)
    return factory(file)


def _format(start: bytes) -> tuple[str, _Factory]:
    if not start:
        raise ImageError("The file is empty.")
    for magic, name, factory in _FORMATS:
        if start.startswith(magic):
            return name, factory
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WebP", WebPImagePlugin.WebPImageFile
    for offset, magic, name in _FOREIGN:
        if start[offset:].startswith(magic):
            raise ImageError(f"{name} is not read, {_READ}. Convert it with: magick IN OUT.png")
    raise ImageError(f"Not an image: the file begins with {start[:8]!r}. {_READ}.")


def check_tiff(file: BinaryIO) -> None:
    """Refuse a TIFF file of several pages or of more than four channels.

    Reduced copies (overviews, thumbnails) and masks are not counted as pages.
    """
    pages = 0
    for tags in _directories(file):
        channels = _first(tags.get(277), 1)
        if _first(tags.get(284), 1) == 2 and _first(tags.get(258), 1) > 8:
            raise ImageError(
                "The TIFF file keeps the channels of 16-bit pixels in separate planes, which is "
                "not read. Convert it with: magick IN OUT.png"
            )
        if channels > 4:
            raise ImageError(
                f"The TIFF file has {channels} channels; at most 4 are read. Choose three with: "
                "gdal_translate -b 1 -b 2 -b 3 -ot Byte -scale IN OUT.png"
            )
        pages += not _first(tags.get(254), 0) & 0b101
        if pages > 1:
            raise ImageError(
                "The TIFF file is a stack of several pages; one image a file is read. "
                "Write one file a page with: magick IN OUT-%03d.png"
            )


def _directories(file: BinaryIO) -> Iterator[TiffImagePlugin.ImageFileDirectory_v2]:
    """Yield the tags of each page; a chain that loops or leaves the file ends."""
    header = file.read(8)
    if header[2:3] == b"+" or header[3:4] == b"+":
        header += file.read(8)
    tags = TiffImagePlugin.ImageFileDirectory_v2(header)
    seen: set[int] = set()
    offset = tags.next
    while offset and offset not in seen and len(seen) < 64:
        seen.add(offset)
        file.seek(offset)
        tags = TiffImagePlugin.ImageFileDirectory_v2(header)
        tags.load(file)
        yield tags
        offset = tags.next


def _first(value: Any, default: int) -> int:
    number = value[0] if isinstance(value, tuple) and value else value
    return number if isinstance(number, int) else default


def check_pixels(width: int, height: int, limit: int = MAX_PIXELS) -> None:
    """Refuse an image of more pixels than the limit."""
    if width * height > limit:
        raise ImageError(
            f"The image has {width} by {height} pixels, more than the {limit / 1e6:.0f} "
            f"{_TOO_MANY}. Make it smaller with: "
            "magick IN -resize 4096x4096 OUT.jpg"
        )


@contextmanager
def _reasons() -> Iterator[None]:
    """Turn every failure of reading and decoding into an `ImageError`.

    Damaged content makes Pillow's plugins raise errors of a dozen kinds,
    which is why all are caught here; none of them says more than its text.
    """
    try:
        yield
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(_ABSENT) from error
    except PermissionError as error:
        raise ImageError(_FORBIDDEN) from error
    except MemoryError as error:
        raise ImageError(_NO_MEMORY) from error
    except Exception as error:
        raise ImageError(_reason(error)) from error


def may_pass(reason: str) -> bool:
    """Return whether an image that could not be used for this reason may be usable another time.

    The disk, the memory and the size that it is decoded at are not the image's.

    Examples
    --------
    >>> may_pass("The file does not exist."), may_pass("The file is empty.")
    (True, False)
    """
    passing = (_ABSENT, _FORBIDDEN, _NO_MEMORY, _UNREADABLE)
    return reason.startswith(passing) or _TOO_MANY in reason


def _reason(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        name = errno.errorcode.get(error.errno, str(error.errno))
        return f"{_UNREADABLE} ({name}: {error.strerror})."
    if "truncated" in text.lower() or isinstance(error, EOFError):
        return f"The image is truncated: the file ends before the picture does ({text})."
    if type(error).__name__.startswith("DecompressionBomb"):
        return f"The image is too large to decode ({text})."
    return (
        f"The image is truncated, damaged or of a kind that is not read ({text}). "
        "If other programs open it, convert it with: magick IN OUT.png"
    )
