"""Facts of data and machine."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from handful.advise import Data, domain_distance, purity, this_machine
from handful.backbones import Classifier


def test_labels_a_class_and_imbalance() -> None:
    data = Data(100, 60, {"a": 30, "b": 10})
    assert (data.labelled, data.labels_a_class, data.imbalance) == (40, 20.0, 3.0)
    none = Data(100, 100)
    assert (none.labelled, none.labels_a_class, none.imbalance) == (0, 0.0, 1.0)


def test_a_backbone_that_recognises_its_classes_is_near() -> None:
    classifier = Classifier(50 * np.eye(8, dtype=np.float32), np.zeros(8, np.float32))
    sure, unsure = np.eye(8, dtype=np.float32), np.zeros((4, 8), np.float32)
    assert domain_distance(sure, classifier) < 0.01
    assert domain_distance(unsure, classifier) == pytest.approx(1.0)


def test_purity_of_clusters_and_of_noise() -> None:
    random = np.random.default_rng(0)
    y = np.repeat(["a", "b"], 20)
    near = random.random((40, 8)).astype(np.float32) + 5 * (y == "b")[:, None] * np.eye(8)[0]
    assert purity(near.astype(np.float32), y).value > 0.95
    noise = purity(random.random((40, 8)).astype(np.float32), y)
    assert 0.3 < noise.value < 0.7 and noise.low < noise.value < noise.high


def test_purity_leaves_an_image_and_classes_of_one_out() -> None:
    X = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2]]
    found = purity(X, np.array(["a", "a", "b", "b", "c"]))
    assert (found.value, found.n) == (1.0, 4)
    assert not purity(X[:2], np.array(["a", "b"])).is_measured
    assert not purity(np.empty((0, 3), np.float32), np.empty(0, np.str_)).is_measured


def test_the_machine_is_seen_without_torch() -> None:
    before = "torch" in sys.modules
    machine = this_machine()
    assert machine.cores >= 1 and (math.isnan(machine.memory) or machine.memory > 0)
    assert ("torch" in sys.modules) is before
