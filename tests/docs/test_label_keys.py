"""The keys of the labelling page are the same in its help and in the documentation."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEYS = ROOT / "src" / "handful" / "web" / "static" / "label_keys.js"
PAGE = ROOT / "docs" / "how-to" / "label-images.md"


def test_the_documented_keys_are_those_of_the_page() -> None:
    table = re.search(r"KEYS = \[\n(.*?)\n\];", KEYS.read_text("utf-8"), re.DOTALL)
    assert table is not None
    rows = [ast.literal_eval(line.strip().rstrip(",")) for line in table[1].splitlines()]
    text = PAGE.read_text("utf-8")
    for key, single, grid in rows:
        (line,) = [
            line for line in text.splitlines() if line.replace("`", "").startswith(f"| {key} |")
        ]
        cells = [cell.strip() for cell in line.replace("`", "").strip("|").split("|")]
        assert cells == [key, single, grid]
    assert len(rows) == len(re.findall(r"^\| `", text, re.MULTILINE))
