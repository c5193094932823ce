"""Each hook against its paper's formula, written out in numpy without the code under test."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("timm", reason="needs the train extra")

from handful.adapt.semisupervised.alignment import Alignment  # noqa: E402
from handful.adapt.semisupervised.masks import (  # noqa: E402
    Curriculum,
    Everyone,
    RelativeThreshold,
    SelfAdaptive,
    Threshold,
    TruncatedGaussian,
)

CLASSES, STEPS, MOMENTUM = 4, 12, 0.9
NONE = np.zeros((0, CLASSES))


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def guesses(seed: int, n: int = 10, scale: float = 4.0) -> np.ndarray:
    bias = np.array([1.5, 0.5, 0.0, -1.0])  # classes come unequally often
    return softmax(scale * np.random.default_rng(seed).normal(size=(n, CLASSES)) + bias)


def call(mask, p: np.ndarray, labelled: np.ndarray = NONE, index: np.ndarray | None = None):
    rows = np.arange(len(p)) if index is None else index
    got = mask(torch.tensor(p), torch.tensor(labelled), torch.tensor(rows))
    return got.numpy()


def test_everyone_counts() -> None:
    assert call(Everyone(), guesses(0)).tolist() == [1] * 10


def test_fixmatch() -> None:
    p = guesses(0)
    np.testing.assert_array_equal(call(Threshold(0.95), p), p.max(axis=1) >= 0.95)
    assert 0 < call(Threshold(0.95), p).sum() < len(p)


def test_flexmatch() -> None:
    n, tau = 30, 0.9  # of 40 images the first 10 have labels
    mask = Curriculum(tau, n_classes=CLASSES, n_images=40, n_unlabelled=n)
    last = np.full(n, -1)  # û_n of the paper
    partly = 0
    for step in range(STEPS):
        rows = np.random.default_rng(step).permutation(n)[:12]
        p = guesses(step, 12)
        sigma = np.array([(last == c).sum() for c in range(CLASSES)])
        beta = sigma / max(sigma.max(), n - sigma.sum())
        threshold = beta / (2 - beta) * tau
        expected = [row.max() > threshold[row.argmax()] for row in p]
        np.testing.assert_array_equal(call(mask, p, index=rows + 10), expected)
        partly += 0 < sum(expected) < len(expected)
        for row, probabilities in zip(rows, p, strict=True):
            if probabilities.max() > tau:
                last[row] = probabilities.argmax()
    assert partly
    assert mask.status[:10].tolist() == [-1] * 10


def test_freematch_thresholds_and_fairness() -> None:
    mask = SelfAdaptive(CLASSES, MOMENTUM, fairness=0.5).double()
    tau, mean, share = 1 / CLASSES, np.full(CLASSES, 1 / CLASSES), np.full(CLASSES, 1 / CLASSES)
    for step in range(STEPS):
        p, strong = guesses(step), np.random.default_rng(99 + step).normal(size=(10, CLASSES))
        tau = MOMENTUM * tau + (1 - MOMENTUM) * p.max(axis=1).mean()
        mean = MOMENTUM * mean + (1 - MOMENTUM) * p.mean(axis=0)
        counts = np.bincount(p.argmax(axis=1), minlength=CLASSES)
        share = MOMENTUM * share + (1 - MOMENTUM) * counts / counts.sum()
        threshold = mean / mean.max() * tau
        expected = np.array([row.max() > threshold[row.argmax()] for row in p])
        weights = call(mask, p)
        np.testing.assert_array_equal(weights, expected)
        q = softmax(strong)[expected]
        found, often = q.mean(axis=0), np.bincount(q.argmax(axis=1), minlength=CLASSES) / len(q)
        ratio = np.array([f / o if o else 0 for f, o in zip(found, often, strict=True)])
        wanted = mean / share / (mean / share).sum()
        loss = 0.5 * (wanted * np.log(ratio / ratio.sum() + 1e-12)).sum()  # -H(wanted, found)
        got = mask.penalty(torch.tensor(strong), torch.tensor(weights))
        np.testing.assert_allclose(got, loss)
    assert mask.penalty(torch.tensor(strong), torch.zeros(10)) == 0


def test_softmatch() -> None:
    mask = TruncatedGaussian(CLASSES, MOMENTUM).double()
    mu, variance = 1 / CLASSES, 1.0
    for step in range(STEPS):
        p = guesses(step)
        best = p.max(axis=1)
        mu = MOMENTUM * mu + (1 - MOMENTUM) * best.mean()
        biased = ((best - best.mean()) ** 2).mean()
        variance = MOMENTUM * variance + (1 - MOMENTUM) * biased * len(p) / (len(p) - 1)
        below = np.exp(-((best - mu) ** 2) / (2 * variance))
        np.testing.assert_allclose(call(mask, p), np.where(best < mu, below, 1.0))
    assert call(mask, guesses(0, 1)).shape == (1,)  # of one image there is no variance


def test_adamatch_threshold() -> None:
    p, labelled = guesses(0, scale=2.0), guesses(1, 6)
    threshold = 0.9 * labelled.max(axis=1).mean()
    expected = p.max(axis=1) >= threshold
    np.testing.assert_array_equal(call(RelativeThreshold(0.9), p, labelled), expected)
    assert 0 < expected.sum() < len(p)


@pytest.mark.parametrize("uniform", [True, False])
def test_alignment(uniform: bool) -> None:
    align = Alignment(CLASSES, MOMENTUM, uniform=uniform).double()
    target, mean = np.full(CLASSES, 1 / CLASSES), np.full(CLASSES, 1 / CLASSES)
    for step in range(STEPS):
        p, labelled = guesses(step), guesses(50 + step, 6)[:, ::-1].copy()
        mean = MOMENTUM * mean + (1 - MOMENTUM) * p.mean(axis=0)
        if not uniform:
            target = MOMENTUM * target + (1 - MOMENTUM) * labelled.mean(axis=0)
        aligned = p * target / mean
        aligned /= aligned.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(align(torch.tensor(p), torch.tensor(labelled)), aligned)
    assert np.ptp(aligned.mean(axis=0)) != pytest.approx(np.ptp(p.mean(axis=0)))


def test_what_hooks_learn_is_in_the_state() -> None:
    mask = Curriculum(0.5, n_classes=CLASSES, n_images=10, n_unlabelled=10)
    call(mask, guesses(0))
    for learnt in (mask, SelfAdaptive(CLASSES, 0.9), TruncatedGaussian(CLASSES, 0.9)):
        assert learnt.state_dict()
    assert (mask.state_dict()["status"] >= 0).any()
