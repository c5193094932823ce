"""Many requests, few calls of the model: decode in threads, infer what is waiting together.

While the model runs, images decode and wait; when it is free, it takes all that
wait, up to ``max_batch``. An image waits for others only while some are being
decoded and at most ``max_wait_ms``: a client that is alone never waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from handful.core import Float32, ImageError, UInt8
from handful.web.limits import Limits, RefusedError
from handful.web.monitoring import Monitoring
from handful.web.predictor import Predictor

_log = logging.getLogger(__name__)
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"II", b"MM\0", b"BM", b"GIF8")
_BOMB = sys.maxsize  # pixels of an image whose size Pillow refuses to tell


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
        ``max_batch``, ``max_wait_ms`` and ``max_pixels`` are read.
    monitoring : Monitoring
        Told of every batch and every decoding.
    """

    def __init__(self, predictor: Predictor, limits: Limits, monitoring: Monitoring) -> None:
        self.predictor, self.limits, self.monitoring = predictor, limits, monitoring
        self._queue: deque[_Waiting] = deque()
        self._n_decoding = 0

    async def __aenter__(self) -> Batcher:
        self._changed = asyncio.Event()
        self._is_closing = False
        self._decoders = ThreadPoolExecutor(_n_cores(), "handful-decode")
        self._model = ThreadPoolExecutor(1, "handful-infer")
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
            raise _too_many_pixels(n_pixels, self.limits.max_pixels)
        try:
            image = self.predictor.decode(content)
        except ImageError as error:
            is_known = content.startswith(_MAGIC)
            status, reason = (422, "damaged") if is_known else (415, "not_an_image")
            raise RefusedError(status, reason, str(error)) from error
        return image, time.perf_counter() - started

    async def _run(self) -> None:
        while not (self._is_closing and not self._queue and not self._n_decoding):
            if self._queue:
                await self._gather()
                await self._answer(self._take())
            else:
                await self._change()

    async def _change(self, seconds: float | None = None) -> None:
        """Wait until something was decoded or queued, or the time is over."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def _gather(self) -> None:
        """Let images that are being decoded join the batch, within the first one's wait."""
        loop = asyncio.get_running_loop()
        deadline = self._queue[0].since + self.limits.max_wait_ms / 1000
        while self._n_decoding and len(self._queue) < self.limits.max_batch:
            left = deadline - loop.time()
            if left <= 0:
                break
            await self._change(left)

    def _take(self) -> list[_Waiting]:
        n = min(len(self._queue), self.limits.max_batch)
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

    Parameters
    ----------
    content : bytes
        The file.

    Returns
    -------
    int or None
        Number of pixels; None where the file does not tell.

    Examples
    --------
    >>> read_size(b"%PDF-1.7") is None
    True
    """
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            return image.width * image.height
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return _BOMB
    except (OSError, ValueError, OverflowError):
        return None


def internal_error() -> RefusedError:
    """Return the answer to a failure that is not the client's."""
    return RefusedError(500, "internal", "The server failed on this image. Its log says why.")


def _too_many_pixels(n_pixels: int, most: int) -> RefusedError:
    how_many = "far more pixels" if n_pixels == _BOMB else f"{n_pixels:,} pixels, more"
    message = f"The image has {how_many} than the {most:,} allowed. Make it smaller first."
    return RefusedError(413, "too_many_pixels", message)


def _settle(answer: asyncio.Future[dict[str, Any]], with_: dict[str, Any] | RefusedError) -> None:
    if answer.done():
        return
    if isinstance(with_, RefusedError):
        answer.set_exception(with_)
    else:
        answer.set_result(with_)


def _n_cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
