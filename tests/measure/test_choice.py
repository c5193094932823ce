"""The one-standard-error rule and what it costs."""

import numpy as np

from handful.measure.choice import choose, nested_hits
from handful.measure.folds import Fold


def test_clearly_better_wins():
    weak, strong = np.tile([1.0, 0.0], 50), np.ones(100)
    choice = choose({"simple": weak, "rich": strong}, inflation=1.25)
    assert choice.name == "rich"
    assert "beats every other method" in choice.why
    assert choice.differences["simple"].low > 0


def test_within_one_standard_error_the_preferred_is_taken():
    simple = np.tile([1.0, 1.0, 0.0], 10)
    rich = simple.copy()
    rich[2] = 1.0
    choice = choose({"simple": simple, "rich": rich}, inflation=1.25)
    assert choice.name == "simple"
    assert choice.why.startswith("No winner among simple, rich: the paired intervals overlap zero.")


def test_beyond_one_error_but_within_the_interval_ships_the_better_and_names_no_winner():
    simple = np.r_[np.zeros(5), np.ones(45), np.zeros(1)]
    rich = np.r_[np.ones(5), np.ones(45), np.zeros(1)]
    choice = choose({"simple": simple, "rich": rich}, inflation=1.25)
    assert choice.name == "rich"
    assert "No winner" in choice.why
    assert "the first within one standard error" in choice.why


def test_untested_images_do_not_count():
    nan = np.nan
    choice = choose({"a": np.array([1.0, nan]), "b": np.array([0.0, nan])}, inflation=1.0)
    assert choice.differences["b"].n == 1


def test_nothing_tested():
    nothing = np.full(3, np.nan)
    assert "No image could be tested" in choose({"a": nothing, "b": nothing}, inflation=1.0).why


def test_nested_choice_removes_the_luck_of_the_best_of_many():
    random = np.random.default_rng(0)
    naive, nested = [], []
    for _ in range(60):
        repeats = {str(i): (random.random((1, 40)) < 0.5).astype(float) for i in range(8)}
        parts = np.array_split(random.permutation(40), 5)
        folds = [Fold(0, np.setdiff1d(np.arange(40), part), part) for part in parts]
        hits = {name: values[0] for name, values in repeats.items()}
        naive.append(hits[choose(hits, inflation=1.0).name].mean())
        nested.append(nested_hits(repeats, folds, inflation=1.0).mean())
    assert np.mean(naive) > 0.53
    assert abs(np.mean(nested) - 0.5) < 0.03
