"""The log of a run: one JSON line a step."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from handful.core import AdaptError, write_atomically

FILE = "log.jsonl"


class Log:
    """One JSON line a step; lines of steps that a resumed run does again are dropped."""

    def __init__(self, folder: Path, start: int, *, tensorboard: bool = False) -> None:
        self.path = folder / FILE
        self.lines = read_log(folder)[:start]
        self.begin = time.monotonic()
        self.unwritten: list[str] = []
        content = "".join(json.dumps(line) + "\n" for line in self.lines)
        write_atomically(self.path, content.encode())
        self.board = _board(folder, start) if tensorboard else None

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Keep a step's figures, to be written with the next state."""
        line = {"step": step + 1, "seconds": round(time.monotonic() - self.begin, 3), **figures}
        self.unwritten.append(json.dumps(line) + "\n")
        if self.board is not None:
            for name, value in figures.items():
                self.board.add_scalar(name, value, step + 1)

    def flush(self) -> None:
        """Write what is kept."""
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(self.unwritten)
        self.unwritten = []
        if self.board is not None:
            self.board.flush()


def _board(folder: Path, start: int) -> Any:
    """Return TensorBoard's writer, which forgets the steps that a resumed run does again."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise AdaptError(
            "TensorBoard is not installed. Install it with: pip install tensorboard, or leave --tensorboard "
            "out: the same figures stand in log.jsonl."
        ) from error
    return SummaryWriter(folder / "tensorboard", purge_step=start + 1)


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
