"""One value of a report's JSON with its place in it."""

from __future__ import annotations

import math
from typing import Any

from handful.core import BundleError, Estimate


class Node:
    """A value that may be missing or null; one of a wrong kind is an error with its place."""

    def __init__(self, value: Any, place: str = "report") -> None:
        self.value, self.place = value, place

    def __getitem__(self, key: str) -> Node:
        return Node(self._mapping().get(key), f"{self.place}.{key}")

    def _mapping(self) -> dict[str, Any]:
        return self._checked(dict, "an object") or {}

    def _checked(self, kind: type | tuple[type, ...], what: str) -> Any:
        wrong = not isinstance(self.value, kind) or (
            isinstance(self.value, bool) and kind is not bool
        )
        if self.value is not None and wrong:
            raise BundleError(
                f"The report is damaged: {self.place!r} must be {what}. "
                f"Got {type(self.value).__name__} instead. Make the report again with `handful fit`."
            )
        return self.value

    def __bool__(self) -> bool:
        return self.value is not None

    def items(self) -> list[tuple[str, Node]]:
        """Return the entries of an object."""
        return [(str(key), self[key]) for key in self._mapping()]

    def rows(self) -> list[Node]:
        """Return the entries of a list."""
        values = self._checked((list, tuple), "a list") or ()
        return [Node(value, f"{self.place}[{i}]") for i, value in enumerate(values)]

    def name(self) -> str | None:
        """Return a text, or None."""
        return self._checked(str, "a text")

    def text(self) -> str:
        """Return a text, empty when there is none."""
        return self.name() or ""

    def flag(self) -> bool:
        """Return a truth value, False when there is none."""
        return bool(self._checked(bool, "true or false"))

    def number(self) -> float | None:
        """Return a finite number, or None."""
        value = self._checked((int, float), "a number")
        return None if value is None or not math.isfinite(value) else float(value)

    def count(self) -> int | None:
        """Return a whole number of at least 0, or None."""
        value = self.number()
        if value is not None and (value < 0 or value != int(value)):
            raise BundleError(
                f"The report is damaged: {self.place!r} must be a count. Got {value!r} instead."
            )
        return None if value is None else int(value)

    def estimate(self) -> Estimate:
        """Return an estimate, not measured when there is none."""
        what = self["what"].text() or self.place.rpartition(".")[2]
        n, how, value = self["n"].count() or 0, self["how"].text(), self["value"].number()
        if value is None:
            return Estimate.not_measurable(what, how, n)
        low, high, level = (self[key].number() for key in ("low", "high", "confidence"))
        if low is None or high is None or not low <= value <= high:
            raise BundleError(
                f"The report is damaged: {self.place!r} must hold low ≤ value ≤ high. "
                f"Got {low!r}, {value!r} and {high!r}."
            )
        return Estimate(value, low, high, n, what, how, 0.95 if level is None else level)

    def words(self, depth: int = 4) -> str:
        """Return any value in words, for facts that need no more than showing."""
        if isinstance(self.value, (dict, list, tuple)) and not depth:
            return "…"
        if isinstance(self.value, dict):
            return ", ".join(f"{key} {node.words(depth - 1)}" for key, node in self.items() if node)
        if isinstance(self.value, (list, tuple)):
            return " ".join(node.words(depth - 1) for node in self.rows())
        return _plain(self.value)

    def facts(self) -> tuple[tuple[str, str | Estimate], ...]:
        """Return the entries of an object, estimates as such and the rest in words."""
        return tuple(
            (
                key,
                node.estimate()
                if isinstance(node.value, dict) and "low" in node.value
                else node.words(),
            )
            for key, node in self.items()
        )


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None else str(value)
