"""Self-training: what a round selects, when rounds end, which students there are."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from handful.heads import NearestNeighbours, PrototypeClassifier, SelfTraining

from .samples import blobs, run


def few_labels(n_each=30, labels=2):
    X, y = blobs(3, n_each)
    labelled = np.arange(len(y)) % n_each < labels
    return X[labelled], y[labelled], X[~labelled], y[~labelled]


@parametrize_with_checks([SelfTraining(), SelfTraining(n_rounds=1, labels="hard")])
def test_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "head",
    [
        SelfTraining(labels="hard"),
        SelfTraining(threshold=0.5),
        SelfTraining(PrototypeClassifier()),
        SelfTraining(student=PrototypeClassifier(), labels="hard"),
        SelfTraining(NearestNeighbours(3), student=PrototypeClassifier(), labels="hard"),
    ],
    ids=repr,
)
def test_every_kind_of_student_learns_and_is_servable(head):
    X, y, U, truth = few_labels()
    head.fit(X, y, U)
    assert head.score(U, truth) > 0.9
    assert (head.classes_[head.loo_logits_.argmax(axis=1)] == y).mean() > 0.6
    np.testing.assert_allclose(run(head.to_onnx(), U), head.predict_logits(U), atol=1e-3)


def test_rounds_take_a_growing_share_of_every_class():
    X, y, U, _ = few_labels()
    random = np.random.default_rng(0).gamma(1.0, 1.0, U.shape)
    rounds = SelfTraining(n_rounds=4).fit(X, y, np.vstack([U, random])).rounds_
    selected = [each.n_selected for each in rounds]
    assert selected == sorted(selected)
    assert all(0 <= each.agreement <= 1 for each in rounds)


def test_rounds_end_when_teacher_and_student_agree():
    X, y, _, _ = few_labels()
    rounds = SelfTraining(n_rounds=9).fit(X, y, np.repeat(X, 5, axis=0)).rounds_
    assert len(rounds) == 1
    assert rounds[0].agreement == 1


def test_a_threshold_that_nobody_reaches_selects_nobody():
    X, y, U, _ = few_labels()
    head = SelfTraining(threshold=0.999999, n_rounds=1).fit(X, y, U)
    assert head.rounds_[0].n_selected == 0
    assert np.isfinite(head.predict_logits(U)).all()


def test_pseudo_labels_are_aligned_to_a_given_prior():
    X, y, U, _ = few_labels()
    shares = {"class 0": 0.8, "class 1": 0.1, "class 2": 0.1}
    often = SelfTraining(class_prior=shares).fit(X, y, U).predict_proba(U)
    assert often[:, 0].mean() > SelfTraining().fit(X, y, U).predict_proba(U)[:, 0].mean()


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (SelfTraining(n_rounds=0), "'n_rounds' parameter of SelfTraining must be a whole number"),
        (SelfTraining(threshold=1.5), "'threshold' .* above 0.0 and below 1.0. Got 1.5"),
        (SelfTraining(labels="fuzzy"), "must be 'soft' or 'hard'. Got 'fuzzy'"),
        (
            SelfTraining(student=PrototypeClassifier()),
            "cannot learn soft labels. Set labels='hard'",
        ),
    ],
)
def test_parameters_out_of_range_are_named(head, message):
    with pytest.raises(ValueError, match=message):
        head.fit(*few_labels()[:3])
