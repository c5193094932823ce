from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.adapt import Budget, Recipe
from handful.core import AdaptError


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [("90s", 90, "seconds"), ("1.5m", 90, "seconds"), ("2h", 7200, "seconds"),
     ("5000images", 5000, "images"), ("20 epochs", 20, "epochs")],
)  # fmt: skip
def test_a_budget_is_read(text: str, amount: float, unit: str) -> None:
    assert Budget.parse(text) == Budget(amount, unit)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "10", "m", "-3m", "0s", "10 minutes", "nan s", "infs"])
def test_a_budget_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="A budget is written as"):
        Budget.parse(text)


def test_a_budget_too_small_says_what_a_step_costs() -> None:
    with pytest.raises(AdaptError, match=r"one step takes 3\.0 s"):
        Budget(1, "seconds").steps(n_images=10, batch_size=5, step_seconds=3)
    with pytest.raises(AdaptError, match="one step sees 5 images"):
        Budget(4, "images").steps(n_images=10, batch_size=5)


@given(steps=st.integers(1, 500), warmup=st.floats(0, 1))
def test_the_rate_rises_then_falls(steps: int, warmup: float) -> None:
    recipe = Recipe(steps=steps, warmup=warmup)
    rates = [recipe.rate_at(step) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
