"""A second ``fit`` on 10,000 unchanged images, and memory at 10,000 images against 1,000.

    HANDFUL_DATA=... python benchmarks/second_run.py

The images are EuroSAT tiles, 200 of them labelled. Each run is a process of its own; its peak memory is the
operating system's figure for it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from record import write

N_LABELLED = 200


def make_folder(place: Path, n: int) -> Path:
    """Copy ``n`` tiles: 20 of each class into class folders, the rest into ``unlabelled``."""
    root = Path(os.environ["HANDFUL_DATA"]) / "eurosat"
    tiles = sorted(root.rglob("*.jpg"))
    chosen = [tiles[row] for row in np.random.default_rng(0).permutation(len(tiles))[:n]]
    folder, count = place / f"images-{n}", dict.fromkeys({tile.parent.name for tile in tiles}, 0)
    for tile in chosen:
        label = tile.parent.name
        count[label] += 1
        target = (
            folder
            / (label if count[label] <= N_LABELLED // len(count) else "unlabelled")
            / tile.name
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tile, target)
    return folder


def run(folder: Path) -> dict[str, float]:
    """Run ``handful fit`` in a process of its own; return its wall time, stages and peak memory in MB."""
    code = (
        "import resource, sys; from handful.cli import main\n"
        "try: main(['fit', sys.argv[1], '--json', '-o', sys.argv[1] + '.handful'])\n"
        "except SystemExit: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], check=True, capture_output=True, text=True
    )
    wall = time.perf_counter() - start
    report, _, peak = done.stdout.rstrip().rpartition("\n")
    return {
        "wall_s": round(wall, 2),
        "peak_mb": round(float(peak), 1),
        **json.loads(report)["seconds"],
    }


def main() -> None:
    """Run the benchmark and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        many, few = (
            make_folder(Path(place), options.images),
            make_folder(Path(place), options.images // 10),
        )
        first = run(many)
        again = [run(many) for _ in range(3)]
        small = run(few)
    median = sorted(again, key=lambda figures: figures["wall_s"])[1]
    figures = {
        "images": options.images,
        "labelled": N_LABELLED,
        "first_run": first,
        "second_runs": again,
        "embedding_stage_times_faster": round(first["embed"] / max(median["embed"], 1e-3), 1),
        "second_fit_wall_s": median["wall_s"],
        "first_run_of_a_tenth": small,
        "peak_memory_ratio_to_a_tenth": round(first["peak_mb"] / small["peak_mb"], 3),
    }
    claim = "embedding stage ≥ 100 times faster, whole fit ≤ 10 s, peak memory within 15 %"
    print(write("second_run", figures, claim=claim))
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
