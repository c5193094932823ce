"""Coverage of the elementary intervals, by simulation."""

import numpy as np
import pytest

from handful.measure.intervals import (
    clopper_pearson,
    paired_interval,
    share,
    upper_bound,
    wilson_interval,
    wilson_of_share,
)


def test_wilson_matches_published_example():
    low, high = wilson_interval(9, 10)
    assert (round(low, 3), round(high, 3)) == (0.596, 0.982)


def test_wilson_holds_its_share_to_the_last_digit():
    for share_ in (1 - 2**-53, 0.7 + 0.1 + 0.2, 0.1 + 0.2, 2**-60):
        for n in np.random.default_rng(0).uniform(1, 500, 300):
            low, high = wilson_of_share(share_, n)
            assert low <= share_ <= high


@pytest.mark.parametrize("n", [10, 50, 200])
def test_wilson_coverage_is_nominal_on_average(n):
    random = np.random.default_rng(0)
    truth = random.uniform(0.3, 0.98, 4000)
    bounds = {k: wilson_interval(k, n) for k in range(n + 1)}
    covered = [
        bounds[k][0] <= p <= bounds[k][1]
        for k, p in zip(random.binomial(n, truth), truth, strict=True)
    ]
    assert 0.93 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize("n", [5, 40])
@pytest.mark.parametrize("truth", [0.02, 0.3, 0.9])
def test_clopper_pearson_never_covers_less_than_nominal(n, truth):
    counts = np.random.default_rng(1).binomial(n, truth, 3000)
    bounds = {k: clopper_pearson(k, n) for k in range(n + 1)}
    assert np.mean([bounds[k][0] <= truth <= bounds[k][1] for k in counts]) >= 0.945


def test_upper_bound_agrees_with_the_rule_of_three():
    assert upper_bound(0, 300) == pytest.approx(3 / 300, rel=0.01)
    assert upper_bound(4, 4) == 1.0


@pytest.mark.parametrize("n", [10, 30, 200])
def test_paired_interval_coverage(n):
    random = np.random.default_rng(2)
    covered = []
    for _ in range(2000):
        lose, win = random.uniform(0.02, 0.2, 2)
        differences = random.choice([-1.0, 0.0, 1.0], n, p=[lose, 1 - lose - win, win])
        _, low, high = paired_interval(differences)
        covered.append(low <= win - lose <= high)
    assert np.mean(covered) >= 0.93
    assert n < 200 or np.mean(covered) <= 0.97


def test_full_agreement_on_few_images_is_not_proof_of_equality():
    value, low, high = paired_interval(np.zeros(5))
    assert value == 0
    assert low < -0.2
    assert high > 0.2


def test_nothing_to_measure_on():
    assert not share(0, 0, "recall", "test split").is_measured
    with pytest.raises(ValueError, match="at least one image"):
        paired_interval(np.zeros(0))


@pytest.mark.parametrize(("hits", "n"), [(-1, 3), (4, 3), (0, 0)])
def test_counts_out_of_range_are_named(hits, n):
    with pytest.raises(ValueError, match=f"Got {hits!r} of {n!r}"):
        wilson_interval(hits, n)


def test_confidence_out_of_range():
    with pytest.raises(ValueError, match="'confidence'"):
        clopper_pearson(1, 2, confidence=95)
