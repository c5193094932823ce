"""The evidence: rows by set, what is left out, and forecasts that are as unsure as the sets differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handful.advise import Evidence, Row, packaged_evidence
from handful.advise.evidence import moved

ROW = Row("a", "finetune", 20, 10, 0.84, 0.8, "finetune_few", minutes=4.0)


def evidence(*rows: Row) -> Evidence:
    return Evidence(rows)


def test_a_set_that_is_left_out_changes_nothing_that_is_forecast() -> None:
    others = evidence(ROW, replace(ROW, image_set="b", accuracy=0.9))
    for secret in (0.2, 0.99):
        row = replace(ROW, image_set="c", accuracy=secret, probe=0.5)
        known = evidence(*others.rows, row).without("c")
        assert known.gain("finetune", 20) == others.gain("finetune", 20)
        assert known.probe(20) == others.probe(20)


def test_no_row_no_forecast() -> None:
    assert evidence().gain("finetune", 20) is None
    assert evidence(ROW).gain("distil", 20) is None
    assert evidence(ROW).probe(20) is None


def test_sets_that_differ_more_make_a_forecast_less_sure() -> None:
    alike = evidence(ROW, replace(ROW, image_set="b")).gain("finetune", 20)
    apart = evidence(ROW, replace(ROW, image_set="b", accuracy=0.6)).gain("finetune", 20)
    alone = evidence(ROW).gain("finetune", 20)
    assert alike and apart and alone
    assert alike.error < alone.error < apart.error
    assert (alike.sets, alike.sources, alike.minutes) == (("a", "b"), ("finetune_few",), 4.0)
    assert alike.where == "finetune_few on a, b"


def test_rows_at_a_like_number_of_labels_count_most_and_far_ones_are_less_sure() -> None:
    known = evidence(ROW, replace(ROW, labels=640, accuracy=0.7))
    near, far = known.gain("finetune", 20), evidence(ROW).gain("finetune", 640)
    assert near and far
    assert near.value == pytest.approx(ROW.gain, abs=0.01)
    assert far.error > evidence(ROW).gain("finetune", 20).error  # type: ignore[union-attr]


def test_sets_whose_names_do_as_well_count_most() -> None:
    good = replace(ROW, plan="names_and_labels", names=0.5, accuracy=0.9)
    bad = replace(good, image_set="b", names=0.0, accuracy=0.7)
    known = evidence(good, bad)
    by_good, by_bad = (known.gain("names_and_labels", 20, names) for names in (0.5, 0.0))
    assert by_good and by_bad
    assert by_good.value == pytest.approx(good.gain, abs=0.05)
    assert by_bad.value == pytest.approx(bad.gain, abs=0.05)


def test_a_step_of_log_odds_lifts_the_middle_most() -> None:
    assert moved(0.5, 0.4) - 0.5 > moved(0.9, 0.4) - 0.9 > 0
    assert moved(0.5, 0.0) == 0.5
    assert moved(1.0, 0.4) <= 1.0


def test_every_packaged_row_names_its_set_and_the_result_it_comes_from() -> None:
    known = packaged_evidence()
    assert {row.image_set for row in known.rows} >= {"clothing", "eurosat", "trashnet"}
    for row in known.rows:
        assert row.source and 0 <= row.accuracy <= 1 and 0 <= row.probe <= 1
    assert known.gain("finetune", 20) and known.gain("semi_supervised", 5)
