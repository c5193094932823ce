"""Rules for many tasks: each says what the head of its name says, wherever the products come from."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.heads import (
    RULES,
    InnerProducts,
    LaplacianPrototypes,
    LogisticProbe,
    MatchingClassifier,
    NearestNeighbours,
    Products,
    PrototypeClassifier,
    RidgeProbe,
    ShrinkageLDA,
    SimpleShot,
    SoftKMeansPrototypes,
    softmax,
    transformed,
)

from .samples import blobs

RULE = {rule.name: rule for rule in RULES}
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
HEADS = {
    "nearest_cosine": NearestNeighbours(1, temperature=None),
    "prototypes": PrototypeClassifier(),
    "simple_shot": SimpleShot(),
    "matching": MatchingClassifier(),
    "shrinkage_lda": ShrinkageLDA(),
    "ridge": RidgeProbe(alpha=0.1),
    "logistic": LogisticProbe(),
    "soft_kmeans": SoftKMeansPrototypes(),
    "laplacian": LaplacianPrototypes(),
}


def tasks(n_tasks=3, n_way=3, n_shot=3, n_query=8, seed=0, ragged=False):
    """Return vectors, and support and query rows of tasks on them."""
    X, _ = blobs(5, n_each=30, dim=16)
    random = np.random.default_rng(seed)
    support = np.empty((n_tasks, n_way, n_shot), np.int64)
    query = np.empty((n_tasks, n_query), np.int64)
    for t in range(n_tasks):
        classes = random.permutation(5)[:n_way]
        rows = np.stack([c * 30 + random.permutation(30) for c in classes])
        support[t] = rows[:, :n_shot]
        query[t] = random.permutation(rows[:, n_shot:].ravel())[:n_query]
    if ragged:
        support[0, 1, 1:] = -1
        support[1, 2] = -1
        query[2, 5:] = -1
    return X, support, query


def answers(rule, X, support, query, gram=False):
    inner = InnerProducts(transformed(X, power=rule.power, unit_norm=rule.unit_norm))
    if gram:
        inner.gram = inner.X @ inner.X.T
    return rule.logits(Products.of(inner, support, query, with_pool=rule.transductive))


def from_head(name, X, support, query):
    """Return the logits of a head fitted on one task."""
    rows = support[support >= 0]
    codes = np.broadcast_to(np.arange(len(support))[:, None], support.shape)[support >= 0]
    head, pool = HEADS[name], X[query[query >= 0]]
    if RULE[name].transductive:
        return head.fit(X[rows], codes, pool).predict_logits(pool)
    return head.fit(X[rows], codes).predict_logits(pool)


@pytest.mark.parametrize("name", [n for n in HEADS if n != "laplacian"])
@pytest.mark.parametrize("n_shot", [1, 4])
@pytest.mark.filterwarnings("ignore::handful.heads.UnbalancedPoolWarning")
def test_each_rule_says_what_its_head_says(name, n_shot):
    X, support, query = tasks(n_shot=n_shot)
    logits = answers(RULE[name], X, support, query)
    for t in range(len(support)):
        expected = from_head(name, X, support[t], query[t])
        assert (logits[t].argmax(axis=1) == expected.argmax(axis=1)).all()
        ours, theirs = (a - a.mean(axis=1, keepdims=True) for a in (logits[t], expected))
        if name not in {
            "nearest_cosine",
            "ridge",
            "shrinkage_lda",
        }:  # their logits have a scale of their own
            np.testing.assert_allclose(softmax(ours), softmax(theirs), atol=2e-2)
        elif name != "nearest_cosine":
            np.testing.assert_allclose(
                ours / np.linalg.norm(ours), theirs / np.linalg.norm(theirs), atol=2e-3
            )


def test_the_laplacian_rule_is_its_head_on_the_pool_itself():
    X, support, query = tasks(n_query=30)
    logits = answers(RULE["laplacian"], X, support, query)
    head = LaplacianPrototypes()
    for t in range(len(support)):
        codes = np.repeat(np.arange(3), 3)
        head.fit(X[support[t].ravel()], codes, X[query[t]])
        np.testing.assert_allclose(softmax(logits[t]), head.pool_proba_, atol=2e-2)


@each_rule
def test_looked_up_and_multiplied_products_give_the_same(rule):
    X, support, query = tasks(ragged=True)
    np.testing.assert_allclose(
        answers(rule, X, support, query, gram=True), answers(rule, X, support, query), atol=1e-2
    )


@each_rule
def test_missing_images_and_classes_are_as_if_never_asked_for(rule):
    X, support, query = tasks(ragged=True)
    logits = answers(rule, X, support, query)
    assert (logits[1, :, 2] == -np.inf).all()
    alone = answers(rule, X, support[1:2, :2], query[1:2])
    np.testing.assert_allclose(logits[1:2, :, :2], alone, atol=2e-2, rtol=1e-3)
    short = answers(rule, X, support[2:], query[2:, :5])
    np.testing.assert_allclose(logits[2:, :5], short, atol=2e-2, rtol=1e-3)


@each_rule
def test_one_call_never_changes_the_next(rule):
    X, support, query = tasks()
    inner = InnerProducts(transformed(X, power=rule.power))
    products = Products.of(inner, support, query, with_pool=rule.transductive)
    first = rule.logits(products)
    np.testing.assert_array_equal(rule.logits(products), first)


@each_rule
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_order_of_support_classes_and_queries_does_not_matter(rule, seed):
    X, support, query = tasks(1, seed=seed)
    random = np.random.default_rng(seed)
    plain = answers(rule, X, support, query)
    shots, ways, asked = (random.permutation(n) for n in (3, 3, query.shape[1]))
    moved = answers(rule, X, support[:, ways][:, :, shots], query[:, asked])
    np.testing.assert_allclose(moved, plain[:, asked][:, :, ways], atol=2e-2, rtol=1e-3)


@pytest.mark.parametrize("name", ["soft_kmeans", "laplacian"])
def test_a_transductive_rule_asks_for_its_pool(name):
    X, support, query = tasks()
    inner = InnerProducts(transformed(X))
    with pytest.raises(
        ValueError, match=r"among the query images\. Make them with .*with_pool=True"
    ):
        RULE[name].logits(Products.of(inner, support, query))


@each_rule
def test_inductive_rules_do_not_see_the_other_queries(rule):
    X, support, query = tasks()
    alone = answers(rule, X, support, query[:, :1])
    together = answers(rule, X, support, query)[:, :1]
    assert np.allclose(alone, together, atol=1e-3) != rule.transductive


def test_centring_is_that_of_the_vectors():
    X, support, query = tasks(ragged=True)
    found = Products.of(InnerProducts(X), support, query).centred()
    for t in (0, 2):
        means = np.stack([X[rows[rows >= 0]].mean(axis=0) for rows in support[t]])
        moved = X - means.mean(axis=0)
        rows = support[t].ravel()
        np.testing.assert_allclose(
            found.cross[t][:5][:, rows >= 0], (moved[query[t]] @ moved[rows].T)[:5][:, rows >= 0], atol=2e-3
        )  # fmt: skip


def test_gram_is_taken_where_it_is_cheaper():
    X = np.ones((100, 512), np.float32)
    assert InnerProducts(X, rows=10, pairs=10).gram is None
    assert InnerProducts(X, rows=10**7, pairs=10**7).gram is not None


def test_settings_of_a_rule_are_arguments():
    X, support, query = tasks()
    products = Products.of(InnerProducts(transformed(X)), support, query)
    hot = partial(RULE["matching"].logits, temperature=1.0)(products)
    assert not np.allclose(hot, RULE["matching"].logits(products))
