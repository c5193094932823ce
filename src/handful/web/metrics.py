"""Counters, gauges and histograms in the text format that Prometheus reads.

Format: https://prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4.
Everything is used from the event loop's thread alone, so there are no locks.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric(Protocol):
    """Anything that writes itself as lines of the text format."""

    def lines(self) -> Iterator[str]:
        """Yield the lines, comments first."""
        ...


class Counter:
    """A number for each combination of label values that only grows.

    Parameters
    ----------
    name : str
        Ends in ``_total`` by convention.
    text : str
        The help text.
    labels : sequence of str, default=()
        Names of the labels.

    Examples
    --------
    >>> errors = Counter("errors_total", "Errors by reason.", ["reason"])
    >>> errors.add("empty")
    >>> print(*errors.lines(), sep=chr(10))
    # HELP errors_total Errors by reason.
    # TYPE errors_total counter
    errors_total{reason="empty"} 1
    """

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        self.name, self.text, self.labels = name, text, tuple(labels)
        self.values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}

    def add(self, *label_values: str, amount: float = 1.0) -> None:
        """Count ``amount`` more; an amount of 0 makes the line appear."""
        self.values[label_values] = self.values.get(label_values, 0.0) + amount

    def lines(self) -> Iterator[str]:
        """Yield the lines of the text format."""
        yield from _comments(self.name, self.text, "counter")
        for label_values, value in self.values.items():
            yield f"{self.name}{_braces(self.labels, label_values)} {_number(value)}"


class Gauge:
    """A number that is read when the metrics are asked for.

    Parameters
    ----------
    name, text : str
        Name and help text.
    read : callable
        Returns the value; NaN where there is none.
    constant_labels : dict of str to str, optional
        Labels that never change.

    Examples
    --------
    >>> list(Gauge("waiting", "Images waiting.", lambda: 3).lines())[-1]
    'waiting 3'
    """

    def __init__(
        self,
        name: str,
        text: str,
        read: Callable[[], float],
        constant_labels: dict[str, str] | None = None,
    ) -> None:
        self.name, self.text, self.read = name, text, read
        self.constant_labels = constant_labels or {}

    def lines(self) -> Iterator[str]:
        """Yield the lines of the text format."""
        yield from _comments(self.name, self.text, "gauge")
        labels = _braces(tuple(self.constant_labels), tuple(self.constant_labels.values()))
        yield f"{self.name}{labels} {_number(self.read())}"


class Histogram:
    """How often a value fell at or below each of a few bounds.

    Parameters
    ----------
    name, text : str
        Name and help text; the unit is part of the name.
    bounds : sequence of float
        Upper bounds of the buckets, increasing; one without a bound is added.

    Examples
    --------
    >>> seconds = Histogram("seconds", "Time.", [0.1, 1])
    >>> seconds.observe(0.5)
    >>> print(*seconds.lines(), sep=chr(10))
    # HELP seconds Time.
    # TYPE seconds histogram
    seconds_bucket{le="0.1"} 0
    seconds_bucket{le="1"} 1
    seconds_bucket{le="+Inf"} 1
    seconds_sum 0.5
    seconds_count 1
    """

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        self.name, self.text, self.bounds = name, text, tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def lines(self) -> Iterator[str]:
        """Yield the lines of the text format."""
        yield from _comments(self.name, self.text, "histogram")
        total = 0
        for bound, count in zip((*self.bounds, math.inf), self.counts, strict=True):
            total += count
            yield f'{self.name}_bucket{{le="{_number(bound)}"}} {total}'
        yield f"{self.name}_sum {_number(self.sum)}"
        yield f"{self.name}_count {total}"


def exposition(metrics: Sequence[Metric]) -> str:
    """Return the text of all metrics, as ``GET /metrics`` answers it."""
    return "".join(f"{line}\n" for metric in metrics for line in metric.lines())


def _comments(name: str, text: str, kind: str) -> Iterator[str]:
    escaped = text.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {name} {escaped}"
    yield f"# TYPE {name} {kind}"


def _braces(labels: Sequence[str], values: Sequence[str]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in zip(labels, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))
