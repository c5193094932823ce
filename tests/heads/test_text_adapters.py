"""The adapters against their formulas, written out an image or a class at a time."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from handful.heads import CLAP, CrossModalProbe, GDAText, SSText, TextRidge, TipAdapter
from handful.heads.logits import LogitsClassifierMixin

from .samples import run

NAMES = ["c", "a", "b", "unseen"]
HEADS = [SSText, TextRidge, CrossModalProbe, TipAdapter, GDAText, CLAP]
SCALE = 20.0


def sample(n_each: tuple[int, ...] = (4, 2, 5), seed: int = 0, noise: float = 0.8):
    """Return image vectors and labels of three of four classes, and texts near the centres."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).standard_normal((4, 10))
    text = centres + 0.8 * np.random.default_rng(8).standard_normal((4, 10))
    codes = np.repeat(np.arange(3), n_each)
    X = centres[codes] + noise * rng.standard_normal((len(codes), 10))
    return X.astype(np.float32), np.array(NAMES)[codes], text.astype(np.float32)


def units(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, float)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def in_order(y: np.ndarray, text: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return class numbers and texts as the heads sort them."""
    order = np.argsort(NAMES)
    return np.searchsorted(np.array(NAMES)[order], y), units(text)[order]


def softmax(a: np.ndarray) -> np.ndarray:
    e = np.exp(a - a.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("head", HEADS)
def test_onnx_says_the_same(head) -> None:
    X, y, text = sample()
    fitted = head(text, NAMES, logit_scale=SCALE).fit(X, y)
    np.testing.assert_allclose(run(fitted.to_onnx(), X), fitted.predict_logits(X), atol=1e-3)
    assert fitted.predict_proba(X).shape == (len(X), 4)
    assert clone(fitted).fit(X, y).predict(X).tolist() == fitted.predict(X).tolist()


@pytest.mark.parametrize("head", HEADS)
def test_a_class_without_a_label_keeps_its_text(head) -> None:
    X, y, text = sample()
    fitted = head(text, NAMES, logit_scale=SCALE).fit(X, y)
    assert fitted.predict(10 * text[3:])[0] == "unseen"


@pytest.mark.parametrize("head", HEADS)
def test_the_order_of_classes_and_images_changes_nothing(head) -> None:
    X, y, text = sample()
    fitted = head(text, NAMES, logit_scale=SCALE).fit(X, y)
    other = head(text[::-1], NAMES[::-1], logit_scale=SCALE).fit(X[::-1], y[::-1])
    np.testing.assert_allclose(other.predict_logits(X), fitted.predict_logits(X), atol=1e-3)


@pytest.mark.parametrize("head", HEADS)
def test_refuses_strange_labels_and_shapes(head) -> None:
    X, y, text = sample()
    with pytest.raises(ValueError, match="got the label 'z', which is not among its classes"):
        head(text, NAMES).fit(X, np.where(y == "a", "z", y))
    with pytest.raises(ValueError, match=r"must have 10 features, as X\. Got 4"):
        head(text[:, :4], NAMES).fit(X, y)
    with pytest.raises(ValueError, match="must differ and name each row"):
        head(text, ["a", "a", "b", "c"]).fit(X, y)


def test_ss_text_is_its_formula() -> None:
    X, y, text = sample()
    codes, T = in_order(y, text)
    F, N = units(X), len(X)
    w = T.copy()
    for i in range(N):
        n_k = (codes == codes[i]).sum()
        w[codes[i]] += SCALE / (N * (1 / n_k)) * F[i]
    head = SSText(text, NAMES, logit_scale=SCALE).fit(X, y)
    np.testing.assert_allclose(head.coef_, SCALE * units(w), atol=1e-4)


def test_ss_text_with_a_limit_is_not_drowned_by_one_image() -> None:
    X, y, text = sample((1, 1, 1))
    codes, T = in_order(y, text)
    head = SSText(text, NAMES, logit_scale=SCALE, most=1.0).fit(X, y)
    expected = T.copy()
    for i in range(3):
        expected[codes[i]] += units(X)[i]
    np.testing.assert_allclose(head.coef_, SCALE * units(expected), atol=1e-4)


def test_text_ridge_is_the_minimiser_and_its_penalty_the_best_left_out() -> None:
    X, y, text = sample()
    codes, T = in_order(y, text)
    F, T = units(X), T - T.mean(axis=0)
    Y = np.eye(4)[codes] - 0.25
    Y[:, 3] = F @ T[3]  # no label contradicts its text

    def solved(F: np.ndarray, Y: np.ndarray, penalty: float) -> np.ndarray:
        return np.linalg.inv(F.T @ F + penalty * np.eye(10)) @ (F.T @ Y + penalty * T.T)

    def left_out(penalty: float) -> float:
        rows = range(len(F))
        fits = (solved(np.delete(F, i, 0), np.delete(Y, i, 0), penalty) for i in rows)
        return sum(np.square(Y[i] - F[i] @ W).sum() for i, W in zip(rows, fits, strict=True))

    head = TextRidge(text, NAMES, logit_scale=SCALE).fit(X, y)
    penalties = [10.0 ** (e / 2) for e in range(-4, 7)]
    assert head.penalty_ == min(penalties, key=left_out)
    np.testing.assert_allclose(head.coef_, SCALE * solved(F, Y, head.penalty_).T, atol=1e-4)


def test_cross_modal_probe_sees_texts_as_images() -> None:
    X, y, text = sample()
    codes, T = in_order(y, text)
    rows = np.vstack([units(X), T])
    Y = np.eye(4)[[*codes, 0, 1, 2, 3]] - 0.25
    W = np.linalg.inv(rows.T @ rows + np.eye(10)) @ rows.T @ Y
    head = CrossModalProbe(text, NAMES, logit_scale=SCALE).fit(X, y)
    np.testing.assert_allclose(head.coef_, SCALE * W.T, atol=1e-4)


def test_tip_adapter_is_its_formula() -> None:
    X, y, text = sample()
    codes, T = in_order(y, text)
    F = units(X)
    expected = SCALE * F @ T.T
    for i in range(len(F)):
        expected[:, codes[i]] += 1.5 * np.exp(-5.5 * (1 - F @ F[i]))
    head = TipAdapter(text, NAMES, logit_scale=SCALE, alpha=1.5).fit(X, y)
    np.testing.assert_allclose(head.predict_logits(X), expected, atol=1e-4)


def gaussian(F: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weight and bias by the formulas, those of classes without a vector the others' mean."""
    d, there = F.shape[1], np.unique(codes)
    mu = {k: F[codes == k].mean(axis=0) for k in there}
    off = np.array([F[i] - mu[codes[i]] for i in range(len(F))])
    S = off.T @ off / (len(F) - 1)
    P = d * np.linalg.pinv((len(F) - 1) * S + np.trace(S) * np.eye(d))
    w = np.zeros((4, d))
    b = np.zeros(4)
    for k in there:
        w[k], b[k] = P @ mu[k], -0.5 * mu[k] @ P @ mu[k]
    rest = np.setdiff1d(np.arange(4), there)
    w[rest], b[rest] = w[there].mean(axis=0), b[there].mean()
    return w, b


def test_gda_is_its_formula() -> None:
    X, y, text = sample()
    codes, T = in_order(y, text)
    w, b = gaussian(units(X), codes)
    head = GDAText(text, NAMES, logit_scale=SCALE, alpha=0.3).fit(X, y)
    np.testing.assert_allclose(head.coef_, SCALE * T + 0.3 * w, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(head.intercept_, 0.3 * b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n_each", [(4, 2, 5), (3, 1, 4)])
def test_gda_leaves_out_exactly(n_each: tuple[int, ...]) -> None:
    X, y, text = sample(n_each)
    codes, T = in_order(y, text)
    F = units(X)
    head = GDAText(text, NAMES, logit_scale=SCALE, alpha=0.3).fit(X, y)
    for i in range(len(F)):
        w, b = gaussian(np.delete(F, i, 0), np.delete(codes, i))
        expected = SCALE * T @ F[i] + 0.3 * (w @ F[i] + b)
        np.testing.assert_allclose(head.loo_logits_[i], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_the_left_out_alpha_is_near_the_best() -> None:
    alphas = 10.0 ** np.arange(-2, 3, 0.25)
    scores, own = [], []
    for seed in range(20):
        X, y, text = sample((8, 8, 8), seed, noise=1.5)
        X_test, y_test, _ = sample((100, 100, 100), 100 + seed, noise=1.5)
        fits = [GDAText(text, NAMES, logit_scale=SCALE, alpha=a).fit(X, y) for a in alphas]
        scores.append([fit.score(X_test, y_test) for fit in fits])
        own.append(GDAText(text, NAMES, logit_scale=SCALE).fit(X, y).score(X_test, y_test))
    assert np.mean(own) > np.mean(scores, axis=0).max() - 0.013  # the best one looked


@pytest.mark.parametrize("constrained", [True, False])
def test_clap_is_descent_on_its_loss(constrained: bool) -> None:
    X, y, text = sample()
    codes, T = in_order(y, text)
    F = units(X)
    zero_shot = softmax(SCALE * F @ T.T)
    strength = [
        zero_shot[codes == k, k].mean() if constrained and (codes == k).any() else 0.0
        for k in range(4)
    ]

    def loss(w: np.ndarray) -> float:
        p = softmax(SCALE * F @ units(w).T)
        penalty = sum(strength[k] * np.square(w[k] - T[k]).sum() for k in range(4)) / 4
        return -np.log(p[np.arange(len(F)), codes]).mean() + penalty

    w, velocity = T.copy(), np.zeros_like(T)
    for step in range(5):
        rate = 0.1 * (1 + np.cos(np.pi * step / 5)) / 2 if step else 1e-5
        gradient = np.zeros_like(w)
        for place in np.ndindex(w.shape):
            nudge = np.zeros_like(w)
            nudge[place] = 1e-6
            gradient[place] = (loss(w + nudge) - loss(w - nudge)) / 2e-6
        velocity = 0.9 * velocity + gradient
        w = w - rate * velocity
    head = CLAP(text, NAMES, logit_scale=SCALE, constrained=constrained, n_steps=5).fit(X, y)
    np.testing.assert_allclose(head.coef_ / SCALE, units(w), atol=1e-4)


class OnMeans(LogitsClassifierMixin, BaseEstimator):
    """An adapter whose texts are the class means: what scikit-learn's checks can call."""

    def __init__(self, kind: str = "SSText") -> None:
        self.kind = kind

    def fit(self, X, y):
        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        means = np.stack([X[y == name].mean(axis=0) for name in self.classes_]) + 1e-3
        kind = next(head for head in HEADS if head.__name__ == self.kind)
        self.head_ = kind(means, self.classes_).fit(X, y)
        return self

    def predict_logits(self, X):
        check_is_fitted(self)
        return self.head_.predict_logits(X)


@pytest.mark.slow
@parametrize_with_checks([OnMeans(head.__name__) for head in HEADS])
def test_passes_the_checks_of_scikit_learn(estimator, check) -> None:
    check(estimator)
