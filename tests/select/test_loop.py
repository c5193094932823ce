"""Ask, label, tell."""

from __future__ import annotations

import numpy as np
import pytest

from handful.heads import PrototypeClassifier
from handful.select import STRATEGIES, Loop


def pool(n_each=40, seed=0):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).gamma(1.0, 1.0, (3, 12))
    y = np.tile(["a", "b", "c"], n_each)
    X = centres[np.tile([0, 1, 2], n_each)] + rng.gamma(1.0, 0.3, (len(y), 12))
    return X.astype(np.float32), y


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_goes_from_no_label_to_many(strategy):
    X, y = pool(15)
    loop = Loop(X, strategy=strategy, audits=0)
    for _ in range(3):
        batch = loop.ask(6)
        assert not batch.blind.any() and len(batch.why) == 6
        loop.tell(batch.indices, y[batch.indices])
    assert len(set(loop.labelled.tolist())) == 18
    right = (loop.head_.predict(X) == y).mean()
    assert right > (0.6 if strategy == "rare_class" else 0.8)  # it looks for one class alone


def test_the_same_seed_asks_the_same():
    X, y = pool()
    asked = []
    for _ in range(2):
        loop = Loop(X, random_state=3)
        for _ in range(3):
            batch = loop.ask(5)
            loop.tell(batch.indices, y[batch.indices], blind=batch.blind)
        asked.append(np.concatenate([loop.labelled, loop.audited]))
    np.testing.assert_array_equal(*asked)


def test_audits_are_a_tenth_apart_from_training():
    X, y = pool()
    loop = Loop(X, audits=0.1)
    for _ in range(8):
        batch = loop.ask(10)
        assert batch.blind.sum() == 1
        assert [why.startswith("audit") for why in batch.why] == batch.blind.tolist()
        loop.tell(batch.indices, y[batch.indices], blind=batch.blind)
    assert len(loop.audited) == 8 and len(loop.labelled) == 72
    assert not set(loop.audited) & set(loop.labelled)
    assert set(loop.audited) <= set(loop._reserved)
    assert not set(loop.labelled) & set(loop._reserved)


def test_small_batches_owe_their_audits():
    X, y = pool()
    loop, blind = Loop(X, audits=0.1), 0
    for _ in range(20):
        batch = loop.ask(1)
        blind += batch.blind.sum()
        loop.tell(batch.indices, y[batch.indices], blind=batch.blind)
    assert blind == 2


def test_a_label_told_again_replaces_the_first():
    X, _ = pool()
    loop = Loop(X, audits=0)
    loop.tell([1, 2], ["a", "b"])
    loop.tell([1], ["longer name"])
    assert dict(zip(loop.labelled.tolist(), loop.y.tolist(), strict=True)) == {
        2: "b",
        1: "longer name",
    }


def test_closed_rows_are_never_asked_for_and_the_pool_ends():
    X, y = pool(5)
    loop = Loop(X, audits=0, closed=[0, 3])
    loop.tell([1, 2], y[[1, 2]])
    batch = loop.ask(99)
    assert sorted(batch.indices) == [4, *range(5, 15)]
    loop.tell(batch.indices, y[batch.indices])
    assert len(loop.ask(5).indices) == 0


def test_labels_of_one_class_make_no_model():
    X, _ = pool()
    loop = Loop(X, audits=0)
    loop.tell([0, 3], ["a", "a"])
    assert loop.head_ is None and loop.proba() is None
    assert loop.why == STRATEGIES["typiclust"].why
    assert len(loop.ask(4).indices) == 4


def test_any_head_will_do():
    X, y = pool()
    loop = Loop(X, head=PrototypeClassifier(), audits=0, strategy="margin")
    loop.tell(np.arange(6), y[:6])
    assert isinstance(loop.head_, PrototypeClassifier)


def test_bad_parameters():
    with pytest.raises(ValueError, match=r"No strategy 'margn' .did you mean 'margin'"):
        Loop(np.ones((3, 2)), strategy="margn")
    with pytest.raises(ValueError, match=r"in .0, 1.\. Got 1"):
        Loop(np.ones((3, 2)), audits=1)
