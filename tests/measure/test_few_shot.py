"""Figures over tasks: right, paired, with intervals that keep their promise."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from handful.backbones import BackboneSpec, Classifier
from handful.core import MeasureError
from handful.heads import RULES, LinearProbe, PrototypeClassifier
from handful.images import Preprocess
from handful.measure import (
    Realism,
    evaluate_episodes,
    pretraining_overlap,
    prototype_distances,
    sample_episodes,
)
from handful.measure.episode_figures import known_auroc
from handful.measure.shared_images import SharedImages

RULE = {rule.name: rule for rule in RULES}


def world(n_classes=8, n_each=30, dim=12, noise=1.0, seed=0):
    """Return vectors of classes around fixed centres, other images with every seed."""
    centres = np.random.default_rng(99).normal(size=(n_classes, dim))
    random = np.random.default_rng(seed)
    X = np.repeat(centres, n_each, axis=0) + noise * random.normal(size=(n_classes * n_each, dim))
    return X.astype(np.float32), np.repeat([f"class {c}" for c in range(n_classes)], n_each)


def test_accuracy_is_that_of_the_head_task_by_task():
    X, y = world()
    tasks = sample_episodes(y, 4, 2, 5, 20)
    report = evaluate_episodes(
        X, y, tasks, {"rule": RULE["prototypes"], "head": PrototypeClassifier()}
    )
    rule, head = report.methods["rule"], report.methods["head"]
    np.testing.assert_allclose(rule.accuracies, head.accuracies)
    by_hand = []
    for t in range(20):
        fitted = PrototypeClassifier().fit(X[tasks.support[t].ravel()], y[tasks.support[t].ravel()])
        by_hand.append(fitted.score(X[tasks.query[t]], y[tasks.query[t]]))
    assert rule.accuracy.value == pytest.approx(np.mean(by_hand))
    assert rule.accuracy.n == 20
    assert report.differences["head"].value == pytest.approx(0)


def test_vectors_are_prepared_once_without_changing_the_answers():
    X, y = world(4)
    tasks = sample_episodes(y, 3, 3, 5, 10)
    found = evaluate_episodes(np.abs(X), y, tasks, {"probe": LinearProbe()}).methods["probe"]
    for t in range(10):
        own = tasks.support[t].ravel()
        fitted = LinearProbe().fit(np.abs(X)[own], y[own])
        expected = fitted.score(np.abs(X)[tasks.query[t]], y[tasks.query[t]])
        assert found.accuracies[t] == pytest.approx(expected, abs=1 / 15 + 1e-6)


def test_any_classifier_with_probabilities_can_be_compared():
    X, y = world(4)
    tasks = sample_episodes(y, 3, 3, 5, 10)
    report = evaluate_episodes(
        X, y, tasks, {"lr": LogisticRegression(), "nn": RULE["nearest_cosine"]}
    )
    assert report.methods["lr"].accuracy.value > 0.6
    assert set(report.differences) == {"lr", "nn"} - {report.best}


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_other_names_of_the_classes_change_nothing(seed):
    X, y = world(5, 12)
    tasks = sample_episodes(y, 3, 2, 4, 10, seed)
    order = np.random.default_rng(seed).permutation(3)
    inverse = np.argsort(order)
    codes = np.where(tasks.query_codes >= 0, inverse[tasks.query_codes], -1)
    moved = replace(
        tasks,
        support=tasks.support[:, order, ::-1],
        classes=tasks.classes[:, order],
        query_codes=codes,
    )
    methods = {name: RULE[name] for name in ("prototypes", "ridge", "shrinkage_lda", "logistic")}
    plain, other = (evaluate_episodes(X, y, t, methods) for t in (tasks, moved))
    for name in methods:
        np.testing.assert_allclose(
            plain.methods[name].accuracies, other.methods[name].accuracies, atol=1 / 12 + 1e-6
        )
        assert plain.methods[name].accuracy.value == pytest.approx(
            other.methods[name].accuracy.value, abs=0.02
        )


def test_measuring_twice_gives_the_same():
    X, y = world()
    tasks = sample_episodes(y, 4, 1, 5, 30)
    methods = {"a": RULE["soft_kmeans"], "b": RULE["prototypes"]}
    first, second = (evaluate_episodes(X, y, tasks, methods) for _ in range(2))
    for name in methods:
        np.testing.assert_array_equal(
            first.methods[name].accuracies, second.methods[name].accuracies
        )
        assert first.methods[name].ece == second.methods[name].ece


def test_products_are_kept_for_the_next_call():
    X, y = world(dim=512)
    kept = {}
    tasks = [sample_episodes(y, 4, 1, 5, 30, seed) for seed in (0, 1)]
    first, second = (
        evaluate_episodes(X, y, each, {"p": RULE["prototypes"]}, kept=kept) for each in tasks
    )
    [inner] = kept.values()
    assert inner.gram is not None
    plain = evaluate_episodes(X, y, tasks[1], {"p": RULE["prototypes"]})
    np.testing.assert_array_equal(second.methods["p"].accuracies, plain.methods["p"].accuracies)
    assert first.fingerprint != second.fingerprint == plain.fingerprint


def test_figures_by_class_and_by_coarsity():
    X, y = world(10, noise=1.5)
    distances = prototype_distances(X, y)
    tasks = sample_episodes(y, 3, 1, 5, 400)
    figures = evaluate_episodes(
        X, y, tasks, {"p": RULE["prototypes"]}, distances=distances
    ).methods["p"]
    assert set(figures.per_class) == set(y)
    assert np.mean([e.value for e in figures.per_class.values()]) == pytest.approx(
        figures.accuracy.value, abs=0.02
    )
    first, *_, last = figures.quartiles
    assert first.high <= last.low
    assert first.accuracy.high < last.accuracy.low  # similar classes are harder
    assert sum(q.accuracy.n for q in figures.quartiles) == 400


def test_calibration_sees_overconfidence():
    X, y = world(noise=2.0)
    tasks = sample_episodes(y, 4, 1, 10, 100)
    cool = evaluate_episodes(X, y, tasks, {"p": RULE["nearest_cosine"]}).methods["p"].ece
    mild = replace(RULE["matching"], logits=partial(RULE["matching"].logits, temperature=0.5))
    warm = evaluate_episodes(X, y, tasks, {"p": mild}).methods["p"].ece
    assert warm.high < cool.low


def test_auroc_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    score = random.integers(0, 9, (5, 40)).astype(np.float32)
    known = random.random((5, 40)) < 0.6
    found = known_auroc(score, known, ~known)
    expected = np.mean([roc_auc_score(k, s) for k, s in zip(known, score, strict=True)])
    assert found.value == pytest.approx(expected)


def test_unknown_images_are_told_apart_and_do_not_count_as_errors():
    X, y = world(noise=0.3)
    tasks = sample_episodes(y, 4, 2, 5, 50, realism=Realism(n_unknown=10))
    figures = evaluate_episodes(X, y, tasks, {"p": RULE["prototypes"]}).methods["p"]
    assert figures.accuracy.value > 0.99
    assert figures.auroc.value > 0.9
    plain = sample_episodes(y, 4, 2, 5, 50)
    assert (
        not evaluate_episodes(X, y, plain, {"p": RULE["prototypes"]}).methods["p"].auroc.is_measured
    )


def test_unbalanced_queries_and_transductive_rules_are_warned_of():
    X, y = world()
    tasks = sample_episodes(y, 4, 1, 10, 50, realism=Realism(imbalance=0.5))
    report = evaluate_episodes(X, y, tasks, {"s": RULE["soft_kmeans"], "p": RULE["prototypes"]})
    assert any("(transductive): s." in text for text in report.warnings)
    assert any("made for equal numbers" in text for text in report.warnings)
    assert evaluate_episodes(X, y, tasks, {"p": RULE["prototypes"]}).warnings == []


def test_classes_left_out_are_told():
    X, y = world(5)
    tasks = sample_episodes(y[:125], 3, 1, 10, 20)
    report = evaluate_episodes(X[:125], y[:125], tasks, {"p": RULE["prototypes"]})
    assert report.warnings == ["Left out, as they have too few images: 'class 4'."]


def test_the_interval_over_tasks_holds_the_mean_of_very_many_tasks():
    X, y = world(noise=1.5)
    truth = evaluate_episodes(X, y, sample_episodes(y, 3, 1, 5, 20_000), {"p": RULE["prototypes"]})
    truth = truth.methods["p"].accuracy.value
    inside = []
    for seed in range(100):
        tasks = sample_episodes(y, 3, 1, 5, 60, seed)
        found = evaluate_episodes(X, y, tasks, {"p": RULE["prototypes"]}).methods["p"].accuracy
        inside.append(found.low <= truth <= found.high)
    assert 0.88 <= np.mean(inside) <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("n_shot", "n_query"), [(1, 5), (5, 5), (3, None)])
def test_intervals_hold_on_other_images(n_shot, n_query):
    """Many small sets of images of the same classes: the truth is the mean over all of them."""
    means, plain, ours, single, one = [], [], [], [], []
    for seed in range(150):
        X, y = world(4, 14, noise=1.5, seed=seed)
        tasks = sample_episodes(y, 4, n_shot, n_query, 200, seed)
        found = evaluate_episodes(X, y, tasks, {"p": RULE["prototypes"]}).methods["p"]
        means.append(found.accuracy.value)
        plain.append(found.accuracy)
        ours.append(found.elsewhere)
        one.append(found.one_task)
        X, y = world(4, 500, noise=1.5, seed=10_000 + seed)
        task = sample_episodes(y, 4, n_shot, 400, 2, seed)
        fresh = evaluate_episodes(X, y, task, {"p": RULE["prototypes"]}).methods["p"]
        single.append(fresh.accuracies[0])
    truth = np.mean(single)

    def coverage(intervals, values):
        pairs = zip(intervals, np.broadcast_to(values, len(intervals)), strict=True)
        return np.mean([e.low <= v <= e.high for e, v in pairs])

    assert coverage(plain, truth) < 0.7  # the usual interval says nothing of other images
    assert 0.9 <= coverage(ours, truth) <= 1
    assert 0.9 <= coverage(one, np.array(single)) <= 1


def test_images_that_no_two_tasks_share_add_nothing():
    _, y = world(4, 500)
    tasks = sample_episodes(y, 2, 1, 2, 20)
    hits = np.ones(tasks.query.shape, np.float32)
    hits[:10] = 0
    shared = SharedImages(tasks)
    assert shared.asked_error(hits) < 0.2 * hits.mean(axis=1).std() / 20**0.5
    assert shared.n_images <= 20 * 6


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_named(bad):
    X, y = world(3)
    X[[4, 7], 2] = bad
    tasks = sample_episodes(y, 3, 1, 5, 5)
    with pytest.raises(
        MeasureError, match=r"rows 4, 7 are NaN or infinite\. Embed these images again"
    ):
        evaluate_episodes(X, y, tasks, {"p": RULE["prototypes"]})


def test_no_method_and_other_labels_are_refused():
    X, y = world(3)
    tasks = sample_episodes(y, 3, 1, 5, 5)
    with pytest.raises(ValueError, match=r"must name at least one\. Got none"):
        evaluate_episodes(X, y, tasks, {})
    with pytest.raises(MeasureError, match="drawn from other labels"):
        evaluate_episodes(X, y[::-1], tasks, {"p": RULE["prototypes"]})


def spec(trained):
    return BackboneSpec("net", "f" * 8, Preprocess(size=64), 8, pretrained_on=trained)


def test_a_backbone_that_saw_the_test_classes_is_flagged():
    said = pretraining_overlap(
        spec("ImageNet-1k, then 20 images of a folder"), ["n01"], dataset="tiered-ImageNet"
    )
    assert "not new" in said and "tiered-ImageNet is part of it" in said
    assert pretraining_overlap(spec("ImageNet-1k"), ["shoe"], dataset="my photos") is None
    assert pretraining_overlap(spec("nothing"), ["n01"], dataset="mini-ImageNet") is None


def test_classes_of_the_same_name_are_flagged():
    names = ("tench, Tinca tinca", "running shoe")
    head = Classifier(np.zeros((2, 8), np.float32), np.zeros(2, np.float32), names)
    said = pretraining_overlap(
        replace(spec("ImageNet-1k"), classifier=head), ["Running-Shoe", "hat"]
    )
    assert "classes of the same name: 'Running-Shoe'" in said


def test_one_task_has_no_interval_and_no_warning():
    X, y = world(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = evaluate_episodes(X, y, sample_episodes(y, 3, 1, 5, 1), {"p": RULE["prototypes"]})
    assert not figures.methods["p"].accuracy.is_measured
