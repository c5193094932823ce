"""What the benchmarks of training share: images as data, vectors of a network, a probe on draws of labels."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import nn

from handful.adapt import Network, Pixels, TrainingData
from handful.core import Array, Float32, Int, stream
from handful.heads import LinearProbe, SpreadingProbe, WithPool


def listed_images(name: str) -> tuple[list[Path], Int, list[str]]:
    """Return paths, class numbers and classes of a set of class folders under ``HANDFUL_DATA``."""
    root = Path(os.environ["HANDFUL_DATA"]) / name
    classes = sorted(path.name for path in root.iterdir() if path.is_dir())
    paths = [path for c in classes for path in sorted((root / c).glob("*.jpg"))]
    codes = np.array([classes.index(path.parent.name) for path in paths], np.int64)
    return paths, codes, classes


def training_data(
    network: Network, paths: list[Path], targets: Int, size: int, cache: Path
) -> TrainingData:
    """Return images as what a run trains on, at ``size`` pixels."""
    from dataclasses import replace

    hashes = [hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest() for path in paths]
    pixels = Pixels(paths, hashes, replace(network.preprocess, size=size), cache, quiet=True)
    return TrainingData(pixels, hashes, targets, network.mean, network.std)


@torch.inference_mode()
def vectors(network: Network, paths: list[Path], *, size: int | None = None) -> Float32:
    """Return the vectors of a network for images at its own side, or at ``size`` pixels."""
    from dataclasses import replace

    from handful.images import decode

    chain: nn.Sequential = network.chain.eval()
    preprocess = replace(network.preprocess, size=size or network.preprocess.size)
    mean, std = (np.asarray(value, np.float32) * 255 for value in (network.mean, network.std))
    parts = []
    for start in range(0, len(paths), 64):
        block = np.stack([decode(path, preprocess) for path in paths[start : start + 64]])
        x = torch.from_numpy((block - mean) / std).permute(0, 3, 1, 2).float()
        parts.append(chain(x.contiguous(memory_format=torch.channels_last)).numpy())
    return np.concatenate(parts)


def draw(codes: Int, labels: int, seed: int, name: str) -> Int:
    """Return rows with ``labels`` images of each class."""
    random = stream(seed, name)
    rows = [
        random.choice(np.flatnonzero(codes == c), labels, replace=False) for c in np.unique(codes)
    ]
    return np.concatenate(rows)


def probe_accuracies(
    X: Array,
    y: Int,
    X_test: Array,
    y_test: Int,
    *,
    labels: int,
    draws: int,
    seed: int,
    pool: Array | None = None,
) -> list[float]:
    """Return a probe's accuracy for each draw of labels, the same for all vectors; with a pool `SpreadingProbe`'s."""
    head = LinearProbe() if pool is None else WithPool(SpreadingProbe(), pool)
    found = []
    for number in range(draws):
        rows = draw(y, labels, seed, f"{labels} {number}")
        found.append(float((head.fit(X[rows], y[rows]).predict(X_test) == y_test).mean()))
    return found


def interval(values: list[float]) -> dict[str, float]:
    """Return mean in percent and the 95 % t-interval over draws."""
    array = 100 * np.asarray(values)
    half = 0.0
    if len(array) > 1:
        half = float(stats.t.ppf(0.975, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array)))
    mean = float(array.mean())
    return {
        "mean": round(mean, 2),
        "low": round(mean - half, 2),
        "high": round(mean + half, 2),
        "n": len(array),
    }


def remembered(folder: Path, name: str, work: Callable[[], Any]) -> Any:
    """Return what ``work`` returns, kept as JSON, so that a stopped benchmark goes on."""
    path = folder / f"{name}.json"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        cpu, start = time.process_time(), time.perf_counter()
        found = work()
        spent = {
            "cpu_seconds": round(time.process_time() - cpu, 1),
            "seconds": round(time.perf_counter() - start, 1),
            "threads": torch.get_num_threads(),
        }
        path.write_text(json.dumps({"found": found, **spent}))
        print(
            f"{name}: {spent['seconds']:.0f} s {found if len(str(found)) < 300 else ''}", flush=True
        )
    return json.loads(path.read_text())
