from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.measure import forecast_accuracy

cosines = st.floats(-1, 1)


@given(cosines, cosines, st.integers(2, 1000))
def test_is_a_prediction_with_an_interval(recognition: float, likeness: float, k: int) -> None:
    said = forecast_accuracy(recognition, likeness, k)
    assert 1 / k <= said.accuracy.low <= said.accuracy.value <= said.accuracy.high <= 1 + 1e-12
    assert said.accuracy.n == 0
    assert "a prediction, not a measurement" in said.accuracy.how
    assert said.is_reliable == (said.accuracy.low > said.chance)


def test_grows_with_recognition_and_falls_with_likeness() -> None:
    values = [forecast_accuracy(r, 0.7, 10).accuracy.value for r in (0.3, 0.5, 0.7)]
    assert values == sorted(values)
    alike = [forecast_accuracy(0.5, x, 10).accuracy.value for x in (0.6, 0.7, 0.8)]
    assert alike == sorted(alike, reverse=True)
    assert np.isfinite(values).all()


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 2 classes\. Got 1"):
        forecast_accuracy(0.5, 0.5, 1)
