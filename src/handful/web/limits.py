"""What the server accepts, and how it says no."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from starlette.responses import JSONResponse

from handful.core import usable_cores

_MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """How much one request, one image and the whole server may take.

    Parameters
    ----------
    max_bytes : int, default=20 MiB
        Size of one image file in bytes.
    max_pixels : int, default=250,000,000
        Width times height of one image, checked before its pixels are decoded. The decoder's
        own limit holds too: 89 million for all but the JPEG files of cameras, which it
        decodes at a fraction of their size.
    max_files : int, default=64
        Images in one request.
    max_request_bytes : int, default=128 MiB
        Size of the body of one request in bytes.
    max_held_bytes : int, default=512 MiB
        Bytes of all bodies held at once; past it requests are answered with 503.
    max_waiting : int, default=256
        Images admitted and not answered yet; past it requests are answered with 503.
    max_batch : int, default=16
        Images in one call of the model.
    max_calls : int, default=number of usable cores
        Calls of the model at once; models of handful run one thread a call.
    max_wait_ms : float, default=5.0
        Longest time an image waits for others that are being decoded, in milliseconds.
    max_seconds : float, default=60.0
        Longest time the body of one request may take to arrive, in seconds.

    Raises
    ------
    ValueError
        If a limit is not positive, or one makes another unreachable.

    Examples
    --------
    >>> Limits(max_files=8).max_files
    8
    """

    max_bytes: int = 20 * _MIB
    max_pixels: int = 250_000_000
    max_files: int = 64
    max_request_bytes: int = 128 * _MIB
    max_held_bytes: int = 512 * _MIB
    max_waiting: int = 256
    max_batch: int = 16
    max_calls: int = field(default_factory=usable_cores)
    max_wait_ms: float = 5.0
    max_seconds: float = 60.0

    def __post_init__(self) -> None:
        for name in (item.name for item in fields(self)):
            value = getattr(self, name)
            may_be_zero = name == "max_wait_ms"
            if not math.isfinite(value) or value < 0 or (value == 0 and not may_be_zero):
                lowest = "at least 0" if may_be_zero else "more than 0"
                raise ValueError(f"The {name!r} limit must be finite and {lowest}. Got {value!r}.")
        for smaller, larger in (
            ("max_files", "max_waiting"),
            ("max_bytes", "max_request_bytes"),
            ("max_request_bytes", "max_held_bytes"),
        ):
            if getattr(self, smaller) > getattr(self, larger):
                raise ValueError(
                    f"The {smaller!r} limit must be at most {larger!r}. "
                    f"Got {getattr(self, smaller)} > {getattr(self, larger)}. Raise {larger!r} too."
                )


class RefusedError(Exception):
    """A request, or one image of it, that the server does not answer.

    Parameters
    ----------
    status : int
        HTTP status code.
    reason : str
        One word for programs and metrics, such as ``"too_many_pixels"``.
    message : str
        What is wrong, what was expected and what to do next.
    headers : mapping of str to str, optional
        Headers of the response, such as ``Retry-After``.

    Examples
    --------
    >>> RefusedError(422, "empty", "The file is empty.").as_dict()
    {'reason': 'empty', 'message': 'The file is empty.'}
    """

    def __init__(
        self, status: int, reason: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message
        self.headers = dict(headers or {})

    def as_dict(self) -> dict[str, Any]:
        """Return the reason and the message as JSON values."""
        return {"reason": self.reason, "message": self.message}

    def response(self) -> JSONResponse:
        """Return the response of a request that is refused as a whole."""
        return JSONResponse({"error": self.as_dict()}, self.status, self.headers)


def mebibytes(n_bytes: int) -> str:
    """Return a size for a message.

    Examples
    --------
    >>> mebibytes(20 * 2**20), mebibytes(1500)
    ('20 MiB', '1.5 KiB')
    """
    value, unit = (n_bytes / _MIB, "MiB") if n_bytes >= _MIB else (n_bytes / 1024, "KiB")
    return f"{value:.1f}".removesuffix(".0") + f" {unit}"
