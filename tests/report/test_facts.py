import pytest

from handful.core import BundleError
from handful.report.facts import read_facts


def test_a_full_report_is_read(report):
    facts = read_facts(report(3))
    assert facts.accuracy.value == 0.8 and facts.labelled == 30
    assert [m.name for m in facts.methods] == ["prototypes", "probe"]
    assert facts.backbone[-1] == ("preprocess", "size 224")
    assert facts.mislabelled[0].confidence == 0.02


def test_labels_are_counted_when_not_stated():
    assert read_facts({"data": {"classes": [{"name": "a", "n": 3}, {"name": "b"}]}}).labelled == 3


def test_a_newer_report_is_refused():
    with pytest.raises(BundleError, match=r"format 2; this handful reads up to 1. Update"):
        read_facts({"format_version": 2})


def test_a_confusion_matrix_that_is_not_square_is_refused():
    with pytest.raises(BundleError, match="one row and one column of counts for each of its 2"):
        read_facts({"confusion": {"classes": ["a", "b"], "counts": [[1, 2], [3]]}})


def test_the_test_split_leads_where_the_labels_cannot(report, number):
    facts = read_facts(report(known=False) | {"test": {"n": 9, "accuracy": number(0.7)}})
    assert facts.headline.value == 0.7
    assert not read_facts(report(known=False)).headline.is_measured


def test_a_bundle_s_report_counts_what_it_does_not_name():
    data = read_facts({"data": {"counts": {"unusable": 4}}}).data
    assert data.count("unusable") == 4 and data.count("contradictions") == 0


def test_a_matrix_in_which_nothing_was_tested_is_none():
    confusion = {"classes": ["a", "b"], "counts": [[0, 0], [0, 0]]}
    assert read_facts({"confusion": confusion}).confusion.classes == ()


def test_empty_reliability_bins_are_left_out(number):
    bins = [{"low": 0, "high": 0.1, "n": 0, "confidence": None, "accuracy": number(None)}]
    assert read_facts({"reliability": bins}).reliability == ()
