from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handful.backbones import OnnxBackbone, packaged
from handful.bundle import Bundle, save_bundle
from handful.heads import KnownScorer, LinearProbe, TemperatureScaled

INFO: dict[str, Any] = {
    "handful": "test", "created": "2026-01-01T00:00:00+00:00", "method": "linear_probe",
    "accuracy": {}, "thresholds": {}, "reference": {"mean": [0.0], "std": [1.0], "n": 1},
}  # fmt: skip


@pytest.fixture(scope="session")
def backbone() -> OnnxBackbone:
    return packaged({"size": 32})


@pytest.fixture(scope="session")
def make(backbone: OnnxBackbone) -> Callable[..., Bundle]:
    """Return a maker of bundles over two classes: dark and bright images."""
    random = np.random.default_rng(0)
    dark = random.integers(0, 100, (8, 32, 32, 3), dtype=np.uint8)
    images = np.concatenate([dark, dark + 150])
    y = np.array(["dark"] * 8 + ["bright"] * 8)
    X = backbone.embed(images)

    def save(path: Path, head: Any = None, **info: Any) -> Bundle:
        head = (head or TemperatureScaled(LinearProbe())).fit(X, y)
        known = KnownScorer().fit(X, y)
        facts = {
            **INFO,
            "reference": {"mean": X.mean(0).tolist(), "std": X.std(0).tolist(), "n": 16},
            **info,
        }
        return save_bundle(
            path,
            backbone=backbone,
            head=head,
            known=known,
            info=facts,
            report={"format_version": 1},
            images=images[::3],
        )

    return save


@pytest.fixture
def photos(tmp_path: Path) -> dict[str, Path]:
    """Return a dark and a bright photo."""
    found = {}
    for name, value in (("dark", 40), ("bright", 210)):
        pixels = np.random.default_rng(value).integers(
            value - 40, value + 40, (40, 60, 3), dtype=np.uint8
        )
        found[name] = tmp_path / f"{name}.png"
        Image.fromarray(pixels).save(found[name])
    return found
