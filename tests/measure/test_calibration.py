"""Coverage of the calibration error by simulation, and the bins."""

import numpy as np
import pytest

from handful.measure.calibration import calibration_error, reliability

OVERCONFIDENT = {
    "none": lambda confidence: confidence,
    "a little": lambda confidence: confidence - 0.1,
    "much": lambda confidence: confidence - 0.25,
    "at the top": lambda confidence: np.minimum(confidence, 0.8),
    "tilted": lambda confidence: 0.7 + 0.5 * (confidence - 0.7),
}


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 100, 1000])
def test_calibration_error_coverage(n):
    random = np.random.default_rng(2)
    grid = np.linspace(0.4, 1.0, 1001)
    coverage = {}
    for kind, accuracy in OVERCONFIDENT.items():
        truth = np.mean(np.abs(grid - accuracy(grid)))
        covered = []
        for _ in range(60):
            confidence = random.uniform(0.4, 1.0, n)
            hits = (random.random(n) < accuracy(confidence)).astype(float)
            found = calibration_error(confidence, hits, "test")
            covered.append(found.low - 1e-5 <= truth <= found.high)
        coverage[kind] = np.mean(covered)
    assert min(coverage.values()) >= 0.75, coverage
    assert np.mean(list(coverage.values())) >= 0.88


def test_calibration_error_of_calibrated_answers_is_not_noise():
    random = np.random.default_rng(3)
    values = []
    for _ in range(40):
        confidence = random.uniform(0.5, 1.0, 200)
        hits = (random.random(200) < confidence).astype(float)
        values.append(calibration_error(confidence, hits, "test").value)
    assert np.mean(values) < 0.04


def test_reliability_bins_hold_every_image_once():
    random = np.random.default_rng(4)
    confidence = random.random(95)
    bins = reliability(confidence, np.ones(95))
    assert sum(part.n for part in bins) == 95
    assert min(part.n for part in bins) >= 10
    assert all(part.low <= part.confidence <= part.high for part in bins)
    assert [part.low for part in bins] == sorted(part.low for part in bins)
