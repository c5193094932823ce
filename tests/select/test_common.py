"""What every selection promises, whatever the pool."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful import select

N_CLASSES = 3


def weights(dim):
    return np.random.default_rng(5).normal(size=(dim, N_CLASSES)).astype(np.float32)


def probabilities(X, n_classes=N_CLASSES, noise=0.0, seed=0):
    rng = np.random.default_rng([seed, 2])
    logits = X @ weights(X.shape[1])[:, :n_classes]
    logits = logits + noise * rng.normal(size=logits.shape).astype(np.float32)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def members(X, n_classes=N_CLASSES):
    return np.stack([probabilities(X, n_classes, 0.5, seed) for seed in range(4)])


def of_model(rule):
    def call(X, labelled, n, seed, n_classes):
        proba = None if n_classes == 0 else probabilities(X, n_classes)
        return rule(proba=proba, X=X, labelled=labelled, n=n, random_state=seed)

    return call


def of_members(rule):
    def call(X, labelled, n, seed, n_classes):
        proba = None if n_classes == 0 else members(X, n_classes)
        return rule(proba=proba, X=X, labelled=labelled, n=n, random_state=seed)

    return call


def of_predictor(X, labelled, n, seed, n_classes):
    predict = partial(probabilities, n_classes=n_classes) if n_classes else None
    return select.dropquery(predict_proba=predict, X=X, labelled=labelled, n=n, random_state=seed)


def of_examples(X, labelled, n, seed, n_classes):
    examples = labelled if len(labelled) else [0]
    return select.more_like_these(examples=examples, X=X, labelled=labelled, n=n, random_state=seed)


def of_counts(rule):
    def call(X, labelled, n, seed, n_classes):
        proba = None if n_classes == 0 else probabilities(X, n_classes)
        y = np.arange(len(labelled)) % max(n_classes, 1)
        return rule(proba=proba, X=X, labelled=labelled, y=y, n=n, random_state=seed)

    return call


SIMPLE = (
    "random", "margin", "entropy", "least_confidence", "expected_error", "k_center", "k_means",
    "typiclust", "probcover", "badge", "margin_k_means", "default",
)  # fmt: skip
RULES = {
    **{name: of_model(getattr(select, name)) for name in SIMPLE},
    **{name: of_members(getattr(select, name)) for name in ("bald", "batch_bald", "epig")},
    **{name: of_counts(getattr(select, name)) for name in ("class_balanced", "rare_class")},
    "dropquery": of_predictor,
    "more_like_these": of_examples,
}
DRAWN = {"random", "expected_error"}
each_rule = pytest.mark.parametrize("rule", RULES)


@st.composite
def pools(draw):
    """Ordinary vectors, copies of one another, one vector alone, zeros, huge and tiny ones."""
    n_samples, dim = draw(st.integers(1, 40)), draw(st.integers(1, 6))
    kind = draw(st.sampled_from(["ordinary", "copies", "constant", "zero", "huge", "tiny"]))
    X = np.random.default_rng(draw(st.integers(0, 99))).normal(size=(n_samples, dim))
    factor = {"zero": 0.0, "huge": 1e6, "tiny": 1e-12}.get(kind, 1.0)
    X = np.repeat(X[:1], n_samples, axis=0) if kind == "constant" else X * factor
    X = X[np.arange(n_samples) // 3 * 3] if kind == "copies" else X
    labelled = draw(st.lists(st.integers(0, n_samples - 1), unique=True))
    return X.astype(np.float32), np.array(sorted(labelled), np.int64)


@each_rule
@settings(max_examples=25, deadline=None)
@given(
    pool=pools(), n=st.integers(0, 50), seed=st.integers(0, 9), n_classes=st.sampled_from([0, 1, 3])
)
def test_picks_are_distinct_unlabelled_clipped_and_repeatable(rule, pool, n, seed, n_classes):
    X, labelled = pool
    first, again = (RULES[rule](X, labelled, n, seed, n_classes) for _ in range(2))
    seen = set(labelled.tolist()) | (
        {0} if rule == "more_like_these" and not len(labelled) else set()
    )
    assert first.indices.dtype == np.int64 and first.q.dtype == np.float64
    assert len(set(first.indices.tolist())) == len(first) == min(n, len(X) - len(seen))
    assert not seen & set(first.indices.tolist())
    assert all(0 <= row < len(X) for row in first.indices)
    np.testing.assert_array_equal(first.indices, again.indices)
    np.testing.assert_array_equal(first.q, again.q)
    if rule in DRAWN:
        assert ((first.q > 0) & (first.q <= 1 + 1e-9)).all()
    else:
        assert np.isnan(first.q).all()


@each_rule
def test_arrays_are_left_as_they_are(rule):
    X = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    X.setflags(write=False)
    labelled = np.array([1, 5])
    labelled.setflags(write=False)
    assert len(RULES[rule](X, labelled, 7, 0, 3)) == 7


@pytest.mark.parametrize("rule", [r for r in RULES if RULES[r] is not of_examples])
def test_a_mask_of_labelled_rows_says_the_same_as_their_numbers(rule):
    X = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    rows, mask = np.array([1, 5, 9]), np.isin(np.arange(30), [1, 5, 9])
    n_classes = 0 if rule in ("class_balanced", "rare_class") else 3
    np.testing.assert_array_equal(
        RULES[rule](X, rows, 5, 0, n_classes).indices, RULES[rule](X, mask, 5, 0, n_classes).indices
    )


@pytest.mark.parametrize(
    "rule", ["margin", "entropy", "least_confidence", "bald", "k_center", "rare_class"]
)
def test_order_of_the_pool_does_not_matter_to_the_deterministic(rule):
    X = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    order = np.random.default_rng(1).permutation(30)
    place = np.argsort(order)
    if rule == "bald":
        proba = members(X)
        plain = select.bald(proba=proba, labelled=[2], n=5).indices
        moved = select.bald(proba=proba[:, order], labelled=[place[2]], n=5).indices
    else:
        plain = RULES[rule](X, np.array([2]), 5, 0, 3).indices
        moved = RULES[rule](X[order], place[[2]], 5, 0, 3).indices
    np.testing.assert_array_equal(plain, order[moved])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"proba": None}, "needs 'proba', or 'X'"),
        ({"proba": [0.5, 0.5]}, r"must be of shape \(n_samples, n_classes\)"),
        ({"proba": [[np.nan, 0.5]]}, "holds NaN or infinity"),
        ({"proba": [[0.5, 0.5]], "labelled": [3]}, "must be rows of the pool, 0 to 0. Got 3 to 3"),
        ({"proba": [[0.5, 0.5]], "n": -1}, "must be an int of at least 0. Got -1"),
        ({"proba": [[0.5, 0.5]], "X": [[1.0], [2.0]]}, "Got 2 and 1 rows"),
        ({"proba": [[0.5, 0.5]], "X": [1.0]}, "must have 2 axes"),
    ],
)
def test_bad_input_is_one_message(arguments, message):
    with pytest.raises(ValueError, match=message):
        select.margin(**{"n": 1, **arguments})


@pytest.mark.parametrize("rule", ["k_center", "k_means", "typiclust", "probcover", "default"])
def test_vectors_must_be_there_and_finite(rule):
    with pytest.raises(ValueError, match="needs"):
        getattr(select, rule)(proba=None, X=None, n=1)
    with pytest.raises(ValueError, match="NaN or infinity"):
        getattr(select, rule)(proba=None, X=[[np.inf], [1.0]], n=1)
