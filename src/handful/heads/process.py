"""One Gaussian process on several targets, its kernel chosen by the evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from handful.core import Float32, Float64

_WIDTHS = tuple(2.0 ** (step / 2) for step in range(-3, 6))  # times the median distance
_NOISES = tuple(10.0 ** (step / 2) for step in range(-4, 3))
_USUAL_NOISE = 0.1
_RELATIVE_RANK = 1e-4  # eigenvalues of the kernel below this times the largest are rounding
_LEAST = 1e-6  # squared distance of copies


@dataclass(frozen=True)
class Process:
    """Processes over several targets that share kernel and noise, given the labels.

    Parameters
    ----------
    width : float
        Of the kernel ``exp(-distance² / 2 width²)``.
    noise : float
        Variance of the noise over that of the process.
    amplitude : float
        Variance of the process.
    log_evidence : float
        In nats.
    whitening : ndarray of shape (m, r)
        From kernel values with the inducing rows to features, of which the prior is white.
    weights : ndarray of shape (r, n_targets)
        Mean of the features' weights.
    root : ndarray of shape (r, r)
        ``root @ root.T`` is the covariance of each target's weights.
    loo_mean : ndarray of shape (n_samples, n_targets)
        Of every row without its own target.
    loo_variance : ndarray of shape (n_samples,)
    """

    width: float
    noise: float
    amplitude: float
    log_evidence: float
    whitening: Float64
    weights: Float64
    root: Float64
    loo_mean: Float64
    loo_variance: Float64

    @property
    def explained(self) -> Float64:
        """From kernel values to what, squared and summed, labels take from the variance."""
        covariance = np.square(self.root).sum(axis=0)  # on the axes of the root
        axes = self.root / np.sqrt(covariance)
        return self.whitening @ (axes * np.sqrt(np.maximum(self.amplitude - covariance, 0)))


def fitted_process(rows: Float32, inducing: Float32, targets: Float64) -> Process:
    """Return the process of the largest evidence on a grid of widths and noises.

    The evidence has a closed form, the amplitude too. Weak priors decide where there
    are few labels: a width near the median distance, noise near a tenth.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features), float32
    inducing : ndarray of shape (m, n_features), float32
        The rows themselves for an exact process.
    targets : ndarray of shape (n_samples, n_targets)
        Of mean 0.
    """
    apart = squared_distances(rows.astype(np.float64), inducing.astype(np.float64))
    among = squared_distances(inducing.astype(np.float64), inducing.astype(np.float64))
    far = apart[apart > _LEAST]
    usual = float(np.sqrt(np.median(far))) if len(far) else 1.0
    best: tuple[float, _Features, float] | None = None
    for factor in _WIDTHS:
        features = _Features(apart, among, usual * factor, targets)
        for noise in _NOISES:
            pull = np.log(factor) ** 2 + np.log10(noise / _USUAL_NOISE) ** 2
            score = features.evidence(noise)[0] - pull / 2
            if best is None or score > best[0]:
                best = score, features, noise
    assert best is not None
    return best[1].conditioned(best[2])


def squared_distances(A: Float64, B: Float64) -> Float64:
    """Return squared distances of shape (len(A), len(B)), at least 0."""
    apart = A @ (-2 * B.T)
    apart += np.square(A).sum(axis=1)[:, None]
    apart += np.square(B).sum(axis=1)
    return np.maximum(apart, 0, out=apart)


class _Features:
    """Rows as features for one width, and the energy and targets on their principal axes."""

    def __init__(self, apart: Float64, among: Float64, width: float, targets: Float64) -> None:
        self.width, self.targets = width, targets
        energy, axes = eigh(np.exp(-among / (2 * width**2)), driver="evd", check_finite=False)
        keep = energy > _RELATIVE_RANK * energy[-1]
        self.whitening = axes[:, keep] / np.sqrt(energy[keep])
        self.features = np.exp(-apart / (2 * width**2)) @ self.whitening
        self.energy, self.axes = eigh(
            self.features.T @ self.features, driver="evd", check_finite=False
        )
        self.energy = np.maximum(self.energy, 0)
        self.on_axes = self.axes.T @ (self.features.T @ targets)
        self.unexplained = np.maximum(1 - np.square(self.features).sum(axis=1), 0)

    def evidence(self, noise: float) -> tuple[float, float]:
        """Return the logarithm of the evidence, and the amplitude that maximises it."""
        n, k = self.targets.shape
        fitted = (np.square(self.on_axes).sum(axis=1) / (self.energy + noise)).sum()
        misfit = max(float(np.square(self.targets).sum() - fitted), 0.0) / noise
        amplitude = max(misfit / (n * k), 1e-6)
        size = np.log(self.energy + noise).sum() + (n - len(self.energy)) * np.log(noise)
        value = n * k * np.log(2 * np.pi * amplitude) + misfit / amplitude + k * size
        value += k * self.unexplained.sum() / noise
        return float(-value / 2), amplitude

    def conditioned(self, noise: float) -> Process:
        """Return the process given the targets."""
        log_evidence, amplitude = self.evidence(noise)
        weights = self.axes @ (self.on_axes / (self.energy + noise)[:, None])
        turned = np.square(self.features @ self.axes)
        leverage = np.minimum((turned / (self.energy + noise)).sum(axis=1), 1 - 1e-6)
        rest = (self.targets - self.features @ weights) / (1 - leverage)[:, None]
        variance = amplitude * (noise * leverage / (1 - leverage) + self.unexplained)
        root = self.axes * np.sqrt(amplitude * noise / (self.energy + noise))
        return Process(
            self.width, noise, amplitude, log_evidence, self.whitening, weights, root,
            self.targets - rest, variance,
        )  # fmt: skip
