from __future__ import annotations

import numpy as np
import pytest

from handful.heads import KnownScorer
from handful.heads.open_set import _RIDGE, _span, _spread
from handful.heads.vectors import transformed

from .samples import blobs, queries, run


@pytest.mark.parametrize("n_classes", [1, 2, 5])
@pytest.mark.parametrize("n_each", [1, 6])
def test_onnx_gives_the_same_score(n_classes, n_each):
    X, y = blobs(n_classes, n_each)
    scorer = KnownScorer().fit(X, y)
    asked = np.vstack([X, queries()])
    known = run(scorer.to_onnx(), asked)
    assert known.shape == (len(asked),)
    np.testing.assert_allclose(known, scorer.score(asked), atol=1e-4)


def test_one_class_tells_known_from_unknown():
    rng = np.random.default_rng(0)
    known = rng.gamma(1.0, 1.0, 64) + rng.gamma(1.0, 0.3, (60, 64))
    unknown = rng.gamma(1.0, 1.0, 64) + rng.gamma(1.0, 0.3, (40, 64))
    scorer = KnownScorer().fit(known[:30])
    assert scorer.is_known(known[30:]).mean() > 0.8
    assert scorer.is_known(unknown).mean() < 0.2


def test_without_labels_all_rows_are_one_class():
    X, _ = blobs()
    one = KnownScorer().fit(X, np.zeros(len(X)))
    np.testing.assert_array_equal(KnownScorer().fit(X).score(queries()), one.score(queries()))


def test_share_without_a_row_is_that_of_a_span_of_the_others():
    rows = transformed(blobs(1, 8)[0]).astype(np.float64)
    _, without = _span(rows)
    for i in range(8):
        others = np.delete(rows, i, axis=0)
        cosines = others @ rows[i]
        kernel = others @ others.T + _RIDGE * np.eye(7)
        assert without[i] == pytest.approx(cosines @ np.linalg.solve(kernel, cosines))


def test_false_alarms_are_near_the_asked_rate():
    rng = np.random.default_rng(1)
    centres = rng.gamma(1.0, 1.0, (5, 48))
    alarms = []
    for _ in range(20):
        y = np.repeat(np.arange(5), 40)
        X = centres[y] + rng.gamma(1.0, 0.5, (200, 48))
        train = np.tile(np.arange(40) < 20, 5)
        alarms.append((~KnownScorer(0.1).fit(X[train], y[train]).is_known(X[~train])).mean())
    assert np.mean(alarms) == pytest.approx(0.1, abs=0.03)


def test_score_grows_with_likeness_and_stays_in_range():
    X, y = blobs()
    away = np.eye(12, dtype=np.float32)[:1]
    path = np.vstack([(1 - t) * X[:1] + t * 30 * away for t in np.linspace(0, 1, 30)])
    score = KnownScorer().fit(X, y).score(path)
    assert (score >= 0).all() and (score <= 1).all()
    assert score[-1] < score[0]


def test_nothing_is_unknown_at_zero():
    assert KnownScorer(0.0).fit(*blobs()).is_known(queries()).all()


def test_members_kept_of_a_large_class_do_not_depend_on_their_order():
    rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    order = np.random.default_rng(1).permutation(50)
    kept = rows[_spread(rows, np.arange(50), 7)]
    again = rows[order][_spread(rows[order], np.arange(50), 7)]
    assert len(kept) == 7
    np.testing.assert_array_equal(kept, again)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_unknown": 1.0}, r"'max_unknown' parameter .* in \[0, 1\). Got 1.0"),
        ({"power": 0}, "'power' parameter .* above 0. Got 0"),
    ],
)
def test_parameters_out_of_range_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        KnownScorer(**parameters).fit(*blobs())
