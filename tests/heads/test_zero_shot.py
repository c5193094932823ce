from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from handful.heads import KnownClasses, TextMap, ZeroShotClassifier, held_out_classes, softmax

from .samples import queries, run


def known(n: int = 40, dim: int = 12, text_dim: int = 6) -> KnownClasses:
    """Return classes whose weights are a linear map of their texts, and a little noise."""
    rng = np.random.default_rng(3)
    texts = rng.standard_normal((2, n, text_dim)) * 0.1 + rng.standard_normal((n, text_dim))
    texts /= np.linalg.norm(texts, axis=2, keepdims=True)
    weight = texts.mean(axis=0) @ rng.standard_normal((text_dim, dim)) * 3
    weight += 0.1 * rng.standard_normal(weight.shape)
    return KnownClasses(*(a.astype(np.float32) for a in (weight, rng.standard_normal(n), texts)))


def new_texts(n: int = 3) -> np.ndarray:
    text = np.random.default_rng(4).standard_normal((n, 6))
    return (text / np.linalg.norm(text, axis=1, keepdims=True)).astype(np.float32)


NAMES = ["shoe", "boot", "hat"]


def reference_logits(known: KnownClasses, text: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Return the formulas of the docstring, an image at a time."""
    mean = known.texts.mean(axis=0)
    mean = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    A = known.texts.reshape(-1, 6).astype(float)
    centre = A.mean(axis=0)
    Y = np.concatenate([known.weight - known.weight.mean(axis=0)] * 2)
    M = np.linalg.inv((A - centre).T @ (A - centre) + 2.0 * np.eye(6)) @ (A - centre).T @ Y
    w = (text - centre) @ M
    w /= np.linalg.norm(w, axis=1, keepdims=True)
    rows = []
    for x in X.astype(float):
        p = softmax((known.weight @ x + known.bias)[None])[0].astype(float)
        share = np.zeros(len(text))
        for i, t in enumerate(mean):
            e = np.exp(t @ text.T / 0.1)
            share += p[i] * e / e.sum()
        a, b = np.log(share + 1e-6), w @ x
        rows.append(((a - a.mean()) / a.std() + (b - b.mean()) / b.std()) / np.sqrt(2))
    return np.array(rows)


def test_follows_the_formulas() -> None:
    X = queries()[:18]
    head = ZeroShotClassifier(known(), new_texts(), NAMES).fit()
    order = np.argsort(NAMES)
    expected = reference_logits(known(), new_texts(), X)[:, order]
    assert head.classes_.tolist() == sorted(NAMES)
    np.testing.assert_allclose(head.predict_logits(X), expected, atol=2e-4)


def test_onnx_gives_the_same_probabilities_without_a_text_encoder() -> None:
    head = ZeroShotClassifier(known(), new_texts(), NAMES).fit()
    X = queries()[:18]
    np.testing.assert_allclose(run(head.to_onnx(), X), head.predict_logits(X), atol=1e-4)


def test_the_order_of_the_names_changes_nothing() -> None:
    X, order = queries()[:18], [2, 0, 1]
    head = ZeroShotClassifier(known(), new_texts(), NAMES).fit()
    other = clone(ZeroShotClassifier(known(), new_texts()[order], [NAMES[i] for i in order])).fit()
    np.testing.assert_array_equal(head.predict_logits(X), other.predict_logits(X))


def test_a_learned_map_finds_unseen_classes() -> None:
    found, among_five, n = held_out_classes(known(200))
    assert n == 200
    assert found >= 150
    assert among_five >= found
    shuffled = known(200)
    weight = np.random.default_rng(0).permutation(shuffled.weight)
    assert held_out_classes(KnownClasses(weight, shuffled.bias, shuffled.texts))[0] < 20


def test_a_larger_penalty_gives_smaller_weights() -> None:
    k = known()
    small, large = (TextMap(k.texts, k.weight, p)(new_texts()) for p in (0.1, 100.0))
    assert np.linalg.norm(large) < np.linalg.norm(small)


@pytest.mark.parametrize(
    ("text", "names", "options", "message"),
    [
        (new_texts(), ["a", "a", "b"], {}, "must be at least two and differ. Got a, a, b"),
        (new_texts(1), ["a"], {}, "must be at least two and differ"),
        (new_texts()[:, :4], NAMES, {}, r"6 columns, \(3, 6\). Got the shape \(3, 4\)"),
        (new_texts(), NAMES, {"temperature": 0}, "'temperature' parameter .* above 0. Got 0"),
        (new_texts(), NAMES, {"penalty": -1}, "'penalty' parameter .* above 0. Got -1"),
    ],
)
def test_refuses(text: np.ndarray, names: list[str], options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ZeroShotClassifier(known(), text, names, **options).fit()
