from handful.core import Estimate
from handful.report.facts import Bin, ClassResult, Confusion
from handful.report.mistakes import mistakes, trust_sentence, weakest_first

NONE = Estimate.not_measurable("x", "why")


def share(value):
    return Estimate(value, 0.0, 1.0, 10, "x", "cv")


def test_mistakes_are_sorted_and_hold_their_share():
    found = mistakes(Confusion(("a", "b"), ((6, 4), (5, 15))))
    assert [(m.true, m.count, m.total, m.share) for m in found] == [
        ("b", 5, 20, 0.25),
        ("a", 4, 10, 0.4),
    ]


def test_no_classes_make_no_mistakes():
    assert mistakes(Confusion()) == [] == mistakes(Confusion(("a",), ((3,),)))


def test_classes_without_a_number_come_last():
    rows = [
        ClassResult(n, 1, r, NONE) for n, r in (("a", NONE), ("b", share(0.9)), ("c", share(0.1)))
    ]
    assert [r.name for r in weakest_first(rows)] == ["c", "b", "a"]


def test_confidence_is_judged():
    def verdict(right):
        return trust_sentence([Bin(0.7, 0.9, 10, 0.8, share(right))])

    assert "too sure" in verdict(0.5) and "better than it says" in verdict(0.95)
    assert "at its word" in verdict(0.79)
    assert trust_sentence([Bin(0.7, 0.9, 10, 0.8, NONE)]) == ""
