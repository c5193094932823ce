"""A progress bar on standard error; plain lines when it is not a terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType


class Progress:
    """Show how far one long piece of work is.

    On a terminal a bar is drawn; otherwise one line is printed when the work
    ends and, for work that takes long, every ``every`` seconds.

    Parameters
    ----------
    what : str
        The work, such as ``"embed"``.
    total : int
        Number of steps.
    unit : str, default="images"
        What a step is.
    quiet : bool, default=False
        Print nothing at all.
    every : float, default=10.0
        Seconds between plain lines.

    Examples
    --------
    >>> with Progress("embed", 2, quiet=True) as progress:
    ...     progress.advance(2)
    >>> progress.done
    2
    """

    def __init__(
        self,
        what: str,
        total: int,
        *,
        unit: str = "images",
        quiet: bool = False,
        every: float = 10.0,
    ) -> None:
        self.what, self.total, self.unit, self.quiet, self.every = what, total, unit, quiet, every
        self.done, self._note = 0, ""
        self._told = 0  # steps that the last line told of

    def __enter__(self) -> Progress:
        self._start = self._said = time.monotonic()
        self._bar = None
        if not self.quiet and self.total and sys.stderr.isatty():
            self._bar = _terminal_bar(self.unit)
            self._bar.start()
            self._task = self._bar.add_task(self.what, total=self.total, note="")
        return self

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count ``steps`` more as done; ``note``, such as the loss, is shown beside the count."""
        self.done, self._note = self.done + steps, note
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, note=note)
        elif not self.quiet and time.monotonic() - self._said >= self.every:
            self._said = time.monotonic()
            self._say()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif not self.quiet and self.total and self.done > self._told:
            self._say()

    def _say(self) -> None:
        self._told = self.done
        seconds = max(time.monotonic() - self._start, 1e-9)
        rate = self.done / seconds
        speed = f"{rate:.{0 if rate >= 10 else 1}f} {self.unit}/s"
        note = f", {self._note}" if self._note else ""
        sys.stderr.write(
            f"{self.what}: {self.done}/{self.total} {self.unit}, {speed}, {seconds:.1f} s{note}\n"
        )
        sys.stderr.flush()


def _terminal_bar(unit: str):  # type: ignore[no-untyped-def]
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=False,
    )
