import pytest

from handful.core import BundleError
from handful.report.node import Node


def test_what_is_missing_is_empty():
    node = Node({})
    assert node["a"]["b"].rows() == [] and node["a"].text() == "" and node["a"].number() is None
    assert not node["a"].estimate().is_measured and node["a"].count() is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_number_that_is_none_is_not_measured(value):
    assert Node({"value": value}).estimate().is_measured is False


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"value": "0.8"}, r"'report.value' must be a number. Got str"),
        ({"value": True}, r"'report.value' must be a number. Got bool"),
        ({"value": 0.5, "low": 0.6, "high": 0.7}, "must hold low ≤ value ≤ high"),
        ({"value": 0.5, "low": None, "high": 0.7}, "must hold low ≤ value ≤ high"),
        ({"value": 0.5, "low": 0, "high": 1, "n": -1}, "must be a count"),
        ([0.5], "must be an object. Got list"),
    ],
)
def test_a_value_of_a_wrong_kind_is_named(value, message):
    with pytest.raises(BundleError, match=message):
        Node(value).estimate()


def test_words_of_plain_values():
    assert [Node(v).words() for v in (True, 0.050001, 7, None)] == ["yes", "0.05", "7", "–"]


def test_deep_values_are_cut():
    value = []
    for _ in range(900):
        value = [value]
    assert Node(value).words() == "…"


def test_words_of_nested_values():
    assert Node({"size": 224, "crop": None, "box": [1, 2]}).words() == "size 224, box 1 2"
