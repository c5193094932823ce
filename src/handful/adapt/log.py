"""The log of a run: one JSON line a step."""

from __future__ import annotations

import json
import time
from pathlib import Path

from handful.core import write_atomically

FILE = "log.jsonl"


class Log:
    """One JSON line a step; lines of steps that a resumed run does again are dropped."""

    def __init__(self, folder: Path, start: int) -> None:
        self.path = folder / FILE
        self.lines = read_log(folder)[:start]
        self.begin = time.monotonic()
        self.unwritten: list[str] = []
        content = "".join(json.dumps(line) + "\n" for line in self.lines)
        write_atomically(self.path, content.encode())

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Keep a step's figures, to be written with the next state."""
        line = {"step": step + 1, "seconds": round(time.monotonic() - self.begin, 3), **figures}
        self.unwritten.append(json.dumps(line) + "\n")

    def flush(self) -> None:
        """Write what is kept."""
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(self.unwritten)
        self.unwritten = []


def read_log(folder: Path) -> list[dict[str, float]]:
    """Return the figures of every step that a run has saved."""
    path = folder / FILE
    if not path.is_file():
        return []
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(dict(json.loads(line)))
        except ValueError:  # the line that a kill cut off
            break
    return lines
