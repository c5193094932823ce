"""What every head promises: scikit-learn's contract, and an ONNX form that says the same."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from handful.heads import (
    KnownScorer,
    LinearProbe,
    NearestNeighbours,
    PrototypeClassifier,
    TemperatureScaled,
)

HEADS = [
    PrototypeClassifier(),
    PrototypeClassifier("euclidean", shrinkage=0.3),
    NearestNeighbours(),
    NearestNeighbours(n_neighbors=1),
    LinearProbe(),
    LinearProbe(alpha=0.1, power=1.0, unit_norm=False),
    TemperatureScaled(LinearProbe()),
    TemperatureScaled(PrototypeClassifier()),
]
each_head = pytest.mark.parametrize("head", HEADS, ids=repr)


@parametrize_with_checks([*HEADS, KnownScorer()])
def test_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


def _run(model, X):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"embedding": X.astype(np.float32)})[0]


def _blobs(n_classes=3, n_each=6, dim=12, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.gamma(1.0, 1.0, (n_classes, dim))
    X = np.repeat(centres, n_each, axis=0) + rng.normal(0, 0.5, (n_classes * n_each, dim))
    return X.astype(np.float32), np.repeat([f"class {c}" for c in range(n_classes)], n_each)


@each_head
@pytest.mark.parametrize("n_classes", [1, 2, 3, 10])
def test_onnx_gives_the_same_logits(head, n_classes):
    X, y = _blobs(n_classes)
    head.fit(X, y)
    queries = np.vstack([X, _blobs(n_classes, seed=1)[0], np.zeros((1, 12)), np.ones((1, 12))])
    logits = _run(head.to_onnx(), queries)
    assert logits.shape == (len(queries), n_classes)
    np.testing.assert_allclose(logits, head.predict_logits(queries), atol=1e-4)


def test_onnx_gives_the_same_known_score():
    X, _ = _blobs()
    scorer = KnownScorer().fit(X)
    queries = np.vstack([X, _blobs(seed=1)[0], np.zeros((1, 12)), -X])
    known = _run(scorer.to_onnx(), queries)
    np.testing.assert_allclose(known, scorer.score(queries), atol=1e-4)
