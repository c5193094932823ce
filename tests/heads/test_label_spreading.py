"""Label spreading and the spreading probe: the graph, what they gain, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from handful.heads import (
    LabelSpreading,
    LinearProbe,
    SelfTraining,
    SpreadingProbe,
    TemperatureScaled,
    WithPool,
    softmax,
)
from handful.heads.graph import mutual_graph, spread
from handful.heads.label_spreading import with_class_masses
from handful.heads.pool import Pool
from handful.heads.unlabelled import aligned

from .samples import blobs, queries, run

HEADS = [LabelSpreading(), SpreadingProbe(), SpreadingProbe(automatic=False), SelfTraining()]
each_head = pytest.mark.parametrize("head", HEADS, ids=repr)


def few_labels(n_classes=3, n_each=30, labels=2, seed=0):
    """Return a labelled part, its labels and an unlabelled part with its classes."""
    X, y = blobs(n_classes, n_each, seed=seed)
    labelled = np.arange(len(y)) % n_each < labels
    return X[labelled], y[labelled], X[~labelled], y[~labelled]


def crescents(n_each=100):
    """Return two long classes, so that similar vectors agree but distant ones of a class do not."""
    along = np.tile(np.linspace(0, np.pi, n_each), 2)
    y = np.repeat(["lower", "upper"], n_each)
    sign = np.where(y == "upper", 1, -1)
    x, z = np.cos(along) * sign + (y == "lower"), np.sin(along) * sign + (y == "lower") * 0.4
    return np.stack([x + 3, z + 3, np.ones(len(y))], axis=1).astype(np.float32), y


@parametrize_with_checks([LabelSpreading(), SpreadingProbe()])
def test_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_graph_is_symmetric_mutual_and_bounded():
    X = blobs(4, 10)[0]
    graph = mutual_graph(X, 5, temperature=0.1)
    dense = graph.toarray()
    np.testing.assert_allclose(dense, dense.T, atol=1e-6)
    assert (np.diag(dense) == 0).all()
    assert ((dense > 0).sum(axis=1) <= 5).all()
    assert np.linalg.eigvalsh(dense).max() < 1 + 1e-5


def test_duplicates_are_neighbours_but_never_of_themselves():
    X = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    dense = mutual_graph(X, 2, temperature=0.1).toarray()
    assert (np.diag(dense) == 0).all()
    assert np.isfinite(dense).all()


def test_an_isolated_row_keeps_its_direction():
    X = np.array([[1, 0], [1, 0.1], [0, 1]], np.float32)
    graph = mutual_graph(X, 1, temperature=0.1)
    values = np.array([[1, 0], [0, 1], [0.3, 0.7]], np.float32)
    after = spread(graph, values, alpha=0.9, n_steps=20)
    np.testing.assert_allclose(after[2] / after[2].sum(), values[2], rtol=1e-5)


def test_unreached_rows_have_the_prior():
    mass = np.array([[1, 0], [0, 3], [0, 0]], np.float32)
    shares, prior = with_class_masses(mass, np.array([0.2, 0.8]))
    np.testing.assert_allclose(shares, [[1, 0], [0, 1], [0.2, 0.8]])
    np.testing.assert_allclose(prior, [0.2, 0.8])


def test_the_prior_is_estimated_from_what_the_labels_reach():
    mass = np.repeat([[1, 0.01], [0.01, 1]], [10, 90], axis=0).astype(np.float32)
    np.testing.assert_allclose(with_class_masses(mass, None)[1], [0.1, 0.9], atol=0.02)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), share=st.floats(0.1, 0.9))
def test_aligned_probabilities_have_the_prior_as_mean(seed, share):
    logits = np.random.default_rng(seed).normal(size=(50, 2))
    proba = aligned(logits, np.array([share, 1 - share]))
    np.testing.assert_allclose(proba.mean(axis=0), [share, 1 - share], atol=0.01)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("shape", [(20, 6), (6, 20)])
def test_held_out_scores_are_those_of_a_regression_without_the_row(shape):
    random = np.random.default_rng(0)
    pool = Pool(random.random(shape, np.float32)[:2], random.random(shape, np.float32)[2:])
    targets = random.random((shape[0], 3)).astype(np.float32)
    found = pool.held_out(targets, 0.5, np.array([4]))
    others = np.arange(shape[0]) != 4
    rows, goal = pool.rows[others].astype(float), targets[others].astype(float)
    mean = rows.mean(axis=0), goal.mean(axis=0)
    centred = rows - mean[0]
    weight = np.linalg.solve(
        centred.T @ centred + 0.5 * np.eye(shape[1]), centred.T @ (goal - mean[1])
    )
    np.testing.assert_allclose(found[0], (pool.rows[4] - mean[0]) @ weight + mean[1], atol=1e-4)


def test_labels_follow_the_shape_of_the_pool():
    X, y = crescents()
    labelled = np.array([50, 150])
    head = LabelSpreading(5).fit(X[labelled], y[labelled], np.delete(X, labelled, axis=0))
    spread_to = head.classes_[head.label_distributions_[2:].argmax(axis=1)]
    assert (spread_to == np.delete(y, labelled)).mean() > 0.95


@each_head
@pytest.mark.parametrize("labels", [1, 2, 5])
def test_the_pool_does_not_hurt_where_it_is_of_the_same_kind(head, labels):
    ours, plain = [], []
    for seed in range(3):
        X, y, U, truth = few_labels(4, labels=labels, seed=seed)
        ours.append(clone(head).fit(X, y, U).score(U, truth))
        plain.append(LinearProbe().fit(X, y).score(U, truth))
    assert np.mean(ours) >= np.mean(plain) - 0.02


@each_head
def test_onnx_gives_the_same_logits(head):
    X, y, U, _ = few_labels()
    head = clone(head).fit(X, y, U)
    asked = np.vstack([U, queries()])
    np.testing.assert_allclose(run(head.to_onnx(), asked), head.predict_logits(asked), atol=1e-3)
    assert len(head.to_onnx().SerializeToString()) < 2_000


@each_head
def test_shapes_and_types(head):
    X, y, U, _ = few_labels()
    head = clone(head).fit(X, y, U)
    assert head.loo_logits_.shape == (len(y), 3)
    assert head.loo_logits_.dtype == head.predict_proba(U).dtype == np.float32
    np.testing.assert_array_equal(head.predict_proba(U), softmax(head.predict_logits(U)))


@each_head
def test_leave_one_out_is_not_fooled_by_labels_without_meaning(head):
    random = np.random.default_rng(0)
    X, U = random.normal(size=(30, 40)), random.normal(size=(60, 40))
    y = np.repeat(["a", "b", "c"], 10)
    head = clone(head).fit(X, y, U)
    assert (head.classes_[head.loo_logits_.argmax(axis=1)] == y).mean() < 0.6


@each_head
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_order_of_the_pool_does_not_matter(head, seed):
    X, y, U, _ = few_labels(n_each=10)
    order = np.random.default_rng(seed).permutation(len(U))
    plain, shuffled = clone(head).fit(X, y, U), clone(head).fit(X, y, U[order])
    np.testing.assert_allclose(plain.predict_proba(U), shuffled.predict_proba(U), atol=5e-3)


@each_head
def test_same_data_give_the_same_bits(head):
    X, y, U, _ = few_labels()
    first, second = (clone(head).fit(X, y, U).predict_logits(U) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def two_hundred_to_one():
    X, y = blobs(2, 200)
    U = np.vstack([X[:150], X[399:]])
    return X[[150, 151, 152, 398]], y[[150, 151, 152, 398]], U


def isolated_and_zero():
    X, y, U, _ = few_labels()
    return X, y, np.vstack([U, np.zeros((2, 12)), np.eye(12)[:3]])


def one_unlabelled():
    X, y, U, _ = few_labels()
    return X, y, U[:1]


def pool_is_the_labelled_part():
    X, y, _, _ = few_labels()
    return X, y, X


def one_label_a_class():
    return few_labels(labels=1)[:3]


def two_labels_in_all():
    return few_labels(2, labels=1)[:3]


def half_precision():
    X, y, U, _ = few_labels()
    return X.astype(np.float16), y, U.astype(np.float16)


EDGES = [
    two_hundred_to_one, isolated_and_zero, one_unlabelled, pool_is_the_labelled_part,
    one_label_a_class, two_labels_in_all, half_precision,
]  # fmt: skip


@each_head
@pytest.mark.parametrize("case", EDGES)
def test_edges_give_finite_and_right_answers(head, case):
    X, y, U = case()
    head = clone(head).fit(X, y, U)
    assert np.isfinite(head.loo_logits_).all()
    assert np.isfinite(head.predict_logits(U)).all()
    assert head.score(X, y) == 1


@each_head
def test_no_pool_is_the_labels_alone(head):
    X, y, _, _ = few_labels()
    assert clone(head).fit(X, y).score(X, y) == 1


def test_without_a_pool_the_spreading_probe_is_the_probe():
    X, y, U, _ = few_labels()
    head, probe = SpreadingProbe().fit(X, y), LinearProbe().fit(X, y)
    np.testing.assert_allclose(head.predict_logits(U), probe.predict_logits(U), atol=1e-5)
    assert head.verdict_.reason == "There are no unlabelled vectors."
    assert head.pseudo_proba_ is None


@pytest.mark.parametrize("seed", range(4))
def test_a_pool_without_gain_is_left_aside(seed):
    X, y, U, _ = few_labels(4, n_each=40, labels=8, seed=seed)
    random = np.random.default_rng(seed)
    noise = np.stack([random.permutation(column) for column in U.T], axis=1)
    misled = SpreadingProbe(automatic=False).fit(X, y, noise)
    head = SpreadingProbe().fit(X, y, noise)
    assert misled.verdict_.kept == "spreading"
    if misled.verdict_.gain > 0:
        assert head.verdict_ == misled.verdict_
    else:
        assert head.verdict_.kept == "probe"
        assert "the plain probe is kept" in head.verdict_.reason
        np.testing.assert_array_equal(head.predict(U), LinearProbe().fit(X, y).predict(U))


def test_a_pool_of_the_same_kind_is_used_and_its_gain_reported():
    X, y, U, _ = few_labels(5, labels=4)
    verdict = SpreadingProbe().fit(X, y, U).verdict_
    assert verdict.kept == "spreading"
    assert verdict.low <= verdict.gain <= verdict.high
    assert verdict.n == 20
    assert "learns from them is preferred" in verdict.reason


def test_a_given_prior_moves_the_answers():
    X, y, U, _ = few_labels(2)
    often = SpreadingProbe(class_prior={"class 0": 0.9, "class 1": 0.1}, automatic=False).fit(
        X, y, U
    )
    rarely = SpreadingProbe(class_prior=[0.1, 0.9], automatic=False).fit(X, y, U)
    assert often.pseudo_proba_[:, 0].mean() > rarely.pseudo_proba_[:, 0].mean()


def test_a_large_pool_is_drawn_from():
    X, y, U, _ = few_labels()
    assert SpreadingProbe(max_unlabelled=20).fit(X, y, U).pseudo_proba_.shape == (20, 3)


@each_head
@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ([0.5, 0.5, 0.5], "must be above 0 for every class and sum to 1. Got the sum 1.5"),
        ([0.0, 0.5, 0.5], "sum to 1. Got the sum 1 and the least 0"),
        ([0.5, 0.5], "one share a class, 3. Got the shape"),
        ({"class 0": 0.5, "lynx": 0.5}, "names a class without a label: lynx"),
    ],
)
def test_bad_priors_are_named(head, prior, message):
    X, y, U, _ = few_labels()
    with pytest.raises(ValueError, match=f"The 'class_prior' of {type(head).__name__} .*{message}"):
        clone(head).set_params(class_prior=prior).fit(X, y, U)


@each_head
@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (np.empty((0, 12)), "must have at least one row. Got none. Leave it out"),
        (np.ones((3, 5)), "must have 12 features, as X. Got 5. Embed both"),
        (np.full((3, 12), np.nan), "X_unlabelled contains NaN"),
    ],
)
def test_bad_pools_are_named(head, pool, message):
    X, y, _, _ = few_labels()
    with pytest.raises(ValueError, match=message):
        clone(head).fit(X, y, pool)


@each_head
def test_one_class_is_refused(head):
    with pytest.raises(
        ValueError, match=r"at least 2 classes. Got one class, .*cat.* Label images"
    ):
        clone(head).fit(np.ones((2, 3)), ["cat", "cat"], np.ones((4, 3)))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (LabelSpreading(0), "'n_neighbors' parameter of LabelSpreading must be a whole number"),
        (LabelSpreading(alpha=1.0), "'alpha' .* above 0.0 and below 1.0. Got 1.0"),
        (SpreadingProbe(temperature=0.0), "'temperature' parameter of SpreadingProbe must be"),
        (SpreadingProbe(2.5), "'n_neighbors' .* a whole number above 0"),
        (SpreadingProbe(max_unlabelled=0), "'max_unlabelled' .* above 0"),
    ],
)
def test_parameters_out_of_range_are_named(head, message):
    with pytest.raises(ValueError, match=message):
        head.fit(*few_labels()[:3])


def test_a_pool_of_another_kind_is_left_aside_unless_it_clearly_helps():
    X, y, _, _ = few_labels(4, n_each=40, labels=8)
    _, _, other, _ = few_labels(9, n_each=40, labels=8)
    other = other[:, ::-1].copy()
    head = SpreadingProbe().fit(X, y, other)
    assert head.verdict_.likeness < 0.2
    assert head.verdict_.kept == "probe"
    assert "of another kind" in head.verdict_.reason


def test_clones_of_a_head_with_its_pool_share_the_pool():
    X, y, U, _ = few_labels(3)
    head = WithPool(SpreadingProbe(), U)
    again = clone(TemperatureScaled(head)).fit(X, y)
    assert again.head.X_unlabelled is U
    expected = SpreadingProbe().fit(X, y, U)
    np.testing.assert_array_equal(again.head_.predict_logits(U), expected.predict_logits(U))
    np.testing.assert_array_equal(again.head_.loo_logits_, expected.loo_logits_)
    assert again.to_onnx().graph.output
