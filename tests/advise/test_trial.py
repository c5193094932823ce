"""What is tried on the labels: each plan against the probe, and whether the pool is harder."""

from __future__ import annotations

import numpy as np
import pytest

from handful.advise import Trial, try_out
from handful.heads import PrototypeClassifier


def clusters(n: int, *, spread: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors of three classes, above 0 as those of the packaged backbone."""
    random = np.random.default_rng(seed)
    y = np.repeat(["a", "b", "c"], n)
    centres = 3 * np.eye(3, 16)[np.unique(y, return_inverse=True)[1]]
    return (centres + spread * random.random((3 * n, 16))).astype(np.float32), y


def test_nothing_is_measured_without_two_classes() -> None:
    none = try_out(np.empty((0, 4), np.float32), np.empty(0, np.str_))
    one = try_out(np.ones((3, 4), np.float32), np.array(["a"] * 3))
    assert "no label" in none.probe.how and "one class" in one.probe.how
    assert isinstance(none, Trial) and one.gains == {} and one.errors is None


def test_one_label_a_class_measures_no_gain() -> None:
    X, y = clusters(1)
    found = try_out(X, y)
    assert not found.probe.is_measured and found.gains == {} and found.surer is None


def test_every_plan_is_compared_on_the_same_labels() -> None:
    X, y = clusters(8)
    pool, _ = clusters(30, seed=1)
    text = PrototypeClassifier().fit(*clusters(2, seed=2))
    found = try_out(X, y, pool=pool, text=text)
    assert list(found.gains) == ["prototypes", "semi_supervised", "names_and_labels"]
    assert {gain.n for gain in found.gains.values()} == {24}
    assert all(-1 <= g.value <= 1 and g.error > 0 for g in found.gains.values())
    assert found.probe.value > 0.9 and found.more.is_measured
    assert set(found.seconds) == {"probe", *found.gains}
    assert found.verdict is not None and found.verdict.n == 24


def test_the_same_seed_gives_the_same() -> None:
    X, y = clusters(6)
    first, second = try_out(X, y), try_out(X, y)
    assert first.probe == second.probe and first.gains == second.gains


@pytest.mark.parametrize(("spread", "harder"), [(1.0, False), (8.0, True)])
def test_a_pool_that_the_probe_is_less_sure_of_shows(spread: float, harder: bool) -> None:
    X, y = clusters(20)
    found = try_out(X, y, pool=clusters(60, spread=spread, seed=3)[0]).surer
    assert found is not None
    assert (found.value < -2 * found.error) is harder


def test_wrong_labels_are_found() -> None:
    X, y = clusters(12)
    wrong = y.copy()
    wrong[0] = "c"
    found = try_out(X, wrong).errors
    assert found is not None and 0 in found.rows
