from __future__ import annotations

import numpy as np
import pytest

from handful.measure import annotator_agreement, dawid_skene


def answers(n, skills, n_classes=4, share=1.0, seed=0):
    """Return true classes and the votes of annotators who are right so often."""
    random = np.random.default_rng(seed)
    true = random.integers(0, n_classes, n)
    votes = np.full((n, len(skills)), -1)
    for column, skill in enumerate(skills):
        wrong = (true + random.integers(1, n_classes, n)) % n_classes
        votes[:, column] = np.where(random.random(n) < skill, true, wrong)
    votes[random.random(votes.shape) > share] = -1
    return true, votes


def test_krippendorffs_own_example():
    # Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011, section C: nominal alpha 0.743
    none = -1
    votes = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, none, none, none],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, none, 3],
            [none, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, none],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, none],
        ]
    ).T
    assert annotator_agreement(votes)[1] == pytest.approx(0.743, abs=5e-4)


def test_chance_is_zero_and_perfect_is_one():
    random = np.random.default_rng(0)
    assert annotator_agreement(random.integers(0, 3, (4000, 2)))[1] == pytest.approx(0, abs=0.03)
    same = random.integers(0, 3, 50)
    assert annotator_agreement(np.stack([same, same], axis=1)) == (1.0, 1.0, 50)


def test_without_two_answers_there_is_nothing_to_say():
    share, alpha, n = annotator_agreement([[0, -1], [-1, 1]])
    assert np.isnan(share) and np.isnan(alpha) and n == 0
    assert np.isnan(annotator_agreement([[0, 0], [0, 0]])[1])


def test_consensus_beats_the_majority_where_annotators_differ_in_skill():
    true, votes = answers(1500, [0.95, 0.5, 0.5, 0.5, 0.5])
    found = dawid_skene(votes, 4)
    counts = (votes[:, :, None] == np.arange(4)).sum(axis=1)
    assert (found.proba.argmax(axis=1) == true).mean() > (
        counts.argmax(axis=1) == true
    ).mean() + 0.03
    assert found.accuracy == pytest.approx([0.95, 0.5, 0.5, 0.5, 0.5], abs=0.05)
    assert found.confusion.sum(axis=2) == pytest.approx(np.ones((5, 4)))


def test_missing_answers():
    true, votes = answers(800, [0.9, 0.8, 0.85], share=0.6, seed=1)
    votes[0] = -1
    found = dawid_skene(votes, 4)
    assert np.isnan(found.proba[0]).all()
    seen = (votes >= 0).any(axis=1)
    assert (found.proba[seen].argmax(axis=1) == true[seen]).mean() > 0.85
    assert found.proba[seen].sum(axis=1) == pytest.approx(np.ones(seen.sum()))


def test_an_annotator_without_answers_and_no_items():
    found = dawid_skene([[0, -1], [1, -1]], 2)
    assert np.isnan(found.accuracy[1])
    assert dawid_skene(np.empty((0, 2)), 3).proba.shape == (0, 3)


def test_votes_must_be_classes():
    with pytest.raises(ValueError, match="table of classes"):
        dawid_skene([[0, 2]], 2)
