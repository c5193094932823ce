"""Reports to draw, and a reader of pages that finds what must not be in them."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handful.core import Estimate

VOID = {"meta", "img", "br", "link", "input", "hr"}


def estimate(value: float | None, half: float = 0.05, n: int = 50) -> dict[str, Any]:
    if value is None:
        return Estimate.not_measurable("accuracy", "one label a class", n).as_dict()
    low, high = max(0.0, value - half), min(1.0, value + half)
    return Estimate(value, low, high, n, "accuracy", "cross-validation").as_dict()


def make_report(n_classes: int = 3, *, known: bool = True, per_class: int = 10) -> dict[str, Any]:
    """Return a full report of so many classes, every number measured or none."""
    names = [f"class {i:03d}" for i in range(n_classes)]
    value = 0.8 if known else None
    counts = np.full((n_classes, n_classes), 0)
    for i in range(n_classes):
        counts[i, i], counts[i, (i + 1) % n_classes] = per_class - 2, 2
    return {
        "format_version": 1,
        "handful": "0.1.0",
        "created": "2026-11-24T22:41:07+00:00",
        "random_state": 7,
        "seconds": {"embed": 12.5, "fit": None},
        "data": {
            "images": 500,
            "labelled": per_class * n_classes,
            "unlabelled": 100,
            "classes": [{"name": name, "n": per_class} for name in names],
            "splits": {"train": 400, "test": 100},
            "unusable": [{"name": "empty.jpg", "reason": "the file is empty"}],
            "near_duplicates": [{"a": "a.jpg", "b": "b.jpg", "label_a": "x", "label_b": "y"}],
            "contradictions": [{"names": ["x/c.jpg", "y/c.jpg"], "labels": ["x", "y"]}],
        },
        "backbone": {
            "name": "lite0",
            "fingerprint": "ab12",
            "dim": 1280,
            "preprocess": {"size": 224},
        },
        "methods": [
            {"name": "prototypes", "accuracy": estimate(value), "seconds": 0.2, "chosen": False},
            {"name": "probe", "accuracy": estimate(value), "seconds": 75.0, "chosen": True},
        ],
        "chosen": {"name": "probe", "why": "It is the best by more than one standard error."},
        "accuracy": estimate(value),
        "balanced_accuracy": estimate(value),
        "macro_f1": estimate(value),
        "ece": estimate(0.04 if known else None, 0.02),
        "per_class": [
            {"name": name, "n": per_class, "recall": estimate(value), "precision": estimate(value)}
            for name in names
        ],
        "confusion": {"classes": names, "counts": counts.tolist()},
        "reliability": [
            {"low": 0.5, "high": 0.8, "n": 20, "confidence": 0.7, "accuracy": estimate(value)},
            {"low": 0.8, "high": 1.0, "n": 30, "confidence": 0.9, "accuracy": estimate(value)},
        ],
        "learning_curve": [
            {"labels": m, "accuracy": estimate(0.5 + m / 100 if known else None)}
            for m in (3, 15, 30)
        ],
        "expected_gain": {
            "labels": 30,
            "gain": Estimate(0.03, -0.01, 0.06, 30, "gain", "power law").as_dict(),
            "sentence": "30 more labels are expected to add 3 points.",
        },
        "test": {"n": 100, "accuracy": estimate(value)},
        "open_set": {"threshold": 0.05, "what": "Fewer than 5 % are as unlike the rest."},
        "operating_point": {"class": "class 000", "threshold": 0.3, "miss_rate": estimate(0.01)},
        "uncertain": [
            {"name": "u/1.jpg", "label": None, "prediction": "class 000", "confidence": 0.34},
            {"name": "u/2.jpg", "label": "class 000", "prediction": "class 000", "confidence": 0.4},
        ],
        "mislabelled": [
            {"name": "m/1.jpg", "label": "a", "prediction": "b", "confidence_in_label": 0.02}
        ],
    }


class Page(HTMLParser):
    """The structure of a page: tags in balance, attributes, visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data

    def check(self) -> Page:
        """Assert what holds for every page, whatever is in the report."""
        assert not self.open
        ids = [a["id"] for _, a in self.tags if "id" in a]
        assert len(ids) == len(set(ids)), "ids are unique"
        names = {tag for tag, _ in self.tags}
        assert not names & {"script", "link", "iframe", "object", "form", "base", "foreignobject"}
        for tag, attributes in self.tags:
            assert not [a for a in attributes if a.startswith("on")], "no event handlers"
            self._check_addresses(tag, attributes, set(ids))
        return self

    @staticmethod
    def _check_addresses(tag: str, attributes: dict[str, str | None], ids: set[str | None]) -> None:
        for key in ("href", "xlink:href", "src"):
            address = attributes.get(key)
            if address is not None:
                inside = address.startswith("#") and address[1:] in ids
                assert inside or (tag == "img" and address.startswith("data:image/jpeg;base64,"))
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert attributes["role"] == "img" and attributes["aria-label"]


@pytest.fixture
def report() -> Callable[..., dict[str, Any]]:
    return make_report


@pytest.fixture
def number() -> Callable[..., dict[str, Any]]:
    return estimate


@pytest.fixture
def read_page() -> Callable[[str], Page]:
    return lambda html: Page(html).check()


@pytest.fixture
def picture() -> Callable[[str], Image.Image]:
    return lambda name: Image.new("RGB", (40, 30), (200, 40, 40))
