"""The images of a training run as squares, decoded once and kept in a file that is mapped, not read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from handful.core import ImageError, Int, Progress, UInt8, usable_cores
from handful.images import Preprocess, decode

MARGIN = 1.15  # squares are kept this much larger than they are trained at, for the crops
_MOST_BYTES = 32 * 2**30  # beyond it images are decoded each time they are seen
_BLOCK = 64


class Pixels(Sequence[Image.Image]):
    """Squares of a list of images, `Pixels[row]` as a Pillow image.

    Parameters
    ----------
    paths : sequence of Path
        Images that are known to decode.
    hashes : sequence of str
        Their content hashes, which name the cache.
    preprocess : Preprocess
        The network's; its size is what is trained at, its box is cut first.
    cache : Path
        Folder for the file of decoded squares, taken as it is when it is
        complete.
    margin : float, default=1.15
        How much larger than trained at squares are kept.
    quiet : bool, default=False
        Show no progress.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        hashes: Sequence[str],
        preprocess: Preprocess,
        cache: Path,
        *,
        margin: float = MARGIN,
        quiet: bool = False,
    ) -> None:
        side = round(preprocess.size * margin)
        self.paths, self.names = list(paths), list(hashes)
        self.preprocess = replace(preprocess, size=side, crop_pct=1.0, tiles=1)
        self._squares: UInt8 | None = None
        if len(paths) * side * side * 3 <= _MOST_BYTES:
            self._squares = self._mapped(cache, quiet)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: Any) -> Any:
        if self._squares is None:
            return Image.fromarray(decode(self.paths[row], self.preprocess))
        return Image.fromarray(self._squares[row])

    def subset(self, rows: Int) -> Subset:
        """Return some of the images, in the order of ``rows``."""
        return Subset(self, rows)

    def _mapped(self, cache: Path, quiet: bool) -> UInt8:
        key = hashlib.blake2b(f"{self.names} {self.preprocess}".encode(), digest_size=8).hexdigest()
        path, side = cache / f"pixels-{key}.npy", self.preprocess.size
        if not path.is_file():
            cache.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}.part")
            try:
                self._write(part, (len(self.paths), side, side, 3), quiet)
                part.replace(path)
            finally:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
        return np.load(path, mmap_mode="r")

    def _write(self, path: Path, shape: tuple[int, ...], quiet: bool) -> None:
        squares = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)

        def fill(start: int) -> int:
            stop = min(start + _BLOCK, len(self.paths))
            for row in range(start, stop):
                try:
                    squares[row] = decode(self.paths[row], self.preprocess)
                except ImageError as error:
                    said = f"{str(self.paths[row])!r}: {error} Move it away to go on without it."
                    raise ImageError(said) from error
            return stop - start

        with (
            ThreadPoolExecutor(usable_cores()) as pool,
            Progress("decode", len(self.paths), quiet=quiet) as progress,
        ):
            for done in pool.map(fill, range(0, len(self.paths), _BLOCK)):
                progress.advance(done)
        squares.flush()


@dataclass(frozen=True)
class Subset(Sequence[Image.Image]):
    """Some rows of `Pixels`."""

    pixels: Pixels
    rows: Int

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: Any) -> Any:
        return self.pixels[int(self.rows[row])]
