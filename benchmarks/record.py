"""What every benchmark writes beside its figures: when, on what machine, with which versions."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_PACKAGES = (
    "handful",
    "numpy",
    "scipy",
    "scikit-learn",
    "pillow",
    "onnxruntime",
    "torch",
    "timm",
    "starlette",
    "uvicorn",
)


def write(
    name: str, figures: dict[str, Any], *, seed: int = 0, claim: str = "", script: str = ""
) -> Path:
    """Write ``results/NAME.json`` and return its path; ``script`` where it isn't named like its result."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {
        "claim": claim,
        "script": f"benchmarks/{script or name}.py",
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "versions": {
            "python": platform.python_version(),
            **{p: v for p in _PACKAGES if (v := _version(p))},
        },
        "hardware": {
            "cores": len(os.sched_getaffinity(0)),
            "processor": _processor(),
            "system": platform.system(),
        },
        **figures,
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Return the median, smallest and largest of the pairs' ratios ours / theirs."""
    pairs = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "median": round(statistics.median(pairs), 3),
        "low": round(min(pairs), 3),
        "high": round(max(pairs), 3),
        "n": len(pairs),
    }


def interleaved(n: int, *actions: Callable[[], float]) -> list[list[float]]:
    """Run the actions in turn, ``n`` times; return the figures of each. Drift of the machine hits all alike."""
    found: list[list[float]] = [[] for _ in actions]
    for _ in range(n):
        for figures, action in zip(found, actions, strict=True):
            figures.append(action())
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    for line in (
        Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ()
    ):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
