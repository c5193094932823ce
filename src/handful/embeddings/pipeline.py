"""Decode and run a network on many images at once, in a bounded amount of memory.

Each worker decodes a batch and runs the network on it, on one thread. Image
decoding and ONNX Runtime both release the interpreter's lock, so the workers
keep every core busy, and no core waits for another, while the caller writes
what is finished. At most two batches a worker are under way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handful.core import Array, ImageError, UInt8, usable_cores
from handful.images import Preprocess, decode

BATCH_SIZE = 8  # inputs of the network at once; fixed, so that a vector depends on its image alone

Source = Path | bytes
Infer = Callable[[UInt8], tuple[Array, ...]]


@dataclass(frozen=True)
class Batch:
    """What the network gave for some of the images.

    Parameters
    ----------
    done : list of int
        Positions of the images in the order of the sources.
    outputs : tuple of ndarray
        One row for each of ``done``.
    failed : dict of int to str
        Position and reason of each image that could not be used.
    """

    done: list[int]
    outputs: tuple[Array, ...]
    failed: dict[int, str]


def run_batches(
    sources: Sequence[Source], preprocess: Preprocess, infer: Infer, *, n_jobs: int | None = None
) -> Generator[Batch, None, None]:
    """Yield the network's outputs for the images, in order.

    Parameters
    ----------
    sources : sequence of Path or bytes
        The image files.
    preprocess : Preprocess
        The network's.
    infer : callable
        uint8 [n, side, side, 3] to a tuple of arrays with n rows, where n is
        `batch_size`; called from several threads at once.
    n_jobs : int, optional
        Workers; the cores this process may use by default.

    Yields
    ------
    Batch
        A bad image is named in ``failed`` and never stops the run.
    """
    workers = n_jobs or usable_cores()
    size = batch_size(preprocess)
    starts = iter(range(0, len(sources), size))
    pending: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="embed") as pool:
        try:
            for start in starts:
                part = sources[start : start + size]
                pending.append(pool.submit(_one_batch, start, part, preprocess, infer))
                if len(pending) > 2 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def batch_size(preprocess: Preprocess) -> int:
    """Return how many images are run at once: 8, or fewer where each is many tiles.

    Each tile is an input of the network, so that 8 images of 4 × 4 tiles would
    take the memory of 128.

    Examples
    --------
    >>> [batch_size(Preprocess(tiles=tiles)) for tiles in (1, 2, 3)]
    [8, 2, 1]
    """
    return max(1, BATCH_SIZE // preprocess.tiles**2)


def _one_batch(
    start: int, sources: Sequence[Source], preprocess: Preprocess, infer: Infer
) -> Batch:
    side = preprocess.side
    images = np.zeros((batch_size(preprocess), side, side, 3), np.uint8)
    rows: list[int] = []
    failed: dict[int, str] = {}
    for row, source in enumerate(sources):
        try:
            images[row] = decode(source, preprocess)
            rows.append(row)
        except ImageError as error:
            failed[start + row] = str(error)
    outputs: tuple[Any, ...] = infer(images) if rows else ()
    return Batch([start + row for row in rows], tuple(output[rows] for output in outputs), failed)
