import pytest

from handful.core import Estimate
from handful.report.advice import cautions, next_steps
from handful.report.facts import read_facts


def titles(report):
    return [c.title for c in cautions(read_facts(report))]


def test_everything_wrong_is_said_gravest_first(report, number):
    full = report(3) | {"accuracy": number(0.35, 0.2), "test": {"n": 50, "accuracy": number(0.9)}}
    full["data"]["classes"][0]["n"] = 1
    full["per_class"][0]["recall"] = number(0.2)
    full["ece"] = number(0.2, 0.05)
    found = cautions(read_facts(full))
    assert [c.level for c in found] == ["stop", *["care"] * 7, "note", "note"]
    said = " ".join(c.title for c in found)
    for part in (
        "no better than guessing", "class 000 has fewer", "roughly known", "another story",
        "1 picture under more than one label", "1 image could not", "missed more often",
        "confidences are off", "different size", "nearly the same",
    ):  # fmt: skip
        assert part in said


def test_a_good_report_has_no_cautions(report):
    good = report(3)
    good["data"].update(unusable=[], near_duplicates=[], contradictions=[])
    assert titles(good) == []


@pytest.mark.parametrize(
    ("n_classes", "title"),
    [
        (0, "There are no labels yet"),
        (1, "There is only one class, class 000"),
        (2, "could not be measured"),
    ],
)
def test_without_a_number(report, n_classes, title):
    assert title in " ".join(titles(report(n_classes, known=False)))


def test_reasons_are_counted_and_long_lists_cut():
    files = [{"name": f"{i}.jpg", "reason": "empty"} for i in range(300)]
    data = {"labelled": 9, "unusable": [*files, {"name": "x", "reason": "not an image"}]}
    caution = next(c for c in cautions(read_facts({"data": data})) if "301" in c.title)
    assert caution.items[0] == "0.jpg: empty"
    assert len(caution.items) == 201 and caution.items[-1] == "… 101 more in report.json"


def test_a_bundle_s_report_warns_by_numbers():
    data = {"labelled": 9, "counts": {"unusable": 2, "contradictions": 1, "near_duplicates": 3}}
    found = {c.title: c for c in cautions(read_facts({"data": data}))}
    assert found["2 images could not be used"].detail.startswith("Each is named")
    assert "1 picture under more than one label" in found
    assert found["3 pairs of images show nearly the same"].items == ()


def test_duplicates_with_two_labels_name_them(report):
    (pair,) = [c for c in cautions(read_facts(report(3))) if "nearly the same" in c.title]
    assert pair.items == ("a.jpg ≈ b.jpg (labelled x / y)",)


def test_steps_are_ordered_and_concrete(report):
    assert next_steps(read_facts(report(3))) == [
        (
            "Look at 1 image whose label the model doubts (most may just be hard), "
            "first m/1.jpg (labelled a, looks like b)."
        ),
        "30 more labels are expected to add 3 points.",
        "Most frequent mistake: class 000 taken for class 001 (2 of 10). Labels of these two help most.",
        "Label next the 1 image the model is least sure of, first u/1.jpg (class 000, 34 % sure).",
    ]


def test_steps_without_sentence_or_confusion(report, number):
    gain = {"labels": 10, "gain": Estimate(0.02, 0.0, 0.05, 9, "gain", "").as_dict()}
    found = next_steps(read_facts({"expected_gain": gain, "per_class": report(2)["per_class"]}))
    assert found == [
        "10 more labels would change accuracy by about +2.0 points.",
        "The weakest classes are class 000 and class 001.",
    ]
    gain["gain"] = number(None)
    assert next_steps(read_facts({"expected_gain": gain})) == []
