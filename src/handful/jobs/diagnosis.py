"""Say whether this installation is whole and how fast this machine is."""

from __future__ import annotations

import platform
import shutil
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from handful import __version__
from handful.backbones import cache_folder, catalogue, packaged
from handful.core import HandfulError, usable_cores
from handful.embeddings import BATCH_SIZE

_PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "pillow",
    "onnx",
    "onnxruntime",
    "safetensors",
    "starlette",
    "matplotlib",
)
_EXTRAS = {"train": ("torch", "timm", "onnxscript"), "parquet": ("pyarrow",)}


def doctor() -> dict[str, Any]:
    """Return versions, cores, free disk and the packaged backbone's rate, as JSON values.

    ``ok`` is false when the main job could not run; ``problems`` says why.
    """
    problems: list[str] = []
    return {
        "handful": __version__,
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "cores": usable_cores(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "extras": {
            extra: {name: _version(name) for name in names} for extra, names in _EXTRAS.items()
        },
        "cache": str(cache_folder()),
        "free_gigabytes": round(shutil.disk_usage(Path.cwd()).free / 1e9, 1),
        "images_per_second_and_core": _rate(problems),
        "problems": problems,
        "ok": not problems,
    }


def list_backbones() -> list[dict[str, Any]]:
    """Return the lines of ``handful backbones`` as JSON values."""
    return [entry.as_dict() for entry in catalogue()]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _rate(problems: list[str]) -> float | None:
    """Return how many images of noise the packaged backbone embeds in a second on one core."""
    try:
        backbone = packaged()
    except HandfulError as error:
        problems.append(str(error))
        return None
    images = np.random.default_rng(0).integers(0, 256, (BATCH_SIZE, 224, 224, 3), dtype=np.uint8)
    backbone.embed(images)
    start = time.perf_counter()
    backbone.embed(images)
    return round(BATCH_SIZE / (time.perf_counter() - start), 1)
