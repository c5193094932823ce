from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from handful.heads import LinearProbe, PrototypeClassifier, TextAndLabels

from .samples import run

NAMES = ["a", "b", "c"]


def sample(n_each: int, seed: int = 0, n_classes: int = 3, noise: float = 0.5):
    centres = np.random.default_rng(5).gamma(0.6, 1.0, (3, 12))
    rng = np.random.default_rng([seed, n_each])
    codes = np.repeat(np.arange(n_classes), n_each)
    X = centres[codes] + noise * rng.gamma(1.0, 1.0, (len(codes), 12))
    return X.astype(np.float32), np.array(NAMES)[codes]


def texts(*, good: bool = True) -> PrototypeClassifier:
    centres = np.random.default_rng(5).gamma(0.6, 1.0, (3, 12)) + 0.7
    order = [0, 1, 2] if good else [1, 2, 0]
    return PrototypeClassifier.from_prototypes(centres[order], NAMES)


@pytest.mark.parametrize("n_each", [1, 2, 5])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_onnx_says_the_same(n_each: int, n_classes: int) -> None:
    X, y = sample(n_each, n_classes=n_classes)
    head = TextAndLabels(LinearProbe(), texts()).fit(X, y)
    queries = sample(20, 3)[0]
    np.testing.assert_allclose(
        run(head.to_onnx(), queries), head.predict_logits(queries), atol=1e-3
    )
    assert head.loo_logits_.shape == (len(X), 3)
    assert head.classes_.tolist() == NAMES


def test_a_class_without_a_label_keeps_its_share() -> None:
    X, y = sample(3, n_classes=2)
    head = TextAndLabels(LinearProbe(), texts()).fit(X, y)
    queries, truth = sample(30, 3)
    proba = head.predict_proba(queries)
    assert (head.predict(queries)[truth == "c"] == "c").mean() > 0.6
    by_text = head._by_text * head._scale * head.text.predict_logits(queries)
    expected = np.exp(by_text) / np.exp(by_text).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(proba[:, 2], expected[:, 2], atol=1e-4)


def accuracies(n_each: int, *, good: bool) -> np.ndarray:
    """Return mean accuracies of the blend, the labels and the texts over draws."""
    rows = []
    for seed in range(12):
        X, y = sample(n_each, seed, noise=1.2)
        X_test, y_test = sample(100, 1000 + seed, noise=1.2)
        text = texts(good=good)
        blend = TextAndLabels(LinearProbe(), text, skill=0.8 if good else 0.2).fit(X, y)
        plain = LinearProbe().fit(X, y)
        rows.append([each.score(X_test, y_test) for each in (blend, plain, text)])
    return np.mean(rows, axis=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_each", "good"),
    [
        (1, True), (5, True), (20, True), (1, False), (2, False), (5, False), (20, False),
        pytest.param(2, True, marks=pytest.mark.xfail(reason="six rows left out say too little")),
    ],
)  # fmt: skip
def test_is_never_far_below_the_better_of_both(n_each: int, good: bool) -> None:
    blend, labels, text = accuracies(n_each, good=good)
    assert blend > max(labels, text) - 0.03


def test_texts_that_are_wrong_lose_their_weight() -> None:
    X, y = sample(10)
    right, wrong = (TextAndLabels(LinearProbe(), texts(good=g)).fit(X, y).blend_ for g in (1, 0))
    assert wrong.text < 0.1 < right.text + 0.1
    assert wrong.text_accuracy < 0.5 < right.text_accuracy
    assert wrong.n == 30


def test_one_label_a_class_cannot_be_compared() -> None:
    X, y = sample(1)
    head = TextAndLabels(LinearProbe(), texts()).fit(X, y)
    assert head.blend_.n == 0
    assert np.isnan(head.blend_.accuracy)
    again = clone(head).fit(X, y)
    np.testing.assert_array_equal(again.predict_logits(X), head.predict_logits(X))


def test_texts_of_no_expected_use_hardly_count() -> None:
    X, y = sample(1)
    weights = [
        TextAndLabels(LinearProbe(), texts(), skill=s).fit(X, y).blend_.text for s in (0, 0.8)
    ]
    assert weights[0] < 0.05 < 1 < weights[1]
    with pytest.raises(ValueError, match=r"'skill' .* in \[0, 1\]\. Got 2 instead"):
        TextAndLabels(LinearProbe(), texts(), skill=2).fit(X, y)


def test_refuses_a_label_that_is_no_class() -> None:
    X, y = sample(2)
    with pytest.raises(ValueError, match="got the label 'z', which is not among its classes"):
        TextAndLabels(LinearProbe(), texts()).fit(X, np.where(y == "a", "z", y))
