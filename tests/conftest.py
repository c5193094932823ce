"""Shared images: real photos where ``HANDFUL_DATA`` names a folder, packaged digits elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True, scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the tests' cache of built graphs out of the user's."""
    os.environ["HANDFUL_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def data() -> Callable[[str], Path]:
    """Return the folder of one real data set, or skip with the reason."""

    def folder(name: str) -> Path:
        root = os.environ.get("HANDFUL_DATA")
        if root is None:
            pytest.skip("HANDFUL_DATA is not set: it names the folder with the real images")
        if not (Path(root) / name).is_dir():
            pytest.skip(f"HANDFUL_DATA has no folder {name!r}")
        return Path(root) / name

    return folder


@pytest.fixture
def photo() -> Callable[..., Image.Image]:
    """Return a maker of photo-like images: smooth colour noise, another one for each seed."""

    def make(seed: int = 0, width: int = 96, height: int = 64) -> Image.Image:
        coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)

    return make


@pytest.fixture
def digits(tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of folders of real handwritten digits: ``0/``, ``1/`` … and ``unlabelled/``."""
    from sklearn.datasets import load_digits

    source = load_digits()

    def make(n: int = 6, *, classes: str = "01", unlabelled: int = 0, name: str = "digits") -> Path:
        folder = tmp_path / name
        for label in classes:
            rows = np.flatnonzero(source.target == int(label))
            for place, chosen in ((label, rows[:n]), ("unlabelled", rows[n : n + unlabelled])):
                for row in chosen:
                    path = folder / place / f"digit-{row:04}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    pixels = (source.images[row] * (255 / 16)).round().astype(np.uint8)
                    Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(path)
        return folder

    return make
