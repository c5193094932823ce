"""Files that Pillow does not write: 16-bit colour, many channels, planes, absurd sizes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from PIL import Image

_PNG_COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}
_TIFF_CODE = {3: "H", 4: "I"}


def _chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(values: NDArray[Any], *, width: int | None = None, height: int | None = None) -> bytes:
    """Return a PNG of uint8 or uint16 values [h, w, channels]; width and height may lie."""
    rows = values.astype(values.dtype.newbyteorder(">"))
    size = struct.pack(">II", width or values.shape[1], height or values.shape[0])
    depth = bytes((8 * values.itemsize, _PNG_COLOUR[values.shape[2]], 0, 0, 0))
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = _chunk(b"IHDR", size + depth) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def tiff(
    values: NDArray[Any],
    *,
    photometric: int | None = None,
    extra: Sequence[int] = (),
    planes: bool = False,
    order: str = "<",
    height: int | None = None,
) -> bytes:
    """Return an uncompressed TIFF of uint8 or uint16 values [h, w, channels]; the height may lie."""
    high, wide, channels = values.shape
    stored = values.transpose(2, 0, 1) if planes else values
    data = stored.astype(values.dtype.newbyteorder(order)).tobytes()
    strips = channels if planes else 1
    length = len(data) // strips
    tags: list[tuple[int, int, Sequence[int]]] = [
        (256, 4, [wide]),
        (257, 4, [height or high]),
        (258, 3, [8 * values.itemsize] * channels),
        (259, 3, [1]),
        (262, 3, [photometric if photometric is not None else (2 if channels > 2 else 1)]),
        (273, 4, [8 + i * length for i in range(strips)]),
        (277, 3, [channels]),
        (278, 4, [height or high]),
        (279, 4, [length] * strips),
        (284, 3, [2 if planes else 1]),
        *([(338, 3, extra)] if extra else []),
    ]
    magic = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8 + len(data))
    return magic + data + _directory(tags, 8 + len(data), order)


def _directory(tags: list[tuple[int, int, Sequence[int]]], offset: int, order: str) -> bytes:
    entries, spill = b"", b""
    after = offset + 2 + 12 * len(tags) + 4
    for tag, kind, numbers in tags:
        content = struct.pack(f"{order}{len(numbers)}{_TIFF_CODE[kind]}", *numbers)
        if len(content) > 4:
            content, spill = struct.pack(order + "I", after + len(spill)), spill + content
        entries += struct.pack(order + "HHI", tag, kind, len(numbers)) + content.ljust(4, b"\0")
    return struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", 0) + spill


def grey_jpeg(width: int, height: int, shade: int = 128) -> bytes:
    """Return a baseline JPEG of one shade: its first row of blocks repeated, so any size is cheap."""
    file = io.BytesIO()
    Image.new("L", (width, 8), shade).save(file, "JPEG", restart_marker_rows=1)
    start, scan, data = file.getvalue()[:-2].partition(b"\xff\xda\x00\x08")
    header, row = data[:6], data[6:]
    rows = b"".join(row + bytes((0xFF, 0xD0 + i % 8)) for i in range(-(-height // 8) - 1)) + row
    return with_jpeg_size(start + scan + header + rows + b"\xff\xd9", width, height)


def with_jpeg_size(content: bytes, width: int, height: int) -> bytes:
    """Return a JPEG whose header claims another size."""
    at = next(i for marker in (b"\xff\xc0\x00", b"\xff\xc2\x00") if (i := content.find(marker)) > 0)
    return content[: at + 5] + struct.pack(">HH", height, width) + content[at + 9 :]
