import pytest
from hypothesis import given
from hypothesis import strategies as st

from handful.core import Estimate
from handful.report.text import interval, joined, measured, moment, percent, plural, shorten, shown

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(ANY_TEXT)
def test_shown_text_encodes_and_hides_nothing(text):
    result = shown(text)
    result.encode("utf-8")
    assert all(
        c.isprintable() or c.isspace() or c in "\u200c\u200d" or ord(c) > 127 for c in result
    )
    assert not set(result) & set("\x00\x1b\r\n\u202e\u2066\u2028\ufffe\uffff")


def test_ordinary_text_of_any_script_is_left_alone():
    for text in ("chèvre", "狐", "नेवला", "👩\u200d🌾", "a b"):
        assert shown(text) == text


@given(ANY_TEXT, st.integers(3, 30))
def test_shortened_text_has_at_most_that_many_characters(text, most):
    result = shorten(text, most)
    assert len(result) <= most
    assert result == text or "…" in result


@given(st.floats(0, 1), st.integers(0, 2))
def test_percent_is_0_or_100_only_when_it_is(value, decimals):
    text = percent(value, decimals)
    assert (text == "100 %") == (value == 1) and (text == "0 %") == (value == 0)


def test_unmeasured_estimates_say_so():
    estimate = Estimate.not_measurable("accuracy", "why")
    assert measured(estimate) == "not measurable" and interval(estimate) == "–"


@pytest.mark.parametrize(("n", "text"), [(0, "0 images"), (1, "1 image"), (2000, "2,000 images")])
def test_plural(n, text):
    assert plural(n, "image") == text


def test_joined_lists_are_cut():
    assert joined(["a"]) == "a"
    assert joined(list("abcde")) == "a, b, c, d and e"


def test_moment_keeps_a_time_without_zone():
    assert moment("2026-01-02T03:04:05") == "2 January 2026, 03:04"
