"""Expected accuracies: experience against what was tried, pools of a harder kind, names."""

from __future__ import annotations

import pytest

from handful.advise import Evidence, Gain, Row, Trial, names_accuracy
from handful.advise.evidence import Prior
from handful.advise.forecast import is_harder, plan_accuracy, probe_accuracy
from handful.core import Estimate

BASE = Estimate(0.8, 0.7, 0.88, 100, "accuracy", "cross-validation")
PRIOR = Prior(0.5, 0.3, ("a", "b"), ("advise",))


def test_the_surer_of_experience_and_trial_decides() -> None:
    sure, unsure = Gain(-0.1, 0.005, 500), Gain(-0.1, 0.2, 10)
    by_trial, by_experience = (plan_accuracy(BASE, PRIOR, gain) for gain in (sure, unsure))
    assert by_trial.value == pytest.approx(0.7, abs=0.01)
    assert by_experience.value > BASE.value
    assert by_trial.high - by_trial.low < by_experience.high - by_experience.low
    assert "tried on 500 labels" in by_trial.how and "elsewhere" in by_trial.how


def test_a_plan_is_never_surer_than_the_probe_it_is_compared_with() -> None:
    found = plan_accuracy(BASE, None, Gain(0.0, 1e-6, 500))
    assert (found.low, found.high) == pytest.approx((BASE.low, BASE.high), abs=1e-3)


def test_a_plan_that_nothing_was_seen_of_has_no_forecast() -> None:
    assert "no benchmark has tried it" in plan_accuracy(BASE, None, None).how
    nothing = Estimate.not_measurable("accuracy", "there is no label")
    assert not plan_accuracy(nothing, PRIOR, None).is_measured


def test_accuracies_stay_between_0_and_1() -> None:
    high = Estimate(0.99, 0.97, 1.0, 100, "accuracy", "cross-validation")
    found = plan_accuracy(high, PRIOR, Gain(0.3, 0.01, 100))
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_a_pool_of_a_harder_kind_lowers_what_is_expected_and_says_so() -> None:
    same = probe_accuracy(Trial(BASE, surer=Gain(-0.02, 0.02, 100)), Evidence(()), 10, 10)
    assert same == BASE
    harder = probe_accuracy(Trial(BASE, surer=Gain(-0.1, 0.02, 100)), Evidence(()), 10, 10)
    assert harder.value == pytest.approx(0.7) and harder.low == pytest.approx(0.4)
    assert "10 points less sure of the unlabelled images" in harder.how
    assert not is_harder(None)


def test_without_a_measurement_the_probe_is_what_it_was_elsewhere() -> None:
    rows = tuple(
        Row(name, "prototypes", 1, 10, 0.5, value, "advise")
        for name, value in (("a", 0.5), ("b", 0.6))
    )
    nothing = Trial(Estimate.not_measurable("accuracy", "no class has a second label"))
    many, two = (probe_accuracy(nothing, Evidence(rows), 1, n) for n in (10, 2))
    assert 0.5 < many.value < 0.6 and many.low < 0.45
    assert two.value > many.value  # guessing alone is right half of the time
    assert "no class has a second label" in many.how
    assert not probe_accuracy(nothing, Evidence(()), 1, 10).is_measured


def test_labels_outvote_the_forecast_of_the_names() -> None:
    forecast = Estimate(0.9, 0.5, 1.0, 0, "predicted accuracy", "a forecast")
    few, many = names_accuracy(forecast, 1, 4), names_accuracy(forecast, 25, 100)
    assert few.value > 0.5 and many.value == pytest.approx(0.28, abs=0.01)
    assert many.high - many.low < few.high - few.low
