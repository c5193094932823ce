"""Backbones that saw labels: what may still be measured with them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from handful.jobs.adapted import seen_labels, without_seen_tests
from handful.jobs.labelled import Labelled


def data(groups: list[int], tests: str) -> Labelled:
    """Return images a, b, … of which those named are tests."""
    names = [chr(ord("a") + row) for row in range(len(groups))]
    images: list[Any] = [SimpleNamespace(hash=name) for name in names]
    X = np.arange(len(groups), dtype=np.float32)[:, None]
    is_test = np.array([name in tests for name in names])
    return Labelled(images, X, np.array(names), np.array(groups), is_test)


def work(saw: str) -> Any:
    """Return a workspace whose backbone saw the labels of some images."""
    return SimpleNamespace(backbone=SimpleNamespace(spec=SimpleNamespace(saw_labels_of=set(saw))))


def left(saw: str, groups: list[int], tests: str) -> str:
    """Return the images that remain."""
    return "".join(without_seen_tests(work(saw), data(groups, tests)).y.tolist())


def test_a_test_image_that_was_learnt_from_is_left_out_and_so_are_its_copies() -> None:
    assert left("ce", [0, 1, 2, 2, 4, 5], "cdf") == "abef"  # c was seen, d shows the same picture
    assert left("ab", [0, 1, 2, 3], "cd") == "abcd"  # what was learnt from is no test
    assert left("a", [0, 0, 1], "bc") == "ac"  # b is a copy of what was learnt from
    assert left("", [0, 1], "b") == "ab"


def test_vectors_and_groups_stay_beside_their_images() -> None:
    kept = without_seen_tests(work("b"), data([3, 4, 5], "bc"))
    assert kept.X[:, 0].tolist() == [0, 2] and kept.groups.tolist() == [3, 5]
    assert kept.is_test.tolist() == [False, True]
    assert seen_labels(work("b"), data([0, 1], "")) and not seen_labels(work("x"), data([0], ""))
