"""Read the images of a request: one as raw bytes, or many as multipart parts, held in memory.

Starlette's own form parser writes parts to temporary files by way of threads and
accepts a body that ends before its last boundary; bodies here are small and
bounded, and half an upload must not look like a whole one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from handful.web.admission import Ticket
from handful.web.limits import Limits, RefusedError, mebibytes

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_RAW_TYPES = ("image/", "application/octet-stream", "application/x-www-form-urlencoded")
_LONGEST_NAME = 255


@dataclass(frozen=True)
class Upload:
    """One image file of a request.

    Parameters
    ----------
    name : str or None
        The file name that the client gave, None for a raw body.
    content : bytes
        The file, empty when it was refused.
    refused : RefusedError or None
        Why this file is not read, without harm to the others.
    """

    name: str | None
    content: bytes
    refused: RefusedError | None = None


async def read_uploads(request: Request, limits: Limits, ticket: Ticket) -> list[Upload]:
    """Return the images of a request.

    Parameters
    ----------
    request : Request
        Its body is ``multipart/form-data`` with one or more files, or the bytes of one image.
    limits : Limits
        Sizes, number of files and time.
    ticket : Ticket
        Holds the bytes that arrive and the images found.

    Returns
    -------
    list of Upload
        At least one, in the order of the request.

    Raises
    ------
    RefusedError
        400 malformed multipart, 408 too slow, 413 too large or too many files, 415 another
        type of content, 422 no file, 503 overloaded.
    """
    content_type, options = parse_options_header(request.headers.get("content-type"))
    if content_type == b"multipart/form-data":
        uploads = await _read_multipart(request, options.get(b"boundary", b""), limits, ticket)
    else:
        uploads = [await _read_raw(request, content_type.decode("latin-1"), limits, ticket)]
    ticket.take(images=len(uploads))
    return uploads


async def _read_raw(request: Request, content_type: str, limits: Limits, ticket: Ticket) -> Upload:
    if content_type and not content_type.startswith(_RAW_TYPES):
        raise RefusedError(
            415,
            "content_type",
            f"The content type {content_type!r} is not an image. Send multipart/form-data with "
            "one or more files, or the bytes of one image as application/octet-stream.",
        )
    content = bytearray()
    await _read(request, content.extend, limits.max_bytes, limits, ticket)
    return Upload(None, bytes(content))


async def _read_multipart(
    request: Request, boundary: bytes, limits: Limits, ticket: Ticket
) -> list[Upload]:
    parts = _Parts(limits)
    try:
        if not boundary:
            raise FormParserError("the content type names no boundary")
        parser = MultipartParser(boundary, parts.callbacks())
        await _read(request, parser.write, limits.max_request_bytes, limits, ticket)
        if not parts.is_complete:
            raise FormParserError("it ends before its last boundary")
    except FormParserError as error:
        message = f"The multipart body is malformed: {error}. Send it again, whole."
        raise RefusedError(400, "malformed", message) from error
    if not parts.uploads:
        message = "The request holds no file. Send one or more form fields with a file name each."
        raise RefusedError(422, "no_files", message)
    return parts.uploads


async def _read(
    request: Request, write: Callable[[bytes], object], most: int, limits: Limits, ticket: Ticket
) -> None:
    """Pass the body on in pieces; at most ``most`` bytes and ``limits.max_seconds`` seconds."""
    too_large = RefusedError(
        413, "too_large", f"The request is larger than {mebibytes(most)}. Send fewer or smaller."
    )
    declared = request.headers.get("content-length", "0")
    if declared.isascii() and declared.isdigit() and int(declared) > most:
        raise too_large
    arrived = 0
    try:
        async with asyncio.timeout(limits.max_seconds):
            async for chunk in request.stream():
                arrived += len(chunk)
                if arrived > most:
                    raise too_large
                ticket.take(n_bytes=len(chunk))
                write(chunk)
    except TimeoutError as error:
        message = f"The body did not arrive within {limits.max_seconds:g} seconds. Send it again."
        raise RefusedError(408, "too_slow", message, {"Connection": "close"}) from error
    except ClientDisconnect as error:
        raise RefusedError(
            400, "disconnected", "The client left before its body was read."
        ) from error


class _Parts:
    """The files of a multipart body, put together as the parser meets their pieces."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.uploads: list[Upload] = []
        self.is_complete = False
        self._header = (bytearray(), bytearray())
        self._disposition = b""
        self._name: str | None = None
        self._content = bytearray()
        self._size = 0

    def callbacks(self) -> MultipartCallbacks:
        """Return what the parser calls."""
        return {
            "on_part_begin": self._part_begins,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_part_end": self._part_ends,
            "on_end": self._ends,
        }

    def _part_begins(self) -> None:
        self._disposition, self._name, self._content, self._size = b"", None, bytearray(), 0

    def _header_ends(self) -> None:
        field, value = self._header
        if field.lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = (bytearray(), bytearray())

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" not in options:
            return
        if len(self.uploads) == self.limits.max_files:
            raise RefusedError(
                413,
                "too_many_files",
                f"The request holds more than {self.limits.max_files} files. Send fewer at once.",
            )
        self._name = _text(options[b"filename"])[:_LONGEST_NAME]

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._name is not None and self._size <= self.limits.max_bytes:
            self._content += data[start:end]

    def _part_ends(self) -> None:
        if self._name is None:
            return
        if self._size <= self.limits.max_bytes:
            self.uploads.append(Upload(self._name, bytes(self._content)))
            return
        message = f"The file is larger than {mebibytes(self.limits.max_bytes)}. Send a smaller one."
        self.uploads.append(Upload(self._name, b"", RefusedError(413, "too_large", message)))

    def _ends(self) -> None:
        self.is_complete = True


def _text(name: bytes) -> str:
    """Return a file name as text: UTF-8, or Latin-1 where it is not."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")
