"""Cross-validation, comparison and choice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from handful.core import MeasureError
from handful.heads import PrototypeClassifier
from handful.measure import validate

HEADS = {"centroid": PrototypeClassifier("euclidean"), "linear": LogisticRegression(C=10)}


def blobs(counts, *, spread=1.0, seed=0):
    random = np.random.default_rng(seed)
    centres = 3 * np.eye(len(counts), 8)
    y = np.repeat([f"class {i}" for i in range(len(counts))], counts)
    X = np.concatenate(
        [centres[i] + spread * random.normal(size=(m, 8)) for i, m in enumerate(counts)]
    )
    return X.astype(np.float32), y


def test_figures_of_easy_classes():
    X, y = blobs([12, 12, 12])
    result = validate(HEADS, X, y, quiet=True)
    assert result.accuracy.value > 0.85
    assert result.accuracy.low <= result.accuracy.value <= result.accuracy.high
    figures = result.methods["linear"]
    assert figures.confusion.sum() == 36
    assert figures.oof_proba.sum(axis=1) == pytest.approx(np.ones(36))


def test_deterministic():
    X, y = blobs([6, 9, 2], spread=2)
    one, two = (validate(HEADS, X, y, quiet=True, random_state=4) for _ in range(2))
    assert one.accuracy == two.accuracy
    assert one.chosen == two.chosen


def test_one_label_a_class_is_not_measurable():
    X, y = blobs([1, 1, 1])
    result = validate(HEADS, X, y, quiet=True)
    assert not result.accuracy.is_measured
    assert result.chosen == "centroid"


def test_one_class_is_refused():
    with pytest.raises(MeasureError, match="at least two classes"):
        validate(HEADS, np.zeros((3, 2)), np.array(["a"] * 3))


def test_no_winner_among_equals():
    X, y = blobs([10, 10])
    result = validate({"one": LogisticRegression(), "two": LogisticRegression()}, X, y, quiet=True)
    assert result.chosen == "one"
    assert "No winner" in result.why


class Recording(PrototypeClassifier):
    """Notes which rows it was fitted on and asked about (the last column is the row number)."""

    log: list = []  # noqa: RUF012

    def fit(self, X, y):
        self.fitted = X[:, -1].astype(int), np.asarray(y)
        return super().fit(X[:, :-1], y)

    def predict_proba(self, X):
        self.log.append((*self.fitted, X[:, -1].astype(int)))  # folds are fitted in threads
        return super().predict_proba(X[:, :-1])


def recorded(y, groups=None):
    random = np.random.default_rng(0)
    X = np.column_stack([random.normal(size=(len(y), 6)), np.arange(len(y))])
    Recording.log = []
    result = validate({"recording": Recording()}, X, y, groups=groups, quiet=True)
    return result, Recording.log


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.one_of(st.none(), st.sampled_from("abcdef"))),
        min_size=6,
        max_size=30,
    )
)
def test_no_head_ever_sees_a_group_or_an_unknown_class_of_its_test_images(rows):
    y = np.array([code for code, _ in rows])
    groups = np.array([group for _, group in rows], dtype=object)
    if len(set(y)) < 2:
        return
    _, models = recorded(y, groups)
    for fitted, labels, asked in models:
        assert not set(fitted) & set(asked)
        assert not {groups[i] for i in fitted} & {groups[i] for i in asked} - {None}
        assert set(y[asked]) <= set(labels)


def test_class_with_one_label_is_in_every_training_set_and_never_tested():
    y = np.repeat([0, 1, 2], [8, 8, 1])
    result, models = recorded(y)
    assert all(16 in fitted and 16 not in asked for fitted, _, asked in models)
    figures = result.methods["recording"]
    assert np.isnan(figures.oof_proba[16]).all()
    assert not figures.per_class[2].recall.is_measured
    assert figures.per_class[2].n == 1
    assert "single label" in result.accuracy.how


def test_every_class_is_cut_down_once_when_one_has_a_single_label():
    y = np.repeat([0, 1, 2], [8, 8, 1])
    _, models = recorded(y)
    cut = [np.bincount(labels) for _, labels, _ in models[-2:]]
    assert sorted(counts[:2].min() for counts in cut) == [1, 1]
    assert sorted(int(counts[:2].argmin()) for counts in cut) == [0, 1]


def test_group_names_and_group_numbers_agree():
    X, y = blobs([8, 8])
    names = np.array(["a", "a", None, "b", "b", None, None, None] * 2, dtype=object)
    numbers = np.array([0, 0, -1, 1, 1, -1, -1, -1] * 2)
    one, two = (validate(HEADS, X, y, groups=g, quiet=True) for g in (names, numbers))
    assert one.accuracy == two.accuracy
    assert "groups kept whole" in one.how


def test_groups_of_wrong_length_are_refused():
    X, y = blobs([4, 4])
    with pytest.raises(ValueError, match="one entry an image, 8 in all"):
        validate(HEADS, X, y, groups=np.zeros(3, dtype=int), quiet=True)


def test_classifier_without_probabilities():
    X, y = blobs([8, 8, 8])
    figures = validate({"svm": LinearSVC()}, X, y, quiet=True).methods["svm"]
    assert figures.accuracy.value > 0.7
    assert not figures.ece.is_measured
    assert figures.reliability == []


def test_labels_of_any_type_give_the_same_figures():
    X, y = blobs([6, 6, 6], spread=2)
    numbers = np.unique(y, return_inverse=True)[1]
    one, two = (validate(HEADS, X, labels, quiet=True) for labels in (y, numbers))
    assert one.accuracy == two.accuracy
    assert two.classes == [0, 1, 2]


def test_bad_arguments():
    X, y = blobs([4, 4])
    with pytest.raises(ValueError, match="at least one classifier"):
        validate({}, X, y)
    with pytest.raises(ValueError, match="one label an image"):
        validate(HEADS, X, y[:-1])


@pytest.mark.parametrize(("counts", "folds"), [([2, 2], 2), ([3, 3, 3], 3), ([20, 20, 2], 5)])
def test_number_of_folds_keeps_classes_balanced(counts, folds):
    X, y = blobs(counts)
    assert f"{folds}-fold" in validate(HEADS, X, y, quiet=True).how


@pytest.mark.slow
@pytest.mark.parametrize("counts", [[3] * 6, [10] * 6, [10] * 3 + [1] * 3])
def test_interval_covers_the_accuracy_of_the_shipped_model(counts):
    covered = []
    head = PrototypeClassifier("euclidean")
    for seed in range(120):
        X, y = blobs(counts, spread=1.3, seed=seed)
        found = validate({"only": head}, X, y, quiet=True, random_state=seed).accuracy
        new_X, new_y = blobs([400] * 6, spread=1.3, seed=1000 + seed)
        right = head.fit(X, y).predict(new_X) == new_y
        truth = np.array(counts) / sum(counts) @ right.reshape(6, 400).mean(axis=1)
        covered.append(found.low <= truth <= found.high)
    assert np.mean(covered) >= 0.9


def test_accuracy_after_the_choice_says_so():
    X, y = blobs([10, 10, 10], spread=2)
    both = validate(HEADS, X, y, quiet=True)
    assert "choice among 2 methods" in both.accuracy.how
    alone = validate({"linear": HEADS["linear"]}, X, y, quiet=True)
    assert alone.accuracy == alone.methods["linear"].accuracy


class Guessing(ClassifierMixin, BaseEstimator):
    """Guesses, each ``way`` differently, whatever it is shown."""

    def __init__(self, way=0):
        self.way = way

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        seeds = (np.abs(X).sum(axis=1) * 1e4).astype(int)
        first = np.array([np.random.default_rng([self.way, seed]).random() for seed in seeds])
        return np.column_stack([first, 1 - first])


@pytest.mark.slow
def test_the_luckiest_of_many_guessers_is_not_taken_for_knowing():
    heads = {str(way): Guessing(way) for way in range(6)}
    covered = []
    for seed in range(40):
        X, y = np.random.default_rng(seed).normal(size=(30, 4)), np.tile(["a", "b"], 15)
        found = validate(heads, X, y, quiet=True, random_state=seed).accuracy
        covered.append(found.low <= 0.5 <= found.high)
    assert np.mean(covered) >= 0.9
