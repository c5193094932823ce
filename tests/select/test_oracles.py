"""Every rule against the plainest code that says the same, and what each is for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.cluster import KMeans

from handful import select
from handful.select.badge import _Gradients
from handful.select.clusters import assigned, central, k_means_clusters
from handful.select.committee import shared_information
from handful.select.hybrid import is_cold
from handful.select.picks import opened
from handful.select.probcover import _covering, _radius
from handful.select.scores import entropies, information, margins

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 5)).astype(np.float32)
PROBA = RNG.dirichlet(np.ones(4), 200).astype(np.float32)
MEMBERS = RNG.dirichlet(np.ones(3), (6, 60)).astype(np.float32)


def test_scores_are_those_of_the_textbook():
    ordered = np.sort(PROBA, axis=1)
    np.testing.assert_allclose(margins(PROBA), ordered[:, -1] - ordered[:, -2], atol=1e-7)
    np.testing.assert_allclose(entropies(PROBA), -(PROBA * np.log(PROBA)).sum(axis=1), rtol=1e-5)
    assert margins(np.ones((3, 1), np.float32)).tolist() == [1, 1, 1]
    assert entropies(np.array([[1.0, 0.0]], np.float32)).tolist() == [0]


@pytest.mark.parametrize(
    ("rule", "score"),
    [
        ("margin", margins(PROBA)),
        ("entropy", -entropies(PROBA)),
        ("least_confidence", PROBA.max(axis=1)),
    ],
)
def test_uncertainty_takes_the_lowest_in_order(rule, score):
    free = np.setdiff1d(np.arange(200), [0, 7])
    expected = free[np.argsort(score[free])][:12]
    picks = getattr(select, rule)(proba=PROBA, labelled=[0, 7], n=12)
    np.testing.assert_array_equal(picks.indices, expected)


def test_ties_are_broken_at_random():
    drawn = {
        int(select.margin(proba=np.full((9, 2), 0.5), n=1, random_state=seed).indices[0])
        for seed in range(60)
    }
    assert len(drawn) > 5


def test_random_is_uniform_and_knows_it():
    counts = np.zeros(5)
    for seed in range(400):
        counts[select.random(X=X[:5], n=2, random_state=seed).indices] += 1
    assert counts.min() > 120 and counts.max() < 200
    np.testing.assert_allclose(select.random(X=X[:5], n=2).q, [1 / 5, 1 / 4])


def test_expected_error_draws_as_often_as_it_says():
    proba = np.array([[0.5, 0.5], [0.9, 0.1], [1.0, 0.0]])
    picks = [select.expected_error(proba=proba, n=1, random_state=seed) for seed in range(3000)]
    counts = np.bincount([p.indices[0] for p in picks], minlength=3) / 3000
    said = {int(p.indices[0]): float(p.q[0]) for p in picks}
    np.testing.assert_allclose(counts, [said[row] for row in range(3)], atol=0.03)
    assert sum(said.values()) == pytest.approx(1)
    with pytest.raises(ValueError, match="must be in"):
        select.expected_error(proba=proba, n=1, uniform_share=0.0)


@pytest.mark.parametrize("n_labelled", [0, 1, 30])
def test_k_center_is_the_plain_greedy_algorithm(n_labelled):
    big = np.random.default_rng(1).normal(size=(5000, 8)).astype(np.float32)
    labelled = np.arange(n_labelled)
    found = select.k_center(X=big, labelled=labelled, n=40).indices
    centres = list(labelled) or [int(found[0])]
    apart = np.min([np.square(big - big[c]).sum(axis=1) for c in centres], axis=0)
    for row in found[0 if n_labelled else 1 :]:
        assert apart[row] == pytest.approx(apart.max(), rel=1e-4)
        apart = np.minimum(apart, np.square(big - big[row]).sum(axis=1))


def test_k_means_lowers_the_error_like_scikit_learn():
    found = k_means_clusters(X, 10, np.random.default_rng(0))
    theirs = KMeans(10, n_init=5, random_state=0).fit(X).inertia_
    assert found.distances.sum() <= 1.1 * theirs
    np.testing.assert_allclose(
        found.distances, np.square(X - found.centres[found.codes]).sum(axis=1), atol=1e-4
    )
    codes, _ = assigned(X, found.centres)
    np.testing.assert_array_equal(codes, found.codes)
    rows = central(found, 10)
    assert sorted(found.codes[rows]) == list(range(10))


def test_weights_pull_the_centres():
    rows = np.array([[0.0], [1.0]], np.float32)
    found = k_means_clusters(rows, 1, np.random.default_rng(0), np.array([3, 1], np.float32))
    np.testing.assert_allclose(found.centres, [[0.25]])


def test_typiclust_takes_the_typical_of_clusters_without_a_label():
    centres = np.repeat([[0, 0], [20, 0], [0, 20]], [30, 20, 10], axis=0)
    rows = (centres + np.random.default_rng(2).normal(size=(60, 2))).astype(np.float32)
    found = select.typiclust(X=rows, labelled=[0], n=2).indices
    assert [30 <= found[0] < 50, found[1] >= 50] == [True, True]
    inside = rows[30:50]
    apart = np.linalg.norm(inside[:, None] - inside, axis=2)
    assert found[0] == 30 + (apart.sum(axis=1) / 19).argmin()


def test_probcover_is_the_plain_greedy_cover():
    pool = opened("probcover", X=X, proba=None, labelled=[3], n=12, random_state=0, uses_X=True)
    is_free = np.arange(200) != 3
    found = _covering(pool.vectors, 2.0, is_free, pool)
    near = np.square(X[:, None] - X).sum(axis=2) <= 2.0
    covered = near[3].copy()
    for row in found:
        gain = (near & ~covered).sum(axis=1) * is_free
        assert gain[row] == gain.max()
        covered |= near[row]


def test_probcover_radius_has_the_purity_asked_for():
    radius = _radius(X, 4, 0.9, np.random.default_rng(0))
    codes = k_means_clusters(X, 4, np.random.default_rng(0)).codes
    apart = np.square(X[:, None] - X).sum(axis=2)
    pure = [len(set(codes[row < radius])) == 1 for row in apart]
    assert np.mean(pure) == pytest.approx(0.9, abs=0.02)


def test_badge_measures_gradients_that_are_never_formed():
    residuals = PROBA - np.eye(4, dtype=np.float32)[PROBA.argmax(axis=1)]
    full = (residuals[:, :, None] * X[:, None, :]).reshape(200, -1)
    found = _Gradients(X, PROBA).distances(np.arange(200), np.array([0, 17]))
    expected = np.square(full[:, None] - full[[0, 17]]).sum(axis=2)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_badge_draws_as_k_means_plus_plus_would():
    """The second of two draws, whose bounds are those before the first."""
    rows = np.array([[0.1], [2.0], [2.5], [-3.0], [-3.1]], np.float32)
    expected, counts = np.zeros((5, 5)), np.zeros((5, 5))
    for first in range(5):
        apart = np.square(rows - rows[first]).ravel()
        expected[first] = np.square(rows[first]) / np.square(rows).sum() * apart / apart.sum()
    for seed in range(4000):
        first, second = select.badge(proba=None, X=rows, n=2, random_state=seed).indices
        counts[first, second] += 1 / 4000
    np.testing.assert_allclose(counts, expected, atol=0.025)


def naive_joint_information(rows):
    """Return the mutual information between the labels of rows and the member, by enumeration."""
    joint = 0.0
    for labels in itertools.product(range(3), repeat=len(rows)):
        p = np.prod(
            [MEMBERS[:, r, c].astype(np.float64) for r, c in zip(rows, labels, strict=True)], axis=0
        ).mean()
        joint -= p * np.log(p)
    own = -(MEMBERS * np.log(MEMBERS)).sum(axis=2).mean(axis=0)
    return joint - own[rows].sum()


def test_bald_is_the_information_of_one_label():
    expected = [naive_joint_information([row]) for row in range(60)]
    np.testing.assert_allclose(information(MEMBERS), expected, atol=1e-5)


def test_batch_bald_is_the_greedy_batch():
    found = select.batch_bald(proba=MEMBERS, n=4).indices
    chosen: list[int] = []
    for row in found:
        rest = [r for r in range(60) if r not in chosen]
        best = max(naive_joint_information([*chosen, r]) for r in rest)
        assert naive_joint_information([*chosen, int(row)]) == pytest.approx(best, abs=1e-4)
        chosen.append(int(row))


def test_batch_bald_with_drawn_outcomes_stays_near_the_best():
    few = select.batch_bald(proba=MEMBERS, n=5, n_outcomes=50).indices.tolist()
    exact = select.batch_bald(proba=MEMBERS, n=5).indices.tolist()
    assert naive_joint_information(few) >= 0.9 * naive_joint_information(exact)


def test_batch_bald_takes_no_copies_where_bald_does():
    one, other = [[1.0, 0.0]] * 3 + [[0.9, 0.1]], [[0.0, 1.0]] * 3 + [[0.1, 0.9]]
    third = [[1.0, 0.0]] * 3 + [[0.1, 0.9]]
    proba = np.array([one, other, third])
    assert 3 in select.batch_bald(proba=proba, n=2).indices
    assert 3 not in select.bald(proba=proba, n=2).indices


def test_epig_is_the_mean_mutual_information_with_the_targets():
    targets = MEMBERS[:, :7]
    expected = []
    for row in range(60):
        total = 0.0
        for target in range(7):
            joint = np.einsum("sa,sb->ab", MEMBERS[:, row], targets[:, target]) / 6
            product = np.outer(MEMBERS[:, row].mean(axis=0), targets[:, target].mean(axis=0))
            total += (joint * np.log(joint / product)).sum()
        expected.append(total / 7)
    np.testing.assert_allclose(shared_information(MEMBERS, targets), expected, atol=1e-5)


def test_dropquery_takes_images_that_change_and_are_apart():
    kinds = [[1.0, 0.9], [0.9, 1.0], [5.0, 0.0], [0.0, 5.0]]
    rows = np.repeat(np.array(kinds * 5, np.float32), 32, axis=1)

    def halves(v):
        return v.reshape(len(v), 2, 32).sum(axis=2)

    picks = select.dropquery(predict_proba=halves, X=rows, n=2)
    assert set(picks.indices % 4) == {0, 1}
    assert picks.indices[0] % 4 != picks.indices[1] % 4


def test_hybrid_spreads_over_the_unsure():
    places = np.repeat([[0.0], [10.0], [20.0], [30.0]], 50, axis=0).astype(np.float32)
    places += np.random.default_rng(0).normal(size=(200, 1)).astype(np.float32) / 10
    unsure = np.isin(np.arange(200) // 50, [1, 3])
    proba = np.where(unsure[:, None], [0.5, 0.5], [1.0, 0.0]) + np.linspace(0, 0.01, 200)[:, None]
    found = select.margin_k_means(proba=proba, X=places, n=2).indices
    assert sorted(found // 50) == [1, 3]


def test_default_switches_when_there_is_a_label_a_class():
    assert is_cold(None, 9) and is_cold(np.ones((5, 1)), 9) and is_cold(PROBA, 3)
    assert not is_cold(PROBA, 4)
    cold = select.default(proba=PROBA, X=X, labelled=[0], n=5)
    warm = select.default(proba=PROBA, X=X, labelled=[0, 1, 2, 3], n=5)
    np.testing.assert_array_equal(cold.indices, select.typiclust(X=X, labelled=[0], n=5).indices)
    hybrid = select.margin_k_means(proba=PROBA, X=X, labelled=[0, 1, 2, 3], n=5)
    np.testing.assert_array_equal(warm.indices, hybrid.indices)


def test_class_balanced_fills_the_poorest_class_first():
    found = select.class_balanced(proba=PROBA, labelled=[0, 1, 2], y=[0, 0, 1], n=9)
    counts = np.array([2, 1, 0, 0])
    counts += np.bincount(PROBA.argmax(axis=1)[found.indices], minlength=4)
    assert counts.max() - counts.min() <= 1
    with pytest.raises(ValueError, match="a class for each of the 3 labelled rows"):
        select.class_balanced(proba=PROBA, labelled=[0, 1, 2], y=[0], n=1)
    with pytest.raises(ValueError, match="columns of 'proba', 0 to 3"):
        select.class_balanced(proba=PROBA, labelled=[0], y=[7], n=1)


def test_rare_class_looks_for_the_class_with_fewest_labels():
    found = select.rare_class(proba=PROBA, labelled=[0, 1, 2], y=[0, 1, 3], n=5).indices
    free = np.arange(3, 200)
    np.testing.assert_array_equal(found, free[np.argsort(-PROBA[free, 2])][:5])
    with pytest.raises(ValueError, match="one of the 4 columns"):
        select.rare_class(proba=PROBA, column=4, n=1)


def test_more_like_these_goes_by_cosine_to_the_nearest_example():
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    expected = np.argsort(-(unit @ unit[[4, 9]].T).max(axis=1))
    found = select.more_like_these(examples=[9, 4], X=X, labelled=[int(expected[3])], n=3).indices
    np.testing.assert_array_equal(found, expected[[2, 4, 5]])
    with pytest.raises(ValueError, match="Got none"):
        select.more_like_these(examples=[], X=X, n=1)


def test_prepared_axes_are_white_and_few():
    activations = np.random.default_rng(0).gamma(1.0, 1.0, (300, 40)).astype(np.float32)
    found = select.prepared(activations, n_axes=10)
    np.testing.assert_allclose(found.T @ found / 300, np.eye(10), atol=1e-3)
    assert select.prepared(activations[:5]).shape == (5, 4)
    assert select.prepared(np.ones((4, 3))).shape[0] == 4
    assert np.isfinite(select.prepared(np.zeros((4, 3)))).all()
