"""Image files made on the spot, and real ones where HANDFUL_DATA says they are."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Encode = Callable[..., bytes]


@lru_cache(maxsize=32)
def photo_like(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return an RGB image whose spectrum falls off as in photographs (1/f), with soft colours."""
    random = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    fall_off = 1 / np.maximum(np.hypot(rows, columns), 1 / max(width, height))
    channels = []
    for _ in range(3):
        noise = np.fft.rfft2(random.standard_normal((height, width))) * fall_off
        plane = np.fft.irfft2(noise, (height, width))
        channels.append(plane / plane.std())
    mixed = np.stack(channels, -1) @ np.array([[1, 0.8, 0.8], [0.3, 0.4, -0.2], [0.1, 0, 0.4]])
    return Image.fromarray(np.clip(128 + 50 * mixed, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    return photo_like(300, 200)


@pytest.fixture(scope="session")
def encode() -> Encode:
    def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    return encode


@pytest.fixture(scope="session")
def real() -> Path:
    folder = os.environ.get("HANDFUL_DATA")
    if not folder:
        pytest.skip("HANDFUL_DATA does not name a folder of real images")
    return Path(folder)
