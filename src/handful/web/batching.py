"""Many requests, few calls of the model: decode in threads, infer what is waiting together.

A model runs one thread a call, so there is one call a core. While all are busy,
images decode and wait; a call that becomes free takes its share of all that wait,
up to ``max_batch``. An image waits for others only while some are being decoded
and at most ``max_wait_ms``: a client that is alone never waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from handful.core import Float32, ImageError, UInt8, usable_cores
from handful.web.limits import Limits, RefusedError
from handful.web.monitoring import Monitoring
from handful.web.predictor import Predictor

_log = logging.getLogger(__name__)
_PLUGINS: tuple[tuple[bytes, Callable[..., ImageFile.ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"\x89PNG", PngImagePlugin.PngImageFile),
    (b"RIFF", WebPImagePlugin.WebPImageFile),
    (b"II", TiffImagePlugin.TiffImageFile),
    (b"MM\0", TiffImagePlugin.TiffImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
    (b"GIF8", GifImagePlugin.GifImageFile),
)


@dataclass(frozen=True)
class _Waiting:
    image: UInt8
    answer: asyncio.Future[dict[str, Any]]
    since: float


class Batcher:
    """Answer images one by one to callers, and in batches to the model.

    An asynchronous context manager: inside, `predict` answers; leaving it answers
    what is still waiting first.

    Parameters
    ----------
    predictor : Predictor
        The model.
    limits : Limits
        ``max_batch``, ``max_calls``, ``max_wait_ms`` and ``max_pixels`` are read.
    monitoring : Monitoring
        Told of every batch and every decoding.
    """

    def __init__(self, predictor: Predictor, limits: Limits, monitoring: Monitoring) -> None:
        self.predictor, self.limits, self.monitoring = predictor, limits, monitoring
        self._queue: deque[_Waiting] = deque()
        self._n_decoding = 0
        self._calls: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Batcher:
        self._changed = asyncio.Event()
        self._is_closing = False
        self._decoders = ThreadPoolExecutor(usable_cores(), "handful-decode")
        self._model = ThreadPoolExecutor(self.limits.max_calls, "handful-infer")
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_closing = True
        self._changed.set()
        await self._task
        self._decoders.shutdown()
        self._model.shutdown()

    async def predict(self, content: bytes) -> dict[str, Any]:
        """Return the answer for one image file.

        Parameters
        ----------
        content : bytes
            The file.

        Returns
        -------
        dict
            ``label, confidence, known, is_known, probabilities``.

        Raises
        ------
        RefusedError
            413 too many pixels, 415 no image of a known format, 422 empty or damaged,
            500 the model failed.
        """
        image = await self._decode(content)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(image, loop.create_future(), loop.time())
        self._queue.append(waiting)
        self._changed.set()
        return await waiting.answer

    async def _decode(self, content: bytes) -> UInt8:
        self._n_decoding += 1
        try:
            loop = asyncio.get_running_loop()
            image, seconds = await loop.run_in_executor(self._decoders, self._opened, content)
        finally:
            self._n_decoding -= 1
            self._changed.set()
        self.monitoring.decoding.observe(seconds)
        return image

    def _opened(self, content: bytes) -> tuple[UInt8, float]:
        started = time.perf_counter()
        if not content:
            message = "The file is empty (zero bytes). Send the bytes of an image."
            raise RefusedError(422, "empty", message)
        n_pixels = read_size(content)
        if n_pixels is not None and n_pixels > self.limits.max_pixels:
            most = f"{self.limits.max_pixels:,}"
            message = f"The image has {n_pixels:,} pixels, more than the {most} allowed. Shrink it."
            raise RefusedError(413, "too_many_pixels", message)
        try:
            image = self.predictor.decode(content)
        except ImageError as error:
            raise RefusedError(*_kind_of_fault(n_pixels), str(error)) from error
        return image, time.perf_counter() - started

    async def _run(self) -> None:
        while not (self._is_closing and not self._queue and not self._n_decoding):
            if self._queue and self._n_free():
                await self._gather()
                self._start(self._take())
            else:
                await self._change()
        await asyncio.gather(*self._calls)

    def _n_free(self) -> int:
        return self.limits.max_calls - len(self._calls)

    def _start(self, batch: list[_Waiting]) -> None:
        call = asyncio.create_task(self._answer(batch))
        self._calls.add(call)
        call.add_done_callback(self._ended)

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._changed.set()

    async def _change(self, seconds: float | None = None) -> None:
        """Wait until something was decoded, queued or answered, or the time is over."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def _gather(self) -> None:
        """Let images that are being decoded join the batch, within the first one's wait."""
        loop = asyncio.get_running_loop()
        deadline = self._queue[0].since + self.limits.max_wait_ms / 1000
        most = self.limits.max_batch * self._n_free()
        while self._n_decoding and len(self._queue) < most:
            left = deadline - loop.time()
            if left <= 0:
                break
            await self._change(left)

    def _take(self) -> list[_Waiting]:
        n = min(math.ceil(len(self._queue) / self._n_free()), self.limits.max_batch)
        return [self._queue.popleft() for _ in range(n)]

    async def _answer(self, batch: list[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        images = [waiting.image for waiting in batch]
        try:
            rows, embeddings, seconds = await loop.run_in_executor(self._model, self._infer, images)
        except Exception:
            _log.exception("The model failed on a batch of %d images", len(batch))
            for waiting in batch:
                _settle(waiting.answer, internal_error())
            return
        self.monitoring.batch(rows, embeddings, seconds)
        for waiting, row in zip(batch, rows, strict=True):
            _settle(waiting.answer, row)

    def _infer(self, images: list[UInt8]) -> tuple[list[dict[str, Any]], Float32, float]:
        started = time.perf_counter()
        probabilities, known, embeddings = self.predictor.infer(np.stack(images))
        seconds = time.perf_counter() - started
        return self.predictor.rows(probabilities, known), embeddings, seconds


def read_size(content: bytes) -> int | None:
    """Return width times height of an image file, without decoding its pixels.

    Pillow's plugins are called directly: ``Image.open`` warns of large images by way of
    module state, and refuses photos that are decoded at an eighth of their size.

    Parameters
    ----------
    content : bytes
        The file.

    Returns
    -------
    int or None
        Number of pixels, 0 where the header is damaged; None where the file is no image
        of a known format.

    Examples
    --------
    >>> read_size(b"%PDF-1.7") is None, read_size(b"GIF89a")
    (True, 0)
    """
    plugin = next((plugin for magic, plugin in _PLUGINS if content.startswith(magic)), None)
    if plugin is None:
        return None
    try:
        with plugin(io.BytesIO(content)) as image:
            return image.width * image.height
    except Exception:  # a damaged header makes plugins raise errors of a dozen kinds
        return 0


def internal_error() -> RefusedError:
    """Return the answer to a failure that is not the client's."""
    return RefusedError(500, "internal", "The server failed on this image. Its log says why.")


def _kind_of_fault(n_pixels: int | None) -> tuple[int, str]:
    """Return status and reason of an image that the predictor refused."""
    if n_pixels is None:
        return 415, "not_an_image"
    if n_pixels > (Image.MAX_IMAGE_PIXELS or n_pixels):
        return 413, "too_many_pixels"
    return 422, "damaged"


def _settle(answer: asyncio.Future[dict[str, Any]], with_: dict[str, Any] | RefusedError) -> None:
    if answer.done():
        return
    if isinstance(with_, RefusedError):
        answer.set_exception(with_)
    else:
        answer.set_result(with_)
