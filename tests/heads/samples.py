"""Small vectors for the tests of the heads, and a run of an ONNX model."""

from __future__ import annotations

import numpy as np
import onnxruntime


def blobs(n_classes=3, n_each=6, dim=12, seed=0):
    """Return non-negative vectors around class centres, like pooled activations."""
    rng = np.random.default_rng([seed, 1])
    centres = np.random.default_rng(7).gamma(1.0, 1.0, (n_classes, dim))
    X = np.repeat(centres, n_each, axis=0) + rng.gamma(1.0, 0.4, (n_classes * n_each, dim))
    return X.astype(np.float32), np.repeat([f"class {c}" for c in range(n_classes)], n_each)


def run(model, X):
    """Return the output of an ONNX model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"embedding": X.astype(np.float32)})[0]


def queries(dim=12):
    """Return ordinary vectors, and zeros, ones, negative, huge and tiny ones."""
    ordinary = blobs(seed=1, dim=dim)[0]
    odd = [np.zeros((1, dim)), np.ones((1, dim)), -ordinary[:2], ordinary[:2] * 1e-20]
    return np.vstack([ordinary, *odd]).astype(np.float32)
