"""What the labelling page needs behind it; ``handful.jobs`` has the class that provides it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol


class Labeller(Protocol):
    """A folder being labelled. All methods are called from several threads at once."""

    @property
    def title(self) -> str:
        """The name of the folder."""
        ...

    @property
    def can_search(self) -> bool:
        """Whether `search` works."""
        ...

    @property
    def bundle(self) -> Path | None:
        """The model file, once `export` wrote it."""
        ...

    def state(self, annotator: str) -> dict[str, Any]:
        """Return everything that changes while one looks, as JSON values."""
        ...

    def screens(
        self, annotator: str, tab: str, mode: Literal["auto", "single", "grid"], n: int, tiles: int,
        *, is_new: bool, held: Sequence[str],
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Return the next screens of a tab."""
        ...

    def answer(self, annotator: str, messages: Sequence[Any]) -> list[dict[str, Any]]:
        """Write messages and return what became of each, or raise `ProjectError`: none is kept."""
        ...

    def last(self, annotator: str) -> dict[str, Any] | None:
        """Return the latest step of an annotator that can be undone."""
        ...

    def alike(self, annotator: str, tab: str, image: str, tiles: int) -> dict[str, Any] | None:
        """Return a page of images like one."""
        ...

    def search(self, annotator: str, tab: str, text: str, tiles: int) -> dict[str, Any] | None:
        """Return a page of images that fit a text."""
        ...

    def review(self) -> dict[str, Any]:
        """Return what deserves a second look."""
        ...

    def change_class(self, do: str, name: str, into: str) -> None:
        """Add, rename or merge a class, or raise `ProjectError` or ValueError."""
        ...

    def set_target(self, target: float | None) -> None:
        """Choose the accuracy to reach."""
        ...

    def picture(self, image: str, side: int) -> tuple[bytes, str]:
        """Return bytes and media type, or raise LookupError, FileNotFoundError or ImageError."""
        ...

    def export(self) -> None:
        """Begin to write the model file."""
        ...

    def advise(self) -> None:
        """Begin to rank the plans."""
        ...
