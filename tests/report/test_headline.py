import pytest

from handful.core import Estimate
from handful.report.facts import read_facts
from handful.report.headline import headline, held_out_sentence, unlabelled_sentence


def of(value, low, high, **more):
    return read_facts(
        {"accuracy": Estimate(value, low, high, 50, "accuracy", "cv").as_dict(), **more}
    )


@pytest.mark.parametrize(
    ("numbers", "figure", "sentence"),
    [
        ((0.8, 0.7, 0.9), "80 %", "Of 100 new images like these, expect about 80"),
        ((0.996, 0.99, 0.999), "99.6 %", "Of 1,000 new images like these, expect about 996"),
        ((1.0, 0.93, 1.0), "100 %", "expect about 100"),
        ((0.0, 0.0, 0.1), "0 %", "expect about 0"),
        ((0.8012, 0.8004, 0.802), "80.1 %", "Of 1,000"),
    ],
)
def test_the_number_is_told_in_images(numbers, figure, sentence):
    found = headline(of(*numbers))
    assert found.figure == figure and sentence in found.sentence
    assert "between" in found.range and "95 % interval" in found.how and "50 images" in found.how


def test_the_hundred_dots_hold_the_interval():
    dots = headline(of(0.8, 0.7, 0.9)).dots
    assert [dots.count(word) for word in ("sure", "likely", "maybe", "wrong")] == [70, 10, 10, 10]


def test_the_baseline_is_the_most_common_class():
    facts = of(0.8, 0.7, 0.9, data={"classes": [{"name": "a", "n": 30}, {"name": "b", "n": 10}]})
    assert "75 of 100" in headline(facts).baseline
    many = of(0.8, 0.7, 0.9, data={"classes": [{"name": str(i), "n": 1} for i in range(200)]})
    assert "fewer than 1 of 100" in headline(many).baseline


def test_without_a_number_it_says_why(report):
    assert headline(read_facts({})).figure == "No labels yet"
    assert headline(read_facts(report(1, known=False))).figure == "One class"
    found = headline(read_facts(report(3, known=False)))
    assert (found.figure, found.how, found.dots) == ("Not measurable", "One label a class.", ())


@pytest.mark.parametrize(("value", "word"), [(0.82, "in agreement with"), (0.4, "outside")])
def test_the_test_split_agrees_or_not(report, number, value, word):
    facts = read_facts(report() | {"test": {"n": 40, "accuracy": number(value)}})
    assert word in held_out_sentence(facts)


def test_a_test_split_without_a_number(report, number):
    facts = read_facts(report() | {"test": {"n": 0, "accuracy": number(None)}})
    assert held_out_sentence(facts) == "The test split says nothing: One label a class."


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        ((0.05, 0.01, 0.09), "They help."),
        ((0.01, -0.05, 0.07), "too few to tell that from luck"),
        ((-0.05, -0.09, -0.01), "They harm"),
    ],
)
def test_unlabelled_images_are_said_to_help_only_where_that_is_shown(gain, said):
    pool = {"there": 300, "n": 300, "used": True, "gain": Estimate(*gain, 50, "gain", "").as_dict()}
    sentence = unlabelled_sentence(of(0.8, 0.7, 0.9, unlabelled=pool).unlabelled)
    assert said in sentence and f"{100 * gain[0]:+.1f} points" in sentence
