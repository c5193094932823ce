from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs the train extra")

from handful.adapt.order import batches, mixed_batches, seed_of


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 40), part=st.floats(0.01, 1), balanced=st.booleans(), start=st.integers(0, 30)
)
def test_a_step_depends_on_seed_and_number_alone(
    n: int, part: float, balanced: bool, start: int
) -> None:
    targets, size = np.arange(n) % 3, max(1, int(part * n))

    def steps(first: int, count: int) -> list[list[int]]:
        found = batches(targets, size, balanced=balanced, random_state=4, start=first)
        return [batch.tolist() for batch in islice(found, count)]

    assert steps(start, 5) == steps(0, start + 5)[start:]
    assert all(len(batch) == size for batch in steps(0, 5))


def test_an_epoch_sees_every_image_once() -> None:
    found = list(islice(batches(np.zeros(12, np.int64), 4, balanced=False, random_state=0), 3))
    assert sorted(np.concatenate(found).tolist()) == list(range(12))


def test_balanced_batches_see_classes_equally_often() -> None:
    targets = np.array([0] * 90 + [1] * 10)
    rows = np.concatenate(list(islice(batches(targets, 20, balanced=True, random_state=0), 5)))
    assert np.bincount(targets[rows]).tolist() == [50, 50]
    assert set(rows[targets[rows] == 1].tolist()) == set(range(90, 100))


def test_seeds_differ() -> None:
    assert len({seed_of(0, step, place) for step in range(20) for place in range(20)}) == 400
    assert 0 <= seed_of(1, 2) < 2**63


@settings(max_examples=40, deadline=None)
@given(
    n_labelled=st.integers(1, 12), n_others=st.integers(1, 20), size=st.integers(2, 9),
    share=st.floats(0.05, 0.95), start=st.integers(0, 30),
)  # fmt: skip
def test_the_mix_of_a_step_depends_on_seed_and_number_alone(
    n_labelled: int, n_others: int, size: int, share: float, start: int
) -> None:
    targets = np.array([i % 3 for i in range(n_labelled)] + n_others * [-1])

    def steps(first: int, count: int) -> list[list[int]]:
        found = mixed_batches(targets, size, labelled_share=share, random_state=4, start=first)
        return [batch.tolist() for batch in islice(found, count)]

    assert steps(start, 5) == steps(0, start + 5)[start:]
    wanted = min(max(round(share * size), 1), size - 1)
    for rows in steps(0, 5):
        assert (targets[rows] >= 0).tolist() == wanted * [True] + (size - wanted) * [False]


def test_each_kind_is_gone_through_in_rounds_of_its_own() -> None:
    targets = np.array([0, 0, 0, 0, 0, 1] + 12 * [-1])
    found = mixed_batches(targets, 6, labelled_share=1 / 3, random_state=0)
    rows = np.concatenate(list(islice(found, 30)))
    counts = np.bincount(rows[targets[rows] >= 0], minlength=6)
    assert counts[:5].sum() == counts[5] == 30  # classes, not images, equally often
    others = rows[targets[rows] < 0]
    assert np.bincount(others, minlength=18)[6:].tolist() == 12 * [10]
