from __future__ import annotations

import numpy as np
import pytest

from handful.embeddings import nearest, unit
from handful.heads import TransductiveClassifier, ZeroShotClassifier, transduce
from handful.heads.trans_clip import _others

from .samples import blobs, run
from .test_zero_shot import NAMES, known, new_texts


def reference(X: np.ndarray, logits: np.ndarray, k: int) -> tuple[np.ndarray, ...]:
    """Return the objective's steps with all products at once and a dense graph."""
    X, logits = X.astype(float), logits.astype(float)
    n, d = X.shape
    cosines = X @ X.T
    W = np.zeros((n, n))
    for i in range(n):
        order = [j for j in np.argsort(-cosines[i], kind="stable") if j != i][:k]
        W[i, order] = np.maximum(cosines[i, order], 0)

    def soft(a: np.ndarray) -> np.ndarray:
        e = np.exp(a - a.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    text = z = soft(logits)
    mu = []
    for c in range(logits.shape[1]):
        rows = np.argsort(-text[:, c], kind="stable")[:8]
        mu.append((text[rows, c][:, None] * X[rows]).sum(axis=0))
    mu = np.array(mu) / np.linalg.norm(mu, axis=1, keepdims=True)
    sigma = np.full(d, 1 / d)
    for _ in range(10):
        log_p = np.array([[-0.5 * ((x - m) ** 2 / sigma).sum() for m in mu] for x in X])
        for _ in range(5):
            z = soft(np.log(text) + log_p / 50 + (W @ z + W.T @ z) / 6)
        mu = z.T @ X
        mu /= np.linalg.norm(mu, axis=1, keepdims=True)
        sigma = sum(z[i, c] * (X[i] - mu[c]) ** 2 for i in range(n) for c in range(len(mu))) / n
    return z, mu, sigma


def sample(n_each: int = 12) -> tuple[np.ndarray, np.ndarray]:
    X = unit(blobs(n_each=n_each)[0])
    return X, np.random.default_rng(0).standard_normal((len(X), 3)).astype(np.float32)


def test_follows_the_objective() -> None:
    X, logits = sample()
    found = transduce(X, logits, _others(X, 3))
    z, mu, sigma = reference(X, logits, 3)
    np.testing.assert_allclose(found.proba, z, atol=1e-4)
    np.testing.assert_allclose(found.prototypes, mu, atol=1e-4)
    np.testing.assert_allclose(found.variance, sigma, atol=1e-4)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, logits = sample()
    whole = transduce(X, logits, _others(X, 3))
    monkeypatch.setattr("handful.heads.trans_clip._BLOCK", 7)
    np.testing.assert_allclose(transduce(X, logits, _others(X, 3)).proba, whole.proba, atol=1e-5)


def test_no_image_is_its_own_neighbour() -> None:
    X = np.repeat(unit(blobs()[0]), 6, axis=0)  # copies: the nearest of a row need not be the row
    indices, cosines = _others(X, 3)
    assert indices.shape == cosines.shape == (len(X), 3)
    assert not (indices == np.arange(len(X))[:, None]).any()
    assert nearest(X, X, 4)[0].shape == (len(X), 4)


def test_clusters_correct_texts_that_are_often_wrong() -> None:
    X, y = blobs(n_each=60)
    truth = np.unique(y, return_inverse=True)[1]
    logits = np.random.default_rng(0).standard_normal((len(X), 3)).astype(np.float32)
    logits[np.arange(len(X)), truth] += 1.0
    refined = transduce(unit(X), logits, _others(unit(X), 3)).proba.argmax(axis=1)
    assert (refined == truth).mean() > (logits.argmax(axis=1) == truth).mean() + 0.1


def test_the_rule_needs_neither_pool_nor_texts() -> None:
    X, _ = blobs(n_each=12)
    texts = ZeroShotClassifier(known(), new_texts(), NAMES).fit()
    head = TransductiveClassifier(texts).fit(X)
    assert head.pseudo_proba_.shape == (len(X), 3)
    np.testing.assert_allclose(run(head.to_onnx(), X), head.predict_logits(X), atol=1e-3)
    agreed = (head.predict_logits(X).argmax(axis=1) == head.pseudo_proba_.argmax(axis=1)).mean()
    assert agreed > 0.8


def test_a_small_pool_is_refused_and_a_large_one_drawn_from() -> None:
    texts = ZeroShotClassifier(known(), new_texts(), NAMES).fit()
    with pytest.raises(ValueError, match=r"at least 24 images, 8 a class\. Got 18"):
        TransductiveClassifier(texts).fit(blobs()[0])
    drawn = TransductiveClassifier(texts, max_unlabelled=30).fit(blobs(n_each=20)[0])
    assert len(drawn.pseudo_proba_) == 30
