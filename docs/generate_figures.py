"""Write the benchmarks' figures into the pages that quote them.

``python docs/generate_figures.py`` replaces what stands between ``<!-- figures: NAME -->`` and
``<!-- end -->`` by what ``benchmarks/results/NAME.json`` says, where there is that
file; with ``--check`` it only tells whether the pages are up to date. A test does the same.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"
_BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def written(text: str) -> str:
    """Return a page with its figures as the results have them."""

    def block(match: re.Match[str]) -> str:
        file = RESULTS / f"{match[2]}.json"
        if not file.is_file():
            return match[0]
        body = _FIGURES[match[2]](json.loads(file.read_text(encoding="utf-8")))
        return f"{match[1]}\n{body}\n\n{match[3]}"

    return _BLOCK.sub(block, text)


def interval_coverage(figures: dict[str, Any]) -> str:
    """Return the coverage of the interval as a table."""
    lines = [
        "| labels a class | balance | draws | truth inside the interval | width beside Wilson's |",
        "|---|---|---|---|---|",
    ]
    rows = [*figures["by_shots_and_balance"], {"shots": "all", "balance": "", **figures["overall"]}]
    for row in rows:
        low, high = (100 * bound for bound in row["coverage_95"])
        lines.append(
            f"| {row['shots']} | {row['balance']} | {row['draws']} | {100 * row['coverage']:.1f} % "
            f"({low:.1f}–{high:.1f}) | {row['width_over_wilson_median']:.2f} × |"
        )
    sets = ", ".join(figures["sets"])
    sets_used = (
        f"Pooled over {sets}; seed {figures['seed']}. Wilson's interval is that of a test set with as "
        "many images as there are labels, which one would need besides the labels."
    )
    lines += ["", sets_used]
    return "\n".join(lines)


def decode(figures: dict[str, Any]) -> str:
    """Return how much faster large photos are decoded, in a sentence."""
    large, small = figures["12 megapixels"], figures["500x375"]
    faster = large["times_faster"]
    return (
        f"Large JPEG photos are decoded at a fraction of their size: on {large['images']} images of "
        f"12 megapixels ({figures['images']}) that was {faster['median']:.1f} times faster than decoding them whole "
        f"({faster['low']:.1f}–{faster['high']:.1f} in {faster['n']} runs), at a cosine of "
        f"{large['cosine_to_whole_decode']['median']:.4f} between the vectors; at 500 × 375 it was "
        f"{small['times_faster']['median']:.1f} times (`benchmarks/results/decode.json`)."
    )


_FIGURES: dict[str, Callable[[dict[str, Any]], str]] = {
    "decode": decode,
    "interval_coverage": interval_coverage,
}


def main() -> int:
    """Write the pages, or check them."""
    stale = []
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if written(text) != text:
            stale.append(str(page))
            if "--check" not in sys.argv:
                page.write_text(written(text), encoding="utf-8")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
