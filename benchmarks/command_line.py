"""What a person waits for: installation, ``--help``, and a prediction of one image.

    python benchmarks/command_line.py            # --install also measures a new virtual environment

Medians of several processes after one that is not counted.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import write


def wall(command: list[str], n: int) -> dict[str, float]:
    """Run a command ``n`` times after one warm-up; return median, smallest and largest wall time in seconds."""
    times = []
    for number in range(n + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        if number:
            times.append(time.perf_counter() - start)
    return {
        "median_s": round(statistics.median(times), 3),
        "low": round(min(times), 3),
        "high": round(max(times), 3),
        "n": n,
    }


def install(place: Path) -> dict[str, float]:
    """Install the package into an empty virtual environment; return seconds and megabytes."""
    root = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-m", "venv", str(place / "venv")], check=True)
    start = time.perf_counter()
    pip = str(place / "venv" / "bin" / "pip")
    subprocess.run(
        [pip, "install", "--quiet", "--no-cache-dir", str(root)], check=True, capture_output=True
    )
    seconds = time.perf_counter() - start
    size = sum(
        path.stat().st_size
        for path in (place / "venv").rglob("*")
        if path.is_file() and not path.is_symlink()
    )
    return {"seconds": round(seconds, 1), "megabytes": round(size / 1e6)}


def main() -> None:
    """Run the benchmark and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true")
    options = parser.parse_args()
    handful = str(Path(sys.executable).parent / "handful")
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        subprocess.run(
            [handful, "demo", str(place / "demo"), "-q"], check=True, capture_output=True
        )
        image = next((place / "demo" / "images" / "unlabelled").iterdir())
        figures["help"] = wall([handful, "--help"], 15)
        figures["predict_one_image"] = wall(
            [handful, "predict", str(place / "demo" / "model.handful"), str(image), "-q"], 9
        )
        if options.install:
            figures["install"] = install(place)
    claim = "install ≤ 60 s and ≤ 600 MB, --help ≤ 0.3 s, predict one image ≤ 1.5 s"
    print(write("command_line", figures, claim=claim))
    print(figures)


if __name__ == "__main__":
    main()
